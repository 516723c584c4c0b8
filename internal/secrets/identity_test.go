package secrets

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newTestKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue gives an agent's certificate and a further request with the same key.
func issue(t *testing.T, ca *CA, key crypto.Signer, name string) (*x509.Certificate, []byte) {
	t.Helper()
	csr, err := CSR(key, name)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueAgent(csr, name)
	if err != nil {
		t.Fatal(err)
	}
	return cert, csr
}

func TestIssueAgentIgnoresTheRequest(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	key := newTestKey(t)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "root", Organization: []string{"Evil"}},
		DNSNames:        []string{"weir.example"},
		IPAddresses:     []net.IP{net.IPv4(127, 0, 0, 1)},
		URIs:            []*url.URL{agentURI("other")},
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueAgent(pem.EncodeToMemory(&pem.Block{Type: csrBlock, Bytes: der}), "lb-az1-1")
	if err != nil {
		t.Fatal(err)
	}
	if name, err := AgentIdentity(cert); name != "lb-az1-1" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	if cert.URIs[0].String() != "weir://lb/lb-az1-1" || cert.IsCA || cert.Subject.String() != "CN=lb-az1-1" || len(cert.DNSNames)+len(cert.IPAddresses) > 0 {
		t.Errorf("it took over %v %v %v", cert.URIs, cert.Subject, cert.DNSNames)
	}
	if !cert.NotAfter.Equal(c.now().Add(30*day)) || !samePublicKey(cert.PublicKey, key.Public()) {
		t.Errorf("ends %v", cert.NotAfter)
	}
	if ca.Trust().verify(cert, c.now(), x509.ExtKeyUsageServerAuth, "") == nil {
		t.Error("an agent's certificate is good for servers")
	}
}

func TestIssueAgentKeyTypes(t *testing.T) {
	ca := testCA(t, newClock())
	curve := func(c elliptic.Curve) crypto.Signer { k, _ := ecdsa.GenerateKey(c, rand.Reader); return k }
	bits := func(n int) crypto.Signer { k, _ := rsa.GenerateKey(rand.Reader, n); return k }
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for _, c := range []struct {
		what string
		key  crypto.Signer
		good bool
	}{
		{"P-256", curve(elliptic.P256()), true},
		{"P-384", curve(elliptic.P384()), true},
		{"Ed25519", ed, true},
		{"RSA 2048", bits(2048), true},
		{"P-224", curve(elliptic.P224()), false},
		{"P-521", curve(elliptic.P521()), false},
		{"RSA 1024", bits(1024), false},
	} {
		csr, err := CSR(c.key, "x")
		if err != nil {
			t.Fatal(c.what, err)
		}
		if _, err := ca.IssueAgent(csr, "lb1"); (err == nil) != c.good {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestIssueAgentRefuses(t *testing.T) {
	ca := testCA(t, newClock())
	csr, err := CSR(newTestKey(t), "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "A", "a/b", "../x", "-a", "a_", "a b", "a\n", "a?b", strings.Repeat("a", 64)} {
		if _, err := ca.IssueAgent(csr, name); err == nil {
			t.Errorf("issued for %q", name)
		}
	}
	b, _ := pem.Decode(csr)
	forged := append([]byte(nil), b.Bytes...)
	forged[len(forged)-1] ^= 1
	for what, bad := range map[string][]byte{
		"nothing": nil, "text": []byte(canary), "two": append(append([]byte(nil), csr...), csr...), "a certificate": ca.Trust().PEM(),
		"too long":       append(append([]byte(nil), csr...), make([]byte, maxCSR)...),
		"signed wrongly": pem.EncodeToMemory(&pem.Block{Type: csrBlock, Bytes: forged}),
		"garbage":        pem.EncodeToMemory(&pem.Block{Type: csrBlock, Bytes: []byte(canary)}),
	} {
		if _, err := ca.IssueAgent(bad, "lb1"); err == nil {
			t.Errorf("%s: issued", what)
		}
	}
}

func TestAgentIdentityRefuses(t *testing.T) {
	uri := func(s string) *x509.Certificate {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return &x509.Certificate{URIs: []*url.URL{u}}
	}
	good := uri("weir://lb/a")
	if name, err := AgentIdentity(good); name != "a" || err != nil {
		t.Fatalf("%q, %v", name, err)
	}
	bad := []*x509.Certificate{
		{},
		{URIs: append(good.URIs, good.URIs...)},
		{URIs: good.URIs, IsCA: true},
		{URIs: good.URIs, DNSNames: []string{"a"}},
		{URIs: good.URIs, EmailAddresses: []string{"a@b"}},
		{URIs: good.URIs, IPAddresses: []net.IP{{1, 2, 3, 4}}},
	}
	for _, s := range []string{
		"weir://lb/", "weir://lb", "http://lb/a", "weir://lb2/a", "weir://lb:1/a", "weir://x@lb/a", "weir://lb/a?x=1", "weir://lb/a?",
		"weir://lb/a#x", "weir://lb//a", "weir://lb/a/b", "weir://lb/%61", "weir://lb/A", "weir:lb/a", "weir://lb/a/",
	} {
		bad = append(bad, uri(s))
	}
	for _, cert := range bad {
		if name, err := AgentIdentity(cert); !errors.Is(err, ErrNotAgent) || name != "" {
			t.Errorf("%v: %q, %v", cert.URIs, name, err)
		}
	}
}

func TestAgentKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "agent")
	if _, err := OpenAgentKey(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	key, err := NewAgentKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewAgentKey(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	again, err := OpenAgentKey(dir)
	if err != nil || !samePublicKey(again.Public(), key.Public()) {
		t.Fatalf("another key: %v", err)
	}
	path := filepath.Join(dir, AgentKeyFile)
	if info, _ := os.Stat(path); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	ca := testCA(t, newClock())
	cert, _ := issue(t, ca, key, "lb1")
	pair, err := AgentCertificate(again, ca.ChainPEM(cert))
	if err != nil || len(pair.Certificate) != 2 || Serial(pair.Leaf) != Serial(cert) {
		t.Errorf("%v", err)
	}
	if _, err := AgentCertificate(newTestKey(t), ca.ChainPEM(cert)); err == nil {
		t.Error("joined with another key")
	}
	if _, err := AgentCertificate(key, []byte("x")); err == nil {
		t.Error("joined with no certificate")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAgentKey(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("0644: %v", err)
	}
}

func TestVerifyRenewal(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	key := newTestKey(t)
	cert, same := issue(t, ca, key, "lb1")
	_, foreign := issue(t, ca, newTestKey(t), "lb1")
	trust := ca.Trust()
	for _, s := range []struct {
		after time.Duration
		csr   []byte
		want  string
	}{
		{0, same, ""},
		{16 * day, same, ""},
		{16 * day, foreign, ""},
		{30 * day, same, ""},
		{30*day + time.Second, same, ""},
		{30*day + time.Second, foreign, "only the same key"},
		{120 * day, same, ""},
		{120*day + time.Second, same, "more than 90 days ago; join again"},
		{-2 * time.Hour, same, "not yet valid"},
		{0, []byte("x"), "not PEM"},
	} {
		name, err := trust.VerifyRenewal(cert, s.csr, c.now().Add(s.after))
		if s.want == "" && (err != nil || name != "lb1") {
			t.Errorf("after %v: %q, %v", s.after, name, err)
		}
		if s.want != "" && (err == nil || name != "" || !strings.Contains(err.Error(), s.want)) {
			t.Errorf("after %v: %q, %v; want %s", s.after, name, err, s.want)
		}
	}
	if _, err := testCA(t, c).Trust().VerifyRenewal(cert, same, c.now()); err == nil {
		t.Error("another CA's certificate was renewed")
	}
	server, err := ca.IssueServer([]string{"a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.VerifyRenewal(server.Leaf, same, c.now()); err == nil {
		t.Error("a server's certificate was renewed as an agent's")
	}
}

func TestTrustVerifiesAgents(t *testing.T) {
	t.Parallel()
	c := newClock()
	ca, other := testCA(t, c), testCA(t, c)
	cert, _ := issue(t, ca, newTestKey(t), "lb-1")
	if name, err := ca.Trust().Agent(cert, c.now()); err != nil || name != "lb-1" {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := other.Trust().Agent(cert, c.now()); err == nil {
		t.Error("another CA's agent is believed")
	}
	for _, at := range []time.Time{cert.NotAfter.Add(time.Second), cert.NotBefore.Add(-time.Second)} {
		if _, err := ca.Trust().Agent(cert, at); err == nil {
			t.Errorf("believed at %s, when it is not valid", at)
		}
	}
	server, err := ca.IssueServer([]string{"weir.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plane, err := ca.IssueControlPlane("a1b2")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range []tls.Certificate{server, plane} {
		cert, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if name, err := ca.Trust().Agent(cert, c.now()); err == nil {
			t.Errorf("%s is believed to be load balancer %q", cert.Subject, name)
		}
	}
}
