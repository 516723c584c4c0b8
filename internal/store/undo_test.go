package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir"
)

func TestUndo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	apply(t, s, puts(zone("a", 1), zone("b", 1))...)                                                                         // 1
	apply(t, s, weir.Write{Put: zone("a", 2)}, weir.Write{Delete: weir.Ref{Kind: "Zone", Name: "b"}}, puts(zone("c", 3))[0]) // 2
	r, err := s.Undo(t.Context(), 2, Request{Author: "tester", Reason: "oops", DryRun: true})
	if err != nil || len(r.Change.Objects) != 3 || r.Change.Undoes != 2 || s.Revision() != 2 {
		t.Fatalf("a dry undo: %+v, %v", r, err)
	}
	r, err = s.Undo(t.Context(), 2, Request{Author: "tester", Reason: "oops"}) // 3
	if err != nil || r.Revision != 3 || r.Change.Undoes != 2 {
		t.Fatalf("an undo: %+v, %v", r, err)
	}
	if got, want := objectsOf(t, s.View()), objectsOf(t, weir.NewSet(zone("a", 1), zone("b", 1))); got != want {
		t.Errorf("after the undo:\n%s", got)
	}
	if r, err := s.Undo(t.Context(), 2, Request{Author: "tester"}); err != nil || len(r.Change.Objects) != 0 {
		t.Errorf("the same undo again: %+v, %v", r, err)
	}
	if r, err := s.Undo(t.Context(), 3, Request{Author: "tester"}); err != nil || len(r.Change.Objects) != 3 { // 4
		t.Errorf("undo of the undo: %+v, %v", r, err)
	}
	apply(t, s, weir.Write{Put: zone("a", 9)}, weir.Write{Delete: weir.Ref{Kind: "Zone", Name: "c"}}) // 5
	before := contents(t, s)
	_, err = s.Undo(t.Context(), 2, Request{Author: "tester"})
	wantKind(t, err, weir.Conflict, "Zone/a: was changed since, by change 5")
	if strings.Contains(err.Error(), "Zone/c") {
		t.Error("c is as before the change, and yet it is in the way")
	}
	_, err = s.Undo(t.Context(), 3, Request{Author: "tester"})
	wantKind(t, err, weir.Conflict)
	_, err = s.Undo(t.Context(), 17, Request{Author: "tester"})
	wantKind(t, err, weir.NotFound)
	_, err = s.Undo(t.Context(), 5, Request{Author: "tester", Authorize: func(_, _ *weir.Object) error { return weir.Errorf(weir.Forbidden, "no") }})
	wantKind(t, err, weir.Forbidden)
	if contents(t, s) != before {
		t.Error("a refused undo left a trace")
	}
}

func TestUndoNeverRestoresATokens(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	token := &weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: "t"}, Spec: &weir.Token{Subject: "ann", Hash: "h"}}
	apply(t, s, puts(token)...)                                                                           // 1
	apply(t, s, weir.Write{Delete: token.Ref()}, weir.Write{Put: zone("a", 1)})                           // 2: spent
	apply(t, s, weir.Write{Put: &weir.Object{Kind: "Token", Metadata: token.Metadata, Spec: token.Spec}}) // 3
	apply(t, s, weir.Write{Delete: token.Ref()})                                                          // 4
	r, err := s.Undo(t.Context(), 2, Request{Author: "tester"})
	if err != nil || len(r.Change.Objects) != 1 || len(r.Skipped) != 1 || r.Skipped[0] != token.Ref() || r.After.Get(token.Ref()) != nil {
		t.Errorf("undo of a change that spent a token: %+v, %v", r, err)
	}
	_, err = s.Undo(t.Context(), 4, Request{Author: "tester"})
	wantKind(t, err, weir.Conflict, "tokens")
	apply(t, s, puts(token)...) // 6
	if r, err := s.Undo(t.Context(), 6, Request{Author: "tester"}); err != nil || r.After.Get(token.Ref()) != nil {
		t.Errorf("a new token is not taken back: %v", err)
	}
}

// Undoing a random walk from its last change to its first ends where it began, secrets included, and on the way
// passes the same states.
func TestUndoOfARandomWalk(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			s := newStore(t)
			apply(t, s, puts(zone("z0", 1), zone("z1", 1), secret("s0", "start"))...)
			states := []string{objectsOf(t, s.View())}
			for s.Revision() < 150 {
				r := apply(t, s, randomWrites(rnd)...)
				if len(r.Change.Objects) > 0 {
					states = append(states, objectsOf(t, s.View()))
				}
			}
			for rev := s.Revision(); rev > 1; rev-- {
				if _, err := s.Undo(t.Context(), rev, Request{Author: "tester"}); err != nil {
					t.Fatalf("undo %d: %v", rev, err)
				}
				if got := objectsOf(t, s.View()); got != states[rev-2] {
					t.Fatalf("after the undo of %d:\n%s\nwant\n%s", rev, got, states[rev-2])
				}
			}
			opens(t, s, "s0", dataRef(t, s, "s0").Generation, "start")
			compareWithDisk(t, s)
		})
	}
}

func randomWrites(rnd *rand.Rand) []weir.Write {
	byRef := map[weir.Ref]weir.Write{}
	count := 1 + rnd.IntN(4)
	if rnd.IntN(20) == 0 {
		count = 150 // a large one
	}
	for range count {
		var o *weir.Object
		if rnd.IntN(4) == 0 {
			o = secret(fmt.Sprintf("s%d", rnd.IntN(4)), fmt.Sprint("value ", rnd.IntN(5)))
		} else {
			o = zone(fmt.Sprintf("z%d", rnd.IntN(count*4)), 1+rnd.IntN(5))
		}
		byRef[o.Ref()] = weir.Write{Put: o}
		if rnd.IntN(4) == 0 {
			byRef[o.Ref()] = weir.Write{Delete: o.Ref()}
		}
	}
	var list []weir.Write
	for _, w := range byRef {
		list = append(list, w)
	}
	return list
}

func TestChangesAreFoundByObjectAndAuthor(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := range 300 {
		_, err := s.Apply(t.Context(), Request{Author: []string{"ann", "bob"}[i%2], Writes: puts(zone(fmt.Sprintf("z%d", i%3), 1+i))})
		if err != nil {
			t.Fatal(err)
		}
	}
	var all []weir.Write
	for i := range 400 {
		all = append(all, weir.Write{Put: zone(fmt.Sprintf("z%d", i), 7777)})
	}
	apply(t, s, all...) // 301, too many objects for its header
	z2 := weir.Ref{Kind: "Zone", Name: "z2"}
	for name, c := range map[string]struct {
		filter Filter
		want   string
	}{
		"newest":      {Filter{Limit: 3}, "301 300 299"},
		"older":       {Filter{Limit: 3, Before: 299}, "298 297 296"},
		"object":      {Filter{Ref: z2, Limit: 4}, "301 300 297 294"},
		"large only":  {Filter{Ref: weir.Ref{Kind: "Zone", Name: "z399"}}, "301"},
		"kind":        {Filter{Ref: weir.Ref{Kind: "Zone"}, Limit: 1}, "301"},
		"other kind":  {Filter{Ref: weir.Ref{Kind: "Site"}}, ""},
		"author":      {Filter{Author: "ann", Limit: 2}, "299 297"},
		"both":        {Filter{Author: "bob", Ref: z2, Limit: 2}, "300 294"},
		"nobody":      {Filter{Author: "eve"}, ""},
		"before 1":    {Filter{Before: 1}, ""},
		"all, capped": {Filter{Before: 3, Limit: 5000}, "2 1"},
	} {
		list, err := s.Changes(t.Context(), c.filter)
		var got []string
		for _, ev := range list {
			got = append(got, fmt.Sprint(ev.Revision))
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, c.want)
		}
	}
	// What was not asked for is not looked at: one change can be as large as the store takes.
	if _, err := s.client.Put(t.Context(), changeKey(298), "no change"); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Changes(t.Context(), Filter{Limit: 3}); err != nil || len(list) != 3 {
		t.Errorf("%d changes, %v", len(list), err)
	}
	if _, err := s.Changes(t.Context(), Filter{Limit: 4}); err == nil {
		t.Error("what is no change was read as one")
	}
}
