package server

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestAGroupHasWhatItsResourcesComeFrom holds what a group says of every object against its resources, one by one.
func TestAGroupHasWhatItsResourcesComeFrom(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for seed := range uint64(6) {
		set := weirtest.RandomObjects(seed, weirtest.Options{Sealed: true, Zoned: true, Egress: true})
		for o := range set.All("LoadBalancerGroup") {
			node, _ := compile.Group(set, o.Metadata.Name)
			f := &fleet{places: newPlaces()}
			g := &groupState{node: node, resources: node.Resources()}
			f.places.follow(o.Metadata.Name, nil, g.resources)
			want := map[weir.Ref]bool{o.Ref(): true, {Kind: "Tuning", Name: node.Tuning.Name}: true}
			for _, r := range g.resources {
				kind, name, _ := strings.Cut(ir.Owner(r.ID), "/")
				want[weir.Ref{Kind: kind, Name: name}] = true
				if rest, ok := strings.CutPrefix(r.ID, "server/"); ok {
					_, member, _ := strings.Cut(rest, "/")
					want[weir.Ref{Kind: "Server", Name: member}] = true
				}
			}
			for any := range set.Every() {
				if f.holds(g, any.Ref()) != want[any.Ref()] {
					t.Errorf("seed %d: group %s has %s: %v", seed, o.Metadata.Name, any.Ref(), !want[any.Ref()])
				}
				if want[any.Ref()] {
					found[any.Kind]++
				}
			}
		}
	}
	for _, kind := range []string{"LoadBalancerGroup", "Server", "Pool", "Site", "IPAddress", "Certificate", "AccessList", "RateLimit", "Map", "ErrorPage", "EgressClient", "Partner", "SLA", "EgressRule"} {
		if found[kind] == 0 {
			t.Errorf("no group had a %s; there were %v", kind, slices.Sorted(maps.Keys(found)))
		}
	}
}
