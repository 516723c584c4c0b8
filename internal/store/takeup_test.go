package store

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"weir"
)

// TestAnEarlierObjectsSecretIsNotTakenUp: who makes an object of a name that somebody else's had, gets none of what that
// kept, though references are no secret. Within the life of one object older generations can be gone back to.
func TestAnEarlierObjectsSecretIsNotTakenUp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	apply(t, s, puts(secret("a", "the value"))...)
	theirs := dataRef(t, s, "a")
	gone := apply(t, s, weir.Write{Delete: weir.Ref{Kind: "Secret", Name: "a"}})
	of := func(o *weir.Object) []weir.Write {
		o.Metadata.Role = "thieves"
		return puts(o)
	}
	apply(t, s, of(secret("a", "mine"))...)
	mine := dataRef(t, s, "a")
	apply(t, s, of(secret("a", "another"))...)
	_, err := s.Apply(t.Context(), Request{Author: "thief", Writes: of(secretByRef("a", theirs))})
	wantKind(t, err, weir.Invalid, "is the secret of another role")
	apply(t, s, of(secretByRef("a", mine))...)
	opens(t, s, "a", mine.Generation, "mine")
	again := apply(t, s, weir.Write{Delete: weir.Ref{Kind: "Secret", Name: "a"}})
	if _, err := s.Undo(t.Context(), again.Revision, Request{Author: "tester"}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), Request{Author: "thief", Writes: of(secretByRef("a", theirs))})
	wantKind(t, err, weir.Invalid, "is the secret of another role")
	apply(t, s, weir.Write{Delete: weir.Ref{Kind: "Secret", Name: "a"}})
	if _, err := s.Undo(t.Context(), gone.Revision, Request{Author: "tester"}); err != nil {
		t.Fatal(err)
	}
	opens(t, s, "a", theirs.Generation, "the value")
}

// TestARevokedCertificateDoesNotComeBackByUndo, though the object that knew of the revocation is gone.
func TestARevokedCertificateDoesNotComeBackByUndo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	key, chain := selfSigned(t, "www.example.com")
	ref := weir.Ref{Kind: "Certificate", Name: "www"}
	apply(t, s, puts(certificate("www", chain, key))...)
	gone := apply(t, s, weir.Write{Delete: ref})
	if _, err := s.Undo(t.Context(), gone.Revision, Request{Author: "tester"}); err != nil {
		t.Fatal(err)
	}
	revoked := s.View().Get(ref).Clone()
	revoked.Spec.(*weir.Certificate).Revoked = &weir.Revocation{At: time.Now(), Reason: "keyCompromise"}
	apply(t, s, weir.Write{Put: revoked})
	last := apply(t, s, weir.Write{Delete: ref})
	_, err := s.Undo(t.Context(), gone.Revision, Request{Author: "tester"})
	wantKind(t, err, weir.Invalid, "was revoked and can't come back")
	if _, err := s.Undo(t.Context(), last.Revision, Request{Author: "tester"}); err != nil {
		t.Fatal(err)
	}
	if c := weir.Find[weir.Certificate](s.View(), ref.Kind, ref.Name); c.Revoked == nil || len(c.RevokedSerials) != 1 {
		t.Errorf("it came back as %+v", c)
	}
}

// TestAChainTooLongForItsKeptKey: what HAProxy is given at once is chain and key, whenever the key came.
func TestAChainTooLongForItsKeptKey(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	signer := rsaKey(t, 4096)
	short := issue(t, nil, signer, named("www.example.com"))
	long := issue(t, nil, signer, named("www.example.com"), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "www.example.com", OrganizationalUnit: []string{strings.Repeat("long ", 620)}}
	})
	apply(t, s, puts(certificate("www", short.chain, short.key))...)
	kept := s.View().Get(weir.Ref{Kind: "Certificate", Name: "www"}).Spec.(*weir.Certificate).KeyRef
	next := certificate("www", long.chain, "")
	next.Spec.(*weir.Certificate).KeyRef = kept
	if len(long.chain) > weir.MaxChain || len(long.chain)+len(short.key) <= weir.MaxChain {
		t.Fatalf("the chain has %d bytes", len(long.chain))
	}
	_, err := s.Apply(t.Context(), Request{Author: "tester", Writes: puts(next)})
	wantKind(t, err, weir.Invalid, "at most 12000")
}
