package weir_test

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

const autoLE = "{kind: Issuer, metadata: {name: le}, spec: {type: acme, acme: {directory: \"https://ca.example/dir\"}}}\n---\n"

// autoSite is a site of role web whose one TLS listener says certificates: auto.
func autoSite(hostnames, tls string) string {
	return "{kind: Zone, metadata: {name: az1}}\n---\n{kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [192.0.2.0/28]}}\n---\n" +
		"{kind: Role, metadata: {name: web}, spec: {hostnames: [\"*.example.com\"], quotas: {Certificate: 3}}}\n---\n" +
		"{kind: IPAddress, metadata: {name: vip, role: web}, spec: {address: 192.0.2.1, groups: [edge]}}\n---\n" +
		"{kind: Pool, metadata: {name: web, role: web}, spec: {members: [{name: a, address: 192.0.2.9, port: 80}]}}\n---\n" +
		"{kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [" + hostnames + "], addresses: [vip], listeners: [{port: 80}, {port: 443, tls: {" + tls + "}}], backends: {default: web}}}"
}

// TestCertificatesAuto: the word is read and written, and what can't be ordered is refused by field.
func TestCertificatesAuto(t *testing.T) {
	t.Parallel()
	const inside = "{kind: Issuer, metadata: {name: inside}, spec: {type: ca, roles: [other], ca: {commonName: Inside}}}\n---\n{kind: Role, metadata: {name: other}}\n---\n"
	www := func(tls string) string { return autoSite("www.example.com", tls) }
	managed := func(name, names string) string {
		return "\n---\n{kind: Certificate, metadata: {name: " + name + ", role: web, managedBy: weir}, spec: {issuer: le, names: [" + names + "]}}"
	}
	own := weir.Order{Role: "web", Hostname: "www.example.com", KeyType: "ecdsa-256", Issuer: "le"}.Name()
	stray := weir.Order{Role: "web", Hostname: "stray.example.com", KeyType: "ecdsa-256", Issuer: "le"}.Name()
	theirs := strings.Replace(managed(own, "www.example.com"), "role: web", "role: other", 1) + "\n---\n{kind: Role, metadata: {name: other}}"
	for text, want := range map[string]string{
		autoLE + www("certificates: auto, issuer: le") + theirs:                                                              "Certificate/" + own + ": metadata.managedBy: \"weir\" is for",
		autoLE + www("certificates: auto, issuer: le"):                                                                       "",
		autoLE + www("certificates: [auto], issuer: le"):                                                                     "",
		autoLE + www("certificates: auto, issuer: le, keyTypes: [ecdsa-384, rsa-2048]"):                                      "",
		autoLE + www("certificates: www"):                                                                                    `spec.listeners[1].tls.certificates: "www" must be a list of Certificates, such as [www], or the word auto`,
		autoLE + www("certificates: [auto, www]"):                                                                            "spec.listeners[1].tls.certificates: auto is a word",
		autoLE + www("certificates: [www], issuer: le"):                                                                      "spec.listeners[1].tls.issuer: is for certificates: auto",
		autoLE + www("certificates: [www], keyTypes: [rsa-2048]"):                                                            "spec.listeners[1].tls.keyTypes: is for certificates: auto",
		autoLE + www("certificates: auto, issuer: le, keyTypes: [dsa]"):                                                      "spec.listeners[1].tls.keyTypes[0]",
		autoLE + www("certificates: auto, issuer: le, keyTypes: [rsa-2048, rsa-4096]"):                                       "spec.listeners[1].tls.keyTypes[1]: clients are shown one",
		autoLE + www("certificates: auto, issuer: none"):                                                                     `spec.listeners[1].tls.issuer: Issuer "none" does not exist`,
		www("certificates: auto"):                                                                                            "spec.listeners[1].tls.issuer: there is no Issuer",
		autoLE + strings.ReplaceAll(autoLE, "le", "lf") + www("certificates: auto"):                                          "spec.listeners[1].tls.issuer: is required: which Issuer is meant is not clear without it; there are Issuer/le and Issuer/lf",
		inside + www("certificates: auto"):                                                                                   "spec.listeners[1].tls.issuer: no Issuer gives certificates to role web",
		inside + www("certificates: auto, issuer: inside"):                                                                   "spec.listeners[1].tls.issuer: Issuer/inside is for the roles other",
		autoLE + autoSite("\"*\"", "certificates: auto, issuer: le"):                                                         "spec.listeners[1].tls.certificates: nobody gives a certificate for every name",
		autoLE + autoSite("www.example.com, 192.0.2.1", "certificates: auto, issuer: le"):                                    `spec.listeners[1].tls.certificates: certificates are ordered for host names, and "192.0.2.1" is an address`,
		autoLE + autoSite("www.example.com, \"*.example.com\"", "certificates: auto, issuer: le"):                            "spec.hostnames[1]: a wildcard takes an issuer of challenge dns-01",
		autoLE + autoSite("www.elsewhere.example", "certificates: auto, issuer: le"):                                         "spec.hostnames[0]: role web may not claim",
		autoLE + autoSite("a.example.com, b.example.com", "certificates: auto, issuer: le, keyTypes: [ecdsa-256, rsa-2048]"): "role web would have 4 Certificates with those that are to be ordered; its quota is 3",
		autoLE + www("certificates: auto, issuer: le") + managed(own, "www.example.com"):                                     "",
		autoLE + www("certificates: auto, issuer: le") + managed("mine", "www.example.com"):                                  `Certificate/mine: metadata.managedBy: "weir" is for`,
		autoLE + www("certificates: auto, issuer: le") + managed(stray, "stray.example.com"):                                 "metadata.managedBy: no site wants this certificate",
		autoLE + www("certificates: ["+own+"]") + managed(own, "www.example.com"):                                            "Site/www: spec.listeners[1].tls.certificates[0]: Certificate/" + own + " comes and goes",
		autoLE + "{kind: Certificate, metadata: {name: auto}, spec: {issuer: le, names: [a.example.com]}}":                   "Certificate/auto: metadata.name: auto, and names that begin with auto-",
		autoLE + "{kind: Certificate, metadata: {name: auto-mobile}, spec: {issuer: le, names: [a.example.com]}}":            "Certificate/auto-mobile: metadata.name: auto, and names",
	} {
		err := applied(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\nis told %v, not %q", text, err, want)
		}
	}
	list, err := weir.Decode("auto.yaml", []byte(autoLE+www("certificates: auto, issuer: le")))
	if err != nil {
		t.Fatal(err)
	}
	copied := list[len(list)-1].Clone().Spec.(*weir.Site).Listeners[1].TLS
	if !copied.Certificates.Auto() || fmt.Sprint(copied.KeyTypes) != "[ecdsa-256]" {
		t.Errorf("written and read again it is %+v", copied)
	}
}

// TestOrdersAreNamed for what they are, however long the host name; none shares a name with another.
func TestOrdersAreNamed(t *testing.T) {
	t.Parallel()
	seen := map[string]weir.Order{}
	long := strings.Repeat("a123456789.", 22) + "example"
	for _, host := range []string{"www.example.com", "*.example.com", "any.example.com", "any-example.com", long, "b" + long[1:], "x" + strings.Repeat("-", 42) + "y.example", "xn--bcher-kva.example"} {
		for _, role := range []string{"", "web"} {
			for _, issuer := range []string{"le", "inside"} {
				for _, keyType := range weir.KeyTypes {
					o := weir.Order{Role: role, Hostname: host, KeyType: keyType, Issuer: issuer}
					name := o.Name()
					if other, taken := seen[name]; taken || weir.CheckName(name) != nil {
						t.Errorf("%+v is called %q, like %+v: %v", o, name, other, weir.CheckName(name))
					}
					seen[name] = o
					if again, ok := weir.OrderOf(o.Certificate()); !ok || again != o {
						t.Errorf("%+v becomes %+v", o, again)
					}
				}
			}
		}
	}
	if name := (weir.Order{Role: "web", Hostname: "*.shop.example.com", KeyType: "ecdsa-256", Issuer: "le"}).Name(); name != "auto-any-shop-example-com-8n2ffb50q88ea" {
		t.Errorf("the name has become %q: all certificates would be ordered anew", name)
	}
}

// TestOrderedCertificatesAreWeirs: while a site wants one it can be neither changed nor deleted by hand, but revoked,
// renewed and labelled; afterwards it can be deleted.
func TestOrderedCertificatesAreWeirs(t *testing.T) {
	t.Parallel()
	list, err := weir.Decode("auto.yaml", []byte(autoLE+autoSite("www.example.com", "certificates: auto, issuer: le")))
	if err != nil {
		t.Fatal(err)
	}
	order := weir.Order{Role: "web", Hostname: "www.example.com", KeyType: "ecdsa-256", Issuer: "le"}
	wanted := weir.NewSet(append(list, order.Certificate())...)
	alone := wanted.Copy()
	alone.Delete(weir.Ref{Kind: "Site", Name: "www"})
	other := weir.Order{Role: "web", Hostname: "other.example.com", KeyType: "ecdsa-256", Issuer: "le"}
	for name, c := range map[string]struct {
		before *weir.Set
		change func(after *weir.Set)
		want   string
	}{
		"deleted":               {wanted, func(s *weir.Set) { s.Delete(order.Ref()) }, "can't be deleted: it is ordered by Weir for Site/www, where a listener says certificates: auto"},
		"deleted with the site": {wanted, func(s *weir.Set) { s.Delete(order.Ref()); s.Delete(weir.Ref{Kind: "Site", Name: "www"}) }, ""},
		"deleted, unwanted":     {alone, func(s *weir.Set) { s.Delete(order.Ref()) }, ""},
		"of another name":       {wanted, edit(order, func(o *weir.Object, c *weir.Certificate) { c.Names = []string{"x.example.com"} }), "is ordered by Weir for Site/www"},
		"of another key":        {wanted, edit(order, func(o *weir.Object, c *weir.Certificate) { c.KeyType = "rsa-2048" }), "is ordered by Weir"},
		"for longer":            {wanted, edit(order, func(o *weir.Object, c *weir.Certificate) { c.Duration = 1e15 }), "is ordered by Weir"},
		"given away":            {alone, edit(order, func(o *weir.Object, c *weir.Certificate) { o.Metadata.Role = "" }), "is ordered by Weir"},
		"shared":                {wanted, edit(order, func(o *weir.Object, c *weir.Certificate) { o.Metadata.ShareWith = []string{"web"} }), "is ordered by Weir"},
		"taken over":            {wanted, edit(order, func(o *weir.Object, c *weir.Certificate) { o.Metadata.ManagedBy = "" }), "is ordered by Weir"},
		"labelled":              {wanted, edit(order, func(o *weir.Object, c *weir.Certificate) { o.Metadata.Labels = map[string]string{"a": "b"} }), ""},
		"another by hand":       {wanted, func(s *weir.Set) { s.Put(other.Certificate()) }, "no site wants this certificate"},
		"its issuer for others": {wanted, func(s *weir.Set) {
			i := s.Get(weir.Ref{Kind: "Issuer", Name: "le"}).Clone()
			i.Spec.(*weir.Issuer).Roles = []string{"other"}
			s.Put(&weir.Object{Kind: "Role", Metadata: weir.Metadata{Name: "other"}, Spec: &weir.Role{}})
			s.Put(i)
		}, "Issuer/le: spec: Site/www could not have"},
	} {
		after := c.before.Copy()
		c.change(after)
		var refs []weir.Ref
		for _, set := range []*weir.Set{c.before, after} {
			for o := range set.Every() {
				if c.before.Get(o.Ref()) != after.Get(o.Ref()) {
					refs = append(refs, o.Ref())
				}
			}
		}
		var p weir.Problems
		p.Append(weir.Check(c.before, after, refs)...)
		if err := p.Err(); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s is told %v, not %q", name, err, c.want)
		}
	}
}

// edit changes the certificate of an order.
func edit(order weir.Order, f func(o *weir.Object, c *weir.Certificate)) func(*weir.Set) {
	return func(s *weir.Set) {
		o := s.Get(order.Ref()).Clone()
		f(o, o.Spec.(*weir.Certificate))
		s.Put(o)
	}
}

// TestIssuersArePinned: whom a listener orders from is written down once, and nothing that comes later moves it.
func TestIssuersArePinned(t *testing.T) {
	t.Parallel()
	issuer := func(name string, isDefault bool, roles ...string) *weir.Object {
		return &weir.Object{Kind: "Issuer", Metadata: weir.Metadata{Name: name}, Spec: &weir.Issuer{Default: isDefault, Roles: roles}}
	}
	site := func(issuers ...string) *weir.Site {
		s := &weir.Site{}
		for i, name := range issuers {
			s.Listeners = append(s.Listeners, weir.Listener{Port: weir.Port(443 + i), TLS: &weir.ListenerTLS{Certificates: weir.CertificateNames{"auto"}, Issuer: name}})
		}
		return s
	}
	one, two, main := issuer("one", false), issuer("two", false), issuer("main", true)
	for name, c := range map[string]struct {
		before  *weir.Site
		wish    *weir.Site
		issuers []*weir.Object
		want    string
	}{
		"there is none":                     {nil, site(""), nil, ""},
		"there is one":                      {nil, site(""), []*weir.Object{one}, "one"},
		"there are two":                     {nil, site(""), []*weir.Object{one, two}, ""},
		"one of them is the default":        {nil, site(""), []*weir.Object{one, main}, "main"},
		"the other is for others":           {nil, site(""), []*weir.Object{one, issuer("two", true, "other")}, "one"},
		"another came later":                {site("one"), site(""), []*weir.Object{one, two}, "one"},
		"another default came later":        {site("one"), site(""), []*weir.Object{one, main}, "one"},
		"it is said":                        {site("one"), site("two"), []*weir.Object{one, two}, "two"},
		"each port keeps its own":           {site("one", "two"), site("", ""), []*weir.Object{one, two}, "one two"},
		"a port that is new is as the rest": {site("one"), site("", ""), []*weir.Object{one, main}, "one one"},
		"one that listed its own is new":    {&weir.Site{Listeners: []weir.Listener{{Port: 443, TLS: &weir.ListenerTLS{Certificates: []string{"www"}}}}}, site(""), []*weir.Object{one, main}, "main"},
	} {
		c.wish.PinIssuers(c.before, "web", c.issuers)
		var got []string
		for _, l := range c.wish.Listeners {
			got = append(got, l.TLS.Issuer)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: it is %q, not %q", name, got, c.want)
		}
	}
}
