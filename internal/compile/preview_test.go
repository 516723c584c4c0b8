package compile_test

import (
	"reflect"
	"slices"
	"testing"

	"weir"
	"weir/internal/compile"
)

// TestAPreviewIsWhatIsMade holds previews of random pools, and the pools of random servers, against what groups are given.
func TestAPreviewIsWhatIsMade(t *testing.T) {
	t.Parallel()
	in, out := 0, 0
	why := map[weir.Mismatch]int{}
	misfits := map[compile.Misfit]int{}
	standings := map[weir.Standing]int{}
	for seed := range uint64(4) {
		compiler := compile.New()
		finder := new(compile.Finder)
		walk(t, 500+seed, 40, func(_, after *weir.Set, _ []weir.Ref) bool {
			for _, name := range groupsOf(after) {
				node, _ := compiler.Group(after, name)
				for _, p := range node.Pools {
					if p.Endpoint != nil {
						continue // a partner's service, of which there is no Pool
					}
					made := map[string]bool{}
					for _, s := range p.Servers {
						if !s.Maintenance { // let in by an Override alone
							made[s.Name] = true
						}
					}
					list := compile.Preview(after, after.Get(weir.Ref{Kind: "Pool", Name: p.Name}))
					previewed := map[string]bool{}
					for _, one := range list {
						if one.In() {
							previewed[one.Name] = true
							in++
						} else {
							out++
						}
						why[one.Mismatch]++
						misfits[one.Misfit]++
						standings[one.Standing]++
						if one.Object != nil && one.Mismatch == "" && !found(finder, after, p.Name, one) {
							t.Errorf("%s is %+v in pool %s, and among the pools of the server it is not", one.Name, one, p.Name)
							return false
						}
					}
					if !reflect.DeepEqual(previewed, made) {
						t.Errorf("pool %s: previewed %v, made %v", p.Name, previewed, made)
						return false
					}
				}
			}
			return true
		})
	}
	for _, reason := range []weir.Mismatch{"", weir.MismatchZone, weir.MismatchCluster} {
		if why[reason] < 20 {
			t.Errorf("only %d servers with mismatch %q were seen", why[reason], reason)
		}
	}
	for _, s := range []weir.Standing{weir.StandingIn, weir.StandingHeld, weir.StandingDraining, weir.StandingWaiting, weir.StandingStale, weir.StandingWithdrawn} {
		if standings[s] == 0 {
			t.Errorf("no server was %s", s)
		}
	}
	if in < 500 || out < 500 || misfits[compile.MisfitPort] == 0 {
		t.Errorf("%d in, %d out, misfits %v; the generator makes too few", in, out, misfits)
	}
}

// found says whether the pools of a server have this one with the same seat.
func found(f *compile.Finder, set *weir.Set, pool string, one compile.Candidate) bool {
	pools, seats := f.PoolsOf(set, one.Object)
	i := slices.IndexFunc(pools, func(o *weir.Object) bool { return o.Metadata.Name == pool })
	return i >= 0 && reflect.DeepEqual(seats[i], one)
}
