package compile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
)

var noon = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// shownFor is a certificate that is good for names for 20 days from noon.
func shownFor(names ...string) *weir.Certificate {
	return &weir.Certificate{
		Chain: weir.NewChain("x"), KeyRef: &weir.SealedRef{Generation: 1},
		Info: &weir.CertificateInfo{Names: names, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(20 * 24 * time.Hour)},
	}
}

func TestHostNamesWithoutACertificate(t *testing.T) {
	t.Parallel()
	ended := shownFor("www.shop.example")
	ended.Info.NotAfter = noon
	unrenewed := shownFor("www.shop.example")
	unrenewed.Info.NotAfter, unrenewed.Issuer, unrenewed.Names = noon, "le", []string{"www.shop.example"}
	early := shownFor("www.shop.example")
	early.Info.NotBefore = noon.Add(time.Minute)
	ordered := &weir.Certificate{Issuer: "le", Names: []string{"www.shop.example"}}
	renamed := shownFor("old.shop.example")
	renamed.Issuer, renamed.Names = "le", []string{"www.shop.example"}
	revoked := shownFor("www.shop.example")
	revoked.Revoked = &weir.Revocation{At: noon, Reason: "keyCompromise"}
	type certs map[string]*weir.Certificate
	for name, c := range map[string]struct {
		hosts  []string
		certs  certs
		loose  bool
		mode   string
		reason string // empty: no gap
		want   []string
	}{
		"exact":                            {hosts: []string{"www.shop.example"}, certs: certs{"a": shownFor("www.shop.example")}},
		"in other letters":                 {hosts: []string{"www.shop.example"}, certs: certs{"a": shownFor("WWW.Shop.Example")}},
		"by a wildcard":                    {hosts: []string{"www.shop.example"}, certs: certs{"a": shownFor("*.shop.example")}},
		"a wildcard by itself":             {hosts: []string{"*.shop.example"}, certs: certs{"a": shownFor("*.shop.example")}},
		"each by one of two":               {hosts: []string{"a.example", "b.example"}, certs: certs{"a": shownFor("a.example"), "b": shownFor("b.example")}},
		"every name":                       {hosts: []string{"*"}, certs: certs{"a": shownFor("a.example")}},
		"of two, one has ended":            {hosts: []string{"www.shop.example"}, certs: certs{"a": ended, "b": shownFor("www.shop.example")}},
		"tcp needs no names":               {hosts: []string{"www.shop.example"}, mode: "tcp", certs: certs{"a": shownFor("other.example")}},
		"a wildcard is for one label":      {hosts: []string{"a.b.shop.example"}, certs: certs{"a": shownFor("*.shop.example")}, reason: "NoCertificate", want: []string{"a.b.shop.example has no certificate at port 443", "Certificate/a is for *.shop.example", "shown Certificate/a and refuse it", "in spec.listeners[0].tls.certificates"}},
		"a wildcard is not for its parent": {hosts: []string{"shop.example"}, certs: certs{"a": shownFor("*.shop.example")}, reason: "NoCertificate", want: []string{"shop.example has no certificate"}},
		"a name is not for a wildcard":     {hosts: []string{"*.shop.example"}, certs: certs{"a": shownFor("www.shop.example")}, reason: "NoCertificate", want: []string{"*.shop.example has no certificate"}},
		"a wildcard is not for a wildcard": {hosts: []string{"*.a.shop.example"}, certs: certs{"a": shownFor("*.shop.example")}, reason: "NoCertificate", want: []string{"*.a.shop.example has no certificate"}},
		"ended":                            {hosts: []string{"www.shop.example"}, certs: certs{"a": ended}, reason: "Expired", want: []string{"Certificate/a is for it and ended at 2030-05-01 12:00 UTC", "apply Certificate/a with a chain that is good now, and its key"}},
		"ended, of an issuer":              {hosts: []string{"www.shop.example"}, certs: certs{"a": unrenewed}, reason: "Expired", want: []string{"ended at 2030-05-01 12:00 UTC", "weir describe certificate a says what keeps it from being renewed"}},
		"ended, beside another": {
			hosts: []string{"www.shop.example"}, certs: certs{"a": shownFor("other.example"), "b": ended}, reason: "Expired",
			want: []string{"shown Certificate/b and refuse it", "apply Certificate/b with"},
		},
		"not begun":                       {hosts: []string{"www.shop.example"}, certs: certs{"a": early}, reason: "Expired", want: []string{"begins at 2030-05-01 12:01 UTC"}},
		"still to come":                   {hosts: []string{"www.shop.example"}, certs: certs{"a": ordered}, reason: "Pending", want: []string{"Certificate/a has still to be issued by Issuer/le for www.shop.example", "HAProxy refuses the handshake", "weir describe certificate a says how far it is"}},
		"still to come, strictSNI: false": {hosts: []string{"www.shop.example"}, certs: certs{"a": ordered}, loose: true, reason: "Pending", want: []string{"shown a placeholder"}},
		"still to get the name":           {hosts: []string{"www.shop.example"}, certs: certs{"a": renamed}, reason: "Pending", want: []string{"Certificate/a is for old.shop.example until Issuer/le has given another", "shown Certificate/a and refuse it"}},
		"revoked":                         {hosts: []string{"www.shop.example"}, certs: certs{"a": revoked}, reason: "NoCertificate", want: []string{"Certificate/a was revoked", "HAProxy refuses the handshake"}},
		"many": {
			hosts: []string{"a.example", "b.example", "c.example", "d.example", "e.example"}, certs: certs{"a": shownFor("1.example", "2.example", "3.example", "4.example"), "b": shownFor()}, reason: "NoCertificate",
			want: []string{"a.example, b.example and 3 more have no certificate", "is for 1.example, 2.example and 2 more, Certificate/b is for no name", "for them"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, "testdata/basic.yaml")
			put(set, "Issuer", "le", &weir.Issuer{Type: "acme", ACME: &weir.ACME{Directory: "https://le.example"}})
			put(set, "Tuning", "default", &weir.Tuning{StrictSNI: new(!c.loose)})
			site := &weir.Site{
				Mode: c.mode, Hostnames: c.hosts, Addresses: []string{"www-az1"}, Backends: map[string]weir.Backend{"default": {Pool: "api"}},
				Listeners: []weir.Listener{{Port: 443, TLS: &weir.ListenerTLS{}}},
			}
			if c.mode == "tcp" {
				put(set, "Pool", "api", &weir.Pool{Mode: "tcp", Members: []weir.Member{}})
				site.Hostnames = nil
			}
			for _, cert := range []string{"a", "b"} {
				if spec := c.certs[cert]; spec != nil {
					put(set, "Certificate", cert, &weir.Certificate{Chain: spec.Chain, KeyRef: spec.KeyRef, Info: spec.Info, Issuer: spec.Issuer, Names: spec.Names, Revoked: spec.Revoked})
					site.Listeners[0].TLS.Certificates = append(site.Listeners[0].TLS.Certificates, cert)
				}
			}
			put(set, "Site", "shop", site)
			gaps, text := gapsOf(t, set, "shop")
			if c.reason == "" {
				if len(gaps) > 0 {
					t.Errorf("told of %s", text)
				}
				return
			}
			if len(gaps) != 1 || gaps[0].Reason() != c.reason {
				t.Fatalf("%d gaps: %s; want one, %s", len(gaps), text, c.reason)
			}
			wish := ""
			for _, g := range compile.SiteGaps(set, "shop", noon) {
				wish += g.Words(set) + "\n"
			}
			if wish != text {
				t.Errorf("of the wish: %s\nof what was compiled: %s", wish, text)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%s\nwant %q", text, want)
				}
			}
		})
	}
}

func gapsOf(t *testing.T, set *weir.Set, site string) (gaps []compile.Gap, text string) {
	t.Helper()
	node, _ := compile.Group(set, "edge")
	for i := range node.Sites {
		if node.Sites[i].Name == site {
			gaps = compile.Gaps(set, &node, &node.Sites[i], noon)
			for j := range gaps {
				text += gaps[j].Words(set) + "\n"
			}
			return gaps, text
		}
	}
	t.Fatalf("Site/%s was not compiled: %+v", site, node.Sites)
	return nil, ""
}

// TestGapsOfSeveralListeners: what is the same at several ports is told once, and each host name in one place.
func TestGapsOfSeveralListeners(t *testing.T) {
	t.Parallel()
	set := load(t, "testdata/basic.yaml")
	put(set, "Certificate", "a", shownFor("a.example"))
	put(set, "Certificate", "b", shownFor("b.example"))
	tls := func(port weir.Port, certs ...string) weir.Listener {
		return weir.Listener{Port: port, TLS: &weir.ListenerTLS{Certificates: certs}}
	}
	put(set, "Site", "shop", &weir.Site{
		Hostnames: []string{"a.example", "b.example", "c.example"}, Addresses: []string{"www-az1"}, Backends: map[string]weir.Backend{"default": {Pool: "api"}},
		Listeners: []weir.Listener{tls(443, "a"), {Port: 80}, tls(8443, "a"), tls(9443, "b")},
	})
	gaps, text := gapsOf(t, set, "shop")
	var got []string
	for _, g := range gaps {
		got = append(got, fmt.Sprint(g.Hosts, g.Ports, g.Shown, " ", g.Path))
	}
	if want := "[[b.example c.example] [443 8443] [a] spec.listeners[0].tls.certificates [a.example c.example] [9443] [b] spec.listeners[3].tls.certificates]"; fmt.Sprint(got) != want {
		t.Errorf("got  %s\nwant %s\n%s", got, want, text)
	}
}

// BenchmarkGaps looks at 5,000 sites with a certificate for each.
func BenchmarkGaps(b *testing.B) {
	set := weir.NewSet()
	node := &ir.Node{}
	for i := range 5000 {
		name := fmt.Sprintf("site-%04d", i)
		set.Put(&weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: name}, Spec: shownFor(name+".example", "www."+name+".example")})
		node.Sites = append(node.Sites, ir.Site{Name: name, Mode: "http", Hostnames: []string{name + ".example"}, Listeners: []ir.Listener{{Port: 443, TLS: &weir.ListenerTLS{Certificates: []string{name}}}}})
	}
	for b.Loop() {
		for i := range node.Sites {
			if gaps := compile.Gaps(set, node, &node.Sites[i], noon); len(gaps) > 0 {
				b.Fatal(gaps)
			}
		}
	}
}
