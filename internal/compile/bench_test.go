package compile_test

import (
	"fmt"
	"net/netip"
	"testing"

	"weir"
	"weir/internal/compile"
)

// fleet is 1,000 sites, each with a pool of its own, over 100,000 servers of ten roles in three zones.
func fleet() *weir.Set {
	set := weir.NewSet()
	put := func(kind, name, role string, spec weir.Spec) {
		spec.Normalize()
		set.Put(&weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name, Role: role}, Spec: spec})
	}
	for z := range 3 {
		put("Zone", fmt.Sprintf("az%d", z), "", &weir.Zone{})
	}
	put("LoadBalancerGroup", "edge", "", &weir.LoadBalancerGroup{Ranges: []netip.Prefix{netip.MustParsePrefix("10.200.0.0/16")}})
	put("LoadBalancer", "lb", "", &weir.LoadBalancer{Group: "edge", Zone: "az0"})
	for r := range 10 {
		put("Role", fmt.Sprintf("role%d", r), "", &weir.Role{})
	}
	for i := range 100_000 {
		put("Server", fmt.Sprintf("s-%06d", i), fmt.Sprintf("role%d", i%10), &weir.Server{
			Address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Zone: fmt.Sprintf("az%d", i/10%3),
			Clusters: []string{fmt.Sprintf("c%d", i/10%100)}, Ports: map[string]weir.Port{"http": 8080},
		})
	}
	for i := range 1000 {
		role, name := fmt.Sprintf("role%d", i%10), fmt.Sprintf("site-%04d", i)
		put("Pool", name, role, &weir.Pool{Selector: &weir.Selector{Role: role, Clusters: []string{fmt.Sprintf("c%d", i/10)}}, Port: "http"})
		put("IPAddress", name, role, &weir.IPAddress{Address: netip.AddrFrom4([4]byte{10, 200, byte(i >> 8), byte(i)}), Groups: []string{"edge"}})
		put("Site", name, role, &weir.Site{
			Hostnames: []string{name + ".example.com"}, Addresses: []string{name}, Listeners: []weir.Listener{{Port: 80}},
			Backends: map[string]weir.Backend{"default": {Pool: name}},
			Routes:   []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: "/api"}}, Backend: "default"}},
		})
	}
	return set
}

// BenchmarkFromScratch compiles 100,000 servers in 1,000 pools.
func BenchmarkFromScratch(b *testing.B) {
	set := fleet()
	for b.Loop() {
		if node, problems := compile.Group(set, "edge"); len(node.Pools) != 1000 || len(problems) > 0 {
			b.Fatal(len(node.Pools), problems)
		}
	}
}

// BenchmarkOneWeight compiles again after the weight of one server, and finds what to send.
func BenchmarkOneWeight(b *testing.B) {
	set := fleet()
	compiler := compile.New()
	node, _ := compiler.Group(set, "edge")
	for b.Loop() {
		set = set.Copy()
		o := *set.Get(weir.Ref{Kind: "Server", Name: "s-050000"})
		spec := *o.Spec.(*weir.Server)
		spec.Weight = new((*spec.Weight + 1) % 257)
		o.Spec = &spec
		set.Put(&o)
		compiler.Follow(set, []weir.Ref{o.Ref()})
		next, _ := compiler.Group(set, "edge")
		if put, gone := compile.Delta(node, next); len(put) != 1 || len(gone) > 0 {
			b.Fatal(put, gone)
		}
		node = next
	}
}

// BenchmarkOneSite compiles again after a new site, and finds what to send.
func BenchmarkOneSite(b *testing.B) {
	set := fleet()
	compiler := compile.New()
	compiler.Group(set, "edge")
	for b.Loop() {
		set = set.Copy()
		o := *set.Get(weir.Ref{Kind: "Site", Name: "site-0500"})
		spec := *o.Spec.(*weir.Site)
		o.Spec = &spec
		set.Put(&o)
		compiler.Group(set, "edge")
	}
}

// BenchmarkGroupsOfManyWrites finds whom a change concerns that writes 20,000 servers beside 1,000 pools.
func BenchmarkGroupsOfManyWrites(b *testing.B) {
	after := fleet()
	var written []weir.Ref
	for i := range 20_000 {
		written = append(written, weir.Ref{Kind: "Server", Name: fmt.Sprintf("s-%06d", i)})
	}
	before := weir.NewSet()
	for b.Loop() {
		if groups := compile.Groups(before, after, written); len(groups) != 1 {
			b.Fatal(groups)
		}
	}
}
