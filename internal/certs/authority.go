// Package certs makes keys and certificates, and decides when which certificate is due.
//
// An authority of Weir's own (Authority) signs for names that only the inside knows. Due, Spread and State say of a
// Certificate with an issuer what is to be done about it next, and when; that is data in, data out. Who orders, keeps
// and shows them is internal/server.
package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"weir"
)

// backdate is how long before its making a certificate is good already, for clocks that are behind.
const backdate = time.Hour

// NewKey makes a private key of one of weir.KeyTypes.
func NewKey(keyType string) (crypto.Signer, error) {
	switch keyType {
	case "ecdsa-256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa-384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa-3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa-4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, fmt.Errorf("make key: there is no type %q", keyType)
}

// EncodeKey writes a private key as PKCS #8 in PEM.
func EncodeKey(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", errors.New("write key: it can't be encoded") // the error could show it
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// ParseKey reads a private key in PEM: PKCS #8, PKCS #1 or SEC 1. Its errors show nothing of it.
func ParseKey(text string) (crypto.Signer, error) {
	for rest := []byte(text); ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return nil, errors.New("read key: there is no private key that is understood; PKCS #8, PKCS #1 and SEC 1 are, in PEM and without a passphrase")
		}
		if !strings.HasSuffix(b.Type, "PRIVATE KEY") {
			continue
		}
		if key, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		}
		if key, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
			return key, nil
		}
	}
}

// ParseChain reads certificates in PEM, one or more.
func ParseChain(text string) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	rest := []byte(text)
	for len(bytes.TrimSpace(rest)) > 0 {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil || b.Type != "CERTIFICATE" {
			return nil, errors.New("read chain: there is something in it that is no certificate in PEM")
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read chain: certificate %d: %w", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("read chain: there is no certificate in it")
	}
	return chain, nil
}

func encodeChain(chain []*x509.Certificate) string {
	var b strings.Builder
	for _, c := range chain {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // to memory, without headers
	}
	return b.String()
}

// Authority signs certificates.
type Authority struct {
	// Chain begins with the authority's own certificate; the root is last.
	Chain []*x509.Certificate
	Key   crypto.Signer
}

// OpenAuthority reads what an Issuer of type ca keeps, and says what is wrong with it.
func OpenAuthority(chain, key string) (*Authority, error) {
	a := &Authority{}
	var err error
	if a.Chain, err = ParseChain(chain); err != nil {
		return nil, err
	}
	if a.Key, err = ParseKey(key); err != nil {
		return nil, err
	}
	own := a.Chain[0]
	switch public, ok := a.Key.Public().(interface{ Equal(crypto.PublicKey) bool }); {
	case !ok || !public.Equal(own.PublicKey):
		return nil, errors.New("the key is not that of the chain's first certificate")
	case !own.IsCA || own.KeyUsage != 0 && own.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("the chain's first certificate is no authority: it may not sign others")
	}
	for i := 1; i < len(a.Chain); i++ {
		if err := a.Chain[i-1].CheckSignatureFrom(a.Chain[i]); err != nil {
			return nil, fmt.Errorf("certificate %d of the chain is not signed by certificate %d", i, i+1)
		}
	}
	return a, nil
}

// NewAuthority makes an authority, signed by parent or, when that is nil, by itself. It is never good for longer than
// its parent.
func NewAuthority(spec weir.PrivateCA, parent *Authority, now time.Time) (*Authority, error) {
	key, err := NewKey(spec.KeyType)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: spec.CommonName},
		NotBefore: now.Add(-backdate).UTC(), NotAfter: now.Add(spec.Duration.D()).UTC(),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	signer := &Authority{Chain: []*x509.Certificate{t}, Key: key}
	if parent != nil {
		signer = parent
		if end := parent.End(); t.NotAfter.After(end) {
			t.NotAfter = end
		}
	}
	own, err := signer.sign(t, key.Public())
	if err != nil {
		return nil, err
	}
	a := &Authority{Chain: []*x509.Certificate{own}, Key: key}
	if parent != nil {
		a.Chain = append(a.Chain, parent.Chain...)
	}
	return a, nil
}

// Encode gives chain and key as an Issuer keeps them.
func (a *Authority) Encode() (chain, key string, err error) {
	key, err = EncodeKey(a.Key)
	return encodeChain(a.Chain), key, err
}

// End is when the first certificate of its chain ends, and with it all that it signs.
func (a *Authority) End() time.Time { return earliestEnd(a.Chain) }

func earliestEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// Issue signs a certificate for a server's names, good from an hour ago, for a duration, and never longer than the
// authority itself. What it gives is the leaf and the authorities between it and the root, which clients have.
func (a *Authority) Issue(names []string, public crypto.PublicKey, duration time.Duration, now time.Time) (chain string, err error) {
	end := a.End()
	if !now.Before(end) {
		return "", fmt.Errorf("the authority %s itself expired at %s; make another Issuer", a.Chain[0].Subject.CommonName, end.UTC().Format(time.RFC3339))
	}
	serial, err := newSerial()
	if err != nil {
		return "", err
	}
	t := &x509.Certificate{
		SerialNumber: serial, DNSNames: names, NotBefore: now.Add(-backdate).UTC(), NotAfter: now.Add(duration).UTC(),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if len(names[0]) <= 64 {
		t.Subject.CommonName = names[0] // RFC 5280: 64 characters at most
	}
	if t.NotAfter.After(end) {
		t.NotAfter = end
	}
	if _, isRSA := public.(*rsa.PublicKey); isRSA {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	leaf, err := a.sign(t, public)
	if err != nil {
		return "", err
	}
	list := []*x509.Certificate{leaf}
	for _, c := range a.Chain {
		if !bytes.Equal(c.RawSubject, c.RawIssuer) {
			list = append(list, c)
		}
	}
	return encodeChain(list), nil
}

func (a *Authority) sign(t *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, a.Chain[0], public, a.Key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// newSerial draws a number of 127 bits (RFC 5280, 4.1.2.2: at most 20 octets, positive).
func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
