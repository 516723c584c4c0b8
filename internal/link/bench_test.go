package link

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// crowd opens n streams of one group, each on a connection of its own, and counts the commits of each revision.
type crowd struct {
	w    *world
	seen atomic.Int64
	want atomic.Int64
	all  chan time.Time
	wg   sync.WaitGroup
}

func newCrowd(b *testing.B, w *world, group string, n int, list []*ir.Resource) (*crowd, []ir.Self) {
	b.Helper()
	var selves []ir.Self
	var dirs []string
	for i := range n {
		name := fmt.Sprintf("lb-%d", i)
		dirs = append(dirs, w.enrol(name))
		selves = append(selves, ir.Self{Name: name, State: weir.Active})
	}
	if err := w.hub.SetGroup(group, 1, list, selves); err != nil {
		b.Fatal(err)
	}
	c := &crowd{w: w, all: make(chan time.Time, 1)}
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(func() { cancel(); c.wg.Wait() })
	for _, dir := range dirs {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+watchPath, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := w.conn(dir).RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		c.wg.Go(func() { c.read(resp, n) })
	}
	weirtest.Eventually(b, patience, func() error {
		if on := len(w.hub.Connected()); on != n {
			return fmt.Errorf("%d streams are open", on)
		}
		return nil
	})
	return c, selves
}

// read counts arrivals and keeps nothing, so that what is measured is the control plane.
func (c *crowd) read(resp *http.Response, n int) {
	defer func() { _ = resp.Body.Close() }()
	buf := make([]byte, 4096)
	for {
		got, err := resp.Body.Read(buf)
		if err != nil {
			return
		}
		if c.want.Load() == 0 || got == 0 || buf[got-1] != '\n' {
			continue
		}
		if c.seen.Add(1) == int64(n) {
			c.all <- time.Now()
		}
	}
}

func quiet(o *HubOptions) { o.Heartbeat, o.Log = time.Hour, nil }

// BenchmarkFanOut measures one change of a weight among 1,000 servers until the last of 600 agents has it.
func BenchmarkFanOut(b *testing.B) {
	const agents = 600
	w := newWorld(b, quiet)
	w.opts.Log = nil
	list := many(1000)
	c, selves := newCrowd(b, w, "edge", agents, list)
	c.want.Store(1)
	var took []time.Duration
	rev := int64(1)
	for b.Loop() {
		rev++
		c.seen.Store(0)
		list = slices.Clone(list)
		list[5] = res(list[5].ID, rev)
		began := time.Now()
		if err := w.hub.SetGroup("edge", rev, list, selves); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-c.all).Sub(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-to-last")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-to-last-p99")
}

// BenchmarkWatcherMemory measures what an open stream holds, both ends and their connection together.
func BenchmarkWatcherMemory(b *testing.B) {
	const agents = 600
	w := newWorld(b, quiet)
	before := held()
	newCrowd(b, w, "edge", agents, many(10))
	size := float64(held()-before) / agents / 1024
	for b.Loop() { // nothing is timed
	}
	b.ReportMetric(size, "KiB/watcher")
}

func held() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkCompare measures a change among 100,000 servers on its way into a group.
func BenchmarkCompare(b *testing.B) {
	list := many(100_000)
	had := compare(nil, Hash{}, list)
	n := 0
	for b.Loop() {
		n++
		list = slices.Clone(list)
		list[n%len(list)] = res(list[n%len(list)].ID, n)
		had = compare(had.entries, had.hash, list)
	}
}

// BenchmarkCommit measures a change among 100,000 servers on its way to an agent's disk and state.
func BenchmarkCommit(b *testing.B) {
	j, r, _, err := openJournal(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.close() }()
	first := &transaction{reset: true, writes: map[string][]byte{}}
	list := many(100_000)
	for _, l := range list {
		first.writes[l.ID] = l.Body
	}
	c := &Client{opts: Options{}.withDefaults(), journal: j, replica: r, offered: make(chan struct{}, 1)}
	if err := c.commit(first, "e1", 1, r.sum(first), true); err != nil {
		b.Fatal(err)
	}
	rev := int64(1)
	for b.Loop() {
		rev++
		t := &transaction{writes: map[string][]byte{list[rev%100_000].ID: fmt.Append(nil, rev)}}
		if err := c.commit(t, "e1", rev, c.replica.sum(t), false); err != nil {
			b.Fatal(err)
		}
		c.State()
	}
}
