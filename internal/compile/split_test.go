package compile_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
)

// TestWhatGoesByTime: schedules are there for those that are asked for, a shift has the window of its own; what names one
// that is not there is left out as narrowly as can be, and so is a split of a leg that nobody can use.
func TestWhatGoesByTime(t *testing.T) {
	t.Parallel()
	set := load(t, "testdata/zones.yaml")
	for _, text := range []string{
		"{kind: Schedule, metadata: {name: night}, spec: {from: 2030-01-01T00:00:00Z, until: 2030-01-02T00:00:00Z, reason: x}}",
		"{kind: Schedule, metadata: {name: sale}, spec: {until: 2030-01-02T00:00:00Z, reason: x}}",
		"{kind: Schedule, metadata: {name: unused}, spec: {until: 2030-01-02T00:00:00Z, reason: x}}",
		"{kind: ZoneShift, metadata: {name: at-night, role: web}, spec: {sites: [www], zone: az1, reason: x, schedule: night}}",
		"{kind: RateLimit, metadata: {name: edge, role: web}, spec: {count: requests, period: 1s, hard: {above: 1}, schedules: [{schedule: sale, hard: {above: 2}}, {schedule: gone, hard: {above: 3}}]}}",
		`{kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: web-az1, next: web-az2, none: gone},
		  routes: [{match: {path: {prefix: /a}, schedule: gone}, backend: default}], rateLimits: [edge], maintenance: {schedule: gone}}}`,
		"{kind: Split, metadata: {name: bad, role: web}, spec: {site: www, backend: next, legs: [{backend: next, weight: 1}, {backend: none, weight: 1}]}}",
		"{kind: Split, metadata: {name: canary, role: web}, spec: {site: www, schedule: night, legs: [{backend: default, weight: 1}, {backend: next, weight: 1}]}}",
		"{kind: Split, metadata: {name: canary2, role: web}, spec: {site: www, legs: [{backend: default, weight: 1}, {backend: next, weight: 1}]}}",
		"{kind: Split, metadata: {name: late, role: web}, spec: {site: flat, schedule: gone, legs: [{backend: default, weight: 1}, {backend: default2, weight: 1}]}}",
	} {
		set.Put(one(t, text))
	}
	compiler := compile.New()
	node, problems := compiler.Group(set, "edge")
	var got []string
	for _, s := range node.Schedules {
		got = append(got, "schedule "+s.Name)
	}
	for _, s := range node.Splits {
		got = append(got, "split "+s.Name)
	}
	for _, s := range node.Shifts {
		if !s.From.IsZero() {
			got = append(got, fmt.Sprintf("shift %s of %v from %s to %s", s.Name, s.Sites, s.From.Format("02"), s.ExpiresAt.Format("02")))
		}
	}
	for _, s := range node.Sites {
		if s.Name == "www" && (s.Maintenance != nil || len(s.Routes) != 0 || len(s.Backends) != 2) {
			t.Errorf("the site is %+v", s)
		}
	}
	if len(node.Limits) != 1 || len(node.Limits[0].Schedules) != 1 {
		t.Errorf("the limit is %+v", node.Limits)
	}
	if want := "schedule night, schedule sale, split canary, shift at-night of [www] from 01 to 02"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
	told := map[string]string{}
	for _, p := range problems {
		told[p.Object+" "+p.Path] = p.Message
	}
	for where, what := range map[string]string{
		"Site/www spec.routes[0].match.schedule":    "Schedule/gone does not exist; the route is left out",
		"Site/www spec.maintenance.schedule":        "Schedule/gone does not exist; the site is open",
		"RateLimit/edge spec.schedules[1].schedule": "Schedule/gone does not exist; the usual levels hold",
		"Split/bad spec.legs[1].backend":            `backend "none" has no pool that can be used; nothing is divided`,
		"Split/canary2 spec.backend":                "Split/canary divides the backend already; this one is left out",
		"Split/late spec.schedule":                  "Schedule/gone does not exist; nothing is divided",
	} {
		if told[where] != what {
			t.Errorf("%s: %q, want %q", where, told[where], what)
		}
	}
	// A schedule that moves takes what goes by it along.
	after := set.Copy()
	moved := one(t, "{kind: Schedule, metadata: {name: night}, spec: {from: 2030-01-03T00:00:00Z, until: 2030-01-04T00:00:00Z, reason: x}}")
	after.Put(moved)
	if groups := compiler.Groups(set, after, []weir.Ref{moved.Ref()}); fmt.Sprint(groups) != "[edge]" {
		t.Errorf("groups %v", groups)
	}
	next, _ := compiler.Group(after, "edge")
	put, gone := compile.Delta(node, next)
	var ids []string
	for _, r := range put {
		ids = append(ids, r.ID)
	}
	if fmt.Sprint(ids, gone) != "[schedule/night shift/at-night] []" {
		t.Errorf("sent %v, taken away %v", ids, gone)
	}
	if fresh, _ := compile.Group(after, "edge"); !reflect.DeepEqual(next, fresh) {
		t.Error("a fresh compiler gives something else")
	}
}
