package api

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

// TestEgressCalls: an application's calls are those of rules and partners that the caller may see, as far as was asked for.
func TestEgressCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", `
kind: Site
metadata: {name: out, role: web}
spec: {hostnames: [out.example.com, "*.out.example.com"], addresses: [vip1], listeners: [{port: 8080}], egress: {environments: [prod]}}
---
kind: EgressClient
metadata: {name: myback, role: web, shareWith: [media]}
spec: {environment: prod, sources: [10.1.0.0/16]}
---
kind: Partner
metadata: {name: example, role: web, shareWith: [media]}
spec: {endpoints: [{environment: prod, service: www, host: a.example.net, addresses: [192.0.2.1]}, {environment: prod, service: mail, host: b.example.net, addresses: [192.0.2.1]}]}
---
kind: Partner
metadata: {name: hidden, role: media}
spec: {endpoints: [{environment: prod, service: www, host: c.example.net, addresses: [192.0.2.1]}]}
---
kind: SLA
metadata: {name: high}
---
kind: EgressRule
metadata: {name: ours, role: web}
spec: {clients: [myback], partner: example, services: [www], slas: [high]}
---
kind: EgressRule
metadata: {name: theirs, role: media}
spec: {clients: [myback], partner: example, services: [mail], slas: [high], methods: [GET]}
`), 200)
	ask := func(who, query string) string {
		t.Helper()
		a := read[EgressCallsAnswer](t, w.want(w.do(who, "GET", "/api/v1/egressclients/myback/calls"+query, ""), 200))
		var list []string
		for _, way := range a.Ways {
			list = append(list, way.URL)
		}
		for _, call := range a.Calls {
			list = append(list, call.Path+" by "+call.Rule)
		}
		return fmt.Sprint(strings.Join(list, ", "), a.More)
	}
	for _, test := range []struct{ who, query, want string }{
		{"admin", "", "http://out.example.com:8080, /myback/prod/example/prod/mail/high/ by theirs, /myback/prod/example/prod/www/high/ by ours0"},
		{"viewer", "", "http://out.example.com:8080, /myback/prod/example/prod/www/high/ by ours0"},
		{"admin", "?limit=1", "http://out.example.com:8080, /myback/prod/example/prod/mail/high/ by theirs1"},
		{"admin", "?service=www&sla=high&partner=example&environment=prod", "http://out.example.com:8080, /myback/prod/example/prod/www/high/ by ours0"},
		{"admin", "?service=ftp", "http://out.example.com:80800"},
	} {
		if got := ask(test.who, test.query); got != test.want {
			t.Errorf("%s%s: %s, want %s", test.who, test.query, got, test.want)
		}
	}
	w.want(w.do("viewer", "GET", "/api/v1/egressclients/myback/calls?partners=x", ""), 400)
	w.timelyCalls()
	compose := func(who, query string) EgressURLAnswer {
		t.Helper()
		return read[EgressURLAnswer](t, w.want(w.do(who, "GET", "/api/v1/egressclients/myback/url?partner=example&sla=high&"+query, ""), 200))
	}
	a := compose("viewer", "service=www&rest=%2Forders%3Fopen%3D1&method=POST")
	if len(a.URLs) != 1 || a.URLs[0].URL != "http://out.example.com:8080/myback/prod/example/prod/www/high/orders?open=1" || a.Refused != "" || len(a.URLs[0].Snippets) != len(weir.EgressLanguages) {
		t.Errorf("%+v", a)
	}
	for _, test := range []struct{ query, refused string }{
		{"service=mail", ""},
		{"service=mail&method=POST", "EgressRule/theirs lets no POST through here"},
		{"service=mail&rest=%2Fa%2F..%2Fb", weir.EgressClimbText},
	} {
		if a := compose("admin", test.query); a.Refused != test.refused {
			t.Errorf("%s: %+v, want %q", test.query, a, test.refused)
		}
	}
	for query, says := range map[string]string{
		"partner=example&sla=high":                                         "query.service",
		"partner=example&sla=high&service=www&rest=%2Fa%20b":               "query.rest",
		"partner=example&sla=high&service=www&method=get":                  "query.method",
		"partner=example&sla=high&service=mail":                            "no EgressRule lets EgressClient/myback call mail of Partner/example at high; it may call prod/www at high", // the rule is another role's
		"partner=nobody&sla=high&service=mail":                             "there is no Partner/nobody that you may see\"",
		"partner=hidden&sla=high&service=mail":                             "there is no Partner/hidden that you may see\"",
		"partner=No%20body&sla=high&service=mail":                          "there is no Partner of that name",
		"partner=example&sla=best&service=mail":                            "there is no SLA/best that you may see\"",
		"partner=example&sla=high&service=mail&environment=test":           "Partner/example has no environment test; it has prod\"",
		"partner=example&sla=high&service=ftp&environment=prod":            "Partner/example has no service ftp in environment prod; it has prod/mail, prod/www\"",
		"partner=example&sla=high&service=ftp":                             "Partner/example has no service ftp; it has prod/mail, prod/www\"",
		"partner=example&sla=high&service=www&environment=x%0Ay&limit=100": "limit",
	} {
		if got := w.do("viewer", "GET", "/api/v1/egressclients/myback/url?"+query, ""); got.StatusCode < 400 || !strings.Contains(string(got.body), says) {
			t.Errorf("%s: %d %s, want %q", query, got.StatusCode, got.body, says)
		}
	}
	for query, says := range map[string]string{
		"partner=nobody&sla=high&service=mail": "there is no Partner/nobody\"",
		"partner=hidden&sla=high&service=www":  "no EgressRule lets EgressClient/myback call Partner/hidden",
	} {
		if got := w.do("admin", "GET", "/api/v1/egressclients/myback/url?"+query, ""); got.StatusCode != 404 || !strings.Contains(string(got.body), says) {
			t.Errorf("%s: %d %s, want %q", query, got.StatusCode, got.body, says)
		}
	}
	w.want(w.do("viewer", "GET", "/api/v1/egressclients/nobody/calls", ""), 404)
}

// timelyCalls: what goes by a Schedule says so, when that is to those who may see it, and whether it holds at this moment.
func (w *world) timelyCalls() {
	w.t.Helper()
	w.want(w.do("admin", "POST", "/api/v1/apply", `
kind: Schedule
metadata: {name: night, role: media, shareWith: [web]}
spec: {from: 2090-01-01T00:00:00Z, reason: later}
---
kind: SLA
metadata: {name: low}
---
kind: EgressRule
metadata: {name: late, role: web}
spec: {clients: [myback], partner: example, services: [www], slas: [low], schedule: night}
`), 200)
	for who, from := range map[string]int{"admin": 2090, "viewer": 1} {
		a := read[EgressCallsAnswer](w.t, w.want(w.do(who, "GET", "/api/v1/egressclients/myback/calls?sla=low", ""), 200))
		if len(a.Calls) != 1 || a.Calls[0].Schedule != "night" || a.Calls[0].From.Year() != from {
			w.t.Errorf("%s: %+v", who, a.Calls)
		}
		u := read[EgressURLAnswer](w.t, w.want(w.do(who, "GET", "/api/v1/egressclients/myback/url?partner=example&service=www&sla=low", ""), 200))
		if u.Refused != "EgressRule/late holds only while Schedule/night does" || fmt.Sprint(u.Schedules) != "[night]" {
			w.t.Errorf("%s: %+v", who, u)
		}
	}
	w.want(w.do("admin", "DELETE", "/api/v1/egressrules/late", ""), 200)
}
