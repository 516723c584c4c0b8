package haproxy_test

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// An Assembler, a Renderer and a Printer that have seen a random walk of objects give what those give that have seen
// nothing, on both versions, whatever changes besides.
func TestRendererOverRandomWalks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 77))
		options := weirtest.Options{Logic: seed%3 == 2}
		set := weirtest.RandomObjects(seed, options)
		compiler := compile.New()
		var assembler ir.Assembler
		var renderer haproxy.Renderer
		var printer haproxy.Printer
		env := haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}, Unbindable: map[netip.AddrPort]bool{}}
		list := []*ir.Resource(nil)
		inFrame := 0
		var last haproxy.Config
		for step := range 120 {
			name := ""
			for o := range set.All("LoadBalancer") {
				name = o.Metadata.Name
				break
			}
			if name == "" {
				t.Fatal("the walk has no load balancer")
			}
			node, _, err := compiler.Node(set, name)
			if err != nil {
				t.Fatal(err)
			}
			if step/20%2 == 1 { // a machine whose connections come from addresses of their own
				node.Self.Sources = []netip.Addr{netip.MustParseAddr("192.0.2.64"), netip.MustParseAddr("192.0.2.65")}
			}
			list = inPlace(list, node.Resources())
			switch rng.IntN(30) {
			case 0:
				env.Version = haproxy.Version{Major: 3, Minor: 2 + 2*rng.IntN(2)}
			case 1:
				env.User = []string{"", "haproxy"}[rng.IntN(2)]
			case 3:
				env.Unbindable[netip.MustParseAddrPort("192.0.2.65:0")] = rng.IntN(2) == 0
			case 2:
				env.Unbindable[netip.MustParseAddrPort("203.0.113.1:80")] = rng.IntN(2) == 0
			}
			got, err := assembler.Assemble(list)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ir.Assemble(list)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d step %d: assembled %+v, want %+v, %v", seed, step, got, want, err)
			}
			config, whole := renderer.Render(got, env), haproxy.Render(want, env)
			if !reflect.DeepEqual(config, whole) {
				t.Fatalf("seed %d step %d: rendered\n%+v\nwant\n%+v", seed, step, config, whole)
			}
			var files []haproxy.File
			for _, f := range printer.Files(config) {
				files = append(files, haproxy.File{Path: f.Path, Content: strings.Join(f.Parts, "")})
			}
			if !slices.Equal(files, plainFiles(whole)) {
				t.Fatalf("seed %d step %d: printed %q, want %q", seed, step, files, plainFiles(whole))
			}
			if len(last.Sections) > 0 && &last.Sections[0] == &config.Sections[0] {
				inFrame++
			}
			last = config
			set = weirtest.Apply(set, weirtest.RandomWrite(rng, set, options))
		}
		if inFrame == 0 || inFrame == 119 {
			t.Errorf("seed %d: %d of the steps changed servers alone: the walk shows nothing", seed, inFrame)
		}
	}
}

// inPlace gives a list in which what has not changed stays where it is in memory, as the link gives it.
func inPlace(old, list []*ir.Resource) []*ir.Resource {
	known := map[string]*ir.Resource{}
	for _, r := range old {
		known[r.ID] = r
	}
	for i, r := range list {
		if k, ok := known[r.ID]; ok && string(k.Body) == string(r.Body) {
			list[i] = k
		}
	}
	return list
}

// plainFiles are the files as Text of each part has it.
func plainFiles(c haproxy.Config) []haproxy.File {
	var list []haproxy.File
	for _, cert := range c.Certs {
		if cert.Authority {
			list = append(list, haproxy.File{Path: cert.Path, Content: cert.Chain.String()})
		}
	}
	for _, l := range c.CrtLists {
		list = append(list, haproxy.File{Path: l.Path, Content: l.Text()})
	}
	text, _ := c.Text()
	list = append(list, haproxy.File{Path: haproxy.ConfigFile, Content: text})
	for _, m := range c.Maps {
		list = append(list, haproxy.File{Path: m.Path, Content: m.Text()})
	}
	return list
}

// TestRenewalsCostThemselves: of a node in which certificates were renewed only their files are worked out, and come out as
// of one that is rendered anew; what decides how they are shown is looked at.
func TestRenewalsCostThemselves(t *testing.T) {
	t.Parallel()
	env := haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}}
	base := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	base.Certificates = []ir.Certificate{
		{Name: "a", Chain: weir.NewChain("A"), Key: &weir.SealedRef{Generation: 1, Fingerprint: "a"}, Names: []string{"a.example"}},
		{Name: "authority", Chain: weir.NewChain("C")},
		{Name: "b", Chain: weir.NewChain("B"), Key: &weir.SealedRef{Generation: 1, Fingerprint: "b"}, Names: []string{"b.example"}},
		{Name: "unused", Chain: weir.NewChain("U"), Key: &weir.SealedRef{Generation: 1, Fingerprint: "u"}},
	}
	base.Sites[3].Listeners = []ir.Listener{{Port: 8443, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{Certificates: []string{"a", "b"}}}}
	base.Pools = slices.Clone(base.Pools)
	base.Pools[0].TLS = &weir.PoolTLS{CA: "authority"}
	for name, c := range map[string]struct {
		change func(list []ir.Certificate)
		shared bool
	}{
		"nothing":             {func([]ir.Certificate) {}, true},
		"a chain":             {func(l []ir.Certificate) { l[0].Chain = weir.NewChain("A2") }, true},
		"a key":               {func(l []ir.Certificate) { l[0].Key = &weir.SealedRef{Generation: 2, Fingerprint: "a2"} }, true},
		"two, one is unused":  {func(l []ir.Certificate) { l[2].Chain, l[3].Chain = weir.NewChain("B2"), weir.NewChain("U2") }, true},
		"an authority":        {func(l []ir.Certificate) { l[1].Chain = weir.NewChain("C2") }, false},
		"names":               {func(l []ir.Certificate) { l[0].Names = []string{"other.example"} }, false},
		"one without its key": {func(l []ir.Certificate) { l[0].Key = nil }, false},
		"another one":         {func(l []ir.Certificate) { l[3].Name = "used" }, false},
	} {
		var renderer haproxy.Renderer
		before := renderer.Render(base, env)
		next := base
		next.Certificates = slices.Clone(base.Certificates)
		c.change(next.Certificates)
		after := renderer.Render(next, env)
		if want := haproxy.Render(next, env); !reflect.DeepEqual(after, want) {
			t.Errorf("%s: rendered\n%+v\nwant\n%+v", name, after, want)
		}
		if same := &before.Sections[0] == &after.Sections[0]; same != c.shared {
			t.Errorf("%s: the rest is as before: %t", name, same)
		}
		if again := haproxy.Render(base, env); !reflect.DeepEqual(before, again) {
			t.Errorf("%s: what was given out has changed", name)
		}
	}
}
