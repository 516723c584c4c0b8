package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// testClock is a clock that tests set.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Changes go when they are old and not among the last thousand, and with them the secrets that only they knew.
func TestOldChangesGo(t *testing.T) {
	t.Parallel()
	clock := &testClock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	s, err := tryOpen(t, dir, func(o *Options) { o.Clock = clock.Now })
	if err != nil {
		t.Fatal(err)
	}
	var large []weir.Write
	for i := range 200 {
		large = append(large, weir.Write{Put: zone(fmt.Sprintf("l%d", i), 1)})
	}
	apply(t, s, append(large, puts(secret("a", "one"), secret("kept", "forever"))...)...) // 1
	apply(t, s, puts(secret("a", "two"))...)                                              // 2
	apply(t, s, puts(secret("a", "three"))...)                                            // 3
	maintain := func() {
		t.Helper()
		waitMaterialized(t, s)
		if err := s.maintain(t.Context(), clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	first := func() int64 {
		t.Helper()
		got, err := s.client.Get(t.Context(), prefixChange, clientv3.WithFirstKey()...)
		if err != nil || len(got.Kvs) == 0 {
			t.Fatalf("no change is kept: %v", err)
		}
		rev, err := parseRevision(string(got.Kvs[0].Key[len(prefixChange):]))
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	for i := range 1100 {
		apply(t, s, puts(zone("busy", 1+i))...)
	}
	if maintain(); first() != 1 {
		t.Fatalf("young changes went: the first is %d", first())
	}
	clock.Add(91 * 24 * time.Hour)
	apply(t, s, puts(zone("late", 1))...) // 1104
	if maintain(); first() != 105 {
		t.Fatalf("the first kept change is %d, want 105: the last thousand", first())
	}
	_, err = s.Change(t.Context(), 3)
	wantKind(t, err, weir.Gone)
	_, err = s.Undo(t.Context(), 3, Request{Author: "tester"})
	wantKind(t, err, weir.Gone)
	opens(t, s, "a", 3, "three")
	opens(t, s, "kept", 1, "forever")
	for _, generation := range []int64{1, 2} {
		_, err := s.Secret(t.Context(), weir.Ref{Kind: "Secret", Name: "a"}, generation)
		wantKind(t, err, weir.NotFound)
	}
	if n := countKeys(t, s, prefixBody) + countKeys(t, s, prefixTaken); n != 0 {
		t.Errorf("%d keys are left of a large change that went", n)
	}
	forgetRing(s, 10)
	for _, err := range s.Watch(t.Context(), 2) {
		wantKind(t, err, weir.Gone, "no longer kept")
	}
	if list, err := s.Changes(t.Context(), Filter{Before: 106}); err != nil || len(list) != 1 {
		t.Errorf("changes before 106: %d, %v", len(list), err)
	}
	want := objectsOf(t, s.View())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, dir)
	if objectsOf(t, s.View()) != want {
		t.Error("objects went with the changes")
	}
	opens(t, s, "kept", 1, "forever")
}

// A secret that a kept change refers to stays, whoever deleted it, and can be had back.
func TestSecretsOfKeptChangesStay(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	apply(t, s, puts(secret("a", "one"))...)
	apply(t, s, puts(secret("a", "two"))...)
	gone := apply(t, s, weir.Write{Delete: weir.Ref{Kind: "Secret", Name: "a"}})
	if err := s.maintain(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, rev := range []int64{gone.Revision, 2} {
		if _, err := s.Undo(t.Context(), rev, Request{Author: "tester"}); err != nil {
			t.Fatal(err)
		}
	}
	opens(t, s, "a", dataRef(t, s, "a").Generation, "one")
}

// What a dead server had staged goes; what a living one has staged does not, and if it does, its change is
// staged again and not lost.
func TestOrphansGo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var large []weir.Write
	for i := range 300 {
		large = append(large, weir.Write{Put: zone(fmt.Sprintf("l%d", i), 1)})
	}
	id := stagingID(time.Now())
	if _, err := s.putChunks(t.Context(), prefixBody+id+"/", []byte("half a change")); err != nil {
		t.Fatal(err)
	}
	if err := s.maintain(t.Context(), time.Now().Add(-orphanAge)); err != nil {
		t.Fatal(err)
	}
	if countKeys(t, s, prefixBody) != 1 {
		t.Error("what was staged just now went")
	}
	apply(t, s, large...)
	if err := s.maintain(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if countKeys(t, s, prefixBody) != 1 || countKeys(t, s, prefixTaken) != 1 {
		t.Error("the orphan stayed, or a change's body went")
	}
	if _, err := s.Change(t.Context(), 1); err != nil {
		t.Error(err)
	}

	// Somebody tidies all the time, far too eagerly.
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			_ = s.pruneOrphans(ctx, time.Now().Add(time.Hour))
		}
	})
	for round := range 5 {
		for i := range large {
			large[i].Put = zone(fmt.Sprintf("l%d", i), 10+round)
		}
		if r := apply(t, s, large...); len(r.Change.Objects) != 300 {
			t.Errorf("round %d changed %d objects", round, len(r.Change.Objects))
		}
	}
	cancel()
	group.Wait()
	compareWithDisk(t, s)
}

// A database at its quota loses old changes early, and takes new ones again.
func TestAFullDatabaseRecovers(t *testing.T) {
	t.Parallel()
	s := newStore(t, func(o *Options) { o.QuotaBytes = 24 << 20 })
	body := func(i int) *weir.Object {
		spec := &weir.Map{Match: "exact"}
		for k := range 300 {
			spec.Entries = append(spec.Entries, weir.MapEntry{Key: fmt.Sprintf("/%d/%s", k, stagingID(time.Now())), Value: "web"})
		}
		return &weir.Object{Kind: "Map", Metadata: weir.Metadata{Name: fmt.Sprint("m", i%4)}, Spec: spec}
	}
	full := false
	for i := 0; i < 5000 && !full; i++ {
		_, err := s.Apply(t.Context(), Request{Author: "tester", Writes: puts(body(i))})
		if full = err != nil; full {
			wantKind(t, err, weir.Unavailable, "nothing was changed", "space")
		}
	}
	if !full {
		t.Fatal("the database never filled")
	}
	// Fewer than a thousand are all kept by promise; forget that here to have something to give.
	s.opts.Retention.Least = 10
	for range 2 { // the first lifts nothing when pages are freed only by it
		waitMaterialized(t, s)
		if err := s.maintain(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, s, puts(body(1))...)
	compareTail(t, s)
}

// compareTail holds memory against what a new store would read.
func compareTail(t testing.TB, s *Store) {
	t.Helper()
	if got, want := objectsOf(t, beside(t, s).View()), objectsOf(t, s.View()); got != want {
		t.Error("a new store reads something else")
	}
}
