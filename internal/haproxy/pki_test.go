package haproxy_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"weir"
)

// pki is a root, an authority below it, and certificates of that by their objects' names: legacy-rsa has an RSA key
// and the host of the profile.
type pki struct {
	root  *x509.Certificate
	pairs map[string]pair
}

// pair is a chain without the root, and its key, in PEM.
type pair struct{ chain, key string }

func (p pki) pair(name string) pair { return p.pairs[name] }

func (p pki) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.root)
	return pool
}

func newPKI(t *testing.T) pki {
	t.Helper()
	p := pki{pairs: map[string]pair{}}
	rootKey, middleKey := ecdsaKey(t), ecdsaKey(t)
	p.root = sign(t, "root", rootKey.Public(), nil, rootKey)
	middle := sign(t, "middle", middleKey.Public(), p.root, rootKey)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, profile := range weir.TLSProfiles {
		for kind, key := range map[string]crypto.Signer{"ec": ecdsaKey(t), "rsa": rsaKey} {
			leaf := sign(t, hostOf(profile), key.Public(), middle, middleKey)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			p.pairs[profile+"-"+kind] = pair{
				inPEM("CERTIFICATE", leaf.Raw) + inPEM("CERTIFICATE", middle.Raw), inPEM("PRIVATE KEY", der),
			}
		}
	}
	return p
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func ecdsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a certificate, of an authority when its name has no dot; without a parent it signs itself.
func sign(t *testing.T, name string, key crypto.PublicKey, parent *x509.Certificate, parentKey crypto.Signer) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	if !strings.Contains(name, ".") {
		template.DNSNames, template.IsCA, template.BasicConstraintsValid, template.KeyUsage = nil, true, true, x509.KeyUsageCertSign
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
