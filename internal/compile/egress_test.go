package compile_test

import (
	"fmt"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
)

// TestWaysOut: a group has what the applications of its environments may call, and nothing else; what can't be spoken to as
// is asked for is spoken to by nobody, and what a rule names that is not there is left out alone.
func TestWaysOut(t *testing.T) {
	t.Parallel()
	set := load(t, "testdata/zones.yaml")
	for _, text := range []string{
		"{kind: Site, metadata: {name: out, role: web}, spec: {hostnames: [egress.inside], addresses: [vip1], listeners: [{port: 80}, {port: 443, tls: {certificates: [gone]}}], egress: {environments: [prod, dev], clientAuthority: lost}}}",
		"{kind: EgressClient, metadata: {name: myback}, spec: {environment: prod, sources: [10.0.0.0/8]}}",
		"{kind: EgressClient, metadata: {name: idle}, spec: {environment: dev, sources: [10.0.0.0/8]}}",
		"{kind: EgressClient, metadata: {name: tester}, spec: {environment: test, sources: [10.0.0.0/8]}}",
		`{kind: Partner, metadata: {name: example}, spec: {endpoints: [
			{environment: prod, service: www, host: www.example.com, addresses: [192.0.2.9, "2001:db8::1"], path: /v1/, tls: {maxVersion: TLSv1.2}},
			{environment: prod, service: found, host: f.example.com, resolved: ["2001:db8::2"]},
			{environment: prod, service: asked, host: a.example.com, resolve: load-balancer, prefer: ipv6, port: 8443},
			{environment: prod, service: shown, host: s.example.com, addresses: [192.0.2.1], tls: {clientCertificate: gone}},
			{environment: prod, service: line, host: l.example.com, hostHeader: "l.example.com:81", port: 81, addresses: [192.0.2.1], plain: true, inFlight: 3,
				maintenance: {schedule: sunday, page: sorry, except: testers}},
			{environment: test, service: www, host: www.example.com, addresses: [192.0.2.1]}],
			maintenance: {schedule: never, page: gone, except: gone}}}`,
		"{kind: Schedule, metadata: {name: sunday}, spec: {from: 2030-01-06T10:00:00Z, reason: theirs}}",
		"{kind: ErrorPage, metadata: {name: sorry}, spec: {body: sorry}}",
		"{kind: AccessList, metadata: {name: testers}, spec: {networks: [10.9.0.0/16]}}",
		"{kind: Partner, metadata: {name: uncalled}, spec: {endpoints: [{environment: prod, service: www, host: www.example.com, addresses: [192.0.2.9]}]}}",
		"{kind: SLA, metadata: {name: high}, spec: {}}",
		"{kind: SLA, metadata: {name: unused}, spec: {}}",
		"{kind: EgressRule, metadata: {name: calls}, spec: {clients: [tester, myback], partner: example, slas: [high, none]}}",
		"{kind: Partner, metadata: {name: newer}, spec: {endpoints: [{environment: prod, service: www, host: n.example.com, addresses: [192.0.2.7], plain: true}], maintenance: {status: 410, page: lost, except: lost}}}",
		"{kind: Split, metadata: {name: ten}, spec: {site: out, legs: [{backend: example/prod/www, weight: 9}, {backend: newer/prod/www, weight: 1}], steps: [{at: 2030-01-01T00:00:00Z, weights: {newer/prod/www: 5}}]}}",
		"{kind: Split, metadata: {name: none}, spec: {site: out, legs: [{backend: example/prod/line, weight: 9}, {backend: newer/prod/gone, weight: 1}]}}",
		"{kind: Schedule, metadata: {name: monday}, spec: {from: 2030-01-07T10:00:00Z, reason: theirs}}",
		"{kind: EgressRule, metadata: {name: later}, spec: {clients: [myback], partner: example, services: [www], slas: [high], schedule: monday}}",
		"{kind: EgressRule, metadata: {name: never}, spec: {clients: [myback], partner: uncalled, slas: [unused], schedule: never}}",
		"{kind: EgressRule, metadata: {name: lost}, spec: {clients: [myback], partner: nobody, slas: [high]}}",
		"{kind: EgressRule, metadata: {name: theirs}, spec: {clients: [tester], partner: uncalled, environment: prod, slas: [unused]}}",
	} {
		set.Put(one(t, text))
	}
	compiler := compile.New()
	node, problems := compiler.Group(set, "edge")
	var got []string
	for _, c := range node.Clients {
		got = append(got, "client "+c.Name+" "+c.Caller())
	}
	for _, s := range node.SLAs {
		got = append(got, "sla "+s.Name)
	}
	for _, r := range node.Rules {
		got = append(got, fmt.Sprintf("rule %s of %v at %v%s", r.Name, r.Clients, r.SLAs, r.Schedule))
	}
	for _, s := range node.Splits {
		got = append(got, fmt.Sprintf("split %s of %s between %v, later %v", s.Name, s.Backend, s.Legs, s.Steps[0].Weights))
	}
	for _, s := range node.Schedules {
		got = append(got, "schedule "+s.Name)
	}
	for _, p := range node.Pages {
		got = append(got, "page "+p.Name)
	}
	for _, l := range node.Lists {
		got = append(got, "list "+l.Name)
	}
	for _, p := range node.Pools {
		if p.Endpoint == nil {
			continue
		}
		text := fmt.Sprintf("%s as %s%s up to %q, %d", p.Name, p.Endpoint.Host, p.Endpoint.Path, p.Endpoint.MaxVersion, p.Endpoint.InFlight)
		if p.TLS != nil {
			text += " with " + p.TLS.SNI + " " + p.TLS.Verify
		}
		if p.Endpoint.Name != "" {
			text += " asks for " + p.Endpoint.Name + p.Endpoint.Prefer
		}
		for _, s := range p.Servers {
			text += " at " + s.At()
		}
		for _, m := range p.Endpoint.Closed {
			text += fmt.Sprintf(" closed %d %s %s %s", m.Status, m.Page, m.Except, m.Schedule)
		}
		got = append(got, text)
	}
	want := []string{
		"client idle idle/dev", "client myback myback/prod",
		"sla high",
		"rule calls of [myback] at [high]", "rule later of [myback] at [high]monday",
		"split ten of example.prod.www between [{example.prod.www 9} {newer.prod.www 1}], later map[newer.prod.www:5]",
		"schedule monday", "schedule sunday", "page sorry", "list testers",
		`example.prod.asked as a.example.com up to "", 0 with a.example.com ca asks for a.example.com`,
		`example.prod.found as f.example.com up to "", 0 with f.example.com ca asks for f.example.com at [2001:db8::2]:443`,
		`example.prod.line as l.example.com:81 up to "", 3 at 192.0.2.1:81 closed 503 sorry testers sunday`,
		`example.prod.shown as s.example.com up to "", 0`,
		`example.prod.www as www.example.com/v1 up to "TLSv1.2", 0 with www.example.com ca at 192.0.2.9:443 at [2001:db8::1]:443`,
		`newer.prod.www as n.example.com up to "", 0 at 192.0.2.7:80 closed 410   `,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the group has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var told []string
	for _, p := range problems {
		if strings.HasPrefix(p.Object, "Egress") || strings.HasPrefix(p.Object, "Partner") || strings.HasPrefix(p.Object, "Split/none") || strings.HasPrefix(p.Path, "spec.egress") {
			told = append(told, p.Object+" "+p.Path+" "+p.Message)
		}
	}
	wantTold := []string{
		"EgressRule/calls spec.slas[1] SLA/none does not exist; calls that ask for it are refused",
		"EgressRule/lost spec.partner Partner/nobody does not exist; the rule lets nothing through",
		"EgressRule/never spec.schedule Schedule/never does not exist; the rule lets nothing through",
		"Partner/example spec.endpoints prod/asked: load balancers are to ask the DNS for a.example.com, and the group's Tuning has no nameservers; calls to it are answered 503",
		"Partner/example spec.endpoints prod/shown: Certificate/gone does not exist; calls to it are answered 503",
		"Partner/example spec.maintenance.schedule Schedule/never does not exist; the partner is open",
		"Partner/newer spec.maintenance.except AccessList/lost does not exist; nobody is excepted",
		"Partner/newer spec.maintenance.page ErrorPage/lost does not exist; a plain page is shown",
		"Site/out spec.egress.clientAuthority Certificate/lost does not exist; EgressClients that have a subject are refused",
		`Split/none spec.legs[1].backend there is no service "newer/prod/gone"; nothing is divided`,
	}
	if strings.Join(told, "\n") != strings.Join(wantTold, "\n") {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(wantTold, "\n"))
	}
	// Load balancers that have name servers ask by themselves.
	set.Put(one(t, "{kind: Tuning, metadata: {name: asking}, spec: {nameservers: [192.0.2.53]}}"))
	set.Put(one(t, "{kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28], tuning: asking}}"))
	node, _ = compiler.Group(set, "edge")
	for _, p := range node.Pools {
		if e := p.Endpoint; e != nil && e.Service == "asked" && (e.Name != "a.example.com" || e.Prefer != "ipv6" || len(p.Servers) != 1 || p.Servers[0].At() != "0.0.0.0:8443") {
			t.Errorf("with nameservers: %+v, %+v", e, p.Servers)
		}
	}
	// Without the site nobody gets out.
	set.Delete(weir.Ref{Kind: "Site", Name: "out"})
	node, _ = compiler.Group(set, "edge")
	if len(node.Clients)+len(node.SLAs)+len(node.Rules) > 0 {
		t.Errorf("without a way out: %+v", node.Rules)
	}
}
