package compile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
)

// TestTouches tells which part of which site's traffic changes have to do with, and what the zones could bear after them.
func TestTouches(t *testing.T) {
	t.Parallel()
	const site = "{kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [vip1, vip2, vip3], listeners: [{port: 80}], "
	const zones = "default: {az1: web-az1, az2: web-az2, az3: web-az3}"
	const api = "- {kind: Pool, metadata: {name: api, role: web}, spec: {members: [{name: x, address: 10.9.0.1, port: 80}]}}\n" +
		"- {kind: Server, metadata: {name: s1, role: web}, spec: {address: 10.8.0.1, zone: az1, ports: {http: 80}}}\n" +
		"- {kind: Pool, metadata: {name: chosen, role: web}, spec: {selector: {role: web}, port: http}}\n" +
		"- {kind: Site, metadata: {name: out}, spec: {hostnames: [out.example.com], addresses: [vip1], listeners: [{port: 80}], egress: {environments: [prod]}}}\n" +
		"- {kind: Schedule, metadata: {name: night}, spec: {until: 2030-01-01T00:00:00Z, reason: theirs}}\n" +
		"- {kind: Partner, metadata: {name: p}, spec: {maintenance: {schedule: night}, endpoints: [{environment: prod, service: www, host: a.example, addresses: [192.0.2.1]}, {environment: prod, service: new, host: b.example, addresses: [192.0.2.1]}]}}\n" +
		"- {kind: Schedule, metadata: {name: sunday}, spec: {until: 2030-01-01T00:00:00Z, reason: theirs}}\n" +
		"- {kind: EgressClient, metadata: {name: c}, spec: {environment: prod, sources: [10.0.0.0/8]}}\n" +
		"- {kind: SLA, metadata: {name: high}}\n" +
		"- {kind: EgressRule, metadata: {name: r}, spec: {clients: [c], partner: p, slas: [high], schedule: sunday}}\n" +
		"- {kind: AccessList, metadata: {name: bots, role: web}, spec: {networks: [192.0.2.0/24]}}\n" +
		"- {kind: RateLimit, metadata: {name: calm, role: web}, spec: {count: requests, period: 10s, soft: {above: 200}, exempt: [bots]}}\n" +
		"- " + site + "rateLimits: [calm], routes: [{match: {path: {prefix: /api}}, backend: api}, {match: {headers: [{name: X-A, exact: b}]}, backend: chosen}], backends: {" + zones + ", api: api, chosen: chosen}}}\n"
	pool := func(name, members string) string {
		return "{kind: Pool, metadata: {name: " + name + ", role: web}, spec: {members: [" + members + "]}}"
	}
	const fine = "; without az1 az2 carries 100%"
	for name, c := range map[string]struct{ text, want string }{
		"a pool of a zone":  {pool("web-az2", "{name: a2, address: 10.2.0.1, port: 80}"), "www in az2; without az1 az2 carries 200%, too much"},
		"a pool of a path":  {pool("api", "{name: x, address: 10.9.0.2, port: 80}"), "www to /api" + fine},
		"a server":          {"{kind: Server, metadata: {name: s1, role: web}, spec: {address: 10.8.0.2, zone: az1, ports: {http: 80}}}", "www to routes[1]" + fine},
		"a server drained":  {"{kind: Override, metadata: {name: o, role: web}, spec: {server: a3, state: drain" + shiftedUntil, "www in az3; without az1 az3 carries 200%, too much"},
		"a shift":           {"{kind: ZoneShift, metadata: {name: s, role: web}, spec: {role: web, zone: az1" + shiftedUntil, "www in az1; without az2 az3 carries 200%, too much"},
		"a route":           {site + "rateLimits: [calm], routes: [{match: {path: {prefix: /api}}, backend: api}, {match: {headers: [{name: X-A, exact: b}]}, backend: chosen}, {match: {path: {exact: /x}}, backend: api}], backends: {" + zones + ", api: api, chosen: chosen}}}", "www to /x" + fine},
		"another order":     {site + "rateLimits: [calm], routes: [{match: {headers: [{name: X-A, exact: b}]}, backend: chosen}, {match: {path: {prefix: /api}}, backend: api}], backends: {" + zones + ", api: api, chosen: chosen}}}", "www all" + fine},
		"one zone less":     {site + "rateLimits: [calm], routes: [{match: {path: {prefix: /api}}, backend: api}, {match: {headers: [{name: X-A, exact: b}]}, backend: chosen}], backends: {default: {az1: web-az1, az2: web-az2}, api: api, chosen: chosen}}}", "www in az3; without az1 az2 carries 200%, too much"},
		"one zone alone":    {site + "rateLimits: [calm], routes: [{match: {path: {prefix: /api}}, backend: api}, {match: {headers: [{name: X-A, exact: b}]}, backend: chosen}], backends: {default: web-az1, api: api, chosen: chosen}}}", "www all"},
		"its port":          {strings.Replace(site, "port: 80", "port: 81", 1) + "rateLimits: [calm], routes: [{match: {path: {prefix: /api}}, backend: api}, {match: {headers: [{name: X-A, exact: b}]}, backend: chosen}], backends: {" + zones + ", api: api, chosen: chosen}}}", "www all" + fine},
		"a list of a limit": {"{kind: AccessList, metadata: {name: bots, role: web}, spec: {networks: [192.0.2.0/25]}}", "www all" + fine},
		"a Route":           {"{kind: Route, metadata: {name: r, role: web}, spec: {site: www, match: {path: {prefix: /media/}}, action: {backend: api}}}", "www to /media/" + fine},
		"another site":      {"{kind: Site, metadata: {name: new, role: web}, spec: {hostnames: [new.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: api}}}", "new is new"},
		"a partner":         {"{kind: Partner, metadata: {name: p}, spec: {endpoints: [{environment: prod, service: www, host: c.example, addresses: [192.0.2.1]}]}}", "out to calls to p"},
		"its maintenance":   {"{kind: Schedule, metadata: {name: night}, spec: {until: 2031-01-01T00:00:00Z, reason: theirs}}", "out to calls to p"},
		"a rule of calls":   {"{kind: EgressRule, metadata: {name: r}, spec: {clients: [c], partner: p, slas: [high]}}", "out to calls to p"},
		"its schedule":      {"{kind: Schedule, metadata: {name: sunday}, spec: {until: 2031-01-01T00:00:00Z, reason: theirs}}", "out to calls to p"},
		"a split of calls":  {"{kind: Split, metadata: {name: ten}, spec: {site: out, legs: [{backend: p/prod/www, weight: 9}, {backend: p/prod/new, weight: 1}]}}", "out to calls to p/prod/www"},
		"nobody's pool":     {pool("free", "{name: f, address: 10.7.0.1, port: 80}"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := weir.Decode("t.yaml", []byte(strings.TrimSuffix(threeZones(), threeZones()[strings.Index(threeZones(), "- {kind: Site"):])+api))
			if err != nil {
				t.Fatal(err)
			}
			before := weir.NewSet(list...)
			after, changed := before.Copy(), one(t, c.text)
			after.Put(changed)
			if got := toldTouches(before, after, changed.Ref()); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	list, err := weir.Decode("t.yaml", []byte(threeZones()))
	if err != nil {
		t.Fatal(err)
	}
	before := weir.NewSet(list...)
	after, www := before.Copy(), weir.Ref{Kind: "Site", Name: "www"}
	after.Delete(www)
	if got := toldTouches(before, after, www); got != "www goes" {
		t.Errorf("deleted: %q", got)
	}
	if got := compile.Touches(after, after, []weir.Ref{www, {Kind: "Route", Name: "none"}}); len(got) > 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

// toldTouches is what is told of a change, a text.
func toldTouches(before, after *weir.Set, written weir.Ref) string {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var texts []string
	old, _ := compile.Group(before, "edge")
	next, _ := compile.Group(after, "edge")
	touches := compile.Touches(before, after, []weir.Ref{written})
	var sites []string
	for _, touch := range touches {
		sites = append(sites, touch.Site)
	}
	losses := compile.Losses(&old, &next, sites, now)
	for _, touch := range touches {
		text := touch.Site
		switch {
		case touch.New:
			text += " is new"
		case touch.Gone:
			text += " goes"
		case touch.Whole:
			text += " all"
		default:
			if len(touch.Paths) > 0 {
				text += " to " + strings.Join(touch.Paths, " ")
			}
			if len(touch.Zones) > 0 {
				text += " in " + strings.Join(touch.Zones, " ")
			}
		}
		if loss, ok := losses[touch.Site]; ok {
			text += fmt.Sprintf("; without %s %s carries %d%%", loss.Without, loss.Zone, loss.Carries)
			if !loss.Holds() {
				text += ", too much"
			}
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " | ")
}
