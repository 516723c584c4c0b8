package compile_test

import (
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
)

// TestCertificatesAuto: what has come is shown, what has not is told as being on its way and breaks nothing, and what
// merely has the name of one is left alone; a change of one concerns the groups of the sites that want it.
func TestCertificatesAuto(t *testing.T) {
	t.Parallel()
	set := load(t, "testdata/basic.yaml")
	put(set, "Issuer", "le", &weir.Issuer{Type: "ca", CA: &weir.PrivateCA{CommonName: "LE"}})
	put(set, "Site", "shop", &weir.Site{
		Hostnames: []string{"a.example", "b.example"}, Addresses: []string{"www-az1"}, Backends: map[string]weir.Backend{"default": {Pool: "api"}},
		Listeners: []weir.Listener{{Port: 80, Redirect: "https"}, {Port: 443, TLS: &weir.ListenerTLS{Certificates: weir.CertificateNames{"auto"}, Issuer: "le", KeyTypes: []string{"ecdsa-256", "rsa-2048"}}}},
	})
	role := set.Get(weir.Ref{Kind: "Site", Name: "shop"}).Metadata.Role
	order := func(host, keyType string) weir.Order {
		return weir.Order{Role: role, Hostname: host, KeyType: keyType, Issuer: "le"}
	}
	come := func(o weir.Order) *weir.Object {
		c := o.Certificate()
		had := shownFor(o.Hostname)
		spec := c.Spec.(*weir.Certificate)
		spec.Chain, spec.KeyRef, spec.Info = had.Chain, had.KeyRef, had.Info
		return c
	}
	shown := func(want ...string) string {
		t.Helper()
		node, problems := compile.Group(set, "edge")
		if len(problems) > 0 {
			t.Errorf("told are %v", problems)
		}
		for _, s := range node.Sites {
			if s.Name != "shop" {
				continue
			}
			if len(s.Listeners) != 2 || s.Listeners[0].RedirectTo != 443 {
				t.Errorf("served at %+v", s.Listeners)
			}
			tls := s.Listeners[1].TLS
			if !slices.Equal([]string(tls.Certificates), want) || tls.Issuer != "" || tls.KeyTypes != nil {
				t.Errorf("load balancers are told %+v, not %v", tls, want)
			}
		}
		_, text := gapsOf(t, set, "shop")
		return text
	}
	says := func(text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("said is %q, not %q", text, part)
			}
		}
	}
	a, aRSA, b := order("a.example", "ecdsa-256"), order("a.example", "rsa-2048"), order("b.example", "ecdsa-256")
	says(shown(), "a.example and b.example have no certificate at port 443: Certificate/"+a.Name()+" is about to be ordered, Certificate/"+aRSA.Name(), " is about to be ordered and 1 more; HAProxy refuses the handshake", "weir describe certificate "+a.Name()+" says")
	set.Put(a.Certificate())
	says(shown(), "Certificate/"+a.Name()+" has still to be issued by Issuer/le for a.example")
	before := set.Copy()
	set.Put(come(a))
	says(shown(a.Name()), "b.example has no certificate at port 443: Certificate/"+b.Name()+" is about to be ordered")
	if groups := compile.Groups(before, set, []weir.Ref{a.Ref()}); !slices.Equal(groups, []string{"edge"}) {
		t.Errorf("a certificate that came concerns the groups %v", groups)
	}
	set.Put(come(aRSA))
	set.Put(come(b))
	if text := shown(a.Name(), aRSA.Name(), b.Name()); text != "" {
		t.Errorf("all have come, and said is %q", text)
	}
	site := set.Get(weir.Ref{Kind: "Site", Name: "shop"}).Clone()
	site.Spec.(*weir.Site).Listeners[1].TLS.Issuer = "other"
	put(set, "Issuer", "other", &weir.Issuer{Type: "ca", CA: &weir.PrivateCA{CommonName: "Other"}})
	from := set.Copy()
	set.Put(site)
	if text := shown(a.Name(), aRSA.Name(), b.Name()); text != "" {
		t.Errorf("those of the issuer before are shown, and said is %q", text)
	}
	fromOther := order("a.example", "ecdsa-256")
	fromOther.Issuer = "other"
	set.Put(come(fromOther))
	shown(fromOther.Name(), aRSA.Name(), b.Name())
	again := site.Clone()
	again.Spec.(*weir.Site).Listeners[1].TLS.KeyTypes = []string{"rsa-4096"}
	set.Put(again)
	shown(aRSA.Name(), b.Name()) // for b.example one of another kind is better than none
	set = from
	squatter := come(a)
	squatter.Metadata.Role = "other"
	set.Put(squatter)
	shown(aRSA.Name(), b.Name())
}
