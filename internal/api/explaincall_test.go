package api

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/explain"
)

// A call is explained to who may read the site or the application that calls; what other objects say stays theirs.
func TestExplainCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", `
kind: Site
metadata: {name: out, role: web}
spec: {hostnames: [out.example.com], addresses: [vip1], listeners: [{port: 80}], egress: {environments: [prod]}}
---
kind: EgressClient
metadata: {name: films, role: media, shareWith: [web]}
spec: {environment: prod, sources: [10.1.0.0/16]}
---
kind: Partner
metadata: {name: example, role: web}
spec: {endpoints: [{environment: prod, service: www, host: a.example.net, addresses: [192.0.2.1], path: /v2}]}
---
kind: SLA
metadata: {name: high, role: web}
---
kind: EgressRule
metadata: {name: films, role: web}
spec: {clients: [films], partner: example, slas: [high], methods: [GET]}
`), 200)
	at := func(rest string) string {
		return "from=10.1.2.3&healthy=true&url=" + url.QueryEscape("http://out.example.com/films/prod/example/prod/www/high"+rest)
	}
	e := w.explained("viewer", at("/x?q=1"))
	if a := e.Answer; a.Outcome != explain.Served || a.Target != "/v2/x?q=1" || a.Call == nil || a.Call.Rule != "films" || len(a.Zones) != 1 || len(a.Zones[0].Servers) != 1 {
		t.Errorf("%+v", e)
	}
	if !slices.ContainsFunc(e.Steps, func(s explain.Step) bool {
		return s.Object == "EgressRule/films" && strings.Contains(s.Says, "example/prod/www at level high")
	}) {
		t.Errorf("%+v", e.Steps)
	}
	w.want(w.do("admin", "POST", "/api/v1/apply", "kind: SLA\nmetadata: {name: high, role: web}\nspec: {inFlight: 3}\n"), 200)
	if e = w.explained("viewer", at("/x")+"&certificate=none"); !slices.ContainsFunc(e.Steps, func(s explain.Step) bool {
		return strings.Contains(s.Says, "together have 0 calls to example/prod/www")
	}) || e.Unsure != nil || e.Request.Certificate != "none" {
		t.Errorf("%+v", e)
	}
	if e = w.explained("other", at("/x")); len(e.Unsure) != 1 || !strings.Contains(e.Unsure[0], "each load balancer counts for itself") {
		t.Errorf("figures of others' partners: %+v", e.Unsure)
	}
	w.want(w.do("viewer", "GET", "/api/v1/explain?certificate=myback&"+at("/x"), ""), 400)
	w.status.stage = &stage{statuses: map[string]*weir.Status{"Partner/example": {Conditions: []weir.Condition{{Type: weir.Answering, Status: "False", Message: "prod/www: 7 of 7 failed"}}}}}
	fails := func(e Explanation) bool {
		return slices.ContainsFunc(e.Unsure, func(s string) bool { return strings.Contains(s, "prod/www: 7 of 7 failed") })
	}
	if e := w.explained("viewer", at("/x")); !fails(e) {
		t.Errorf("of a partner that fails: %+v", e.Unsure)
	}
	if e := w.explained("viewer", at("/x")+"&method=POST"); fails(e) {
		t.Errorf("of a call that is refused: %+v", e.Unsure)
	}
	if e := w.explained("other", at("/x")); fails(e) {
		t.Errorf("of somebody else's partner: %+v", e.Unsure)
	}
	w.status.stage = nil
	// Whose application it is asks, too, and is told of its own alone.
	e = w.explained("other", at("/x"))
	if a := e.Answer; a.Outcome != explain.Served || a.Call.Service != "example/prod/www" || a.Call.Rule != "" || a.Target != "" || a.Headers != nil || e.Hidden != 1 || a.Zones[0].Servers != nil {
		t.Errorf("%+v", e)
	}
	for _, s := range e.Steps {
		if strings.HasPrefix(s.Object, "Partner/") || strings.HasPrefix(s.Object, "SLA/") || s.Object == "Site/out" || strings.Contains(s.Says, "a.example.net") {
			t.Errorf("%+v", s)
		}
	}
	e = w.explained("other", at("/x")+"&method=POST")
	if e.Answer.Text != "EgressRule/films lets no POST through here" || e.Answer.Status != 403 {
		t.Errorf("%+v", e.Answer)
	}
	w.want(w.do("other", "GET", "/api/v1/explain?url="+url.QueryEscape("http://out.example.com/nobody/prod/example/prod/www/high/"), ""), 403)
	w.want(w.do("nobody", "GET", "/api/v1/explain?"+at("/x"), ""), 403)
}
