package agent

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// usualPair makes a chain of two and its key.
func usualPair(t *testing.T, key crypto.Signer, how func(c *x509.Certificate)) (chain, private string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour)}
	by, signer := ca, crypto.Signer(caKey)
	if how != nil {
		how(leaf)
		by, signer = leaf, key // signed by itself, so that the signature is what was asked for
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, by, key.Public(), signer)
	must(err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("CERTIFICATE", der) + text("CERTIFICATE", caDER), text("PRIVATE KEY", raw)
}

// TestUsualCertificatesAreTaken: HAProxy is not asked about what is usual, so each of the forms must be fine with it.
func TestUsualCertificatesAreTaken(t *testing.T) {
	keys := map[string]func() (crypto.Signer, error){
		"p256":    func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
		"p384":    func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
		"p521":    func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) },
		"rsa2048": func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
		"ed25519": func() (crypto.Signer, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err },
	}
	dir := weirtest.TempDir(t)
	config, file := "global\n ssl-load-extra-files none\ndefaults\n timeout client 1s\nfrontend f\n bind 127.0.0.1:1 ssl strict-sni", filepath.Join(dir, "haproxy.cfg")
	var signers usual
	for name, made := range keys {
		key, err := made()
		if err != nil {
			t.Fatal(err)
		}
		chain, private := usualPair(t, key, nil)
		for range 2 {
			if !signers.pair(weir.NewChain(chain), []byte(private)) {
				t.Errorf("%s is not usual", name)
			}
		}
		path := filepath.Join(dir, name+".pem")
		if err := os.WriteFile(path, []byte(chain+private), 0o600); err != nil {
			t.Fatal(err)
		}
		config += " crt " + path
	}
	if err := os.WriteFile(file, []byte(config+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		if err := h.Check(file); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatIsNotUsual is asked about: HAProxy refuses some of it.
func TestWhatIsNotUsual(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	chain, key := usualPair(t, p256, nil)
	_, other := usualPair(t, long, nil)
	as := func(algorithm x509.SignatureAlgorithm) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.SignatureAlgorithm = algorithm }
	}
	weak, weakKey := usualPair(t, p224, nil)
	small, smallKey := usualPair(t, short, nil)
	pss, pssKey := usualPair(t, long, as(x509.SHA256WithRSAPSS))
	leaf, signer, _ := strings.Cut(chain, "-----END CERTIFICATE-----\n")
	leaf += "-----END CERTIFICATE-----\n"
	weakSigner, _, _ := strings.Cut(small, "-----END CERTIFICATE-----\n")
	for name, pair := range map[string][2]string{
		"a key of another":      {chain, other},
		"no key":                {chain, ""},
		"two keys":              {chain, key + key},
		"a key and a chain":     {chain, key + leaf},
		"no chain":              {"", key},
		"a curve that is short": {weak, weakKey},
		"a modulus too":         {small, smallKey},
		"PSS":                   {pss, pssKey},
		"a weak signer":         {leaf + weakSigner + "-----END CERTIFICATE-----\n", key},
		"text before":           {"hello\n" + chain, key},
		"text between":          {leaf + "hello\n" + signer, key},
		"text behind":           {chain + "hello\n", key},
		"a key in the chain":    {leaf + key + signer, key},
		"headers":               {strings.Replace(chain, "CERTIFICATE-----\n", "CERTIFICATE-----\nProc-Type: x\n\n", 1), key},
		"half":                  {chain[:len(chain)/2], key},
		"damaged":               {strings.Replace(chain, "MII", "MIJ", 1), key},
		"too long":              {chain + strings.Repeat(leaf, 40), key},
	} {
		var signers usual
		if signers.pair(weir.NewChain(pair[0]), []byte(pair[1])) {
			t.Errorf("%s is usual", name)
		}
	}
	var signers usual
	if !signers.pair(weir.NewChain(leaf), []byte(key)) || !signers.pair(weir.NewChain("\n"+chain+"\n"), bytes.TrimSpace([]byte(key))) {
		t.Error("a leaf alone, or with empty lines about it, is not usual")
	}
}
