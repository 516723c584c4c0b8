package weir_test

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

const belowGround = ground + `
- {kind: Pool, metadata: {name: m, role: media}, spec: {selector: {role: media}, port: http}}
- {kind: Pool, metadata: {name: m4, role: media}, spec: {mode: tcp, selector: {role: media}, port: http}}
- {kind: Site, metadata: {name: shop, role: web}, spec: {hostnames: ["*.shop.example.com"], addresses: [vip1], listeners: [{port: 80}], backends: {default: p}}}
- {kind: Site, metadata: {name: all, role: ""}, spec: {hostnames: ["*.example.org"], addresses: [vip2], listeners: [{port: 80}], backends: {default: p}}}
`

func TestNobodyClaimsBelowAnotherRolesWildcard(t *testing.T) {
	t.Parallel()
	set := weir.NewSet(decode(t, belowGround)...)
	if problems := write(t, weir.NewSet(), belowGround); len(problems) > 0 {
		t.Fatalf("the ground is refused: %v", problems)
	}
	site := func(role, hosts string) string {
		pool := map[string]string{"web": "p", "media": "m", "": "m"}[role]
		return fmt.Sprintf("{kind: Site, metadata: {name: a, role: %q}, spec: {hostnames: [%s], addresses: [vip2], listeners: [{port: 81}], backends: {default: %s}}}", role, hosts, pool)
	}
	lists := func(hosts string) string {
		return "{kind: Role, metadata: {name: media}, spec: {hostnames: [" + hosts + "]}}\n---\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"a name below":             {site("media", "a.example.com, x.shop.example.com"), `Site/a: spec.hostnames[1]: "x.shop.example.com" of Site/a is below "*.shop.example.com" of Site/shop in group edge`},
		"far below":                {site("media", "x.y.shop.example.com"), `is below "*.shop.example.com"`},
		"a wildcard below":         {site("media", `"*.y.shop.example.com"`), `is below "*.shop.example.com"`},
		"a wildcard over another":  {site("web", `"*.y.example.com"`), ""},
		"a wildcard over others'":  {site("media", `"*.com"`), `Site/a: spec.hostnames[0]: "*.shop.example.com" of Site/shop is below "*.com" of Site/a`},
		"beside":                   {site("media", "shop.example.com, xshop.example.com"), ""},
		"of the same role":         {site("web", "x.shop.example.com"), ""},
		"of the platform":          {site("", "x.shop.example.com"), ""},
		"below the platform's":     {site("media", "x.example.org"), ""},
		"a role that may":          {lists(`"*.shop.example.com"`) + site("media", "x.shop.example.com"), ""},
		"a role that may claim it": {lists("x.shop.example.com") + site("media", "x.shop.example.com"), ""},
	} {
		problems := fmt.Sprint(write(t, set.Copy(), c.text))
		if c.want == "" && problems != "[]" || !strings.Contains(problems, c.want) {
			t.Errorf("%s: %s, want %q", name, problems, c.want)
		}
	}
	listed := set.Copy()
	for _, o := range decode(t, lists("x.shop.example.com")+site("media", "x.shop.example.com")) {
		listed.Put(o)
	}
	if got := fmt.Sprint(write(t, listed, "{kind: Role, metadata: {name: media}, spec: {}}")); !strings.Contains(got, `Role/media: spec.hostnames: Site/a: "x.shop.example.com"`) {
		t.Errorf("the list is taken away: %s", got)
	}
}

func TestTCPSitesOfDifferentRolesShowNoCertificatesForEachOthersNames(t *testing.T) {
	t.Parallel()
	put := func(set *weir.Set, name, role string, hosts ...string) *weir.Object {
		o := &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: name, Role: role}, Spec: &weir.Certificate{
			Chain: weir.NewChain("x"), KeyRef: &weir.SealedRef{Generation: 1}, Info: &weir.CertificateInfo{Names: hosts},
		}}
		set.Put(o)
		return o
	}
	site := func(name, role, certificate, port string) string {
		pool, vip := "l4", "vip1"
		if role == "media" {
			pool, vip = "m4", "vip2"
		}
		return fmt.Sprintf("{kind: Site, metadata: {name: %s, role: %s}, spec: {mode: tcp, addresses: [%s], listeners: [{port: %s, tls: {certificates: [%s]}}], backends: {default: %s}}}", name, role, vip, port, certificate, pool)
	}
	set := weir.NewSet(decode(t, belowGround)...)
	put(set, "c-web", "web", "ldap.example.com", "*.in.example.com")
	put(set, "c-same", "media", "ldap.example.com")
	put(set, "c-below", "media", "x.in.example.com")
	put(set, "c-other", "media", "other.example.com")
	put(set, "c-all", "")
	for _, o := range decode(t, site("ldaps", "web", "c-web", "636")) {
		set.Put(o)
	}
	for name, c := range map[string]struct{ text, want string }{
		"the same name":   {site("a", "media", "c-same", "636"), `Site/a: spec.listeners[0].tls.certificates[0]: Site/ldaps shows a certificate of its own for "ldap.example.com" at port 636 of group edge`},
		"a name below":    {site("a", "media", "c-below", "636"), `the certificate of Site/a for "x.in.example.com" would stand for a name of that of Site/ldaps, "*.in.example.com", at port 636`},
		"another port":    {site("a", "media", "c-same", "637"), ""},
		"another name":    {site("a", "media", "c-other", "636"), ""},
		"the same secret": {site("a", "media", "c-all", "636") + "\n---\n" + site("ldaps", "web", "c-all", "636"), ""},
	} {
		problems := fmt.Sprint(write(t, set.Copy(), c.text))
		if c.want == "" && problems != "[]" || !strings.Contains(problems, c.want) {
			t.Errorf("%s: %s, want %q", name, problems, c.want)
		}
	}
	// A certificate that is renewed with more names claims those.
	for _, o := range decode(t, site("a", "media", "c-other", "636")) {
		set.Put(o)
	}
	after := set.Copy()
	o := put(after, "c-other", "media", "other.example.com", "ldap.example.com")
	if got := fmt.Sprint(weir.Check(set, after, []weir.Ref{o.Ref()})); !strings.Contains(got, `Certificate/c-other: spec.chain: Site/a: Site/ldaps shows a certificate of its own for "ldap.example.com"`) {
		t.Errorf("a new name: %s", got)
	}
}

func TestPortsOfSitesAndGroupsAreBounded(t *testing.T) {
	t.Parallel()
	set := weir.NewSet(decode(t, ground)...)
	site := func(name string, first, n int) string {
		var ports []string
		for i := range n {
			ports = append(ports, fmt.Sprintf("{port: %d}", first+i))
		}
		return "{kind: Site, metadata: {name: " + name + ", role: web}, spec: {hostnames: [" + name + ".example.com], addresses: [vip2], listeners: [" + strings.Join(ports, ", ") + "], backends: {default: p}}}"
	}
	if _, err := weir.Decode("t.yaml", []byte(site("a", 10000, weir.MaxListeners+1))); err == nil || !strings.Contains(fmt.Sprint(err), "at most 64 are possible") {
		t.Errorf("a site of too many ports: %v", err)
	}
	var all []string
	for i := range weir.MaxPorts / weir.MaxListeners {
		all = append(all, site(fmt.Sprintf("many-%d", i), 10000+i*1000, weir.MaxListeners))
	}
	if got := fmt.Sprint(write(t, set, strings.Join(all, "\n---\n"))); !strings.Contains(got, "group edge would listen at 259 ports; at most 256 are possible") {
		t.Errorf("a group of too many ports: %s", got)
	}
}
