package certs

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// signedBy puts an authority that another one has signed.
func (w *world) signedBy(name, parent string, spec weir.PrivateCA) {
	w.t.Helper()
	var above *Authority
	if parent != "" {
		above = w.authority(parent)
	}
	made, err := NewAuthority(spec, above, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	chain, key, err := made.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	spec.Parent = parent
	w.put("Issuer", name, &weir.Issuer{Type: "ca", Key: key, Chain: chain, CA: &spec})
}

// authority opens one as the store has it.
func (w *world) authority(name string) *Authority {
	w.t.Helper()
	spec := w.issuer(name)
	key, err := w.store.Secret(w.t.Context(), weir.Ref{Kind: "Issuer", Name: name}, spec.KeyRef.Generation)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := OpenAuthority(spec.Chain, key.Text())
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) issuer(name string) *weir.Issuer {
	return weir.Find[weir.Issuer](w.store.View(), "Issuer", name)
}

func (w *world) own(name, reason string, words ...string) {
	w.t.Helper()
	c, ok := OwnProgress(name, w.issuer(name), w.store.View(), w.now())
	if !ok || c.Reason != reason {
		w.t.Errorf("%s: %+v", name, c)
	}
	for _, word := range words {
		if !strings.Contains(c.Message, word) {
			w.t.Errorf("%s says %q, without %q", name, c.Message, word)
		}
	}
}

func pool(chain []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(chain[len(chain)-1])
	return p
}

const day = 24 * time.Hour

func days(n int) weir.Duration { return weir.Duration(time.Duration(n) * day) }

// TestAuthoritiesAreRenewed: one that another has signed gets its next certificate, with another key, before it would
// have to sign for shorter; what it signed before stays good, and what comes then is good for as long as it is to be.
func TestAuthoritiesAreRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.signedBy("between", "inside", weir.PrivateCA{CommonName: "Between", KeyType: "ecdsa-256", Duration: days(30), Certificates: days(5)})
	w.signedBy("below", "between", weir.PrivateCA{CommonName: "Below", KeyType: "ecdsa-256", Duration: days(30), Certificates: days(5)})
	w.put("Certificate", "www", &weir.Certificate{Issuer: "between", Names: []string{"www.inside.example"}, Duration: days(25)})
	w.put("Certificate", "api", &weir.Certificate{Issuer: "below", Names: []string{"api.inside.example"}, Duration: days(25)})
	w.run()
	first, roots := w.issued("www"), pool(w.authority("inside").Chain)
	w.issued("api")
	before, below := w.issuer("between"), w.issuer("below")
	w.own("between", "Issued", "good until", "Issuer/inside signs another at")
	// Two thirds of thirty days before its end, for certificates of 25 days.
	w.ahead(11 * day)
	renewed := func(name string, was *weir.Issuer) {
		t.Helper()
		w.await(name+" is renewed", func() error {
			now := w.issuer(name)
			if now.Chain == was.Chain || now.KeyRef.Fingerprint == was.KeyRef.Fingerprint {
				return fmt.Errorf("it is not")
			}
			return nil
		})
	}
	renewed("between", before)
	renewed("below", below)
	w.rests()
	if now := w.cert("www"); now.Info.Serial != first.Info.Serial {
		t.Error("what it signed before was signed anew with it")
	}
	w.leads("www", roots)
	w.leads("api", roots)
	w.put("Certificate", "new", &weir.Certificate{Issuer: "below", Names: []string{"new.inside.example"}, Duration: days(25)})
	if life := w.issued("new").Info.NotAfter.Sub(w.now()); life < 25*day-time.Minute {
		t.Errorf("it is good for %s", life)
	}
	w.leads("new", roots)
	changes := w.store.Revision()
	w.ahead(day)
	w.rests()
	if n := w.store.Revision() - changes; n > 0 {
		t.Errorf("%d changes a day later", n)
	}
}

// TestAuthorityAtItsEnd: one that signs itself is told of in time, with what to do; nothing that it signs is good for
// longer than itself, and nothing is signed again and again when its end comes near.
func TestAuthorityAtItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.signedBy("root", "", weir.PrivateCA{CommonName: "Root", KeyType: "ecdsa-256", Duration: days(40), Certificates: days(5)})
	w.signedBy("between", "root", weir.PrivateCA{CommonName: "Between", KeyType: "ecdsa-256", Duration: days(400), Certificates: days(5)})
	w.put("Certificate", "www", &weir.Certificate{Issuer: "root", Names: []string{"www.inside.example"}})
	w.put("Certificate", "api", &weir.Certificate{Issuer: "between", Names: []string{"api.inside.example"}})
	w.run()
	w.issued("www")
	w.issued("api")
	w.own("root", "Issued", "it is not renewed by itself, because it signs itself")
	w.own("between", "Issued", "because Issuer/root, which signs it, is itself good until")
	end := w.authority("root").End()
	for w.now().Before(end.Add(-8 * time.Hour)) {
		w.ahead(8 * time.Hour)
		w.rests()
		for _, name := range []string{"www", "api"} {
			if c := w.cert(name); c.Info.NotAfter.After(end) || !w.now().Before(c.Info.NotAfter) {
				t.Fatalf("%s is good until %s, the authority until %s", name, c.Info.NotAfter, end)
			}
		}
	}
	w.own("root", "EndsSoon", "make another Issuer")
	w.own("between", "EndsSoon", "make another Issuer")
	if c := w.condition("www"); !strings.Contains(c.Message, "Issuer/root is itself good until") {
		t.Errorf("%+v", c)
	}
	changes, err := w.store.Changes(t.Context(), store.Filter{Ref: weir.Ref{Kind: "Certificate", Name: "www"}})
	if err != nil || len(changes) > 16 {
		t.Errorf("%d changes for a certificate of five days in forty, %v", len(changes), err)
	}
	w.ahead(2 * day)
	w.rests()
	w.own("root", "Expired", "make another Issuer")
	if c := w.condition("www"); c.Reason != "Expired" || !strings.Contains(c.Message, "itself expired") {
		t.Errorf("%+v", c)
	}
	// The cure.
	w.put("Certificate", "www", &weir.Certificate{Issuer: "inside", Names: []string{"www.inside.example"}})
	w.await("it comes from another", func() error {
		if c := w.cert("www"); !strings.Contains(c.Info.Issuer, "Inside") {
			return fmt.Errorf("it is from %s", c.Info.Issuer)
		}
		return nil
	})
}

// TestUploadsThatEnd are told of, and stay what they are.
func TestUploadsThatEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	key, err := NewKey("ecdsa-256")
	if err != nil {
		t.Fatal(err)
	}
	text, err := EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := w.authority("inside").Issue([]string{"up.example.com"}, key.Public(), 90*day, w.now())
	if err != nil {
		t.Fatal(err)
	}
	w.put("Certificate", "up", &weir.Certificate{Chain: weir.NewChain(chain), Key: text})
	w.run()
	for _, c := range []struct {
		ahead  time.Duration
		reason string
	}{{50 * day, ""}, {11 * day, "EndsSoon"}, {30 * day, "Expired"}, {900 * day, "Expired"}} {
		w.ahead(c.ahead)
		w.rests()
		if said, ok := UploadProgress(w.cert("up"), w.now()); said.Reason != c.reason || ok != (c.reason != "") || ok && !strings.Contains(said.Message, "give this object another chain and key") {
			t.Errorf("after %s: %+v", c.ahead, said)
		}
	}
	if now := w.cert("up"); now.Chain.String() != chain || now.KeyRef == nil {
		t.Errorf("it became %+v", now)
	}
}

// TestNothingStaysOfWhatIsGone: with a certificate goes what was kept of its order, in the middle of it too, and with an
// issuer what was kept of its account.
func TestNothingStaysOfWhatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.missing = []string{"lb1 does not answer"} // the order waits for it
	for _, name := range []string{"a", "b", "c"} {
		w.put("Certificate", name, &weir.Certificate{Issuer: "public", Names: []string{name + ".example.com"}})
	}
	w.run()
	w.await("all are ordered", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.answers) != 3 {
			return fmt.Errorf("answered are %+v", w.answers)
		}
		return nil
	})
	remove := func(refs ...weir.Ref) {
		t.Helper()
		var writes []weir.Write
		for _, r := range refs {
			writes = append(writes, weir.Write{Delete: r})
		}
		if _, err := w.store.Apply(t.Context(), store.Request{Author: "test", Writes: writes}); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want ...string) {
		t.Helper()
		w.await("only what is there is kept", func() error {
			var names []string
			for _, prefix := range []string{RecordPrefix, accountPrefix} {
				values, err := w.store.Platforms(t.Context(), prefix)
				if err != nil {
					return err
				}
				for _, v := range values {
					names = append(names, v.Name)
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if fmt.Sprint(names) != fmt.Sprint(want) || len(w.answers) > len(want)/2 {
				return fmt.Errorf("kept is %v, answered %v", names, w.answers)
			}
			return nil
		})
	}
	remove(weir.Ref{Kind: "Certificate", Name: "a"})
	// Uploaded by hand from now on.
	key := newKeyText(t)
	signer, err := ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := w.authority("inside").Issue([]string{"b.example.com"}, signer.Public(), 90*day, w.now())
	if err != nil {
		t.Fatal(err)
	}
	w.put("Certificate", "b", &weir.Certificate{Chain: weir.NewChain(chain), Key: key})
	left(RecordPrefix+"c", accountPrefix+"public")
	remove(weir.Ref{Kind: "Certificate", Name: "c"}, weir.Ref{Kind: "Issuer", Name: "public"})
	left()
}

// TestAnotherAccountKey is in use at once: what was known of the former account says nothing of it.
func TestAnotherAccountKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.put("Certificate", "a", &weir.Certificate{Issuer: "public", Names: []string{"a.example.com"}})
	w.run()
	w.issued("a")
	w.put("Issuer", "public", &weir.Issuer{Type: "acme", Key: newKeyText(t), ACME: &weir.ACME{Directory: w.pebble.Directory, Authority: "pebble", Challenge: "http-01"}})
	w.put("Certificate", "b", &weir.Certificate{Issuer: "public", Names: []string{"b.example.com"}})
	w.issued("b")
	if r := w.record("b"); r.Retries.Failures > 0 || r.Failure != "" {
		t.Errorf("%+v", r)
	}
}
