package haproxy_test

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

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
		options := weirtest.Options{}
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
			list = inPlace(list, node.Resources())
			switch rng.IntN(30) {
			case 0:
				env.Version = haproxy.Version{Major: 3, Minor: 2 + 2*rng.IntN(2)}
			case 1:
				env.User = []string{"", "haproxy"}[rng.IntN(2)]
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
			list = append(list, haproxy.File{Path: cert.Path, Content: cert.Chain})
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
