package secrets

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

// TestJudged: a verdict stands for as long as what it rests on does, and not for long.
func TestJudged(t *testing.T) {
	t.Parallel()
	c := newClock()
	ca, other := testCA(t, c), testCA(t, c)
	csr, err := CSR(newTestKey(t), "")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueRegistrant(csr, Registrant{Token: "web", TokenID: TokenID("sha256:1"), Name: "web-1"})
	if err != nil {
		t.Fatal(err)
	}
	cs := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	var j Judged
	is := func(trust *Trust, cs *tls.ConnectionState, at time.Time, want PeerState) {
		t.Helper()
		if p := j.Peer(trust, cs, at); p.State != want {
			t.Errorf("%s, want %s", p.State, want)
		}
	}
	now := c.now()
	is(ca.Trust(), cs, now, PeerRegistrant)
	is(ca.Trust(), nil, now.Add(judgedFor-1), PeerRegistrant) // nobody looks
	is(ca.Trust(), nil, now.Add(judgedFor), PeerNone)
	is(ca.Trust(), cs, now.Add(-time.Second), PeerRegistrant)
	is(other.Trust(), cs, now, PeerRefused)
	last := cert.NotAfter.Add(-time.Second)
	is(ca.Trust(), cs, last, PeerRegistrant)
	is(ca.Trust(), cs, last.Add(2*time.Second), PeerRefused)
}
