package compile_test

import (
	"fmt"
	"reflect"
	"testing"

	"weir"
	"weir/internal/compile"
)

// TestFollowingManyThenFew: a change too large to be followed must not be forgotten by those that come after it,
// also when nobody asks for a group in between.
func TestFollowingManyThenFew(t *testing.T) {
	t.Parallel()
	set := fleet()
	compiler := compile.New()
	compiler.Group(set, "edge")
	reweigh := func(from, to, weight int) (refs []weir.Ref) {
		set = set.Copy()
		for i := from; i < to; i++ {
			o := *set.Get(weir.Ref{Kind: "Server", Name: fmt.Sprintf("s-%06d", i)})
			spec := *o.Spec.(*weir.Server)
			spec.Weight = new(weight)
			o.Spec = &spec
			set.Put(&o)
			refs = append(refs, o.Ref())
		}
		return refs
	}
	for i, part := range [][2]int{{0, 20_000}, {30_000, 30_001}, {100, 120}, {50_000, 90_000}, {5, 6}} {
		refs := reweigh(part[0], part[1], i+1)
		compiler.Follow(set, refs)
	}
	got, _ := compiler.Group(set, "edge")
	want, _ := compile.Group(set, "edge")
	if !reflect.DeepEqual(got, want) {
		t.Error("what was followed is not what is there")
	}
}
