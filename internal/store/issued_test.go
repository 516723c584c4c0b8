package store

import (
	"strings"
	"testing"

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
	if c := must(weir.Certificate{}); c.Chain != "" || c.Info != nil || !c.Pending() {
		t.Errorf("ordered, and nothing is there yet: %+v", c)
	}
	if _, err := put(weir.Certificate{Revoked: &weir.Revocation{At: s.now(), Reason: "superseded"}}); err == nil || !strings.Contains(err.Error(), "spec.revoked: there is no certificate yet") {
		t.Errorf("what is not there is revoked: %v", err)
	}
	issued := must(weir.Certificate{Chain: first.chain, Key: first.key})
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
	if c := must(weir.Certificate{Chain: second.chain, Key: second.key}); c.Revoked != nil || len(c.RevokedSerials) != 1 {
		t.Errorf("another one has come: %+v", c)
	}
	_, err := put(weir.Certificate{Chain: first.chain, Key: first.key})
	if err == nil || !strings.Contains(err.Error(), "was revoked and can't come back") {
		t.Errorf("the one that was revoked comes back: %v", err)
	}
	if _, err := s.Undo(t.Context(), s.Revision(), Request{Author: "a"}); err != nil {
		t.Fatal(err)
	}
	if c := weir.Find[weir.Certificate](s.View(), "Certificate", "www"); c.Chain != first.chain || c.Revoked == nil {
		t.Errorf("undone: shown again is %v, revoked %v", c.Info.Serial, c.Revoked)
	}
}
