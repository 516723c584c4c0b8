package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
)

// rowsWorld is a world with servers, of which one is down and one was drained, and a load balancer that is silent.
func rowsWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", `
kind: Zone
metadata: {name: az2}
---
kind: Server
metadata: {name: web-1, role: web}
spec: {address: 10.0.1.1, zone: az1, clusters: [blue], ports: {http: 8080}, weight: 7}
---
kind: Server
metadata: {name: web-2, role: web, labels: {rack: r12}}
spec: {address: 10.0.1.2, zone: az2, clusters: [blue], ports: {http: 8080}}
---
kind: Server
metadata: {name: film-1, role: media}
spec: {address: 10.0.2.1, zone: az1, ports: {http: 8080}}
---
kind: Pool
metadata: {name: blue, role: web}
spec: {selector: {role: web, clusters: [blue]}, port: http}
---
kind: Pool
metadata: {name: reel, role: media}
spec: {selector: {role: media}, port: http}
---
kind: Override
metadata: {name: drained, role: web}
spec: {server: web-2, state: drain, reason: disk, expiresAt: 2100-01-01T00:00:00Z}
---
kind: Site
metadata: {name: shop, role: web}
spec: {hostnames: [shop.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: {az1: blue, az2: web}}}
`), 200)
	have := []weir.Condition{{Type: weir.Accepted, Status: "True"}, {Type: weir.Programmed, Status: "True", Ready: 1, Of: 1}, {Type: weir.Serving, Status: "True", Reason: "Up", Ready: 1, Of: 1}}
	w.status.stage = &stage{
		fleet: FleetStatus{Groups: []GroupStatus{{
			Name: "edge", Wanted: 2, Ready: 1, Of: 1,
			NotServing:    []Outage{{Object: "Site/films", Down: true, LoadBalancers: []string{"lb1"}, Reason: NotServingDown, Message: "pool media: no server is up"}},
			LoadBalancers: []LoadBalancerStatus{{Name: "lb1", Zone: "az1", State: weir.Active, Run: "converged", Ready: true, Reachable: true, Revision: 2, HAProxy: "3.4.7", LastSeen: w.clock(), Drift: &DriftStatus{Total: 3, Now: []Drift{{Object: "Pool/media", Text: "secret text"}}}}},
		}}},
		statuses: map[string]*weir.Status{},
		seen: map[string][]SeenServer{
			"blue": {{Server: "web-1", Of: 1, State: "down", Check: "L4TOUT", LoadBalancer: "lb1", Since: w.clock()}, {Server: "web-2", Of: 1, Out: 1, State: "drain", LoadBalancer: "lb1"}},
			"reel": {{Server: "film-1", Up: 1, Of: 1}},
		},
	}
	for o := range w.store.View().Every() {
		w.status.stage.statuses[o.Ref().String()] = &weir.Status{Conditions: have}
	}
	return w
}

func (r RowsAnswer) String() string {
	var parts []string
	for _, row := range r.Rows {
		parts = append(parts, fmt.Sprintf("%s:%s", row.Name, row.State))
	}
	return fmt.Sprintf("%d of %d %v: %s", len(r.Rows), r.Total, r.States, strings.Join(parts, " "))
}

// TestRows asks for tables as different people.
func TestRows(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	for _, c := range []struct{ who, query, want string }{
		{"admin", "servers", "3 of 3 map[degraded:1 down:1 serving:1]: film-1:serving web-1:down web-2:degraded"},
		{"viewer", "servers", "2 of 2 map[degraded:1 down:1]: web-1:down web-2:degraded"},
		{"viewer", "servers?state=down", "1 of 1 map[degraded:1 down:1]: web-1:down"},
		{"viewer", "servers?state=down,degraded&sort=-name&limit=1", "1 of 2 map[degraded:1 down:1]: web-2:degraded"},
		{"viewer", "servers?sort=-name&limit=1&offset=1", "1 of 2 map[degraded:1 down:1]: web-1:down"},
		{"viewer", "servers?offset=7", "0 of 2 map[degraded:1 down:1]: "},
		{"viewer", "servers?q=R12", "1 of 1 map[degraded:1]: web-2:degraded"},
		{"viewer", "servers?q=10.0.1.1", "1 of 1 map[down:1]: web-1:down"},
		{"viewer", "servers?q=10.0.2", "0 of 0 map[]: "},
		{"viewer", "servers?zone=az2", "1 of 1 map[degraded:1]: web-2:degraded"},
		{"admin", "servers?pool=reel", "1 of 1 map[serving:1]: film-1:serving"},
		{"admin", "servers?role=media", "1 of 1 map[serving:1]: film-1:serving"},
		{"admin", "sites", "3 of 3 map[down:1 serving:2]: films:down shop:serving www:serving"},
		{"viewer", "sites", "2 of 2 map[serving:2]: shop:serving www:serving"},
		{"viewer", "sites?q=SHOP.ex", "1 of 1 map[serving:1]: shop:serving"},
		{"viewer", "sites?zone=az2&group=edge&pool=blue", "1 of 1 map[serving:1]: shop:serving"},
		{"viewer", "sites?group=other", "0 of 0 map[]: "},
		{"admin", "sites?sort=state", "3 of 3 map[down:1 serving:2]: films:down shop:serving www:serving"},
		{"admin", "sites?sort=-state", "3 of 3 map[down:1 serving:2]: shop:serving www:serving films:down"},
		{"viewer", "pools", "3 of 3 map[degraded:1 serving:2]: blue:degraded shared:serving web:serving"},
		{"viewer", "loadbalancers?group=edge&zone=az1", "1 of 1 map[degraded:1]: lb1:degraded"},
		{"viewer", "roles", "2 of 2 map[serving:2]: media:serving web:serving"},
		{"viewer", "secrets", "1 of 1 map[serving:1]: key-web:serving"},
		{"nobody", "grants", "0 of 0 map[]: "},
	} {
		got := read[RowsAnswer](t, w.do(c.who, "GET", "/api/v1/rows/"+c.query, "")).String()
		if got != c.want {
			t.Errorf("%s asks for %s: %s, want %s", c.who, c.query, got, c.want)
		}
	}
}

// TestRowsShow looks at what stands in the rows of each kind.
func TestRowsShow(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	one := func(who, query string) Row {
		t.Helper()
		a := read[RowsAnswer](t, w.do(who, "GET", "/api/v1/rows/"+query, ""))
		if len(a.Rows) != 1 {
			t.Fatalf("%s: %v", query, a)
		}
		return a.Rows[0]
	}
	site := one("viewer", "sites?q=shop")
	if fmt.Sprint(site.Hostnames, site.Addresses, site.Zones, site.Ports, *site.LoadBalancers) != "[shop.example.com] [{vip1 203.0.113.1}] [az1 az2] [80] {1 1}" || site.Changed == nil || site.Changed.By != "admin" {
		t.Errorf("the site: %+v %+v", site, site.Changed)
	}
	pool := one("viewer", "pools?q=blue")
	if *pool.Servers != (UpOf{0, 2}) || !slices.Equal(pool.Sites, []string{"shop"}) || pool.Why != "1 of 2 servers are not up everywhere: web-1" {
		t.Errorf("the pool: %+v", pool)
	}
	server := one("viewer", "servers?q=web-2")
	if server.Address != "10.0.1.2" || server.Zone != "az2" || !slices.Equal(server.Pools, []string{"blue"}) || server.Override == nil || server.Override.Action != "drain" || server.Why != "drained by hand until 2100-01-01 00:00 UTC: disk" {
		t.Errorf("the server: %+v %+v", server, server.Override)
	}
	if server = one("viewer", "servers?q=web-1"); server.Check != "L4TOUT" || server.Since.IsZero() || *server.Weight != 7 {
		t.Errorf("the server that is down: %+v", server)
	}
	lb := one("viewer", "loadbalancers")
	if lb.HAProxy != "3.4.7" || !*lb.Reachable || lb.Wanted != 2 || lb.Drift != 3 || lb.Why != "3 changes by hand" {
		t.Errorf("the load balancer: %+v", lb)
	}
	w.want(w.do("admin", "PUT", "/api/v1/certificates/ca", kindTable["Certificate"].body), 201)
	cert := one("viewer", "certificates")
	if cert.Days == nil || cert.NotAfter.IsZero() || cert.Issuer == "" {
		t.Errorf("the certificate: %+v", cert)
	}
	w.pass(cert.NotAfter.Sub(w.clock()))
	w.want(w.do("admin", "PUT", "/api/v1/maps/map", kindTable["Map"].body), 201) // who wrote has a picture of now
	ended := read[Overview](t, w.do("admin", "GET", "/api/v1/overview", "")).Certificates
	if ended.First == nil || ended.First.Name != "ca" || !ended.First.NotAfter.Equal(cert.NotAfter) || ended.Expired != 1 {
		t.Errorf("of one that has ended is told %+v", ended)
	}
}

// TestRowsAreRefused tries what is not understood.
func TestRowsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for query, want := range map[string]string{
		"sites?state=good":     "query.state",
		"sites?sort=color":     "query.sort",
		"sites?limit=501":      "query.limit",
		"sites?offset=-1":      "query.offset",
		"sites?colour=red":     "query.colour",
		"roles?zone=az1":       "query.zone",
		"pools?pool=web":       "query.pool",
		"certificates?group=x": "query.group",
	} {
		p := w.want(w.do("admin", "GET", "/api/v1/rows/"+query, ""), 400).problem(t)
		if len(p.Errors) != 1 || p.Errors[0].Path != want {
			t.Errorf("%s: %+v", query, p)
		}
	}
	w.want(w.do("admin", "GET", "/api/v1/rows/wheels", ""), 404)
	w.want(w.do("admin", "GET", "/api/v1/rows/changes", ""), 404)
	w.want(w.do("viewer", "GET", "/api/v1/rows/sites?role=media", ""), 403)
}

// TestRowsAreOfOnePicture: who asks again is told that nothing has changed, and who has changed something sees it at once.
func TestRowsAreOfOnePicture(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	first := w.want(w.do("viewer", "GET", "/api/v1/rows/servers", ""), 200)
	tag := first.Header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Fatalf("the tag is %q", tag)
	}
	again := w.want(w.do("viewer", "GET", "/api/v1/rows/servers", "", "If-None-Match", tag), 304)
	if len(again.body) > 0 {
		t.Errorf("304 with a body: %s", again.body)
	}
	w.want(w.do("admin", "GET", "/api/v1/rows/servers", "", "If-None-Match", tag), 200)
	p := w.handler.picture("viewer")
	p.took, p.made = time.Minute, time.Now().Add(time.Hour) // it was dear, and grows no older while this runs
	if q := w.handler.picture("admin"); p != q {
		t.Error("two who ask at once have two pictures")
	}
	w.want(w.do("owner", "DELETE", "/api/v1/servers/web-1", ""), 200)
	if w.handler.picture("admin") != p {
		t.Error("a change of somebody else throws a picture away that was dear")
	}
	if got := read[RowsAnswer](t, w.do("owner", "GET", "/api/v1/rows/servers", "")); got.Total != 1 {
		t.Errorf("who has deleted a server sees %v", got)
	}
	w.want(w.do("viewer", "GET", "/api/v1/rows/servers", "", "If-None-Match", tag), 200)
}
