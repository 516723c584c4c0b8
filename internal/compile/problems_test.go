package compile_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestPagesThatDoNotFitAreLeftOut looks at the longest page that fits a group's buffers, and at one byte more.
func TestPagesThatDoNotFitAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ buffer, rewrite, longest int }{
		{16384, 1024, (16384 - 1024 - 1024) / 4 * 3},
		{8192, 4096, (8192 - 4096 - 1024) / 4 * 3},
		{1 << 20, 1024, 15_000 / 4 * 3},
	} {
		for _, length := range []int{c.longest, c.longest + 1} {
			set := load(t, "testdata/basic.yaml")
			put(set, "Tuning", "default", &weir.Tuning{BufferSize: c.buffer, MaxRewrite: c.rewrite, ErrorPages: map[weir.Status3]string{500: "sorry"}})
			put(set, "ErrorPage", "sorry", &weir.ErrorPage{Body: strings.Repeat("x", length)})
			node, problems := compile.Group(set, "edge")
			fits := length == c.longest
			if shown := len(node.Pages) == 1 && node.Tuning.ErrorPages[500] == "sorry" && node.Sites[0].ErrorPages[503] == "sorry"; shown != fits {
				t.Errorf("%+v: a page of %d bytes: shown %v; want %v", c, length, shown, fits)
			}
			if told := len(problems) == 1 && problems[0].Object == "ErrorPage/sorry" && problems[0].Path == "spec.body"; told == fits {
				t.Errorf("%+v: a page of %d bytes: %v", c, length, problems)
			}
			if len(node.Sites) != 1 || len(node.Pools) == 0 || !fits && len(node.Sites[0].ErrorPages)+len(node.Tuning.ErrorPages) > 0 {
				t.Errorf("%+v: a page that does not fit took more with it: %+v", c, node)
			}
		}
	}
}

func put(set *weir.Set, kind, name string, spec weir.Spec) {
	o := &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name}, Spec: spec}
	if old := set.Get(o.Ref()); old != nil {
		o.Metadata = old.Metadata
	}
	spec.Normalize()
	set.Put(o)
}

// TestWhatBreaksTheRulesIsLeftOutNarrowly takes what Check refuses, as an older version may have stored it.
func TestWhatBreaksTheRulesIsLeftOutNarrowly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*weir.Set)
		want  string
		left  func(ir.Node) bool
	}{
		"HTTP/3 in a network namespace": {
			func(s *weir.Set) {
				put(s, "Certificate", "c", &weir.Certificate{KeyRef: &weir.SealedRef{Generation: 1}})
				put(s, "Site", "zzz", &weir.Site{
					Hostnames: []string{"zzz.example.com"}, Addresses: []string{"www-az1"}, Backends: map[string]weir.Backend{"default": {Pool: "api"}},
					Listeners: []weir.Listener{{Port: 443, TLS: &weir.ListenerTLS{Certificates: []string{"c"}, HTTP3: true}}},
				})
				for lb := range s.All("LoadBalancer") {
					lb.Spec.(*weir.LoadBalancer).Namespace = "blue"
				}
			},
			"in a network namespace: HAProxy answers no handshake there, and clients stay with HTTP/2",
			func(n ir.Node) bool { return len(n.Sites) == 2 && len(n.Sites[1].Listeners) == 1 },
		},
		"a pool that is not there": {
			func(s *weir.Set) { s.Delete(weir.Ref{Kind: "Pool", Name: "api"}) }, `Site/www: spec.routes[0].backend: backend "api" has no pool`,
			func(n ir.Node) bool { return len(n.Sites) == 1 && len(n.Sites[0].Routes) == 2 },
		},
		"a pool of one zone": {
			func(s *weir.Set) { s.Delete(weir.Ref{Kind: "Pool", Name: "web-az1"}) }, "Site/www: spec.backends.default: Pool/web-az1 can't be used",
			func(n ir.Node) bool { return reflect.DeepEqual(n.Sites[0].Backends[2].Slots, []string{"", "web-az2"}) },
		},
		"a list that is not there": {
			func(s *weir.Set) { s.Delete(weir.Ref{Kind: "AccessList", Name: "crawlers"}) }, "Site/www: spec.routes[1].match.accessList: AccessList/crawlers does not exist",
			func(n ir.Node) bool { return len(n.Sites[0].Routes) == 2 },
		},
		"a zone that is not there": {
			func(s *weir.Set) { s.Delete(weir.Ref{Kind: "Zone", Name: "az1"}) }, "Zone/az1 does not exist",
			func(n ir.Node) bool { return reflect.DeepEqual(n.Group.Zones, []string{"az2"}) && len(n.Sites) == 1 },
		},
		"an authority that is not there": {
			func(s *weir.Set) {
				put(s, "Pool", "api", &weir.Pool{Members: []weir.Member{}, TLS: &weir.PoolTLS{SNI: "a.example", CA: "none"}})
			}, "Pool/api: spec.tls.ca: Certificate/none does not exist; the pool is left out",
			func(n ir.Node) bool { return len(n.Pools) == 2 && len(n.Sites[0].Routes) == 2 },
		},
		"a port of another mode": {
			func(s *weir.Set) {
				put(s, "Tuning", "default", &weir.Tuning{Ports: []weir.BoundPort{{Port: 80, Mode: weir.PortTCP}}})
			},
			"Site/www: spec.listeners[0].port: port 80 speaks tcp, as Tuning/default asks",
			func(n ir.Node) bool { return len(n.Sites) == 0 && len(n.Addresses) == 2 },
		},
		"a host name of two": {
			func(s *weir.Set) {
				put(s, "Site", "zzz", &weir.Site{
					Hostnames: []string{"www.example.com", "zzz.example.com"}, Addresses: []string{"www-az1"}, Listeners: []weir.Listener{{Port: 80}}, Backends: map[string]weir.Backend{"default": {Pool: "api"}},
				})
			}, `Site/zzz: spec.hostnames[0]: "www.example.com" belongs to Site/www`,
			func(n ir.Node) bool {
				return len(n.Sites) == 2 && reflect.DeepEqual(n.Sites[1].Hostnames, []string{"zzz.example.com"})
			},
		},
		"a certificate without key": {
			func(s *weir.Set) {
				put(s, "Certificate", "c", &weir.Certificate{Chain: weir.NewChain("x")})
				put(s, "Site", "zzz", &weir.Site{
					Hostnames: []string{"zzz.example.com"}, Addresses: []string{"www-az1"}, Backends: map[string]weir.Backend{"default": {Pool: "api"}},
					Listeners: []weir.Listener{{Port: 80}, {Port: 81, Redirect: "https"}, {Port: 443, TLS: &weir.ListenerTLS{Certificates: []string{"c"}}}},
				})
			}, "Site/zzz: spec.listeners[2].tls.certificates[0]: Certificate/c has no sealed key",
			func(n ir.Node) bool { return len(n.Sites) == 2 && len(n.Sites[1].Listeners) == 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, "testdata/basic.yaml")
			c.spoil(set)
			node, problems := compile.Group(set, "edge")
			told := false
			for _, p := range problems {
				told = told || strings.Contains(p.String(), c.want)
			}
			if !told {
				t.Errorf("problems %v\nwant %q", problems, c.want)
			}
			if !c.left(node) {
				t.Errorf("the rest is %s", text(t, node))
			}
		})
	}
}

// TestLawlessSetsCompile walks without Check: nothing may panic, what was kept may not show, and what a node
// names it must hold.
func TestLawlessSetsCompile(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		set := weirtest.RandomObjects(seed, walkOptions)
		rng := rand.New(rand.NewPCG(seed, 4))
		compiler := compile.New()
		for i := range 150 {
			if i%30 == 0 {
				set = weirtest.RandomObjects(seed+uint64(i), walkOptions)
			}
			set = weirtest.Apply(set, weirtest.RandomAttempt(rng, set, walkOptions))
			for _, name := range groupsOf(set) {
				node, problems := compiler.Group(set, name)
				again, same := compile.Group(set, name)
				if !reflect.DeepEqual(node, again) || !reflect.DeepEqual(problems, same) {
					t.Fatalf("seed %d: group %s\ngot  %s %v\nwant %s %v", seed, name, text(t, node), problems, text(t, again), same)
				}
				whole(t, node)
			}
			for lb := range set.All("LoadBalancer") {
				if _, _, err := compiler.Node(set, lb.Metadata.Name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// whole: every name in a node is of something in the node, and lists have no doubles.
func whole(t *testing.T, n ir.Node) {
	t.Helper()
	ids := map[string]bool{}
	for _, r := range n.Resources() {
		if ids[r.ID] {
			t.Fatalf("two of %s", r.ID)
		}
		ids[r.ID] = true
	}
	need := func(kind, name, by string) {
		if name != "" && !ids[kind+"/"+name] {
			t.Fatalf("%s names %s/%s, which the node does not hold", by, kind, name)
		}
	}
	hosts, modes := map[string]string{}, map[weir.Port]weir.PortMode{}
	for _, s := range n.Sites {
		backends := map[string]bool{}
		for _, b := range s.Backends {
			backends[b.Name] = true
			for _, p := range append([]string{b.Pool}, b.Slots...) {
				need("pool", p, s.Name)
			}
			if b.Pool == "" && len(b.Slots) != len(n.Group.Zones) {
				t.Fatalf("site %s, backend %s has %d slots for %d zones", s.Name, b.Name, len(b.Slots), len(n.Group.Zones))
			}
		}
		for _, r := range s.Routes {
			need("list", r.Match.AccessList, s.Name)
			need("map", r.Match.Map, s.Name)
			if to := r.Does().Backend; to != "" && !backends[to] {
				t.Fatalf("site %s routes to %s, which it does not have", s.Name, to)
			}
		}
		for _, a := range s.Addresses {
			need("address", a, s.Name)
		}
		for _, p := range s.ErrorPages {
			need("page", p, s.Name)
		}
		for _, h := range s.Hostnames {
			if other, taken := hosts[h]; taken && h != "*" {
				t.Fatalf("%s is of %s and %s", h, other, s.Name)
			}
			hosts[h] = s.Name
		}
		if len(s.Addresses) == 0 || len(s.Listeners) == 0 {
			t.Fatalf("site %s can't be reached", s.Name)
		}
		for _, l := range s.Listeners {
			if mode, known := modes[l.Port]; known && mode != l.Mode {
				t.Fatalf("port %d speaks %s and %s", l.Port, mode, l.Mode)
			}
			modes[l.Port] = l.Mode
			if l.RedirectTo == 0 && len(s.Egress) == 0 && !backends["default"] {
				t.Fatalf("site %s serves port %d from nowhere", s.Name, l.Port)
			}
			if l.TLS != nil {
				for _, c := range l.TLS.Certificates {
					need("certificate", c, s.Name)
				}
			}
		}
	}
	for _, p := range n.Pools {
		if p.TLS != nil {
			need("certificate", p.TLS.CA, p.Name)
			need("certificate", p.TLS.ClientCertificate, p.Name)
		}
	}
}
