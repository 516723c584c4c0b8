package api

import (
	"fmt"
	"strings"
	"testing"
)

func (a SearchAnswer) String() string {
	var parts []string
	for _, h := range a.Hits {
		parts = append(parts, fmt.Sprintf("%s/%s by %s %s", h.Kind, h.Name, h.Field, h.Text))
	}
	return fmt.Sprintf("%s (%d more)", strings.Join(parts, "; "), a.More)
}

// TestSearch looks for things as people write them.
func TestSearch(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", `
kind: AccessList
metadata: {name: office, role: web}
spec: {networks: [10.0.0.0/16, 192.0.2.0/24]}
---
kind: Site
metadata: {name: wild, role: web}
spec: {hostnames: ["*.shop.example.org"], addresses: [vip1], listeners: [{port: 8081}], backends: {default: web}}
---
kind: Partner
metadata: {name: bank, role: web}
spec: {endpoints: [{environment: prod, service: pay, host: pay.bank.example, addresses: [198.51.100.7]}]}
---
`+kindTable["Certificate"].body), 200)
	for _, c := range []struct{ who, q, want string }{
		{"viewer", "shop", "Site/shop by name shop; Site/wild by hostname *.shop.example.org (0 more)"},
		{"viewer", "WWW.Example.com", "Site/www by hostname www.example.com (0 more)"},
		{"viewer", "https://www.example.com/cart?x=1", "Site/www by hostname www.example.com (0 more)"},
		{"viewer", "a.shop.example.org", "Site/wild by hostname *.shop.example.org (0 more)"},
		{"viewer", "shop.example.org", "Site/wild by hostname *.shop.example.org (0 more)"},
		{"viewer", "10.0.1.1", "Server/web-1 by address 10.0.1.1; AccessList/office by network 10.0.0.0/16 (0 more)"},
		{"viewer", "10.0.1.1:8080", "Server/web-1 by address 10.0.1.1; AccessList/office by network 10.0.0.0/16 (0 more)"},
		{"viewer", "10.0.1.0/24", "Server/web-1 by address 10.0.1.1; Server/web-2 by address 10.0.1.2 (0 more)"},
		{"viewer", "192.0.2.0/24", "AccessList/office by network 192.0.2.0/24 (0 more)"},
		{"viewer", "203.0.113.1", "IPAddress/vip1 by address 203.0.113.1; LoadBalancerGroup/edge by network 203.0.113.0/28 (0 more)"},
		{"viewer", ":8081", "Site/wild by port :8081 (0 more)"},
		{"viewer", "https://PAY.bank.example/v2", "Partner/bank by hostname pay.bank.example (0 more)"},
		{"viewer", "198.51.100.7", "Partner/bank by address 198.51.100.7 (0 more)"},
		{"other", "pay.bank.example", " (0 more)"},
		{"viewer", "r12", "Server/web-2 by label rack=r12 (0 more)"},
		{"viewer", "film", " (0 more)"},
		{"other", "film", "Site/films by name films; Server/film-1 by name film-1 (0 more)"},
		{"viewer", "pool/web", "Pool/web by name web (0 more)"},
		{"viewer", "web&limit=1", "Pool/web by name web (4 more)"},
		{"viewer", "nothing of the kind", " (0 more)"},
	} {
		got := read[SearchAnswer](t, w.do(c.who, "GET", "/api/v1/search?q="+strings.ReplaceAll(strings.ReplaceAll(c.q, " ", "%20"), "?x=1", "%3Fx%3D1"), "")).String()
		if got != c.want {
			t.Errorf("%s looks for %s: %s, want %s", c.who, c.q, got, c.want)
		}
	}
	if h := firstHit(t, w, "viewer", "/api/v1/search?q=pool/blue"); h.State != StateDegraded || h.Why == "" || h.Role != "web" {
		t.Errorf("%+v", h)
	}
	certificate := w.store.View().Get(refOf("Certificate/ca"))
	raw := handlesOf(certificate)[len(handlesOf(certificate))-2].text
	var colons strings.Builder
	for i := 0; i < len(raw); i += 2 {
		if i > 0 {
			colons.WriteByte(':')
		}
		colons.WriteString(strings.ToUpper(raw[i : i+2]))
	}
	if h := firstHit(t, w, "viewer", "/api/v1/search?q="+colons.String()); h.Name != "ca" || h.Field != "fingerprint" {
		t.Errorf("by its fingerprint: %+v", h)
	}
	for _, bad := range []string{"", "?q=", "?q=" + strings.Repeat("x", 301), "?q=a&limit=0", "?q=%ff", "?q=a&kind=Site"} {
		w.want(w.do("viewer", "GET", "/api/v1/search"+bad, ""), 400)
	}
}

func firstHit(t *testing.T, w *world, who, path string) Hit {
	t.Helper()
	a := read[SearchAnswer](t, w.do(who, "GET", path, ""))
	if len(a.Hits) == 0 {
		t.Fatalf("%s: nothing", path)
	}
	return a.Hits[0]
}

// TestReferrers asks who names an object.
func TestReferrers(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	for _, c := range []struct{ who, path, want string }{
		{"viewer", "pools/web", "[{Site shop web spec.backends.default.az2} {Site www web spec.backends.default}] map[Site:2] 0 0"},
		{"viewer", "ipaddresses/vip1?limit=1", "[{Site shop web spec.addresses[0]}] map[Site:2] 1 0"},
		{"viewer", "loadbalancergroups/edge", "[{IPAddress vip1 web spec.groups[0]} {LoadBalancer lb1  spec.group}] map[IPAddress:1 LoadBalancer:1] 0 1"},
		{"viewer", "zones/az2", "[{Server web-2 web spec.zone} {Site shop web spec.backends.default.az2}] map[Server:1 Site:1] 0 0"},
		{"viewer", "roles/media", "[] map[] 0 6"},
		{"viewer", "sites/www", "[] map[] 0 0"},
	} {
		path, query, _ := strings.Cut(c.path, "?")
		a := read[ReferrersAnswer](t, w.do(c.who, "GET", "/api/v1/"+path+"/referrers?"+query, ""))
		if got := fmt.Sprint(a.Referrers, a.Counts, a.More, a.Hidden); got != c.want {
			t.Errorf("%s asks who names %s: %s, want %s", c.who, c.path, got, c.want)
		}
	}
	w.want(w.do("viewer", "GET", "/api/v1/pools/media/referrers", ""), 403)
	w.want(w.do("viewer", "GET", "/api/v1/pools/none/referrers", ""), 404)
}
