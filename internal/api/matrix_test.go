package api

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
)

// zonesWorld is a world with a site in three zones, one of the other role in two, and figures.
func zonesWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	var b strings.Builder
	for i := 1; i <= 3; i++ {
		fmt.Fprintf(&b, "---\nkind: Zone\nmetadata: {name: az%d}\nspec: {capacity: 100}\n---\nkind: Pool\nmetadata: {name: w%d, role: web}\nspec: {members: [{name: a%d, address: 10.%d.0.1, port: 80}]}\n---\nkind: Pool\nmetadata: {name: m%d, role: media}\nspec: {members: [{name: b%d, address: 10.%d.0.2, port: 80}]}\n", i, i, i, i, i, i, i)
	}
	b.WriteString(`---
kind: Site
metadata: {name: shop, role: web}
spec: {hostnames: [shop.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: {az1: w1, az2: w2, az3: w3}}}
---
kind: Site
metadata: {name: reel, role: media}
spec: {hostnames: [reel.example.com], addresses: [vip2], listeners: [{port: 80}], backends: {default: {az1: m1, az2: m2}}}
`)
	w.want(w.do("admin", "POST", "/api/v1/apply", b.String()), 200)
	w.status.stage = &stage{fleet: FleetStatus{Groups: []GroupStatus{{Name: "edge", LoadBalancers: []LoadBalancerStatus{{Name: "lb1", State: "Active", Reachable: true}}}}}, seen: map[string][]SeenServer{
		"w1": {{Server: "a1", Up: 1, Of: 1}}, "w2": {{Server: "a2", Of: 1}},
	}}
	return w
}

// figures is a SeriesSource of fixed requests a second.
type figures struct {
	fakeSeries
	requests map[string]float64
}

// Minute implements SeriesSource.
func (f figures) Minute(objects ...string) map[string]Traffic {
	out := map[string]Traffic{}
	for _, o := range objects {
		if n, ok := f.requests[o]; ok {
			out[o] = Traffic{Requests: Point(n), ErrorRatio: Point(math.NaN()), P95MS: Point(math.NaN())}
		}
	}
	return out
}

func (m Matrix) String() string {
	var parts []string
	for _, z := range m.Zones {
		parts = append(parts, fmt.Sprintf("%s carries %.4g", z.Name, float64(z.Carries)))
	}
	for _, r := range m.Rows {
		for _, p := range r.Parts {
			text := fmt.Sprintf("%s %s on %s %.4g counted %t:", r.Site, p.Backend, p.Group, float64(p.Requests), p.Counted)
			for _, c := range p.Cells {
				text += fmt.Sprintf(" %s %.2f %d/%d", c.Zone, c.Share, c.Healthy, c.Total)
				if c.Shifted != nil {
					text += " shifted by " + c.Shifted.Name
				}
			}
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}

// TestMatrix shows sites by zones.
func TestMatrix(t *testing.T) {
	t.Parallel()
	w := zonesWorld(t)
	get := func(who, query string) string {
		t.Helper()
		return read[Matrix](t, w.do(who, "GET", "/api/v1/matrix"+query, "")).String()
	}
	want := "az1 carries 30; az2 carries 30; az3 carries 30; shop default on edge 90 counted false: az1 0.33 1/1 az2 0.33 0/1 az3 0.33 0/0"
	w.handler.opts.Series = figures{requests: map[string]float64{"Site/shop": 90, "Site/reel": 10}}
	if got := get("viewer", ""); got != want {
		t.Errorf("the viewer of web sees %s, want %s", got, want)
	}
	w.handler.opts.Series = figures{requests: map[string]float64{"Site/shop": 90, "Site/reel": 10, "Pool/w1": 45, "Pool/w2": 45, "Pool/w3": 0}}
	w.want(w.do("admin", "PUT", "/api/v1/zoneshifts/out", "{kind: ZoneShift, metadata: {name: out}, spec: {all: true, zone: az3, reason: test, expiresAt: 2100-01-01T00:00:00Z}}"), 201)
	want = "az1 carries 50; az2 carries 50; az3 carries 0; reel default on edge 10 counted false: az1 0.50 0/0 az2 0.50 0/0; shop default on edge 90 counted true: az1 0.50 1/1 az2 0.50 0/1 az3 0.00 0/0 shifted by out"
	if got := get("admin", ""); got != want {
		t.Errorf("the admin sees %s, want %s", got, want)
	}
	if got := get("admin", "?limit=1&offset=1"); !strings.Contains(got, "shop default") || strings.Contains(got, "reel default") || !strings.Contains(got, "az1 carries 50") {
		t.Errorf("the second page is %s", got)
	}
	w.want(w.do("viewer", "GET", "/api/v1/matrix?role=media", ""), 403)
	w.want(w.do("viewer", "GET", "/api/v1/matrix?zone=az1", ""), 400)
}

// TestMatrixOfParts shows each backend of a site in each of its groups, and a preview of all of them.
func TestMatrixOfParts(t *testing.T) {
	t.Parallel()
	w := zonesWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", `
kind: LoadBalancerGroup
metadata: {name: inner}
spec: {ranges: [203.0.113.16/28]}
---
kind: LoadBalancer
metadata: {name: lb2}
spec: {group: inner, zone: az2}
---
kind: IPAddress
metadata: {name: vip3, role: web}
spec: {address: 203.0.113.17, homeZone: az2, groups: [inner]}
---
kind: Pool
metadata: {name: x1, role: web}
spec: {members: [{name: c, address: 10.1.0.3, port: 80}]}
---
kind: Pool
metadata: {name: x3, role: web}
spec: {members: [{name: c, address: 10.3.0.3, port: 80}]}
---
kind: Site
metadata: {name: shop, role: web}
spec: {hostnames: [shop.example.com], addresses: [vip1, vip3], listeners: [{port: 80}], backends: {api: {az1: x1, az3: x3}, default: {az1: w1, az2: w2, az3: w3}, rest: web}, routes: [{match: {path: {prefix: /api/}}, backend: api}, {match: {path: {prefix: /rest/}}, backend: rest}]}
`), 200)
	w.status.stage.fleet.Groups = append(w.status.stage.fleet.Groups, GroupStatus{Name: "inner", LoadBalancers: []LoadBalancerStatus{{Name: "lb2", State: "Active", Reachable: true}}})
	w.handler.opts.Series = figures{requests: map[string]float64{"Site/shop": 80, "Pool/x1": 10, "Pool/x3": 10}}
	w.want(w.do("operator", "PUT", "/api/v1/zoneshifts/out", "{kind: ZoneShift, metadata: {name: out, role: web}, spec: {sites: [shop], zone: az3, reason: test, expiresAt: 2100-01-01T00:00:00Z}}"), 201)
	m := read[Matrix](t, w.do("viewer", "GET", "/api/v1/matrix", ""))
	want := []string{
		"az1 carries 50; az2 carries 30; az3 carries 0",
		"shop default on edge NaN counted false: az1 0.50 1/1 az2 0.50 0/1 az3 0.00 0/0 shifted by out",
		"shop api on edge NaN counted false: az1 1.00 0/0 az3 0.00 0/0 shifted by out",
		"shop default on inner NaN counted false: az1 0.00 1/1 az2 1.00 0/1 az3 0.00 0/0 shifted by out",
		"shop api on inner NaN counted false: az1 1.00 0/0 az3 0.00 0/0 shifted by out",
	}
	if got := m.String(); got != strings.Join(want, "; ") {
		t.Errorf("the matrix: %s\nwant %s", got, strings.Join(want, "; "))
	}
	if role := m.Rows[0].Parts[0].Cells[2].Shifted.Role; role != "web" || len(m.Shifts) != 1 || m.Shifts[0].Name != "out" || m.Shifts[0].By != "operator" || m.Shifts[0].Sites[0] != "shop" {
		t.Errorf("the shift is of role %q; in force are %+v", role, m.Shifts)
	}
	if m := read[Matrix](t, w.do("other", "GET", "/api/v1/matrix", "")); len(m.Shifts) != 0 {
		t.Errorf("the owner of media sees %+v", m.Shifts)
	}
	p := read[ShiftPreview](t, w.do("viewer", "POST", "/api/v1/matrix/preview", "{sites: [shop], zone: az1}"))
	told := fmt.Sprint(p.Moves, p.Stay)
	for _, s := range p.Sites {
		told += fmt.Sprintf("; %s on %s az1 %.2f to %.2f stays %t", s.Backend, s.Group, s.Before["az1"], s.After["az1"], s.Stays)
	}
	if told != "1 0; default on edge az1 0.50 to 0.00 stays false; api on edge az1 1.00 to 0.50 stays true; default on inner az1 0.00 to 0.00 stays false; api on inner az1 1.00 to 0.50 stays true" {
		t.Errorf("the preview: %s", told)
	}
}

// TestShiftPreview tells what other zones would carry, in the words of the warning that the shift itself comes with.
func TestShiftPreview(t *testing.T) {
	t.Parallel()
	w := zonesWorld(t)
	w.handler.opts.Series = figures{requests: map[string]float64{"Site/shop": 90, "Pool/w1": 60, "Pool/w2": 20, "Pool/w3": 10}}
	preview := func(who, body string) ShiftPreview {
		t.Helper()
		before := w.store.Revision()
		p := read[ShiftPreview](t, w.do(who, "POST", "/api/v1/matrix/preview", body))
		if w.store.Revision() != before {
			t.Error("a preview changes something")
		}
		return p
	}
	p := preview("viewer", "{sites: [shop], zone: az1}")
	raw, _ := json.Marshal(p.Sites)
	if got := string(raw); got != `[{"site":"shop","group":"edge","backend":"default","requests":90,"counted":true,"before":{"az1":0.6666666666666666,"az2":0.2222222222222222,"az3":0.1111111111111111},"after":{"az1":0,"az2":0.5555555555555556,"az3":0.4444444444444444}}]` {
		t.Errorf("the sites: %s", got)
	}
	if raw, _ = json.Marshal(p.Zones); string(raw) != `[{"name":"az1","before":60,"after":0,"healthy":1,"total":1,"capacity":100,"holds":true},{"name":"az2","before":20,"after":50,"healthy":0,"total":1,"capacity":100,"holds":true},{"name":"az3","before":10,"after":40,"healthy":0,"total":0,"capacity":100,"holds":true}]` {
		t.Errorf("the zones: %s", raw)
	}
	w.want(w.do("operator", "PUT", "/api/v1/zoneshifts/first", "{kind: ZoneShift, metadata: {name: first, role: web}, spec: {sites: [shop], zone: az3, reason: test, expiresAt: 2100-01-01T00:00:00Z}}"), 201)
	p = preview("operator", "{role: web, zone: az1}")
	i := len(p.Zones) - 2
	if len(p.Warnings) == 0 || p.Zones[i].Name != "az2" || p.Zones[i].Holds || p.Zones[i].Carries != 200 || p.Zones[i].Why != "it would carry 200% of what it can of Site/shop" {
		t.Errorf("with two zones out: %+v", p)
	}
	shift := "kind: ZoneShift\nmetadata: {name: second, role: web}\nspec: {role: web, zone: az1, reason: test, expiresAt: 2100-01-01T00:00:00Z}"
	plan := read[ApplyAnswer](t, w.do("operator", "POST", "/api/v1/plan", shift))
	if len(plan.Warnings) != len(p.Warnings) || plan.Warnings[0].Message != p.Warnings[0] {
		t.Errorf("the shift itself warns of %+v, the preview of %q", plan.Warnings, p.Warnings)
	}
	for body, status := range map[string]int{
		"{sites: [shop], role: web, zone: az1}": 400, "{zone: az1}": 400, "{sites: [shop], zone: nowhere}": 400, "{sites: [shop], zone: az1, colour: red}": 400,
		"{sites: [none], zone: az1}": 404, "{sites: [reel], zone: az1}": 403, "{role: media, zone: az1}": 403, "{all: true, zone: az1}": 403, "[]": 400,
	} {
		w.want(w.do("operator", "POST", "/api/v1/matrix/preview", body), status)
	}
	if p := preview("admin", "{all: true, zone: az2}"); len(p.Sites) != 2 {
		t.Errorf("of all: %+v", p.Sites)
	}
	if p := preview("admin", "{sites: [www], zone: az2}"); len(p.Sites) != 0 || len(p.Warnings) != 1 {
		t.Errorf("of a site without pools of zones: %+v", p)
	}
}
