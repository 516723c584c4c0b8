package plan

import (
	"fmt"
	"slices"
	"testing"

	"weir/internal/haproxy"
)

// fleet is 100,000 servers in 1,000 backends and as many map entries.
func fleet() haproxy.Config {
	c := edge()
	c.Backends, c.Maps[0].Entries = nil, nil
	for i := range 1000 {
		b := haproxy.Backend{Name: fmt.Sprintf("pool-%04d.aaaa", i), Profile: "p-robin", Mode: "http"}
		for j := range 100 {
			b.Servers = append(b.Servers, server(fmt.Sprintf("s%03d.aaaa", j), fmt.Sprintf("10.%d.%d.%d:80", i/250, i%250, j), j+1))
			c.Maps[0].Entries = append(c.Maps[0].Entries, haproxy.Entry{Key: fmt.Sprintf("h%03d.p%04d.example.com", j, i), Value: b.Name})
		}
		c.Backends = append(c.Backends, b)
	}
	slices.SortFunc(c.Maps[0].Entries, func(a, b haproxy.Entry) int { return compareEntries(&a, &b) })
	return c
}

func BenchmarkDiffOneWeight(b *testing.B) {
	have, want := fleet(), fleet() // no shared strings: what a renderer and a reader would give
	want.Backends[500].Servers[50].Weight = 1
	b.ReportAllocs()
	for b.Loop() {
		if n := len(Diff(have, want).Ops); n != 1 {
			b.Fatalf("%d operations", n)
		}
	}
}

func BenchmarkDiffAllNew(b *testing.B) {
	have, want := fleet(), fleet()
	have.Backends = nil
	have.Maps[0].Entries = nil
	b.ReportAllocs()
	for b.Loop() {
		if n := len(Diff(have, want).Ops); n < 100000 {
			b.Fatalf("%d operations", n)
		}
	}
}

func BenchmarkDiffEveryOption(b *testing.B) {
	have, want := fleet(), fleet()
	for i := range want.Backends {
		for j := range want.Backends[i].Servers {
			s := &want.Backends[i].Servers[j]
			s.Name, s.ID = haproxy.BaseName(s.Name)+".bbbb", s.ID+1000
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(Diff(have, want).Ops); n < 100000 {
			b.Fatalf("%d operations", n)
		}
	}
}

func BenchmarkApplyOneWeight(b *testing.B) {
	have, want := fleet(), fleet()
	want.Backends[500].Servers[50].Weight = 1
	p := Diff(have, want)
	b.ReportAllocs()
	for b.Loop() {
		Apply(p, have)
	}
}
