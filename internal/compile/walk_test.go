package compile_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

var walkOptions = weirtest.Options{Sealed: true, Faults: true, Registered: true, Zoned: true, Egress: true, Logic: true}

// walk makes random changes and calls step after each; early leaves are for failures.
func walk(t *testing.T, seed uint64, changes int, step func(before, after *weir.Set, written []weir.Ref) bool) {
	set := weirtest.RandomObjects(seed, walkOptions)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range changes {
		change := weirtest.RandomWrite(rng, set, walkOptions)
		var written []weir.Ref
		for _, w := range change {
			written = append(written, w.Ref())
		}
		after := weirtest.Apply(set, change)
		if !step(set, after, written) {
			t.Fatalf("seed %d, after %v", seed, written)
		}
		set = after
	}
}

func groupsOf(set *weir.Set) []string {
	var list []string
	for o := range set.All("LoadBalancerGroup") {
		list = append(list, o.Metadata.Name)
	}
	return list
}

// TestCompilingAgainIsCompilingFromScratch holds a Compiler that sees a walk of changes, with jumps back, against
// a fresh one at each step; nodes given out earlier must not have changed meanwhile.
func TestCompilingAgainIsCompilingFromScratch(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		compiler := compile.New()
		type given struct {
			node ir.Node
			text string
		}
		var last []given
		walk(t, seed, 150, func(before, after *weir.Set, written []weir.Ref) bool {
			order := []*weir.Set{after}
			if seed%2 == 1 {
				order = []*weir.Set{after, before, after} // as a planner does
			} else {
				compiler.Follow(after, written)
			}
			ok := true
			for _, set := range order {
				for _, name := range groupsOf(set) {
					got, gotProblems := compiler.Group(set, name)
					want, wantProblems := compile.Group(set, name)
					if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotProblems, wantProblems) {
						t.Errorf("group %s\ngot  %s %v\nwant %s %v", name, text(t, got), gotProblems, text(t, want), wantProblems)
						ok = false
					}
					last = append(last, given{got, text(t, got)})
				}
			}
			for len(last) > 12 {
				if now := text(t, last[0].node); now != last[0].text {
					t.Errorf("a node given out has changed:\nwas %s\nnow %s", last[0].text, now)
					ok = false
				}
				last = last[1:]
			}
			return ok
		})
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestGroupsNamesAllThatChange compiles everything before and after each change: a group that is not named must
// not have changed. That it does not simply name all is checked too.
func TestGroupsNamesAllThatChange(t *testing.T) {
	t.Parallel()
	spared := 0
	compiler := compile.New()
	for seed := range uint64(6) {
		walk(t, 100+seed, 150, func(before, after *weir.Set, written []weir.Ref) bool {
			named := compiler.Groups(before, after, written)
			if fresh := compile.Groups(before, after, written); !slices.Equal(named, fresh) {
				t.Errorf("groups %v, from scratch %v", named, fresh)
			}
			ok := true
			for _, name := range groupsOf(after) {
				if slices.Contains(named, name) {
					continue
				}
				spared++
				was, wasProblems := compile.Group(before, name)
				is, isProblems := compile.Group(after, name)
				if !reflect.DeepEqual(was, is) || !reflect.DeepEqual(wasProblems, isProblems) {
					t.Errorf("group %s changed and is not in %v:\nwas %s\nis  %s", name, named, text(t, was), text(t, is))
					ok = false
				}
			}
			return ok
		})
	}
	if spared < 50 {
		t.Errorf("only %d groups were spared; naming all of them is no help", spared)
	}
}

// TestDeltaIsWhatResourcesShow compares with the resources of both nodes taken apart, and puts them together.
func TestDeltaIsWhatResourcesShow(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		compiler := compile.New()
		walk(t, 200+seed, 100, func(before, after *weir.Set, _ []weir.Ref) bool {
			for _, name := range groupsOf(after) {
				was, _ := compiler.Group(before, name)
				is, _ := compiler.Group(after, name)
				put, gone := compile.Delta(was, is)
				have := map[string]json.RawMessage{}
				for _, r := range was.Resources() {
					have[r.ID] = r.JSON()
				}
				for _, r := range put {
					if slices.Equal(have[r.ID], r.JSON()) {
						t.Errorf("%s is put and has not changed", r.ID)
						return false
					}
					have[r.ID] = r.JSON()
				}
				for _, id := range gone {
					if _, ok := have[id]; !ok {
						t.Errorf("%s is gone and was not there", id)
						return false
					}
					delete(have, id)
				}
				want := map[string]json.RawMessage{}
				for _, r := range is.Resources() {
					want[r.ID] = r.JSON()
				}
				if !reflect.DeepEqual(have, want) {
					t.Errorf("group %s: what there was with what Delta says is %v; want %v", name, have, want)
					return false
				}
			}
			return true
		})
	}
}
