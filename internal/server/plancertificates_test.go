package server

import (
	"strings"
	"testing"
	"time"

	"weir"
)

// TestAPlanTellsOfCertificates goes through what a change can do to certificates.
func TestAPlanTellsOfCertificates(t *testing.T) {
	t.Parallel()
	_, f := newTestFleet(t)
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	f.clock = func() time.Time { return now }
	cert := func(serial string, days int) *weir.Certificate {
		return &weir.Certificate{Chain: weir.NewChain("x"), KeyRef: &weir.SealedRef{Generation: 1, Fingerprint: serial}, Info: &weir.CertificateInfo{
			Names: []string{"www.example.com"}, SHA256: serial, Serial: serial, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Duration(days)*24*time.Hour + time.Minute), KeyType: "ECDSA 256",
		}}
	}
	site := func(tls string) *weir.Object {
		return decoded(t, "kind: Site\nmetadata: {name: www, role: web}\nspec: {hostnames: [www.example.com], addresses: [www], listeners: [{port: 443, tls: "+tls+"}], backends: {default: web}}")
	}
	put := func(s *weir.Set, name string, c *weir.Certificate) {
		s.Put(&weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: name, Role: "web"}, Spec: c})
	}
	base := func() *weir.Set {
		s := weir.NewSet(
			decoded(t, "kind: LoadBalancerGroup\nmetadata: {name: edge}\nspec: {ranges: [10.0.0.0/28]}"),
			decoded(t, "kind: IPAddress\nmetadata: {name: www, role: web}\nspec: {address: 10.0.0.1, groups: [edge]}"),
			decoded(t, "kind: Pool\nmetadata: {name: web, role: web}\nspec: {members: [{name: a, address: 10.1.0.1, port: 80}]}"),
			decoded(t, "kind: Issuer\nmetadata: {name: le}\nspec: {type: acme, default: true, acme: {directory: \"https://le.example/\"}}"),
			site("{certificates: [one]}"),
		)
		put(s, "one", cert("1", 5))
		put(s, "two", cert("2", 40))
		return s
	}
	ordered := func(names ...string) *weir.Certificate {
		c := cert("1", 5)
		c.Issuer, c.Names, c.KeyType = "le", names, "ecdsa-256"
		return c
	}
	for name, c := range map[string]struct {
		change  func(s *weir.Set)
		written weir.Ref
		want    []string
	}{
		"another certificate": {
			func(s *weir.Set) { s.Put(site("{certificates: [two]}")) },
			weir.Ref{Kind: "Site", Name: "www"},
			[]string{"Certificate/two comes to be shown by Site/www, port 443; it expires in 40 days (2030-06-10)", "Certificate/one is not shown anywhere any more"},
		},
		"renewed": {
			func(s *weir.Set) { put(s, "one", cert("3", 90)) },
			weir.Ref{Kind: "Certificate", Name: "one"},
			[]string{"Certificate/one becomes another one where it is shown, by Site/www, port 443; it expires in 90 days (2030-07-30), and the present one expires in 5 days (2030-05-06)"},
		},
		"expired": {
			func(s *weir.Set) { put(s, "one", cert("3", -3)) },
			weir.Ref{Kind: "Certificate", Name: "one"},
			[]string{"it has EXPIRED (2030-04-28), and the present one expires in 5 days"},
		},
		"ordered": {
			func(s *weir.Set) {
				put(s, "new", &weir.Certificate{Issuer: "le", Names: []string{"a.example"}, KeyType: "ecdsa-256"})
			},
			weir.Ref{Kind: "Certificate", Name: "new"},
			[]string{"Certificate/new is ordered from Issuer/le (acme, http-01) for a.example, because it is the first"},
		},
		"with other names": {
			func(s *weir.Set) { put(s, "one", ordered("a.example", "b.example", "c.example", "d.example")) },
			weir.Ref{Kind: "Certificate", Name: "one"},
			[]string{"Certificate/one is ordered from Issuer/le (acme, http-01) for a.example, b.example and 2 more names, because it is to have other names; until another has come the present one stays, and it expires in 5 days (2030-05-06)"},
		},
		"by itself": {
			func(s *weir.Set) { s.Put(site("{certificates: auto, issuer: le, keyTypes: [ecdsa-256]}")) },
			weir.Ref{Kind: "Site", Name: "www"},
			[]string{"is ordered by itself: www.example.com (ecdsa-256) from Issuer/le, for Site/www", "Certificate/one is not shown anywhere any more"},
		},
		"nothing about certificates": {
			func(s *weir.Set) {
				s.Put(decoded(t, "kind: Pool\nmetadata: {name: web, role: web}\nspec: {members: [{name: a, address: 10.1.0.2, port: 80}]}"))
			},
			weir.Ref{Kind: "Pool", Name: "web"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := base(), base()
			c.change(after)
			answer, err := f.Plan(t.Context(), before, after, []weir.Ref{c.written})
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, n := range answer.Certificates {
				texts = append(texts, n.Object+" "+n.Text)
			}
			all := strings.Join(texts, "\n")
			for _, want := range c.want {
				if !strings.Contains(all, want) {
					t.Errorf("got  %s\nwant %s", all, want)
				}
			}
			if len(texts) != len(c.want) {
				t.Errorf("%d sentences, want %d:\n%s", len(texts), len(c.want), all)
			}
		})
	}
}
