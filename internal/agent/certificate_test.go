package agent

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// vault makes certificates and has the key of the newest of each name, as an agent does.
type vault struct {
	t    *testing.T
	keys map[string]string // by fingerprint
	last map[string]string // fingerprint by name
}

func newVault(t *testing.T) *vault {
	return &vault{t: t, keys: map[string]string{}, last: map[string]string{}}
}

func (v *vault) key(name string, ref weir.SealedRef) (secrets.Secret, error) {
	if v.last[name] != ref.Fingerprint {
		return secrets.Secret{}, fmt.Errorf("key %s of %s is gone", ref.Fingerprint, name)
	}
	return secrets.NewSecret([]byte(v.keys[ref.Fingerprint])), nil
}

// certificate makes one for a host; a weak one is fine for Go, and nothing that OpenSSL would show to anybody.
func (v *vault) certificate(name, host string, weak bool) ir.Certificate {
	v.t.Helper()
	var key crypto.Signer
	var err error
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); weak {
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return v.signed(name, key, host)
}

// rsa makes one with a key of that kind for hosts.
func (v *vault) rsa(name string, hosts ...string) ir.Certificate {
	v.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.signed(name, key, hosts...)
}

func (v *vault) ecdsa(name string, hosts ...string) ir.Certificate {
	v.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.signed(name, key, hosts...)
}

func (v *vault) signed(name string, key crypto.Signer, hosts ...string) ir.Certificate {
	v.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		v.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		v.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		v.t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if _, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})); err != nil {
		v.t.Fatalf("Go refuses it too: %v", err)
	}
	sum := sha256.Sum256(der)
	ref := weir.SealedRef{Generation: 1, Fingerprint: hex.EncodeToString(sum[:8])}
	v.keys[ref.Fingerprint] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	v.last[name] = ref.Fingerprint
	return ir.Certificate{Name: name, Chain: weir.NewChain(string(chain)), Key: &ref, Names: hosts}
}

// secure adds a TLS port and lets a site listen there too.
func (b *bed) secure(site int, certificate string) {
	s := &b.node.Sites[site]
	s.Listeners = append(s.Listeners, ir.Listener{
		Port: 8443, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{Certificates: []string{certificate}, Profile: "intermediate"},
	})
}

// shown gives the serial number of the certificate that a host shows, "" for none.
func (b *bed) shown(host string) (string, error) {
	dialer := &net.Dialer{Timeout: 20 * time.Second}
	c, err := tls.DialWithDialer(dialer, "tcp", netip.AddrPortFrom(b.at(17), 8443).String(), &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func serialOf(t *testing.T, c ir.Certificate) string {
	t.Helper()
	block, _ := pem.Decode([]byte(c.Chain.String()))
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.SerialNumber.String()
}

// A certificate that Go is content with and HAProxy is not harms nobody else, and its last good form stays:
// also when an agent starts anew, and when HAProxy does.
func TestCertificateThatHAProxyRefuses(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b, v := newBed(t, h), newVault(t)
		b.key = v.key
		for _, name := range []string{"good", "bad"} {
			b.site(name, map[string]byte{"good": 40, "bad": 41}[name])
			b.secure(len(b.node.Sites)-1, name)
		}
		good := v.certificate("good", "good.example", false)
		use := func(bad ir.Certificate) { b.node.Certificates = []ir.Certificate{bad, good} }
		shows := func(host string, want ir.Certificate) {
			t.Helper()
			if got, err := b.shown(host); err != nil || got != serialOf(t, want) {
				t.Errorf("%s shows %s, %v; want %s", host, got, err, serialOf(t, want))
			}
		}
		refused := func(good bool) {
			t.Helper()
			held := b.quarantine.held["certificate/bad"]
			if len(b.quarantine.held) != 1 || held.Owner != "Certificate/bad" || (len(held.Good) > 0) != good || !strings.Contains(held.Reason, "key too small") {
				t.Errorf("held: %+v", b.quarantine.held)
			}
		}

		use(v.certificate("bad", "bad.example", true)) // at once with all the rest
		b.converge()
		refused(false)
		shows("good.example", good)
		if _, err := b.shown("bad.example"); err == nil {
			t.Error("something is shown for bad.example")
		}
		b.serves("bad") // in clear text nothing is wrong with it

		first := v.certificate("bad", "bad.example", false)
		use(first)
		b.converge()
		b.settled()
		shows("bad.example", first)
		if len(b.quarantine.held) > 0 {
			t.Errorf("held: %+v", b.quarantine.held)
		}

		use(v.certificate("bad", "bad.example", true)) // a renewal that is no good
		for _, again := range []string{"", "the agent", "haproxy"} {
			switch again {
			case "the agent":
				b.anew(h, v)
				if err := b.resume(t.Context(), b.node.Resources()); err != nil {
					t.Fatal(err)
				}
			case "haproxy":
				ctx, cancel := contextFor(t)
				if err := b.process.Stop(ctx); err != nil {
					t.Fatal(err)
				}
				cancel()
				b.process, b.have = nil, haproxy.Config{}
			}
			b.converge()
			b.settled()
			refused(true)
			shows("good.example", good)
			shows("bad.example", first)
		}
		second := v.certificate("bad", "bad.example", false)
		use(second)
		b.converge()
		b.settled()
		shows("bad.example", second)

		// A bad one that comes while no agent runs.
		b.anew(h, v)
		use(v.certificate("bad", "bad.example", true))
		if err := b.resume(t.Context(), b.node.Resources()); err != nil {
			t.Fatal(err)
		}
		b.converge()
		b.settled()
		refused(true)
		shows("bad.example", second)
		use(v.certificate("bad", "bad.example", false))
		b.converge()
		if len(b.quarantine.held) > 0 || b.reloads.Count > 0 {
			t.Errorf("held: %+v, reloads: %v", b.quarantine.held, b.reloads)
		}
	})
}

// anew abandons the engine for one that knows the folder alone.
func (b *bed) anew(h weirtest.HAProxy, v *vault) {
	old := b.engine
	old.process.Client().Close()
	b.engine = openEngine(b.t, h, old.env.Version, filepath.Dir(old.folder.dir))
	b.key = v.key
}

func contextFor(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), longWait)
}
