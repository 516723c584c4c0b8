package haproxy_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// logicOf makes a Logic of a text whose parameters are texts, but for those of other types.
func logicOf(t *testing.T, name, text string, parameters map[string]weir.LogicParameter) ir.Logic {
	t.Helper()
	l := ir.Logic{Name: name, Logic: weir.Logic{Text: text, Parameters: parameters}}
	var p weir.Problems
	if l.Validate(&p); len(p.List()) > 0 {
		t.Fatal(p.List())
	}
	return l
}

// use gives a site of a node its logic.
func use(n *ir.Node, site string, list ...weir.LogicUse) {
	for i := range n.Sites {
		if n.Sites[i].Name == site {
			n.Sites[i].Logic = list
		}
	}
}

const shopLogic = `
acl beta req.cook(beta) -m str yes
acl old var(txn.new) -m found
http-request set-header X-Seen "%[src] ${mark}"
http-request route api if beta METH_GET
http-request deny deny_status 403 if { path_beg /admin } !{ client in ${office} }
http-request set-var(txn.new) path,map(${pages})
http-request redirect location %[var(txn.new)] code 301 if old
http-request return status 203 content-type text/plain lf-string "I am %[req.hdr(host),lower] of ${site} in ${zone}" hdr X-Age ${age} if { path /about } or { path /who }
http-request set-query none=1 unless { query -m found } or { path_beg /raw }
http-response set-header X-Answer "%[res.hdr(x-origin)] 100%%"
http-response del-header X-Origin
http-after-response set-header X-All yes
`

func withShop(t *testing.T, sites ...string) func(*ir.Node) {
	mark := weir.LogicParameter{Type: weir.ParameterString}
	age := weir.LogicParameter{Type: weir.ParameterDuration, Default: new(weir.LogicText("2m"))}
	l := logicOf(t, "shop", shopLogic, map[string]weir.LogicParameter{
		"mark": mark, "age": age,
		"office": {Type: weir.ParameterAccessList}, "pages": {Type: weir.ParameterMap, Default: &weir.LogicValue{Map: "pages"}},
	})
	return func(n *ir.Node) {
		n.Logics = []ir.Logic{l}
		n.Maps = append(n.Maps, ir.Map{Name: "pages", Match: "prefix", Entries: []weir.MapEntry{{Key: "/was", Value: "is"}}})
		n.Lists = []ir.AccessList{{Name: "office", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}
		for _, site := range sites {
			use(n, site, weir.LogicUse{Name: "shop", With: map[string]weir.LogicValue{
				"mark": weir.LogicText(`it's "100%" #[x]`), "office": {AccessList: "office"},
			}})
		}
	}
}

// The rules of a Logic do what they say for its site, and what they look up changes while HAProxy runs.
func TestLogicOfSites(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startGate(t, h, withShop(t, "www"))
		has := func(path string, want int, headers []string, parts ...string) {
			t.Helper()
			status, all := g.ask(41, "www.example", path, headers...)
			for _, part := range parts {
				if no, absent := strings.CutPrefix(part, "!"); strings.Contains(all, strings.TrimPrefix(part, "!")) == absent {
					t.Errorf("%s: has %q: %v\n%s", path, no, absent, all)
				}
			}
			if status != want {
				t.Errorf("%s: %d, want %d\n%s", path, status, want, all)
			}
		}
		has("/", 200, nil, "x-answer: web1 100%\r\n", "!x-origin:", "x-all: yes")
		has("/to", 200, []string{"Cookie: beta=yes"}, "x-answer: api 100%")
		has("/to", 200, []string{"Cookie: beta=no"}, "x-answer: web1 100%")
		has("/x/../%61dmin", 403, nil, "x-all: yes")
		has("/was/it", 301, nil, "location: is\r\n")
		has("/about", 203, nil, "I am www.example of www in az1", "x-age: 120\r\n", "x-all: yes")
		has("/who", 203, nil, "I am www.example")
		has("/plain", 200, nil)
		has("/plain?a=1", 200, nil)
		has("/raw", 200, nil)
		for uri, want := range map[string]int{"/plain?none=1": 1, "/plain?a=1": 1, "/raw": 1} {
			seen := g.origins[35].Requests(strings.Split(uri, "?")[0])
			if i := slices.IndexFunc(seen, func(s weirtest.Seen) bool { return s.URI == uri }); i < 0 {
				t.Errorf("no request for %s came, %d wanted: %+v", uri, want, seen)
			} else if got := seen[i].Header.Get("X-Seen"); got != g.addr(41, 0)[:strings.Index(g.addr(41, 0), ":")]+` it's "100%" #[x]` {
				t.Errorf("%s came with %q", uri, got)
			}
		}

		g.change(func(n *ir.Node) {
			n.Lists = []ir.AccessList{{Name: "office", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
			n.Maps[len(n.Maps)-1].Entries = []weir.MapEntry{{Key: "/plain", Value: "is-now"}}
		})
		has("/admin", 200, nil)
		has("/was/it", 200, nil)
		has("/plain", 301, nil, "location: is-now\r\n")

		// What stands for two sites is the same text, so that it comes and goes at run time.
		g.change(func(n *ir.Node) { n.Sites[1].Logic = nil })
		about := logicOf(t, "about", "http-request return status 202 content-type text/plain string a if { path /about }", nil)
		plain := haproxy.Render(node2(g.node, about, "www"), haproxy.Env{Version: g.version})
		both := haproxy.Render(node2(g.node, about, "www", "rich"), haproxy.Env{Version: g.version})
		if sectionsOf(plain) != sectionsOf(both) {
			t.Error("a second site with the same logic takes a reload")
		}
	})
}

func node2(n ir.Node, l ir.Logic, sites ...string) ir.Node {
	n.Sites = slices.Clone(n.Sites)
	n.Logics = []ir.Logic{l}
	for i := range n.Sites {
		n.Sites[i].Logic = nil
	}
	for _, site := range sites {
		use(&n, site, weir.LogicUse{Name: l.Name})
	}
	return n
}

// varying is what differs between two answers of the same server.
var varying = regexp.MustCompile(`(?m)^date: .*\r\n|127\.[0-9.]+`)

// A Logic that does everything that it can leaves the answers of all other sites as they are, byte for byte, and what
// their servers get.
func TestLogicLeavesOtherSitesAlone(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		without := startGate(t, h, func(*ir.Node) {})
		with := startGate(t, h, func(n *ir.Node) {
			withShop(t, "www")(n)
			n.Logics = append(n.Logics,
				logicOf(t, "all", "http-response set-status 299", nil),
				logicOf(t, "hostile", "acl yes always_true\nhttp-request set-var(txn.route) str(rich/api)\nhttp-request set-var(txn.site) str(rich)\nhttp-request set-path /taken if !yes or TRUE\nhttp-request deny unless TRUE yes || FALSE\nhttp-request return status 218 content-type text/plain string mine if FALSE or yes\nhttp-response set-header x-mine 1 if yes or yes\nhttp-after-response set-header x-mine 1 unless FALSE", nil))
			use(n, "www", weir.LogicUse{Name: "all"}, weir.LogicUse{Name: "hostile"})
		})
		ask := func(g *gate, host, path string, headers ...string) string {
			_, all := g.ask(41, host, path, headers...)
			return varying.ReplaceAllString(all, "")
		}
		differ := 0
		for _, host := range []string{"rich.example", "a.rich.example", "unknown.example", "", "www.example"} {
			for _, path := range []string{"/", "/admin", "/was/it", "/about", "/one", "/r1", "/deep/x", "/old/x", "//x/../one", "/%zz"} {
				for _, cookie := range []string{"beta=yes", "a=b"} {
					a, b := ask(without, host, path, "Cookie: "+cookie), ask(with, host, path, "Cookie: "+cookie)
					switch {
					case host == "www.example" && a != b:
						differ++
					case host != "www.example" && a != b:
						t.Errorf("%s%s: %q without, %q with a Logic of another site", host, path, a, b)
					}
				}
			}
		}
		if differ == 0 {
			t.Error("the site's own answers differ in nothing")
		}
		for _, origin := range []byte{33, 35, 36} {
			var lists [2][]string
			for i, g := range []*gate{without, with} {
				for _, s := range g.origins[origin].Requests("") {
					if s.Host != "www.example" {
						lists[i] = append(lists[i], varying.ReplaceAllString(fmt.Sprint(s.Method, s.Host, s.URI, s.Header), ""))
					}
				}
			}
			if !slices.Equal(lists[0], lists[1]) {
				t.Errorf("origin %d got\n%s\nwithout, and with a Logic of another site\n%s", origin, strings.Join(lists[0], "\n"), strings.Join(lists[1], "\n"))
			}
		}
	})
}

// The logic of a pool is asked by the pool that serves, once, also when a request comes to it by way of another one.
func TestLogicOfPools(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startGate(t, h, func(n *ir.Node) {
			n.Logics = []ir.Logic{
				logicOf(t, "below", "http-request set-path /in/${pool}%[path]\nhttp-request deny if { path_end /no } or { client in none }\nhttp-response add-header X-By ${pool}\nhttp-after-response add-header X-After ${pool}", nil),
				logicOf(t, "same", "http-request set-path /once%[path]\nhttp-response add-header X-Once yes", nil),
			}
			n.Pools[2].Check = weir.HealthCheck{Type: "tcp", Interval: weir.Duration(100e6), Rise: 1, Fall: 1}
			n.Pools[0].Logic = []weir.LogicUse{{Name: "below"}, {Name: "same"}}
			n.Pools[2].Logic, n.Pools[3].Logic = []weir.LogicUse{{Name: "same"}}, []weir.LogicUse{{Name: "same"}}
		})
		has := func(path string, want int, parts ...string) {
			t.Helper()
			status, all := g.ask(41, "www.example", path)
			for _, part := range parts {
				if strings.Count(all, part) != 1 {
					t.Errorf("%s: %q is there %d times\n%s", path, part, strings.Count(all, part), all)
				}
			}
			if status != want {
				t.Errorf("%s: %d, want %d\n%s", path, status, want, all)
			}
		}
		has("/api/x", 200, "api /once/in/api/api/x\n", "x-by: api", "x-after: api", "x-once: yes")
		has("/api/no", 403, "x-after: api")
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if status, all := g.ask(41, "www.example", "/"); status != 200 || !strings.Contains(all, "web1") {
				return fmt.Errorf("%s", all)
			}
			return nil
		})
		has("/a", 200, "web1 /once/a\n", "x-once: yes")
		g.origins[35].Stop()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if status, all := g.ask(41, "www.example", "/b"); status != 200 {
				return fmt.Errorf("%s", all)
			}
			return nil
		})
		has("/b", 200, "web2 /once/b\n", "x-once: yes")
	})
}

// A configuration with logic is one that HAProxy takes, and lines that it refuses are those of the Logic.
func TestLogicIsToBlame(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		version, _ := haproxy.ParseVersion(h.Version)
		dir := weirtest.TempDir(t)
		n := testNode(weirtest.Prefix(t))
		withShop(t, "www", "rich")(&n)
		n.Pools[2].Logic = []weir.LogicUse{{Name: "good"}}
		n.Logics = append(n.Logics, logicOf(t, "good", "http-request deny if { path -m reg '^a{2}$' } or { req.hdr(x) opt@maps/none.map ' crt-list /x ' }", nil))
		c := haproxy.Render(n, haproxy.Env{Version: version})
		writeFiles(t, dir, c)
		check := func() error {
			c := weirtest.Command(t, "sh", "-c", "cd "+dir+" && "+h.Path+" -c -dW -f haproxy.cfg")
			if err := c.Wait(); err != nil {
				return fmt.Errorf("%w\n%s", err, c.Output())
			}
			return nil
		}
		if err := check(); err != nil {
			t.Fatal(err)
		}
		for _, named := range haproxy.Named(c.Sections).Maps {
			if named.Path == "maps/none.map" {
				t.Error("text of a Logic is taken for a map")
			}
		}
		bad := n
		bad.Logics = append(slices.Clone(n.Logics), logicOf(t, "bad", "http-request deny if { path -m reg '(' }", nil))
		bad.Sites = slices.Clone(n.Sites)
		use(&bad, "rich", weir.LogicUse{Name: "bad"})
		c = haproxy.Render(bad, haproxy.Env{Version: version})
		writeFiles(t, dir, c)
		err := check()
		if err == nil {
			t.Fatal("HAProxy takes a regex that is none")
		}
		at := regexp.MustCompile(`haproxy\.cfg:(\d+)\]`).FindStringSubmatch(err.Error())
		line := 0
		fmt.Sscan(at[1], &line)
		if _, owners := c.Text(); owners[line-1] != "Logic/bad" {
			t.Errorf("line %d is of %q: %v", line, owners[line-1], err)
		}
	})
}
