package agent

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

func TestBlame(t *testing.T) {
	t.Parallel()
	c := haproxy.Config{
		Sections: []haproxy.Section{{Kind: "global", Lines: []haproxy.Line{{Text: "maxconn 5", Owner: "Tuning/t"}, {Text: "daemon"}}}},
		Backends: []haproxy.Backend{{Name: "web.aaaa", Owner: "Pool/web", Servers: []haproxy.Server{{Name: "s.aaaa", Owner: "Server/s"}}}},
		Maps: []haproxy.Map{
			{Path: "maps/hosts.map", Entries: []haproxy.Entry{{Key: "a", Value: "b", Owner: "Site/a"}, {Key: "c", Value: "d", Owner: "Site/c"}}},
			{Path: "maps/regexes.map", Ordered: true, Entries: []haproxy.Entry{{Key: "(x", Owner: "Site/x"}, {Key: "(y", Owner: "Site/y"}}},
		},
		Certs: []haproxy.Cert{{Path: "certs/www.pem", Owner: "Certificate/www"}, {Path: "certs/api.ca.pem", Owner: "Certificate/api", Authority: true}},
		CrtLists: []haproxy.CrtList{{Path: "certs/port-443.list", Entries: []haproxy.CrtEntry{
			{File: "certs/_weir.pem"}, {File: "certs/www.pem", Owner: "Site/www"}, {File: "certs/gone.pem", Owner: "Site/gone"},
		}}},
	}
	lineOf := func(part string) int {
		text, _ := c.Text()
		for i, line := range strings.Split(text, "\n") {
			if strings.Contains(line, part) {
				return i + 1
			}
		}
		t.Fatalf("no line with %s", part)
		return 0
	}
	for _, tc := range []struct {
		said complaint
		want string
	}{
		{complaint{File: "haproxy.cfg", Line: lineOf("maxconn"), Text: "no"}, "Tuning/t"},
		{complaint{File: "haproxy.cfg", Line: lineOf("daemon"), Text: "no"}, ""},
		{complaint{File: "haproxy.cfg", Line: lineOf("server s.aaaa"), Text: "no"}, "Server/s"},
		{complaint{File: "haproxy.cfg", Line: lineOf("backend web.aaaa"), Text: "no"}, "Pool/web"},
		{complaint{File: "haproxy.cfg", Line: 9999, Text: "no"}, ""},
		{complaint{File: "haproxy.cfg", Line: 0, Text: "no"}, ""},
		// The place in the words counts more than the line that uses the map.
		{complaint{File: "haproxy.cfg", Line: lineOf("maxconn"), Text: "bad key at line 2 of file 'opt@maps/hosts.map'"}, "Site/c"},
		{complaint{Text: "parsing maps/hosts.map:1: no"}, "Site/a"},
		{complaint{Text: "no such key in maps/regexes.map: (y"}, "Site/y"},
		{complaint{Text: "unable to load certs/www.pem"}, "Certificate/www"},
		{complaint{Text: "unable to load certs/api.ca.pem"}, "Certificate/api"},
		{complaint{Text: "certs/port-443.list:2: no"}, "Certificate/www"},
		{complaint{Text: "certs/port-443.list:3: no"}, "Site/gone"},
		{complaint{Text: "certs/port-443.list:99: no"}, ""},
		{complaint{Text: "out of memory"}, ""},
	} {
		if got := blame(c, tc.said); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.said, got, tc.want)
		}
	}
}

// What HAProxy itself says of a bad object leads to that object, without trying.
func TestGuiltyByHAProxysWords(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		for name, spoil := range map[string]func(b *bed, v *vault){
			"Site/bad": func(b *bed, _ *vault) {
				b.node.Sites[1].Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: "/(?<x"}}, Backend: "default"}}
			},
			"Map/bad": func(b *bed, _ *vault) {
				b.node.Sites[1].Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Map: "bad"}}}
				b.node.Maps = []ir.Map{{Name: "bad", Match: "regex", Entries: []weir.MapEntry{{Key: "/fine", Value: "default"}, {Key: "/(x", Value: "default"}}}}
			},
			"Certificate/bad": func(b *bed, v *vault) {
				b.secure(0, "good")
				b.secure(1, "bad")
				b.node.Certificates = []ir.Certificate{v.certificate("bad", "bad.example", true), v.certificate("good", "good.example", false)}
			},
			"ErrorPage/bad": func(b *bed, _ *vault) {
				b.node.Tuning.ErrorPages = map[weir.Status3]string{503: "bad"}
				b.node.Pages = []ir.Page{{Name: "bad", ContentType: "text/html", Body: strings.Repeat("long ", 10_000)}}
			},
			"Tuning/bad": func(b *bed, _ *vault) {
				b.node.Tuning.Name, b.node.Tuning.Threads = "bad", 100_000
			},
			"Server/bad": func(b *bed, _ *vault) {
				b.node.Pools[1].Servers = []ir.Server{{Name: "bad", Address: netip.AddrPortFrom(b.at(41), 9000), Weight: 1000, Owner: "Server/bad"}}
			},
		} {
			b, v := newBed(t, h), newVault(t)
			b.key = v.key
			b.site("good")
			b.site("bad")
			spoil(b, v)
			want := b.render(b.node)
			err := b.check(t.Context(), want)
			if err == nil {
				t.Errorf("%s: HAProxy has nothing against it", name)
				continue
			}
			var owners []string
			for _, g := range b.guilty(err, want) {
				owners = append(owners, g.Owner)
			}
			if !slices.Equal(owners, []string{name}) {
				t.Errorf("%s: %v are blamed for: %v", name, owners, err)
			}
		}
	})
}

// culprits finds just the bad ones, however many there are, in a number of tries that grows slowly with the good.
func TestCulprits(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 5))
	for _, bad := range []int{0, 1, 2, 7} {
		for range 50 {
			var base, changed []*ir.Resource
			for i := range 1000 {
				id := []string{"site", "pool", "certificate", "address"}[i%4] + fmt.Sprintf("/n%d", i)
				if i%3 == 0 {
					base = append(base, resource(id, "1"))
				}
				changed = append(changed, resource(id, "2"))
			}
			guilty := map[string]bool{}
			for len(guilty) < bad {
				guilty[changed[r.IntN(len(changed))].ID] = true
			}
			tries := 0
			found := culprits(base, slices.Clone(changed), func(list []*ir.Resource) bool {
				tries++
				pools := map[string]bool{}
				for _, x := range list {
					kind, name, _ := strings.Cut(x.ID, "/")
					pools[x.ID] = true
					if guilty[x.ID] && string(x.Body) == "2" {
						return false
					}
					// What is referred to must come before it, or be of the good ones.
					if kind == "site" && name == "n4" && !pools["pool/n1"] && !slices.ContainsFunc(list, func(y *ir.Resource) bool { return y.ID == "pool/n1" }) && !guilty["pool/n1"] {
						t.Fatal("a site was tried without its pool")
					}
				}
				return true
			})
			got := map[string]bool{}
			for _, x := range found {
				got[x.ID] = true
			}
			if len(found) != bad || fmt.Sprint(got) != fmt.Sprint(guilty) {
				t.Fatalf("found %v, want %v", got, guilty)
			}
			if most := 1 + 2*bad*(1+bits.Len(1000)); tries > most {
				t.Errorf("%d bad ones took %d tries, more than %d", bad, tries, most)
			}
		}
	}
}

func TestChangedSince(t *testing.T) {
	t.Parallel()
	good := []*ir.Resource{resource("site/a", "1"), resource("site/b", "1"), resource("site/gone", "1")}
	list := []*ir.Resource{resource("site/a", "1"), resource("site/b", "2"), resource("site/new", "1")}
	if got := changedSince(list, good); len(got) != 2 || got[0].ID != "site/b" || got[1].ID != "site/new" {
		t.Errorf("changed: %v", got)
	}
}
