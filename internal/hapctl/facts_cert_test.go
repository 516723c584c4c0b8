package hapctl

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // HAProxy tells certificates apart by it
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newPair(t *testing.T, rsaKey bool, names ...string) pair {
	t.Helper()
	var key crypto.Signer
	var err error
	if rsaKey {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return pair{cert, key}
}

func (p pair) certPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
}

func (p pair) keyPEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (p pair) pem(t *testing.T) string { return p.certPEM() + p.keyPEM(t) }

func (p pair) sha1() string {
	sum := sha1.Sum(p.cert.Raw) //nolint:gosec // as HAProxy has it
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// tlsSite has a TLS port whose crt-list is empty.
func tlsSite(t *testing.T, h weirtest.HAProxy) *lab {
	t.Helper()
	l := newLab(t, h, "frontend f from base\n bind ADDR:8443 ssl crt-list list strict-sni\n http-request return status 200\n")
	l.file("list", "")
	l.start()
	return l
}

// handshake gives the certificate that is shown for a name.
func (l *lab) handshake(name string, edit func(*tls.Config)) (tls.ConnectionState, error) {
	config := &tls.Config{ServerName: name, InsecureSkipVerify: true} // what is shown is compared
	if edit != nil {
		edit(config)
	}
	c, err := (&tls.Dialer{Config: config}).DialContext(bounded(l.T), "tcp", l.addr+":8443")
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState(), nil
}

func (l *lab) wantCert(name string, p pair) {
	l.Helper()
	s, err := l.handshake(name, nil)
	if err != nil || !s.PeerCertificates[0].Equal(p.cert) {
		l.Errorf("%s is shown %v, %v", name, s.PeerCertificates, err)
	}
}

// A crt-list may start empty with strict-sni; a certificate that is made, filled, committed and added at run
// time is served, renewed in place, and taken away again.
func TestFactCertificateAtRunTime(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := tlsSite(t, h)
		if _, err := l.handshake("a.example", nil); err == nil {
			t.Error("a handshake worked without a certificate")
		}
		first, second := newPair(t, false, "a.example"), newPair(t, false, "a.example")
		if err := l.c.SetCert(bounded(t), "certs/a.pem", first.pem(t)); err != nil {
			t.Fatal(err)
		}
		live, err := l.c.Cert(bounded(t), "certs/a.pem")
		if err != nil || live.Status != "Unused" || live.SHA1 != first.sha1() {
			t.Errorf("%+v, %v", live, err)
		}
		l.pay("add ssl crt-list list", "certs/a.pem [alpn h2,http/1.1 ssl-min-ver TLSv1.2] a.example *.a.example\n")
		l.wantCert("a.example", first)
		l.wantCert("x.a.example", first)
		if _, err := l.handshake("b.example", nil); err == nil {
			t.Error("strict-sni let another name pass")
		}
		entries, err := l.c.CrtList(bounded(t), "list")
		if err != nil || len(entries) != 1 || entries[0].File != "certs/a.pem" || entries[0].Line != 1 ||
			entries[0].Options != "alpn h2,http/1.1 ssl-min-ver TLSv1.2" || fmt.Sprint(entries[0].SNI) != "[a.example *.a.example]" {
			t.Errorf("%+v, %v", entries, err)
		}
		if err := l.c.SetCert(bounded(t), "certs/a.pem", second.pem(t)); err != nil {
			t.Fatal(err)
		}
		l.wantCert("a.example", second)
		if text := l.refused("del ssl cert certs/a.pem"); !strings.Contains(text, "in use") {
			t.Errorf("in use: %q", text)
		}
		l.do("del ssl crt-list list certs/a.pem", "del ssl cert certs/a.pem")
		if _, err := l.handshake("a.example", nil); err == nil {
			t.Error("a deleted certificate is shown")
		}
	})
}

// An entry that is added twice is there twice, and must be deleted by its line; a payload adds one entry.
func TestFactCrtListEntriesByLine(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := tlsSite(t, h)
		if err := l.c.SetCert(bounded(t), "a.pem", newPair(t, false, "a.example").pem(t)); err != nil {
			t.Fatal(err)
		}
		l.do("add ssl crt-list list a.pem", "add ssl crt-list list a.pem")
		if text := l.refused("del ssl crt-list list a.pem"); !strings.Contains(text, "several entries") {
			t.Errorf("%q", text)
		}
		l.do("del ssl crt-list list a.pem:1")
		if e, err := l.c.CrtList(bounded(t), "list"); err != nil || len(e) != 1 || e[0].Line != 2 {
			t.Errorf("%+v, %v", e, err)
		}
		if _, err := l.tryPay("add ssl crt-list list", "a.pem\na.pem\n"); refusal(t, err) == "" {
			t.Error("two lines passed")
		}
	})
}

// ECDSA and RSA certificates of one name are shown to those who understand them.
func TestFactTwinCertificates(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := tlsSite(t, h)
		ec, rs := newPair(t, false, "a.example"), newPair(t, true, "a.example")
		for name, p := range map[string]pair{"ec.pem": ec, "rsa.pem": rs} {
			if err := l.c.SetCert(bounded(t), name, p.pem(t)); err != nil {
				t.Fatal(err)
			}
			l.pay("add ssl crt-list list", name+" a.example\n")
		}
		for suite, want := range map[uint16]pair{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: ec,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   rs,
		} {
			s, err := l.handshake("a.example", func(c *tls.Config) {
				c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite}
			})
			if err != nil || !s.PeerCertificates[0].Equal(want.cert) {
				t.Errorf("suite %#x: %v", suite, err)
			}
		}
	})
}

// There is one transaction for all certificates: another one is refused until it is committed or aborted.
func TestFactOneCertificateTransaction(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := tlsSite(t, h)
		p := newPair(t, false, "a.example")
		l.do("new ssl cert a.pem", "new ssl cert b.pem")
		if text := l.refused("add ssl crt-list list a.pem"); !strings.Contains(text, "is empty") {
			t.Errorf("an empty one: %q", text)
		}
		l.pay("set ssl cert a.pem", p.pem(t))
		if have, err := l.c.Certs(bounded(t)); err != nil || have.Transaction != "a.pem" {
			t.Errorf("%+v, %v", have, err)
		}
		if live, err := l.c.Cert(bounded(t), "*a.pem"); err != nil || !live.Transaction || live.SHA1 != p.sha1() {
			t.Errorf("%+v, %v", live, err)
		}
		_, err := l.tryPay("set ssl cert b.pem", p.pem(t))
		if text := refusal(t, err); !strings.Contains(text, "ongoing transaction is about 'a.pem'") {
			t.Errorf("%q", text)
		}
		if err := l.c.SetCert(bounded(t), "b.pem", p.pem(t)); err == nil || !strings.Contains(err.Error(), "a.pem is open") {
			t.Errorf("SetCert: %v", err)
		}
		l.refused("commit ssl cert b.pem")
		for range 2 { // the second time there is none
			if err := l.c.AbortCert(bounded(t)); err != nil {
				t.Error(err)
			}
		}
		if err := l.c.SetCert(bounded(t), "b.pem", p.pem(t)); err != nil {
			t.Error(err)
		}
		_, err = l.tryPay("set ssl cert nobody.pem", p.pem(t))
		if text := refusal(t, err); !strings.Contains(text, "not referenced") {
			t.Errorf("not made before: %q", text)
		}
	})
}

// A key that does not fit is only seen at the commit, which leaves the transaction open; SetCert ends it and
// the former certificate stays.
func TestFactMismatchedKeyLeavesTransaction(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := tlsSite(t, h)
		good, other := newPair(t, false, "a.example"), newPair(t, false, "a.example")
		mixed := other.certPEM() + good.keyPEM(t)
		if err := l.c.SetCert(bounded(t), "a.pem", good.pem(t)); err != nil {
			t.Fatal(err)
		}
		l.do("add ssl crt-list list a.pem")
		l.pay("set ssl cert a.pem", mixed)
		if text := l.refused("commit ssl cert a.pem"); !strings.Contains(text, "inconsistencies between private key and certificate") {
			t.Errorf("%q", text)
		}
		if have, err := l.c.Certs(bounded(t)); err != nil || have.Transaction != "a.pem" {
			t.Errorf("%+v, %v", have, err)
		}
		l.do("abort ssl cert a.pem")
		var refused *Refused
		for _, bad := range []string{mixed, "nonsense\n", good.certPEM()[:100]} {
			if err := l.c.SetCert(bounded(t), "a.pem", bad); !errors.As(err, &refused) || strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("SetCert: %v", err)
			}
			if err := l.c.SetCert(bounded(t), "new.pem", bad); !errors.As(err, &refused) {
				t.Errorf("SetCert of a new name: %v", err)
			}
		}
		have, err := l.c.Certs(bounded(t))
		if err != nil || have.Transaction != "" || fmt.Sprint(have.Names) != "[a.pem]" {
			t.Errorf("left: %+v, %v", have, err)
		}
		l.wantCert("a.example", good)
	})
}

// A PEM with empty lines arrives whole by an end mark.
func TestFactPEMWithEmptyLines(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := tlsSite(t, h)
		p := newPair(t, false, "a.example")
		text := "\n# the certificate\n\n" + p.certPEM() + "\n\nshow env\n\n" + strings.TrimSuffix(p.keyPEM(t), "\n")
		if err := l.c.SetCert(bounded(t), "a.pem", text); err != nil {
			t.Fatal(err)
		}
		if live, err := l.c.Cert(bounded(t), "a.pem"); err != nil || live.SHA1 != p.sha1() || !live.NotAfter.Equal(p.cert.NotAfter.Truncate(time.Second)) {
			t.Errorf("%+v, %v", live, err)
		}
	})
}

// What a reload serves is on disk: a name that was only in memory is gone.
func TestFactCertificatesComeFromDiskAtReload(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := tlsSite(t, h)
		p := newPair(t, false, "a.example")
		if err := l.c.SetCert(bounded(t), "a.pem", p.pem(t)); err != nil {
			t.Fatal(err)
		}
		l.do("add ssl crt-list list a.pem")
		l.reload()
		if have, err := l.c.Certs(bounded(t)); err != nil || len(have.Names) != 0 {
			t.Errorf("%+v, %v", have, err)
		}
		l.file("a.pem", p.pem(t))
		l.file("list", "a.pem a.example\n")
		l.reload()
		l.wantCert("a.example", p)
		// The name is as it stands in the list.
		if live, err := l.c.Cert(bounded(t), "a.pem"); err != nil || live.Status != "Used" {
			t.Errorf("%+v, %v", live, err)
		}
		if _, err := l.c.Cert(bounded(t), filepath.Join(l.dir, "a.pem")); refusal(t, err) == "" {
			t.Error("another path of the same file is known")
		}
	})
}
