package secrets

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"testing"
	"time"
)

func TestRegistrantCertificate(t *testing.T) {
	t.Parallel()
	c := newClock()
	ca := testCA(t, c)
	who := Registrant{Token: "web", TokenID: TokenID("sha256:1"), Name: "web-az1-017"}
	csr, err := CSR(newTestKey(t), "somebody-else")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueRegistrant(csr, who)
	if err != nil {
		t.Fatal(err)
	}
	if got := cert.NotAfter.Sub(c.now()); got > 24*time.Hour || got < 23*time.Hour {
		t.Errorf("good for %s", got)
	}
	peer := func(cert *x509.Certificate, at time.Time) Peer {
		return ca.Trust().Peer(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}, at)
	}
	if p := peer(cert, c.now()); p.State != PeerRegistrant || p.Registrant != who || p.Name != "" {
		t.Errorf("%+v", p)
	}
	if p := peer(cert, c.now().Add(25*time.Hour)); p.State != PeerRefused || p.Err == nil {
		t.Errorf("run out: %+v", p)
	}
	// Nobody is taken for another.
	if _, err := AgentIdentity(cert); !errors.Is(err, ErrNotAgent) {
		t.Errorf("taken for an agent: %v", err)
	}
	if _, err := ControlPlaneIdentity(cert); !errors.Is(err, ErrNotControlPlane) {
		t.Errorf("taken for a control plane: %v", err)
	}
	agent, _ := issue(t, ca, newTestKey(t), "lb1")
	plane, err := ca.IssueControlPlane("a1b2")
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []*x509.Certificate{agent, plane.Leaf} {
		if _, err := RegistrantIdentity(other); !errors.Is(err, ErrNotRegistrant) {
			t.Errorf("%s is taken for a registrant: %v", other.Subject, err)
		}
	}
	for _, bad := range []Registrant{{"", "0123456789abcdef", "a"}, {"web", "0123456789abcdef", "a/b"}, {"a/b", "0123456789abcdef", "x"}} {
		if _, err := ca.IssueRegistrant(csr, bad); err == nil {
			t.Errorf("%+v got a certificate", bad)
		}
	}
	if TokenID("sha256:1") == TokenID("sha256:2") {
		t.Error("two tokens have one id")
	}
}

func TestRegistrantIdentityIsStrict(t *testing.T) {
	t.Parallel()
	uri := func(s string) *x509.Certificate {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return &x509.Certificate{URIs: []*url.URL{u}}
	}
	good := "weir://registration/web/0123456789abcdef/web-1"
	if r, err := RegistrantIdentity(uri(good)); err != nil || r.Name != "web-1" {
		t.Errorf("%+v, %v", r, err)
	}
	two := uri(good)
	two.DNSNames = []string{"a.example"}
	for _, cert := range []*x509.Certificate{
		two,
		{},
		uri(good + "/x"), uri(good + "?a=b"), uri(good + "#x"), uri("weir://registration//0123456789abcdef/web-1"), uri("weir://registration/web/0123/web-1"),
		uri("weir://server/web/0123456789abcdef/web-1"), uri("weir://registration:1/web/0123456789abcdef/web-1"), uri("weir://registration/web/0123456789abcdef/Web"), uri("http://registration/web/0123456789abcdef/web-1"),
	} {
		if r, err := RegistrantIdentity(cert); !errors.Is(err, ErrNotRegistrant) || r != (Registrant{}) {
			t.Errorf("%v: %+v, %v", cert.URIs, r, err)
		}
	}
}

// TestControlPlanesHaveOneWord: a longer address must not pass for a control plane's.
func TestControlPlanesHaveOneWord(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("weir://server/web/web-1")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := ControlPlaneIdentity(&x509.Certificate{URIs: []*url.URL{u}}); err == nil {
		t.Errorf("taken for %q", id)
	}
}
