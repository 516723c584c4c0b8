package store

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
)

// TestWhatWasIssuedStays: a manifest without chain and key takes neither away, and what was revoked never comes back.
func TestWhatWasIssuedStays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	pair := func() (p struct{ key, chain string }) {
		p.key, p.chain = selfSigned(t, "www.example.com")
		return p
	}
	first, second := pair(), pair()
	put := func(spec weir.Certificate) (*weir.Certificate, error) {
		t.Helper()
		spec.Issuer, spec.Names, spec.KeyType = "inside", []string{"www.example.com"}, "ecdsa-256"
		_, err := s.Apply(t.Context(), Request{Author: "a", Writes: []weir.Write{{Put: &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: "www"}, Spec: &spec}}}})
		return weir.Find[weir.Certificate](s.View(), "Certificate", "www"), err
	}
	must := func(spec weir.Certificate) *weir.Certificate {
		t.Helper()
		c, err := put(spec)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := must(weir.Certificate{}); !c.Chain.IsZero() || c.Info != nil || !c.Pending() {
		t.Errorf("ordered, and nothing is there yet: %+v", c)
	}
	if _, err := put(weir.Certificate{Revoked: &weir.Revocation{At: s.now(), Reason: "superseded"}}); err == nil || !strings.Contains(err.Error(), "spec.revoked: there is no certificate yet") {
		t.Errorf("what is not there is revoked: %v", err)
	}
	issued := must(weir.Certificate{Chain: weir.NewChain(first.chain), Key: first.key})
	if issued.Pending() || issued.Info == nil || issued.KeyRef == nil || issued.Key != "" {
		t.Errorf("issued: %+v", issued)
	}
	before := s.Revision()
	if c := must(weir.Certificate{}); c.Chain != issued.Chain || *c.KeyRef != *issued.KeyRef || s.Revision() != before {
		t.Errorf("the manifest again, revision %d after %d: %+v", s.Revision(), before, c)
	}
	must(weir.Certificate{Revoked: &weir.Revocation{At: s.now(), Reason: "superseded"}})
	if c := must(weir.Certificate{}); c.Revoked == nil {
		t.Error("the manifest again: the certificate is no longer revoked")
	}
	if c := must(weir.Certificate{Chain: weir.NewChain(second.chain), Key: second.key}); c.Revoked != nil || len(c.RevokedSerials) != 1 {
		t.Errorf("another one has come: %+v", c)
	}
	_, err := put(weir.Certificate{Chain: weir.NewChain(first.chain), Key: first.key})
	if err == nil || !strings.Contains(err.Error(), "was revoked and can't come back") {
		t.Errorf("the one that was revoked comes back: %v", err)
	}
	if _, err := s.Undo(t.Context(), s.Revision(), Request{Author: "a"}); err != nil {
		t.Fatal(err)
	}
	if c := weir.Find[weir.Certificate](s.View(), "Certificate", "www"); c.Chain.String() != first.chain || c.Revoked == nil {
		t.Errorf("undone: shown again is %v, revoked %v", c.Info.Serial, c.Revoked)
	}
}

// TestAnOldExportTakesNothingBack: a manifest with the certificate of the day when it was exported neither brings that
// back after a renewal, nor revokes the one that came instead of a revoked one, nor takes back that another was asked for.
func TestAnOldExportTakesNothingBack(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	put := func(spec weir.Certificate, key string) *weir.Certificate {
		t.Helper()
		spec.Issuer, spec.Names, spec.KeyType, spec.Key = "inside", []string{"www.example.com"}, "ecdsa-256", key
		apply(t, s, weir.Write{Put: &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: "www"}, Spec: &spec}})
		return weir.Find[weir.Certificate](s.View(), "Certificate", "www")
	}
	issue := func() *weir.Certificate {
		t.Helper()
		key, chain := selfSigned(t, "www.example.com")
		return put(weir.Certificate{Chain: weir.NewChain(chain)}, key)
	}
	same := func(what string, export *weir.Certificate) {
		t.Helper()
		before := s.Revision()
		if put(*export, ""); s.Revision() != before {
			t.Errorf("%s: the export changes something: %+v", what, weir.Find[weir.Certificate](s.View(), "Certificate", "www"))
		}
	}
	first := issue()
	issue()
	same("renewed", first)
	revoked := *weir.Find[weir.Certificate](s.View(), "Certificate", "www")
	revoked.Revoked = &weir.Revocation{At: s.now(), Reason: "keyCompromise"}
	exported := put(revoked, "")
	same("revoked", exported)
	third := issue()
	if third.Revoked != nil {
		t.Fatalf("another one has come: %+v", third)
	}
	same("replaced", exported)
	past, future := s.now().Add(-time.Minute), s.now().Add(time.Hour)
	again := *third
	again.RenewAt = &past
	put(again, "")
	same("asked for another", third)
	later := *third
	later.RenewAt = &future
	put(later, "")
	if c := put(*third, ""); c.RenewAt != nil {
		t.Errorf("what was asked for later can't be taken back: %v", c.RenewAt)
	}
	fourth := issue()
	if _, err := s.Undo(t.Context(), s.Revision(), Request{Author: "a"}); err != nil {
		t.Fatal(err)
	}
	if c := weir.Find[weir.Certificate](s.View(), "Certificate", "www"); c.Chain == fourth.Chain || c.Chain != third.Chain {
		t.Error("an undo of a renewal does not bring back what was there before")
	}
}

// TestAnOldExportKeepsTheAuthority: a manifest with the key and chain of the day when it was exported does not bring
// those back after the parent has signed others, and what else it wants comes true. An undo brings them back.
func TestAnOldExportKeepsTheAuthority(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ref := weir.Ref{Kind: "Issuer", Name: "below"}
	put := func(parent string, change func(*weir.Issuer)) *weir.Issuer {
		t.Helper()
		spec := &weir.Issuer{Type: weir.IssuerCA, CA: &weir.PrivateCA{CommonName: "Below", Parent: parent}}
		change(spec)
		apply(t, s, weir.Write{Put: &weir.Object{Kind: ref.Kind, Metadata: weir.Metadata{Name: ref.Name}, Spec: spec}})
		return weir.Find[weir.Issuer](s.View(), ref.Kind, ref.Name)
	}
	sign := func(parent string) *weir.Issuer {
		t.Helper()
		return put(parent, func(i *weir.Issuer) { i.Key, i.Chain = selfSigned(t, "below.example.com") })
	}
	of := func(old *weir.Issuer) func(*weir.Issuer) {
		return func(i *weir.Issuer) { i.Chain, i.KeyRef = old.Chain, old.KeyRef }
	}
	first, second := sign("inside"), sign("inside")
	before := s.Revision()
	if put("inside", of(first)); s.Revision() != before {
		t.Error("the export changes something")
	}
	got := put("inside", func(i *weir.Issuer) { of(first)(i); i.Roles = []string{"web"} })
	if got.Chain != second.Chain || *got.KeyRef != *second.KeyRef || len(got.Roles) != 1 {
		t.Errorf("an export with another wish: key %v, roles %q", got.KeyRef, got.Roles)
	}
	sign("inside")
	if _, err := s.Undo(t.Context(), s.Revision(), Request{Author: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := weir.Find[weir.Issuer](s.View(), ref.Kind, ref.Name); got.Chain != second.Chain {
		t.Error("an undo does not bring back what was there before")
	}
	first = sign("")
	sign("")
	if got := put("", of(first)); got.Chain != first.Chain {
		t.Error("nobody renews an authority without a parent by itself, and its former key can't be had again")
	}
}

// TestIssuersArePinned: a site that does not say whom it orders from gets the only issuer there is, also one that comes
// with the same change, and keeps it when another comes; the manifest again changes nothing.
func TestIssuersArePinned(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	issuer := func(name string) *weir.Object {
		return &weir.Object{Kind: "Issuer", Metadata: weir.Metadata{Name: name}, Spec: &weir.Issuer{Type: "ca", CA: &weir.PrivateCA{CommonName: name}}}
	}
	site := func() *weir.Object {
		return &weir.Object{Kind: "Site", Metadata: weir.Metadata{Name: "www"}, Spec: &weir.Site{
			Hostnames: []string{"www.example.com"}, Addresses: []string{"vip"}, Backends: map[string]weir.Backend{"default": {Pool: "web"}},
			Listeners: []weir.Listener{{Port: 443, TLS: &weir.ListenerTLS{Certificates: weir.CertificateNames{"auto"}}}},
		}}
	}
	pinned := func(writes ...weir.Write) (issuer string) {
		t.Helper()
		if _, err := s.Apply(t.Context(), Request{Author: "a", Writes: writes}); err != nil {
			t.Fatal(err)
		}
		for o := range s.View().All("Site") {
			issuer = o.Spec.(*weir.Site).Listeners[0].TLS.Issuer
		}
		return issuer
	}
	if got := pinned(weir.Write{Put: issuer("one")}, weir.Write{Put: site()}); got != "one" {
		t.Errorf("it orders from %q", got)
	}
	pinned(weir.Write{Put: issuer("two")})
	before := s.Revision()
	if got := pinned(weir.Write{Put: site()}); got != "one" || s.Revision() != before {
		t.Errorf("the manifest again, revision %d after %d: it orders from %q", s.Revision(), before, got)
	}
	if got := pinned(weir.Write{Delete: weir.Ref{Kind: "Issuer", Name: "two"}}, weir.Write{Delete: weir.Ref{Kind: "Site", Name: "www"}}, weir.Write{Put: issuer("three")}, weir.Write{Put: sited(site(), "new")}); got != "" {
		t.Errorf("with a choice of two it orders from %q", got)
	}
}

// TestOrdersGoWithTheirIssuer: what a site had ordered and none wants any more hinders nobody from deleting the issuer,
// nor an undo; what a site wants does.
func TestOrdersGoWithTheirIssuer(t *testing.T) {
	t.Parallel()
	s := newStore(t, func(o *Options) { o.Check = weir.Check })
	site := &weir.Object{Kind: "Site", Metadata: weir.Metadata{Name: "www"}, Spec: &weir.Site{
		Hostnames: []string{"www.example.com"}, Addresses: []string{"vip"}, Backends: map[string]weir.Backend{"default": {Pool: "web"}},
		Listeners: []weir.Listener{{Port: 443, TLS: &weir.ListenerTLS{Certificates: weir.CertificateNames{"auto"}}}},
	}}
	order := weir.Order{Hostname: "www.example.com", KeyType: "ecdsa-256", Issuer: "one"}
	issuer := &weir.Object{Kind: "Issuer", Metadata: weir.Metadata{Name: "one"}, Spec: &weir.Issuer{Type: "ca", CA: &weir.PrivateCA{CommonName: "One"}}}
	range28 := netip.MustParsePrefix("192.0.2.0/28")
	apply(t, s,
		weir.Write{Put: &weir.Object{Kind: "LoadBalancerGroup", Metadata: weir.Metadata{Name: "edge"}, Spec: &weir.LoadBalancerGroup{Ranges: []netip.Prefix{range28}}}},
		weir.Write{Put: &weir.Object{Kind: "IPAddress", Metadata: weir.Metadata{Name: "vip"}, Spec: &weir.IPAddress{Address: range28.Addr().Next(), Groups: []string{"edge"}}}},
		weir.Write{Put: &weir.Object{Kind: "Pool", Metadata: weir.Metadata{Name: "web"}, Spec: &weir.Pool{}}})
	both := apply(t, s, weir.Write{Put: issuer}, weir.Write{Put: site})
	apply(t, s, weir.Write{Put: order.Certificate()})
	gone := weir.Write{Delete: issuer.Ref()}
	if _, err := s.Apply(t.Context(), Request{Author: "a", Writes: []weir.Write{gone}}); weir.KindOf(err) != weir.Invalid {
		t.Errorf("the issuer goes under a site: %v", err)
	}
	if _, err := s.Undo(t.Context(), both.Revision, Request{Author: "a", DryRun: true}); err != nil {
		t.Errorf("an undo is refused: %v", err)
	}
	apply(t, s, weir.Write{Delete: site.Ref()})
	result := apply(t, s, gone)
	if n := len(result.Change.Objects); n != 2 || s.View().Get(order.Ref()) != nil {
		t.Errorf("%d objects went with the issuer: %+v", n, result.Change.Objects)
	}
}

func sited(o *weir.Object, name string) *weir.Object {
	o.Metadata.Name = name
	return o
}
