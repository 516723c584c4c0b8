package server

import (
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/certs"
	"weir/internal/store"
)

// TestIssuersGetTheirKeys: an issuer that comes without a key gets one when it is written, an authority its own
// certificate, and neither is shown.
func TestIssuersGetTheirKeys(t *testing.T) {
	t.Parallel()
	s := startFakeFleet(t).server
	apply := func(text string) error {
		t.Helper()
		return applied(t, s.store, text)
	}
	must := func(text string) {
		t.Helper()
		if err := apply(text); err != nil {
			t.Fatal(err)
		}
	}
	find := func(name string) *weir.Issuer { return weir.Find[weir.Issuer](s.store.View(), "Issuer", name) }
	const root, below = "{kind: Issuer, metadata: {name: root}, spec: {type: ca, ca: {commonName: Root}}}", "{kind: Issuer, metadata: {name: below}, spec: {type: ca, ca: {commonName: Below, parent: root}}}"
	if err := apply(below + "\n---\n" + root); err == nil || !strings.Contains(err.Error(), "apply it first") {
		t.Errorf("an authority together with what signs it: %v", err)
	}
	must(root)
	must(below)
	must("{kind: Issuer, metadata: {name: public}, spec: {type: acme, acme: {directory: \"https://ca.example/directory\"}}}")
	for _, name := range []string{"root", "below", "public"} {
		i := find(name)
		if i.Key != "" || i.KeyRef == nil {
			t.Fatalf("%s: %+v", name, i)
		}
		text, err := s.store.Secret(t.Context(), weir.Ref{Kind: "Issuer", Name: name}, i.KeyRef.Generation)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := certs.ParseKey(text.Text()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	kept := *find("root")
	must(root)
	if now := find("root"); now.Chain != kept.Chain || *now.KeyRef != *kept.KeyRef {
		t.Error("the manifest again makes another authority")
	}
	a, err := s.openIssuer(t.Context(), "below")
	if err != nil || len(a.Chain) != 2 || a.Chain[1].Subject.CommonName != "Root" {
		t.Fatalf("%+v, %v", a, err)
	}
	key, err := certs.NewKey("ecdsa-256")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := a.Issue([]string{"www.inside.example"}, key.Public(), time.Hour, s.opts.Clock())
	if err != nil || strings.Count(chain, "BEGIN CERTIFICATE") != 2 {
		t.Errorf("a chain without the root: %v\n%s", err, chain)
	}
	foreign, err := certs.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spec := find("root")
	err = func() error {
		_, err := s.store.Apply(t.Context(), store.Request{Author: "test", Writes: []weir.Write{{Put: &weir.Object{Kind: "Issuer", Metadata: weir.Metadata{Name: "other"}, Spec: &weir.Issuer{Type: "ca", CA: spec.CA, Chain: spec.Chain, Key: foreign}}}}})
		return err
	}()
	if err == nil || !strings.Contains(err.Error(), "spec.chain: the key is not that of") || strings.Contains(err.Error(), "PRIVATE") {
		t.Errorf("a key that is not the chain's: %v", err)
	}
}
