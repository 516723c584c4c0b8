package zookeeper

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// recorder is a sink that keeps what it was told, and hands each thing on.
type recorder struct {
	t     *testing.T
	told  chan string // "part NAME", "whole …", "alive", "failed …"
	inUse atomic.Bool
	ended atomic.Bool
}

// watch runs a source until the test ends, or stop is called, and checks that it ends then.
func watch(t *testing.T, c Config) (r *recorder, stop func()) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	r = &recorder{t: t, told: make(chan string, 10_000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, r)
		r.ended.Store(true)
	}()
	stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(weirtest.Patience):
			t.Error("Watch goes on after its context has ended")
		}
	}
	t.Cleanup(stop)
	return r, stop
}

func (r *recorder) say(format string, args ...any) {
	if r.ended.Load() {
		r.t.Error("the sink was told something after the end")
	}
	if r.inUse.Swap(true) {
		r.t.Error("the sink is called by two at a time")
	}
	select {
	case r.told <- fmt.Sprintf(format, args...):
	default:
	}
	r.inUse.Store(false)
}

func (r *recorder) Part(name string, found []discovery.Found) {
	ids := []string{}
	for _, f := range found {
		ids = append(ids, f.ID)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		r.t.Errorf("part %s: IDs %q are not sorted, or not each once", name, ids)
	}
	if len(found) < 100 {
		r.say("part %s %v", name, show(found))
	} else {
		r.say("part %s of %d", name, len(found))
	}
}
func (r *recorder) Whole(parts []string) { r.say("whole %v", parts) }
func (r *recorder) Alive()               { r.say("alive") }
func (r *recorder) Failed(err error)     { r.say("failed %v", err) }

// show writes instances so that they can be compared: their fields but node and path.
func show(found []discovery.Found) []string {
	all := []string{}
	for _, f := range found {
		fields := maps.Clone(f.Fields)
		delete(fields, "node")
		delete(fields, "path")
		text := f.ID
		for _, k := range slices.Sorted(maps.Keys(fields)) {
			text += " " + k + "=" + fields[k]
		}
		if f.State != discovery.Ready {
			text += " (" + f.State.String() + ")"
		}
		all = append(all, text)
	}
	return all
}

// next waits for something to be told that fits, and gives it; what came before is passed over.
func (r *recorder) next(fits func(string) bool, what string) string {
	r.t.Helper()
	var seen []string
	limit := time.After(weirtest.Patience)
	for {
		select {
		case text := <-r.told:
			if fits(text) {
				return text
			}
			if seen = append(seen, text); len(seen) > 20 {
				seen = seen[1:]
			}
		case <-limit:
			r.t.Fatalf("nothing like %s was told, but\n%q", what, seen)
		}
	}
}

func (r *recorder) want(text string) {
	r.t.Helper()
	r.next(func(got string) bool { return got == text }, text)
}

// exactly wants these things told in this order, and nothing between but «alive».
func (r *recorder) exactly(want ...string) {
	r.t.Helper()
	var got []string
	for len(got) < len(want) {
		text := r.next(func(string) bool { return true }, want[len(got)])
		if text != "alive" || want[len(got)] == "alive" {
			got = append(got, text)
		}
	}
	if !reflect.DeepEqual(got, want) {
		r.t.Fatalf("told:\n%q\nwant:\n%q", got, want)
	}
}
