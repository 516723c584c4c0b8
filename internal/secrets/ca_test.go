package secrets

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

const day = 24 * time.Hour

func testCA(t *testing.T, c *clock) *CA {
	t.Helper()
	ca, err := ParseCA(newTestCA(t, c), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newTestCA(t *testing.T, c *clock) []byte {
	t.Helper()
	text, err := NewCA(c.now())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestNewCA(t *testing.T) {
	c := newClock()
	text := newTestCA(t, c)
	ca, err := ParseCA(text, c.now)
	if err != nil {
		t.Fatal(err)
	}
	if got := ca.NotAfter(); !got.Equal(c.now().Add(10 * 365 * day)) {
		t.Errorf("ends %v", got)
	}
	if sum, err := CheckCAHash(ca.CAHash()); err != nil || sum != ca.CAHash() || !ca.Trust().Has(sum) {
		t.Errorf("hash %s, %v", sum, err)
	}
	if bundle := string(ca.Trust().PEM()); strings.Contains(bundle, keyBlock) {
		t.Error("the bundle holds the key")
	}
}

func TestParseCARefuses(t *testing.T) {
	c := newClock()
	good, other := newTestCA(t, c), newTestCA(t, c)
	_, certs, err := parseKeyAndCertificates(good)
	if err != nil {
		t.Fatal(err)
	}
	cut := bytes.Index(good, []byte("-----BEGIN CERT"))
	otherCut := bytes.Index(other, []byte("-----BEGIN CERT"))
	for what, text := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-40], "no certificate": good[:cut], "no key": good[cut:],
		"another key": append(bytes.Clone(other[:otherCut]), good[cut:]...), "text behind": append(bytes.Clone(good), "x"...),
		"certificate first": append(encodeCertificates(certs...), good...), "broken key": pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: []byte(canary)}),
	} {
		if ca, err := ParseCA(text, c.now); err == nil || shows(err.Error()) {
			t.Errorf("%s: %v, %v", what, ca, err)
		}
	}
}

// A CA is changed in three steps: the next one is believed, then it issues, then the old one is believed no more.
func TestCAIsChanged(t *testing.T) {
	c := newClock()
	first, second := newTestCA(t, c), newTestCA(t, c)
	old, err := ParseCA(first, c.now)
	if err != nil {
		t.Fatal(err)
	}
	next, err := ParseCA(second, c.now)
	if err != nil {
		t.Fatal(err)
	}
	oldCert, oldCSR := issue(t, old, newTestKey(t), "lb1")
	believes := func(ca *CA, cert *x509.Certificate, csr []byte) bool {
		_, err := ca.Trust().VerifyRenewal(cert, csr, c.now())
		return err == nil
	}
	step := func(data []byte, believed ...*x509.Certificate) *CA {
		t.Helper()
		text, err := WithTrust(data, believed...)
		if err != nil {
			t.Fatal(err)
		}
		ca, err := ParseCA(text, c.now)
		if err != nil {
			t.Fatal(err)
		}
		return ca
	}
	both := step(first, next.Trust().Certificates()...)
	nextCert, nextCSR := issue(t, next, newTestKey(t), "lb1")
	if both.CAHash() != old.CAHash() || !believes(both, oldCert, oldCSR) || !believes(both, nextCert, nextCSR) || believes(old, nextCert, nextCSR) {
		t.Error("the first step")
	}
	switched := step(second, old.Trust().Certificates()...)
	if switched.CAHash() != next.CAHash() || !believes(switched, oldCert, oldCSR) || !believes(switched, nextCert, nextCSR) {
		t.Error("the second step")
	}
	if chain := string(switched.ChainPEM(oldCert)); !strings.Contains(chain, strings.TrimSpace(string(old.Trust().PEM()))) {
		t.Error("what the old one issued does not show the old one")
	}
	done := step(second)
	if believes(done, oldCert, oldCSR) || !believes(done, nextCert, nextCSR) {
		t.Error("the third step")
	}
	text, _ := WithTrust(second)
	if err := both.Adopt(text); err != nil || both.CAHash() != next.CAHash() || len(both.Trust().Certificates()) != 1 {
		t.Errorf("adopt: %v", err)
	}
	if err := both.Adopt([]byte("x")); err == nil || both.CAHash() != next.CAHash() {
		t.Errorf("adopt what is none: %v", err)
	}
}

func TestIssueServer(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	pair, err := ca.IssueServer([]string{"weir.example"}, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:10.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"weir.example": true, "127.0.0.1": true, "::1": true, "10.0.0.1": true, "other.example": false, "127.0.0.2": false} {
		if err := ca.Trust().verify(pair.Leaf, c.now(), x509.ExtKeyUsageServerAuth, host); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := ca.Trust().verify(pair.Leaf, c.now(), x509.ExtKeyUsageClientAuth, ""); err == nil {
		t.Error("a server's certificate is good for clients")
	}
	if !pair.Leaf.NotAfter.Equal(c.now().Add(365*day)) || len(pair.Certificate) != 2 {
		t.Errorf("%v, %d certificates", pair.Leaf.NotAfter, len(pair.Certificate))
	}
	if _, err := ca.IssueServer(nil, nil); err == nil {
		t.Error("issued for nothing")
	}
	if NeedsRenewal(pair.Leaf, c.now().Add(182*day)) || !NeedsRenewal(pair.Leaf, c.now().Add(183*day)) {
		t.Errorf("renewed at %v", RenewAt(pair.Leaf))
	}
}

func TestIssueNearAndAfterTheCAsEnd(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	ips := []netip.Addr{netip.MustParseAddr("::1")}
	c.move(10*365*day - 5*day)
	pair, err := ca.IssueServer(nil, ips)
	if err != nil || !pair.Leaf.NotAfter.Equal(ca.NotAfter()) {
		t.Errorf("outlives its CA: %v, %v", pair.Leaf.NotAfter, err)
	}
	c.move(6 * day)
	if _, err := ca.IssueServer(nil, ips); err == nil {
		t.Error("issued by a CA that ran out")
	}
	c.move(-11 * 365 * day)
	if _, err := ca.IssueServer(nil, ips); err == nil {
		t.Error("issued before the CA begins")
	}
}

func TestServerCertificate(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	path := filepath.Join(t.TempDir(), "server.pem")
	names, ips := []string{"a.example", "b.example"}, []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	get := func(ca *CA, names []string, ips []netip.Addr) string {
		t.Helper()
		pair, err := ca.ServerCertificate(path, names, ips)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := ReadKeyPair(path)
		if err != nil || !bytes.Equal(kept.Leaf.Raw, pair.Leaf.Raw) {
			t.Fatalf("kept another one: %v", err)
		}
		return Serial(pair.Leaf)
	}
	first := get(ca, names, ips)
	if again := get(ca, []string{"b.example", "a.example", "a.example"}, ips); again != first {
		t.Error("issued again without need")
	}
	wider := get(ca, names, append(ips, netip.MustParseAddr("::1")))
	if wider == first {
		t.Error("not issued for a new address")
	}
	narrow := get(ca, names[:1], ips)
	if narrow == wider {
		t.Error("names that are gone stay")
	}
	c.move(200 * day)
	late := get(ca, names[:1], ips)
	if late == narrow {
		t.Error("not renewed at half")
	}
	if get(testCA(t, c), names[:1], ips) == late {
		t.Error("kept that of another CA")
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.ServerCertificate(path, names, ips); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("0640: %v", err)
	}
}

func TestCAPrintsNoKey(t *testing.T) {
	ca := testCA(t, newClock())
	der, err := x509.MarshalPKCS8PrivateKey(ca.state.Load().key)
	if err != nil {
		t.Fatal(err)
	}
	// The private number stands at a fixed place of a P-256 key's PKCS #8.
	d := der[36:68]
	pair, err := ca.IssueServer([]string{"a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = tls.Certificate(pair)
	for _, v := range []any{ca, struct{ c *CA }{ca}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, fmt.Sprintf("%x", d)) || strings.Contains(text, strings.Trim(fmt.Sprint(d), "[]")) {
				t.Errorf("%s of %T shows the key", verb, v)
			}
		}
	}
}

func TestParseTrustRefuses(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	leaf, err := ca.IssueServer([]string{"a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := ca.Trust().PEM()
	if trust, err := ParseTrust(append(good, good...)); err != nil || len(trust.Certificates()) != 1 {
		t.Errorf("the same twice: %v", err)
	}
	for _, bad := range [][]byte{nil, []byte("x"), encodeCertificates(leaf.Leaf), good[:len(good)-30]} {
		if _, err := ParseTrust(bad); err == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
	for _, bad := range []string{"", "sha256:", "sha1:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("z", 64), strings.Repeat("0", 64)} {
		if _, err := CheckCAHash(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if got, err := CheckCAHash(" SHA256:" + strings.Repeat("AB", 32)); err != nil || got != "sha256:"+strings.Repeat("ab", 32) {
		t.Errorf("%s, %v", got, err)
	}
}
