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
		text := fmt.Sprintf("%s %.4g counted %t:", r.Site, float64(r.Requests), r.Counted)
		for _, c := range r.Cells {
			text += fmt.Sprintf(" %s %.2f %d/%d", c.Zone, c.Share, c.Healthy, c.Total)
			if c.Shifted != nil {
				text += " shifted by " + c.Shifted.Name
			}
		}
		parts = append(parts, text)
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
	want := "az1 carries 30; az2 carries 30; az3 carries 30; shop 90 counted false: az1 0.33 1/1 az2 0.33 0/1 az3 0.33 0/0"
	w.handler.opts.Series = figures{requests: map[string]float64{"Site/shop": 90, "Site/reel": 10}}
	if got := get("viewer", ""); got != want {
		t.Errorf("the viewer of web sees %s, want %s", got, want)
	}
	w.handler.opts.Series = figures{requests: map[string]float64{"Site/shop": 90, "Site/reel": 10, "Pool/w1": 45, "Pool/w2": 45, "Pool/w3": 0}}
	w.want(w.do("admin", "PUT", "/api/v1/zoneshifts/out", "{kind: ZoneShift, metadata: {name: out}, spec: {all: true, zone: az3, reason: test, expiresAt: 2100-01-01T00:00:00Z}}"), 201)
	want = "az1 carries 50; az2 carries 50; az3 carries 0; reel 10 counted false: az1 0.50 0/0 az2 0.50 0/0; shop 90 counted true: az1 0.50 1/1 az2 0.50 0/1 az3 0.00 0/0 shifted by out"
	if got := get("admin", ""); got != want {
		t.Errorf("the admin sees %s, want %s", got, want)
	}
	if got := get("admin", "?limit=1&offset=1"); !strings.Contains(got, "shop 90") || strings.Contains(got, "reel 10") || !strings.Contains(got, "az1 carries 50") {
		t.Errorf("the second page is %s", got)
	}
	w.want(w.do("viewer", "GET", "/api/v1/matrix?role=media", ""), 403)
	w.want(w.do("viewer", "GET", "/api/v1/matrix?zone=az1", ""), 400)
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
	if got := string(raw); got != `[{"site":"shop","requests":90,"counted":true,"before":{"az1":0.6666666666666666,"az2":0.2222222222222222,"az3":0.1111111111111111},"after":{"az1":0,"az2":0.5555555555555556,"az3":0.4444444444444444}}]` {
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
