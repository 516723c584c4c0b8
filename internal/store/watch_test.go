package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"weir"
)

// follows reads a watch from a revision to another and checks that no change is missing, double or out of order.
func follows(t testing.TB, s *Store, from, to int64) []Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var list []Event
	for ev, err := range s.Watch(ctx, from) {
		if err != nil {
			t.Errorf("watch from %d: %v, at %d", from, err, len(list))
			break
		}
		list = append(list, ev)
		if ev.Revision != from+int64(len(list)) {
			t.Errorf("event %d of a watch from %d has revision %d", len(list), from, ev.Revision)
		}
		if ev.Revision >= to {
			break
		}
	}
	return list
}

// Everybody who watches, on either of two servers, slow or fast, early or late, sees each change once, in order
// and whole; a change of 20,000 objects is no exception, and no View ever holds a part of it.
func TestALargeChangeIsSeenWhole(t *testing.T) {
	t.Parallel()
	const many = 20_000
	a := newStore(t)
	b := beside(t, a)
	apply(t, a, puts(zone("az1", 1))...)
	var large []weir.Write
	for i := range many {
		large = append(large, weir.Write{Put: server(i, "10.0.0.1")})
	}
	const last = 1 + 40 + 1 + 40 + 1
	var group sync.WaitGroup
	for i := range 6 {
		s := []*Store{a, b}[i%2]
		group.Go(func() {
			for n, ev := range follows(t, s, 0, last) {
				if len(ev.Change.Objects) != 1 && len(ev.Change.Objects) != many {
					t.Errorf("event %d has %d objects", n+1, len(ev.Change.Objects))
				}
			}
		})
	}
	halves := make(chan struct{})
	for _, s := range []*Store{a, b} {
		group.Go(func() {
			often := time.NewTicker(time.Millisecond)
			defer often.Stop()
			for {
				select {
				case <-halves:
					return
				case <-often.C:
				}
				if n := s.View().Len("Server"); n != 0 && n != many {
					t.Errorf("View holds %d of %d servers", n, many)
					return
				}
			}
		})
	}
	small := func(from int) *sync.WaitGroup {
		var g sync.WaitGroup
		for w := range 4 {
			g.Go(func() {
				for i := range 10 {
					s := []*Store{a, b}[w%2]
					if _, err := s.Apply(t.Context(), Request{Author: "small", Writes: puts(zone(fmt.Sprintf("z%d-%d", w, i), from+i))}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		return &g
	}
	// Small changes on both servers, before, during and after.
	g := small(1)
	r := apply(t, a, large...)
	if r.After.Len("Server") != many || len(r.Change.Objects) != many {
		t.Errorf("the large change has %d objects", len(r.Change.Objects))
	}
	g.Wait()
	small(100).Wait()
	for i := range large {
		large[i].Put = server(i, "10.0.0.2")
	}
	apply(t, b, large...)
	for _, s := range []*Store{a, b} {
		if err := s.WaitFor(t.Context(), last); err != nil {
			t.Fatal(err)
		}
	}
	close(halves)
	group.Wait()
	compareWithDisk(t, a)
}

func server(i int, address string) *weir.Object {
	return objectFromText(fmt.Sprintf(`{"kind":"Server","metadata":{"name":"web-%d","role":"web"},"spec":{"address":%q,"zone":"az1","ports":{"http":8080}}}`, i, address))
}

func objectFromText(text string) *weir.Object {
	o, err := weir.DecodeStored([]byte(text))
	if err != nil {
		panic(err)
	}
	return o
}

func TestASlowWatcherIsServedFromDisk(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const n = ringEvents/64 + 200
	next, stop := iter.Pull2(s.Watch(t.Context(), 0))
	defer stop()
	for i := range n {
		apply(t, s, puts(zone("az1", 1+i))...)
		if i == 0 {
			if ev, err, _ := next(); err != nil || ev.Revision != 1 {
				t.Fatalf("first event: %+v, %v", ev, err)
			}
		}
	}
	forgetRing(s, 10)
	for want := int64(2); want <= n; want++ {
		ev, err, ok := next()
		if err != nil || !ok || ev.Revision != want || ev.Change.Objects[0].After.Spec.(*weir.Zone).Capacity != int(want) {
			t.Fatalf("event %d: %+v, %v", want, ev, err)
		}
	}
}

// forgetRing leaves only the last few events in memory, as a long pause of the watcher would.
func forgetRing(s *Store, keep int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring.events = s.ring.events[len(s.ring.events)-keep:]
}

func TestTheRingIsBounded(t *testing.T) {
	t.Parallel()
	var r ring
	for i := range int64(3 * ringEvents) {
		r.add(Event{Revision: i + 1, Change: weir.Change{Objects: make([]weir.ObjectChange, 1)}})
	}
	if len(r.events) != ringEvents || r.events[len(r.events)-1].Revision != 3*ringEvents {
		t.Errorf("%d events, the last %d", len(r.events), r.events[len(r.events)-1].Revision)
	}
	r.add(Event{Revision: 3*ringEvents + 1, Change: weir.Change{Objects: make([]weir.ObjectChange, 2*ringObjects)}})
	if len(r.events) != 1 {
		t.Errorf("%d events beside one that is larger than the ring", len(r.events)-1)
	}
	if list, ok := r.after(3*ringEvents, 5); !ok || len(list) != 1 {
		t.Errorf("after the last but one: %d, %t", len(list), ok)
	}
	if _, ok := r.after(5, 5); ok {
		t.Error("the ring gives what it has dropped")
	}
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	apply(t, s, puts(zone("az1", 1))...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for ev, err := range s.Watch(ctx, 0) {
		if ev.Revision == 1 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the watch ended with %v", last)
	}
	for _, err := range s.Watch(t.Context(), 5) {
		wantKind(t, err, weir.Gone, "the last one here is 1")
	}
}

// The watch on etcd may break at any time; nothing is missed or doubled by reading on.
func TestABrokenEtcdWatchMissesNothing(t *testing.T) {
	t.Parallel()
	a := newStore(t)
	b := beside(t, a)
	for i := range 100 {
		apply(t, a, puts(zone("az1", 1+i))...)
		if i%10 == 0 {
			b.mu.Lock()
			if b.breakWatch != nil {
				b.breakWatch()
			}
			b.mu.Unlock()
		}
	}
	follows(t, b, 0, 100)
	if err := b.WaitFor(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
}
