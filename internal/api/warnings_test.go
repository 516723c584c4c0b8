package api

import (
	"strings"
	"testing"

	"weir"
)

const ordered = `
kind: Issuer
metadata: {name: le}
spec: {type: acme, acme: {directory: "https://le.example/"}}
---
kind: Certificate
metadata: {name: films, role: media}
spec: {issuer: le, names: [films.example.com]}
---
kind: Certificate
metadata: {name: shop, role: web}
spec: {issuer: le, names: [shop.example.com]}
`

// TestHostNamesWithoutACertificateAreWarnedOf looks at the answers to plans and to changes, of sites and of certificates.
func TestHostNamesWithoutACertificateAreWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", ordered), 200)
	site := func(host string) string {
		return "kind: Site\nmetadata: {name: shop, role: web}\nspec: {hostnames: [shop.example.com, " + host + "], addresses: [vip1], listeners: [{port: 443, tls: {certificates: [shop]}}], backends: {default: web}}\n"
	}
	for _, path := range []string{"plan", "apply"} {
		a := read[ApplyAnswer](t, w.do("owner", "POST", "/api/v1/"+path, site("b.example.com")))
		if len(a.Warnings) != 2 {
			t.Fatalf("%s warns of %+v", path, a.Warnings)
		}
		for i, want := range []string{"shop.example.com has no certificate at port 443: Certificate/shop has still to be issued by Issuer/le", "b.example.com has no certificate at port 443"} {
			if p := a.Warnings[1-i]; p.Object != "Site/shop" || p.Path != "spec.listeners[0].tls.certificates" || !strings.Contains(p.Message, want) {
				t.Errorf("%s: %+v, want %q", path, p, want)
			}
		}
	}
	if a := read[ApplyAnswer](t, w.do("owner", "POST", "/api/v1/apply", site("b.example.com"))); len(a.Warnings) > 0 {
		t.Errorf("nothing changed, and it warns of %+v", a.Warnings)
	}
	// Of a site that shows a certificate which changes, too; it has all names then, but not yet a certificate.
	a := read[ApplyAnswer](t, w.do("owner", "POST", "/api/v1/apply", "kind: Certificate\nmetadata: {name: shop, role: web}\nspec: {issuer: le, names: [shop.example.com, b.example.com]}\n"))
	if len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0].Message, "b.example.com and shop.example.com have no certificate at port 443") {
		t.Errorf("%+v", a.Warnings)
	}
	// What is sent for other reasons warns of nothing.
	if a := read[ApplyAnswer](t, w.do("owner", "POST", "/api/v1/plan", "kind: Pool\nmetadata: {name: web, role: web}\nspec: {members: [{name: a, address: 10.0.0.9, port: 80}]}\n")); len(a.Warnings) > 0 {
		t.Errorf("%+v", a.Warnings)
	}
}

// TestNamesThatCannotBeProvenAreWarnedOf: before an order comes to nothing.
func TestNamesThatCannotBeProvenAreWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"plan", "apply"} {
		a := read[ApplyAnswer](t, w.do("admin", "POST", "/api/v1/"+path, ordered))
		if len(a.Warnings) != 1 || a.Warnings[0].Object != "Certificate/shop" || a.Warnings[0].Path != "spec.names[0]" || !strings.Contains(a.Warnings[0].Message, "shop.example.com can't be proven to Issuer/le by http-01, and the order will fail: no site has it") {
			t.Fatalf("%s warns of %+v", path, a.Warnings)
		}
	}
	site := "kind: Site\nmetadata: {name: shop, role: web}\nspec: {hostnames: [shop.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: web}}\n"
	w.want(w.do("owner", "POST", "/api/v1/apply", site), 200)
	if a := read[ApplyAnswer](t, w.do("owner", "POST", "/api/v1/plan", "kind: Certificate\nmetadata: {name: shop, role: web}\nspec: {issuer: le, names: [shop.example.com, nobody.example.com]}\n")); len(a.Warnings) != 1 || !strings.HasPrefix(a.Warnings[0].Message, "nobody.example.com can't be proven") {
		t.Errorf("with a site of the first name: %+v", a.Warnings)
	}
}

// TestAnIssuerSaysNothingOfOthersCertificates: everybody may see it.
func TestAnIssuerSaysNothingOfOthersCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", ordered), 200)
	for who, sees := range map[string]bool{"admin": true, "auditor": true, "other": true, "owner": false} {
		for _, path := range []string{"/api/v1/issuers/le", "/api/v1/issuers"} {
			a := w.do(who, "GET", path, "")
			if got := strings.Contains(string(a.body), "films.example.com: no answer"); got != sees {
				t.Errorf("%s reads the error of films: %v\n%s", who, got, a.body)
			}
			if got := strings.Contains(string(a.body), `"nextName":"films"`); got != sees {
				t.Errorf("%s reads which certificate is next: %v", who, got)
			}
			if got := strings.Contains(string(a.body), `"by":"films.example.com"`); got != (who == "admin" || who == "auditor") {
				t.Errorf("%s reads of whose domain there are most orders: %v", who, got)
			}
		}
	}
}

// issuerStatus is what stands in for the state of an Issuer.
func issuerStatus(o *weir.Object) *weir.IssuerStatus {
	if o.Kind != "Issuer" {
		return nil
	}
	return &weir.IssuerStatus{
		NextName: "films", FailedName: "films", Error: "films.example.com: no answer",
		Budgets: []weir.IssuerBudget{{Limit: "orders in 7 days by domain", Of: 50, Used: 3, By: "films.example.com"}},
	}
}

// TestShiftsThatOverloadAreWarnedOf, in dry runs and when they are made, and shifts that do nothing.
func TestShiftsThatOverloadAreWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", `
kind: Zone
metadata: {name: az2}
---
kind: Pool
metadata: {name: web2, role: web}
spec: {members: [{name: b, address: 10.0.0.2, port: 80, weight: 10}]}
---
kind: Site
metadata: {name: www, role: web}
spec: {hostnames: [www.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: {az1: web, az2: web2}}, routing: {homeZone: none, weights: {az1: 90, az2: 10}}}
`), 200)
	shift := func(rest string) string {
		return "kind: ZoneShift\nmetadata: {name: s, role: web}\nspec: {sites: [www], zone: " + rest + "}\n"
	}
	const until = ", reason: test, expiresAt: 2100-01-01T00:00:00Z"
	for _, c := range []struct{ path, body, where, want string }{
		{"plan", shift("az1" + until), "spec.zone", "zone az2 would carry 500% of what its servers can of Site/www (backend default); that is 1000% of what it carries now"},
		{"apply", shift("az1" + until), "spec.zone", "zone az2 would carry 500%"},
		{"apply?dryRun=true", shift("az1, reason: test, expiresAt: 2001-01-01T00:00:00Z"), "spec.expiresAt", "is over: the shift moves nothing"},
	} {
		a := read[ApplyAnswer](t, w.do("operator", "POST", "/api/v1/"+c.path, c.body))
		if len(a.Warnings) != 1 || a.Warnings[0].Object != "ZoneShift/s" || a.Warnings[0].Path != c.where || !strings.HasPrefix(a.Warnings[0].Message, c.want) {
			t.Errorf("%s warns of %+v, want %s", c.path, a.Warnings, c.want)
		}
	}
	if a := read[ApplyAnswer](t, w.do("operator", "POST", "/api/v1/plan", shift("az2"+until))); len(a.Warnings) > 0 {
		t.Errorf("the strong one takes over from the weak one, and it warns of %+v", a.Warnings)
	}
}

// TestApplicationsWithoutAWayOutAreWarnedOf: when they come, and when the last way goes; never while there is one.
func TestApplicationsWithoutAWayOutAreWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := func(name, environment string) string {
		return "kind: EgressClient\nmetadata: {name: " + name + ", role: web}\nspec: {environment: " + environment + ", sources: [10.1.0.0/16]}\n"
	}
	site := func(environment string) string {
		return "kind: Site\nmetadata: {name: out, role: web}\nspec: {hostnames: [out.example.com], addresses: [vip1], listeners: [{port: 8080}], egress: {environments: [" + environment + "]}}\n"
	}
	for _, c := range []struct{ path, body, want string }{
		{"plan", client("myback", "prod"), "EgressClient/myback"},
		{"apply", client("myback", "prod"), "EgressClient/myback"},
		{"apply", client("theirs", "test"), "EgressClient/theirs"},
		{"plan", client("myback", "prod") + "---\n" + site("prod"), ""},
		{"apply", site("prod"), ""}, // theirs had no way before either
		{"plan", client("another", "prod"), ""},
		{"apply", site("test"), "EgressClient/myback"},
	} {
		var of []string
		for _, p := range read[ApplyAnswer](t, w.do("admin", "POST", "/api/v1/"+c.path, c.body)).Warnings {
			if p.Path == "spec.environment" && strings.HasPrefix(p.Message, "no Site is a way out of environment ") {
				of = append(of, p.Object)
			}
		}
		if got := strings.Join(of, " "); got != c.want {
			t.Errorf("%s of %q warns of %q, want %q", c.path, c.body, got, c.want)
		}
	}
}
