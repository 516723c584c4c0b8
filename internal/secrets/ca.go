package secrets

import (
	"bytes"
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
	"sync/atomic"
	"time"
)

const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 365 * 24 * time.Hour
	agentLifetime  = 30 * 24 * time.Hour
	// backdate lets machines whose clock is behind believe a new certificate.
	backdate = time.Hour
)

// CA issues the certificates of one control plane and its agents. Many goroutines may use it; Adopt changes it
// for all of them at once.
type CA struct {
	now   func() time.Time
	state atomic.Pointer[authority]
}

// authority is what a CA is at one time.
type authority struct {
	key   crypto.Signer
	cert  *x509.Certificate
	trust *Trust
}

// NewCA makes an ECDSA P-256 root for ten years and gives its key and certificate in PEM, to be kept sealed.
func NewCA(now time.Time) ([]byte, error) {
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

// ParseCA reads what NewCA gave: a key, its certificate, then other CAs that are believed.
func ParseCA(data []byte, now func() time.Time) (*CA, error) {
	c := &CA{now: now}
	if err := c.Adopt(data); err != nil {
		return nil, err
	}
	return c, nil
}

// Adopt makes the CA another one, in ParseCA's form; on an error it stays what it was.
func (c *CA) Adopt(data []byte) error {
	key, certs, err := parseKeyAndCertificates(data)
	if err != nil {
		return fmt.Errorf("read CA: %w", err)
	}
	trust, err := NewTrust(certs...)
	if err != nil {
		return fmt.Errorf("read CA: %w", err)
	}
	c.state.Store(&authority{key, certs[0], trust})
	return nil
}

// WithTrust gives a CA's text with further CAs to believe; those of before are dropped.
func WithTrust(data []byte, believed ...*x509.Certificate) ([]byte, error) {
	key, certs, err := parseKeyAndCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return append(text, encodeCertificates(append(certs[:1:1], believed...)...)...), nil
}

// CACertificates gives the certificates in a CA's text, the issuing one first.
func CACertificates(data []byte) ([]*x509.Certificate, error) {
	_, certs, err := parseKeyAndCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	return certs, nil
}

// Trust gives the CA certificates that agents and clients of this control plane believe.
func (c *CA) Trust() *Trust { return c.state.Load().trust }

// CAHash names the CA that issues, in the form "sha256:<hex>".
func (c *CA) CAHash() string { return CAHash(c.state.Load().cert) }

// String names the CA, for logs.
func (c *CA) String() string { return "CA " + c.CAHash() }

// NotAfter is when the CA itself runs out.
func (c *CA) NotAfter() time.Time { return c.state.Load().cert.NotAfter }

// ChainPEM gives a certificate and the CA that issued it, in PEM: what a server or agent presents.
func (c *CA) ChainPEM(leaf *x509.Certificate) []byte {
	for _, by := range c.Trust().certs {
		if bytes.Equal(by.RawSubject, leaf.RawIssuer) {
			return encodeCertificates(leaf, by)
		}
	}
	return encodeCertificates(leaf)
}

// sign issues a leaf from tmpl for lifetime from now, but not beyond the CA's own end.
func (c *CA) sign(tmpl *x509.Certificate, lifetime time.Duration, key crypto.PublicKey) (leaf, issuer *x509.Certificate, err error) {
	now, by := c.now(), c.state.Load()
	if now.After(by.cert.NotAfter) || now.Before(by.cert.NotBefore) {
		return nil, nil, fmt.Errorf("the CA is valid from %s to %s and it is %s now; mind the clock", stamp(by.cert.NotBefore), stamp(by.cert.NotAfter), stamp(now))
	}
	tmpl.NotBefore, tmpl.NotAfter = now.Add(-backdate), now.Add(lifetime)
	if tmpl.NotAfter.After(by.cert.NotAfter) {
		tmpl.NotAfter = by.cert.NotAfter
	}
	tmpl.BasicConstraintsValid = true
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by.cert, key, by.key)
	if err != nil {
		return nil, nil, err
	}
	leaf, err = x509.ParseCertificate(der)
	return leaf, by.cert, err
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
