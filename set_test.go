package weir_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// seen is what a set shows about its objects besides holding them.
type seen struct {
	objects   []*weir.Object
	referrers map[weir.Ref][]weir.Ref
	owned     map[[2]string]int
}

func look(set *weir.Set) seen {
	s := seen{referrers: map[weir.Ref][]weir.Ref{}, owned: map[[2]string]int{}}
	for o := range set.Every() {
		s.objects = append(s.objects, o)
		if list := slices.Collect(set.Referrers(o.Ref())); len(list) > 0 {
			s.referrers[o.Ref()] = list
		}
		if o.Metadata.Role != "" {
			key := [2]string{o.Metadata.Role, o.Kind}
			s.owned[key] = set.Owned(key[0], key[1])
		}
	}
	return s
}

// TestASetIsWhatItsObjectsMakeIt walks through changes: what a set shows is what a new set of the same objects
// shows, copies stay as they were, and a stamp stays exactly as long as the objects of its kind.
func TestASetIsWhatItsObjectsMakeIt(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		set := weirtest.RandomObjects(seed, weirtest.Options{Sealed: true, Zoned: true, Egress: true})
		rng := rand.New(rand.NewPCG(seed, 5))
		for range 60 {
			before := look(set)
			after := set.Copy()
			written := map[string]bool{}
			for _, w := range weirtest.RandomAttempt(rng, set, weirtest.Options{Sealed: true, Zoned: true, Egress: true}) {
				if w.Put != nil {
					after.Put(w.Put)
					written[w.Put.Kind] = true
				} else if after.Get(w.Delete) != nil {
					after.Delete(w.Delete)
					written[w.Delete.Kind] = true
				}
			}
			if now := look(set); !reflect.DeepEqual(now, before) {
				t.Fatalf("seed %d: the set changed with its copy", seed)
			}
			var list []*weir.Object
			for o := range after.Every() {
				list = append(list, o)
			}
			if got, want := look(after), look(weir.NewSet(list...)); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: the set shows %v; a new one of its objects %v", seed, got, want)
			}
			for _, k := range weir.Kinds() {
				if (set.Stamp(k.Name) != after.Stamp(k.Name)) != written[k.Name] {
					t.Errorf("seed %d: %s was written: %v; the stamps are equal: %v", seed, k.Name, written[k.Name], !written[k.Name])
				}
				var part []weir.Ref
				zone := weir.Ref{Kind: "Zone", Name: "az1"}
				for r := range after.Referrers(zone) {
					if r.Kind == k.Name {
						part = append(part, r)
					}
				}
				if got := slices.Collect(after.ReferrersOf(k.Name, zone)); !slices.Equal(got, part) {
					t.Errorf("seed %d: referrers of kind %s are %v; want %v", seed, k.Name, got, part)
				}
			}
			set = after
		}
	}
}
