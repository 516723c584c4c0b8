package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/internal/compile"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// Requests are followed through the maps by what the rules of a rendered frontend do with them, but for access
// lists and regexes: first the short way (host and path, or site and path, to route), then the long one.

// siteAt gives whose a request is.
func (m *machine) siteAt(hosts, host string) string {
	site, _ := lookup(m.maps[hosts], host)
	return strings.TrimPrefix(site, "!")
}

// longestKey gives the value of the longest key that begins a text.
func longestKey(entries []haproxy.Entry, text string) string {
	key, value := "", ""
	for _, e := range entries {
		if strings.HasPrefix(text, e.Key) && len(e.Key) > len(key) {
			key, value = e.Key, e.Value
		}
	}
	return value
}

// routeOf gives the route of a request at the port of a map of hosts.
func (m *machine) routeOf(hosts, host, path string) string {
	name, _, http := strings.Cut(host, "|")
	if !http { // a connection of a tcp site has no path
		return m.siteAt(hosts, host) + "/default"
	}
	short := longestKey(m.maps[strings.Replace(hosts, "hosts", "paths", 1)], name+path)
	if slices.ContainsFunc(m.maps["maps/pools.map"], func(e haproxy.Entry) bool { return strings.HasPrefix(e.Key, short+"@") }) {
		return short
	}
	return m.routeIn(m.siteAt(hosts, host), path)
}

// routeIn gives the route of a path in a site.
func (m *machine) routeIn(site, path string) string {
	if r := longestKey(m.maps["maps/paths.map"], site+path+"/"); r != "" {
		return r
	}
	if r, ok := lookup(m.maps["maps/exact.map"], site+"|"+path); ok {
		return r
	}
	if r := longestKey(m.maps["maps/prefixes.map"], site+path+"/"); r != "" {
		return r
	}
	return site + "/default"
}

// served says that some pool of a route has a server.
func (m *machine) served(route string) bool {
	zones, _ := lookup(m.maps["maps/zones.map"], route)
	return slices.ContainsFunc(strings.Split(zones, ":"), m.canServe)
}

func (m *machine) servedIfThere(route string) bool {
	_, there := lookup(m.maps["maps/zones.map"], route)
	return !there || m.served(route)
}

// renderedRequest is one that a and b answer, with the routes that it may take on the way.
type renderedRequest struct {
	hosts, host, path string
	routes            [2]string
}

func (w *walk) renderedRequests() []renderedRequest {
	from, to := newMachine(w.a), newMachine(w.b)
	paths := []string{"/"}
	for _, file := range []string{"maps/paths.map", "maps/exact.map", "maps/prefixes.map"} {
		for _, e := range slices.Concat(from.maps[file], to.maps[file]) {
			if i := strings.IndexAny(e.Key, "/|"); i >= 0 {
				path := "/" + strings.Trim(e.Key[i+1:], "/")
				paths = append(paths, path, path+"/x")
			}
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	var list []renderedRequest
	for hosts := range from.maps {
		if !strings.HasPrefix(hosts, "maps/hosts-") {
			continue
		}
		for _, h := range from.maps[hosts] {
			x, y := from.siteAt(hosts, h.Key), to.siteAt(hosts, h.Key)
			for _, p := range paths {
				a, b := from.routeOf(hosts, h.Key, p), to.routeOf(hosts, h.Key, p)
				// A route that is dead on one side may be met on the way by who changes routes, and so may what
				// the new site had for the path before.
				alive := to.servedIfThere(a) && from.servedIfThere(b) && from.servedIfThere(from.routeIn(y, p))
				if y != "" && from.served(a) && to.served(b) && (x == y && a == b || alive) {
					list = append(list, renderedRequest{hosts, h.Key, p, [2]string{a, b}})
				}
			}
		}
	}
	return list
}

// follow carries out a plan and follows every request after every operation.
func (w *walk) follow(p Plan, requests []renderedRequest) *violation {
	for i := range p.Ops {
		o := &p.Ops[i]
		if err := w.m.do(o); err != nil {
			return &violation{refused, fmt.Sprintf("%d: %s: %v", i, o, err)}
		}
		v := w.look(o)
		if v == nil {
			v = w.danglers()
		}
		for _, q := range requests {
			route := w.m.routeOf(q.hosts, q.host, q.path)
			if v == nil && !w.m.served(route) {
				v = &violation{unserved, fmt.Sprintf("%s %s%s takes %s", q.hosts, q.host, q.path, route)}
			}
			if v == nil && route != q.routes[0] && route != q.routes[1] {
				v = &violation{misrouted, fmt.Sprintf("%s %s%s takes %s, not one of %v", q.hosts, q.host, q.path, route, q.routes)}
			}
		}
		if v != nil {
			v.text = fmt.Sprintf("after %d: %s: %s", i, o, v.text)
			return v
		}
	}
	if !Equivalent(w.m.has(), w.b) {
		return &violation{elsewhere, "the machine does not have what was wanted"}
	}
	return nil
}

// danglers looks at every value of every map.
func (w *walk) danglers() *violation {
	known := map[string]bool{}
	for _, c := range []haproxy.Config{w.a, w.b} {
		for _, b := range c.Backends {
			known[b.Name] = true
		}
	}
	for path, entries := range w.m.maps {
		for _, e := range entries {
			for n := range names(e.Value) {
				if b := w.m.backends[n]; known[n] && (b == nil || !b.published) {
					return &violation{dangling, path + " " + e.Key + " leads to " + n}
				}
			}
		}
	}
	return nil
}

// What the other packages make of random changes of objects keeps every promise on the way, on both versions.
func TestPathsOfRenderedObjects(t *testing.T) {
	t.Parallel()
	atRunTime, reloads, watched := 0, 0, 0
	for seed := range rounds(10) {
		r := random(seed)
		version := []haproxy.Version{v34, v34, v34, v32}[seed%4]
		options := weirtest.Options{Sealed: true, Zoned: true, Egress: true, Logic: seed%5 == 4}
		set := weirtest.RandomObjects(uint64(seed), options)
		render := func() haproxy.Config {
			node, _, err := compile.Node(set, "edge-az1-1")
			if err != nil {
				t.Fatal(err)
			}
			return haproxy.Render(node, haproxy.Env{Version: version})
		}
		have := render()
		for step := range 40 {
			set = weirtest.Apply(set, weirtest.RandomWrite(r, set, options))
			want := render()
			p := Diff(have, want)
			note := fmt.Sprintf("seed %d step %d", seed, step)
			if len(p.Reload) > 0 {
				reloads++
			} else {
				atRunTime++
				w := newWalk(have, want)
				requests := w.renderedRequests()
				watched += len(requests)
				if v := w.follow(p, requests); v != nil {
					t.Fatalf("%s: %v\n%s", note, v, script(p))
				}
			}
			have = Apply(p, have)
			if !Equivalent(have, want) || !Diff(have, want).Empty() {
				t.Fatalf("%s: Apply does not end where it should\n%s", note, script(p))
			}
		}
	}
	if atRunTime < 200 || reloads == 0 || watched < 1000 {
		t.Errorf("%d plans at run time, %d reloads, %d requests watched: the walk shows little", atRunTime, reloads, watched)
	}
	t.Logf("%d plans at run time, %d reloads, %d requests watched", atRunTime, reloads, watched)
}
