package store

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
)

// BenchmarkApply is one object a change, durable and visible when it returns.
func BenchmarkApply(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := newStore(b)
			var next atomic.Int64
			took := make([]time.Duration, b.N)
			var group sync.WaitGroup
			b.ResetTimer()
			for range writers {
				group.Go(func() {
					for {
						i := int(next.Add(1)) - 1
						if i >= b.N {
							return
						}
						start := time.Now()
						_, err := s.Apply(b.Context(), Request{Author: "bench", Writes: puts(zone(fmt.Sprintf("z%d", i%1000), 1+i%5000))})
						if err != nil {
							b.Error(err)
							return
						}
						took[i] = time.Since(start)
					}
				})
			}
			group.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[b.N*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkApplyInto100k is one change to a store that holds many objects.
func BenchmarkApplyInto100k(b *testing.B) {
	s := newStore(b)
	fill(b, s, 100_000)
	waitMaterialized(b, s)
	b.ResetTimer()
	for i := range b.N {
		apply(b, s, puts(server(i%100_000, fmt.Sprintf("10.1.%d.%d", i/250%250, i%250)))...)
	}
}

// BenchmarkFill100k is one atomic change of 100,000 objects.
func BenchmarkFill100k(b *testing.B) {
	for range b.N {
		b.StopTimer()
		s := newStore(b)
		b.StartTimer()
		fill(b, s, 100_000)
		b.StopTimer()
		waitMaterialized(b, s)
		b.StartTimer()
	}
}

func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	writes := make([]weir.Write, n)
	for i := range n {
		writes[i].Put = server(i, "10.0.0.1")
	}
	apply(b, s, writes...)
}

// BenchmarkOpen100k is a start with 100,000 objects on disk, with the memory that it leaves in use.
func BenchmarkOpen100k(b *testing.B) {
	dir := b.TempDir()
	s, err := tryOpen(b, dir)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, s, 100_000)
	waitMaterialized(b, s)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	s = nil
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for i := range b.N {
		s, err := tryOpen(b, dir)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if i == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/(1<<20), "heap-MiB")
		}
		if n := s.View().Len("Server"); n != 100_000 {
			b.Fatalf("%d servers", n)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
