package secrets

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// CAFile is the CA's file in its folder, 0600: its key, its certificate, then other CAs that are believed.
	CAFile = "ca.pem"
	// CABundleFile holds the certificates of CAFile without the key, for everybody to read.
	CABundleFile = "ca.crt"

	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 365 * 24 * time.Hour
	agentLifetime  = 30 * 24 * time.Hour
	// backdate lets machines whose clock is behind believe a new certificate.
	backdate = time.Hour
)

// CA issues the certificates of one control plane and its agents. Many goroutines may use it.
type CA struct {
	key   crypto.Signer
	cert  *x509.Certificate
	trust *Trust
	now   func() time.Time
}

// CreateCA makes a CA in dir, which is made 0700 if absent: an ECDSA P-256 root for ten years. After a crash
// there is a whole one or none. The error wraps fs.ErrExist when dir already has one; it is then untouched.
func CreateCA(dir string, now func() time.Time) (*CA, error) {
	data, err := newCA(now())
	if err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	// Key and certificate are one file: two could be of two different CAs after a crash.
	if err := CreateFile(filepath.Join(dir, CAFile), data, 0o600); err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	return OpenCA(dir, now)
}

// OpenCA opens the CA in dir and writes its CABundleFile when that is absent or differs. The error wraps
// fs.ErrNotExist when dir has none.
func OpenCA(dir string, now func() time.Time) (*CA, error) {
	path := filepath.Join(dir, CAFile)
	data, err := ReadPrivateFile(path)
	if err != nil {
		return nil, fmt.Errorf("open CA: %w", err)
	}
	ca, err := parseCA(data, now)
	if err != nil {
		return nil, fmt.Errorf("open CA %s: %w", path, err)
	}
	bundle := filepath.Join(dir, CABundleFile)
	if old, err := os.ReadFile(bundle); err != nil || string(old) != string(ca.trust.PEM()) {
		if err := WriteFile(bundle, ca.trust.PEM(), 0o644); err != nil {
			return nil, fmt.Errorf("open CA: %w", err)
		}
	}
	return ca, nil
}

func newCA(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	// Part of the name, so that two CAs are told apart where only names are shown.
	id := make([]byte, 4)
	_, _ = rand.Read(id)
	tmpl := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Weir CA " + hex.EncodeToString(id)},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs leaves, no further CAs
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return append(text, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der})...), nil
}

func parseCA(data []byte, now func() time.Time) (*CA, error) {
	key, certs, err := parseKeyAndCertificates(data)
	if err != nil {
		return nil, err
	}
	trust, err := NewTrust(certs...)
	if err != nil {
		return nil, err
	}
	return &CA{key: key, cert: certs[0], trust: trust, now: now}, nil
}

// Trust gives the CA certificates that agents and clients of this control plane believe.
func (c *CA) Trust() *Trust { return c.trust }

// CAHash names the CA that issues, in the form "sha256:<hex>".
func (c *CA) CAHash() string { return CAHash(c.cert) }

// String names the CA, for logs.
func (c *CA) String() string { return "CA " + c.CAHash() }

// NotAfter is when the CA itself runs out.
func (c *CA) NotAfter() time.Time { return c.cert.NotAfter }

// ChainPEM gives a certificate and the CA that issued it, in PEM: what a server or agent presents.
func (c *CA) ChainPEM(leaf *x509.Certificate) []byte { return encodeCertificates(leaf, c.cert) }

// sign issues a leaf from tmpl for lifetime from now, but not beyond the CA's own end.
func (c *CA) sign(tmpl *x509.Certificate, lifetime time.Duration, key crypto.PublicKey) (*x509.Certificate, error) {
	now := c.now()
	if now.After(c.cert.NotAfter) || now.Before(c.cert.NotBefore) {
		return nil, fmt.Errorf("the CA is valid from %s to %s and it is %s now; mind the clock", stamp(c.cert.NotBefore), stamp(c.cert.NotAfter), stamp(now))
	}
	tmpl.NotBefore, tmpl.NotAfter = now.Add(-backdate), now.Add(lifetime)
	if tmpl.NotAfter.After(c.cert.NotAfter) {
		tmpl.NotAfter = c.cert.NotAfter
	}
	tmpl.BasicConstraintsValid = true
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.cert, key, c.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func encodeKey(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// parseKey never repeats a decoder's error, which could hold parts of the key.
func parseKey(b *pem.Block) (crypto.Signer, error) {
	if b.Type != keyBlock {
		return nil, fmt.Errorf("its first block is %q; a PKCS #8 %q is needed", b.Type, keyBlock)
	}
	key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, errors.New("its private key is no valid PKCS #8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("its private key, a %T, can't sign", key)
	}
	return signer, nil
}

// parseKeyAndCertificates reads a private key and behind it certificates, the first of which is the key's.
func parseKeyAndCertificates(data []byte) (crypto.Signer, []*x509.Certificate, error) {
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, nil, err
	}
	key, err := parseKey(blocks[0])
	if err != nil {
		return nil, nil, err
	}
	var chain []byte
	for _, b := range blocks[1:] {
		chain = append(chain, pem.EncodeToMemory(b)...)
	}
	certs, err := parseCertificates(chain)
	if err != nil {
		return nil, nil, err
	}
	if !samePublicKey(key.Public(), certs[0].PublicKey) {
		return nil, nil, errors.New("its first certificate is not that of its key")
	}
	return key, certs, nil
}

func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
