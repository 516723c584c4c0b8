package sources

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
)

func addresses(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("10.0.0.%d", i+1))
	}
	return list
}

func named(addresses []string) (list []string) {
	for _, a := range addresses {
		list = append(list, strings.ReplaceAll(a, ".", "-")+"="+a)
	}
	return list
}

// TestSuccessor: who watches a source next goes on with what was doubted, since the same time and under the same number;
// what has changed while nobody watched is judged as if somebody had.
func TestSuccessor(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	all := addresses(9)
	b.list("web.json", all...)
	b.apply(fileSource("web", "web.json", ""))
	b.run()
	b.has(named(all)...)
	b.list("web.json", all[:4]...)
	before := b.says("web", func(s weir.SourceStatus) bool { return s.Doubt != nil })
	b.stop()
	b.run()
	after := b.says("web", func(s weir.SourceStatus) bool { return s.WatchedSince.After(before.WatchedSince) && !s.Unread })
	if d := after.Doubt; d == nil || d.Number != before.Doubt.Number || !d.Since.Equal(before.Doubt.Since) || d.Servers != 5 {
		t.Errorf("before it says %+v, then %+v", before.Doubt, d)
	}
	b.stop()
	// Half of what is left goes while nobody watches, and two come.
	b.list("web.json", append(all[:2:2], "10.0.1.1", "10.0.1.2")...)
	b.run()
	s := b.says("web", func(s weir.SourceStatus) bool { return s.Doubt != nil && s.Doubt.Servers == 7 && s.Servers == 11 })
	b.confirm("web", before.Doubt.Number) // which was of fewer
	b.list("web.json", append(all[:2:2], "10.0.1.1", "10.0.1.2", "10.0.1.3")...)
	b.says("web", func(now weir.SourceStatus) bool { return now.Servers == 12 && now.Doubt != nil })
	b.confirm("web", s.Doubt.Number)
	b.has(named([]string{"10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.1.2", "10.0.1.3"})...)
}

// TestHold: what stays gone for as long as the floor holds is believed without a person.
func TestHold(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	all := addresses(6)
	b.list("web.json", all...)
	b.apply(fileSource("web", "web.json", ", floor: {hold: 5s}"))
	b.run()
	b.has(named(all)...)
	b.list("web.json", all[:1]...)
	b.says("web", func(s weir.SourceStatus) bool { return s.Doubt != nil && s.Doubt.Servers == 5 })
	b.has(named(all[:1])...)
	s := b.says("web", func(s weir.SourceStatus) bool { return s.Doubt == nil })
	if s.Change != "5 went: gone for 5s" {
		t.Errorf("the last change is %q", s.Change)
	}
}

// TestFlapping: one that comes and goes all the time is kept out, though the source has it.
func TestFlapping(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	all := addresses(4)
	b.apply(fileSource("web", "web.json", ", floor: {percent: 100, count: 9}"))
	b.list("web.json", all...)
	b.run()
	for range 4 {
		b.has(named(all)...)
		b.list("web.json", all[:3]...)
		b.has(named(all[:3])...)
		b.list("web.json", all...)
	}
	b.has(append(named(all[:3]), "10-0-0-4=10.0.0.4 stale")...)
	s := b.says("web", func(s weir.SourceStatus) bool { return s.Damped == 1 })
	if len(s.DampedServers) != 1 || s.DampedServers[0].Server != "10-0-0-4" || s.DampedServers[0].Until.IsZero() {
		t.Errorf("it says %+v", s.DampedServers)
	}
	if why := weir.Find[weir.Server](b.store.View(), "Server", "10-0-0-4").Registration.Reason; why != "it came and went too often lately" {
		t.Errorf("it is kept out because %q", why)
	}
}

// TestSourceGoes: the servers of a source that is deleted stay as they are, and one of the same name goes on with them.
func TestSourceGoes(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	all := addresses(3)
	b.list("web.json", all...)
	b.apply(fileSource("web", "web.json", ""))
	b.run()
	b.has(named(all)...)
	b.says("web", func(s weir.SourceStatus) bool { return s.Servers == 3 })
	b.delete("DiscoverySource", "web")
	b.gone("web")
	b.has(named(all)...)
	b.list("web.json", append(all[:2:2], "10.0.0.9")...)
	b.apply(fileSource("web", "web.json", ""))
	b.has(named([]string{"10.0.0.1", "10.0.0.2", "10.0.0.9"})...)
}

// TestOneWatches: of two that could one watches, and when it ends the other goes on, with what has changed meanwhile.
func TestOneWatches(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	all := addresses(6)
	b.list("web.json", all...)
	b.apply(fileSource("web", "web.json", ""))
	stops := map[string]func(){}
	for _, name := range []string{"s1", "s2"} {
		ctx, cancel := context.WithCancel(t.Context())
		r := New(Options{Store: b.store, Reach: b.reach, Clock: time.Now, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Server: name})
		done := make(chan struct{})
		go func() { defer close(done); b.store.Lead(ctx, "discovery", r.Run) }()
		stops[name] = sync.OnceFunc(func() { cancel(); <-done })
		t.Cleanup(stops[name])
	}
	b.has(named(all)...)
	first := b.says("web", func(s weir.SourceStatus) bool { return s.Servers == 6 }).Watcher
	stops[first]()
	b.list("web.json", append(all[:3:3], "10.0.1.1")...)
	s := b.says("web", func(s weir.SourceStatus) bool { return s.Watcher != first && s.Doubt != nil })
	if s.Doubt.Servers != 3 || s.Healthy != 7 {
		t.Errorf("%s goes on with %+v, doubt %+v", s.Watcher, s, s.Doubt)
	}
	if n := b.store.Revision(); n > 4 {
		t.Errorf("there are %d changes, so both have written", n)
	}
}
