package e2e

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// consoleWorld is what the scripts of web/browser walk in: three zones with a load balancer and two servers in each, a
// second group, sites that serve and one that does not, people with different rights, and objects whose texts are long
// or would like to be markup. web/browser/README.md tells of it.
type consoleWorld struct {
	*zones
	haproxy weirtest.HAProxy
	tokens  map[string]string
	moved   map[string]string // what was done last to origins and agents since restore
	base    map[string]string // the objects to which restore goes back, by kind and name, as JSON
	at0     int64             // their revision
	ca      *authority
	// passed is a server that ends TLS itself, for passed.example.com.
	passed string
	// provider is one of OpenID Connect, once a script has asked for it.
	provider *weirtest.OpenID
}

// people have these rights, on these roles; nobody has none.
var people = []struct{ person, subject, role, right string }{
	{"owner", "wanda", "web", "owner"},
	{"operator", "olga", "web", "operator"},
	{"viewer", "vera", "web", "viewer"},
	{"other", "simon", "shop", "owner"},
	{"nobody", "nina", "", ""},
}

// longName is as long as a name may be, longHost longer than a column is wide.
var (
	longName = "a-site-whose-name-is-as-long-as-any-name-may-be-and-then-some-x"
	longHost = strings.Repeat("long-", 10) + "label.of-a-hostname-that-is-wider-than-columns.example.com"
)

// markup is text that runs where a page takes it for markup.
const markup = `<img src=x onerror=alert(1)><script>alert(2)</script>"'>`

func newConsoleWorld(t *testing.T, h weirtest.HAProxy) *consoleWorld {
	t.Helper()
	w := &consoleWorld{zones: newZones(t, h), haproxy: h, tokens: map[string]string{}, moved: map[string]string{}}
	w.origin(230, "shop-0")
	w.ca, w.passed = newAuthority(t, "console"), w.at(240).String()
	w.secureOrigin(w.passed+":9443", "passed", &tls.Config{Certificates: []tls.Certificate{w.ca.issue("passed.example.com").tls(t)}})
	var text strings.Builder
	fmt.Fprintf(&text, `
kind: Tuning
metadata: {name: default}
spec: {ports: [{port: 8080, mode: http}, {port: 8443, mode: https}, {port: 9000, mode: tcp}], zoneReturn: {wait: 1s, ramp: 1s}}
---
kind: LoadBalancerGroup
metadata: {name: internal}
spec: {ranges: [203.0.113.16/28], tuning: default}
---
kind: Role
metadata: {name: shop}
spec: {contact: %[1]q}
---
kind: Role
metadata: {name: empty}
---
kind: IPAddress
metadata: {name: shop, role: shop, labels: {tier: test}}
spec: {address: 203.0.113.4, homeZone: az2, groups: [edge]}
---
kind: IPAddress
metadata: {name: internal, role: shop}
spec: {address: 203.0.113.17, homeZone: az1, groups: [internal]}
---
kind: Server
metadata: {name: shop-0, role: shop}
spec: {address: %[2]s, zone: az2, clusters: [blue], ports: {http: 9000}}
---
kind: Server
metadata: {name: shop-gone, role: shop}
spec: {address: %[3]s, zone: az2, clusters: [gone], ports: {http: 9000}}
---
kind: Pool
metadata: {name: shop, role: shop}
spec: {selector: {role: shop, clusters: [blue]}, port: http, healthCheck: {path: /ping, interval: 100ms, rise: 1, fall: 1}}
---
kind: Pool
metadata: {name: shop-gone, role: shop}
spec: {selector: {role: shop, clusters: [gone]}, port: http, healthCheck: {path: /ping, interval: 500ms, rise: 1, fall: 1}}
---
kind: Site
metadata: {name: shop, role: shop}
spec: {hostnames: [shop.example.com], addresses: [shop], listeners: [{port: 8443, tls: {certificates: [shop]}}], backends: {default: shop}, routes: [{match: {path: {prefix: /gone/}}, backend: gone}]}
---
kind: Site
metadata: {name: down, role: shop}
spec: {hostnames: [down.example.com], addresses: [shop, internal], listeners: [{port: 8080}], backends: {default: shop-gone}}
---
kind: Site
metadata: {name: %[4]s, role: shop}
spec: {hostnames: [%[5]s], addresses: [internal], listeners: [{port: 8080}], backends: {default: shop}}
`, markup, w.at(230), w.at(231), longName, longHost)
	manifests := strings.Replace(text.String(), "backends: {default: shop}, routes", "backends: {default: shop, gone: shop-gone}, routes", 1)
	manifests += strings.Replace(w.ca.issue("shop.example.com").manifest("shop"), "{name: shop}", "{name: shop, role: shop}", 1)
	for _, p := range people {
		if p.role != "" {
			manifests += fmt.Sprintf("---\nkind: Grant\nmetadata: {name: %[1]s-%[2]s}\nspec: {subject: %[1]s, role: %[2]s, right: %[3]s}\n", p.subject, p.role, p.right)
		}
	}
	var answer struct{ Revision int64 }
	if _, err := w.call("POST", "/api/v1/apply?reason=%3Cimg%20src%3Dx%20onerror%3Dalert(3)%3E", manifests, &answer); err != nil {
		t.Fatal(err)
	}
	w.tokens["admin"] = w.token
	for _, p := range people {
		var made struct{ Token string }
		if _, err := w.call("POST", "/api/v1/tokens", fmt.Sprintf(`{"kind":"Token","metadata":{"name":%[1]q},"spec":{"subject":%[1]q}}`, p.subject), &made); err != nil {
			t.Fatal(err)
		}
		w.tokens[p.person] = made.Token
	}
	w.join("lb-internal", "internal", "az1", h, fmt.Sprintf(`,"localRanges":{"203.0.113.16/28":"%s/28"}`, w.world.at(64)))
	w.converged(answer.Revision)
	w.health("shop", "shop-0", "up")
	w.note()
	return w
}

// places are where each load balancer answers at the address of www of each zone; lb-internal has one of its own, in
// clear text and with TLS.
func (w *consoleWorld) places() map[string]map[string]string {
	internal := w.world.at(65)
	all := map[string]map[string]string{"internal": {"internal": fmt.Sprintf("%s:8080", internal), "tls": fmt.Sprintf("%s:8443", internal)}}
	for i, zone := range zoneNames {
		all[zone] = map[string]string{}
		for j, home := range zoneNames {
			all[zone][home] = w.addr(i+1, j+1)
		}
		all[zone]["tls"] = fmt.Sprintf("%s:8443", w.world.at(16*(i+1)+4))
	}
	return all
}
