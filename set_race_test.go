package weir_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"weir"
)

// TestManyUseSetsAtOnce does what the store and its readers do: one set that changes under a lock, copies of it that
// are read, copied and changed by many. Nobody sees another's changes, and the race detector nothing.
func TestManyUseSetsAtOnce(t *testing.T) {
	t.Parallel()
	server := func(n, v int) *weir.Object {
		return &weir.Object{Kind: "Server", Metadata: weir.Metadata{Name: fmt.Sprint("s", n), Role: fmt.Sprint("r", v%3)}, Spec: &weir.Server{Zone: fmt.Sprint("az", v%4)}}
	}
	live := weir.NewSet()
	for i := range 200 {
		live.Put(server(i, i))
	}
	var mu sync.Mutex
	view := func() *weir.Set {
		mu.Lock()
		defer mu.Unlock()
		return live.Copy()
	}
	shows := func(s *weir.Set) (all []any) {
		for o := range s.All("Server") {
			all = append(all, o)
		}
		for i := range 4 {
			for r := range s.Referrers(weir.Ref{Kind: "Zone", Name: fmt.Sprint("az", i)}) {
				all = append(all, r)
			}
			all = append(all, s.Owned(fmt.Sprint("r", i), "Server"))
		}
		return all
	}
	shared := view()
	first := shows(shared)
	var all sync.WaitGroup
	for seed := range uint64(6) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 3))
			change := func(s *weir.Set) {
				for range 3 {
					s.Put(server(r.IntN(250), r.IntN(99)))
					s.Delete(weir.Ref{Kind: "Server", Name: fmt.Sprint("s", r.IntN(250))})
				}
			}
			for range 60 {
				mu.Lock()
				change(live)
				mu.Unlock()
				mine := view()
				before, other := shows(mine), mine.Copy()
				change(other)
				if !slices.Equal(shows(mine), before) {
					t.Error("a set changed with its copy")
				}
				before = shows(other)
				change(mine)
				if !slices.Equal(shows(other), before) || !slices.Equal(shows(shared), first) {
					t.Error("a copy changed with its set")
				}
			}
		})
	}
	all.Wait()
}
