package weirtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	"weir"
)

// pair is a self-signed certificate with its key, in PEM.
type pair struct {
	chain, key string
	info       weir.CertificateInfo
}

// pairs are made once for each process, since keys are dear: four ECDSA ones and an RSA one.
var pairs = sync.OnceValue(func() []pair {
	var list []pair
	for range 4 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		list = append(list, selfSigned(key, err, "ECDSA P-256"))
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return append(list, selfSigned(key, err, "RSA 2048"))
})

func selfSigned(key crypto.Signer, err error, keyType string) pair {
	if err != nil {
		panic("make a key for random certificates: " + err.Error())
	}
	names := []string{"*.example.com", "*.shop.example.com", "xn--bcher-kva.example"}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "random.example.com"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour).Truncate(time.Second), NotAfter: time.Now().Add(24 * time.Hour).Truncate(time.Second),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic("make a random certificate: " + err.Error())
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic("write the key of a random certificate: " + err.Error())
	}
	sum := sha256.Sum256(der)
	return pair{
		chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		key:   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
		info: weir.CertificateInfo{
			Names: names, NotBefore: template.NotBefore.UTC(), NotAfter: template.NotAfter.UTC(), Serial: template.SerialNumber.Text(16),
			SHA256: hex.EncodeToString(sum[:]), KeyType: keyType, Issuer: "CN=random.example.com",
		},
	}
}

func (w *world) certificate(name string) *weir.Certificate {
	p := pick(w.rng, pairs()...)
	if name == "cert-00" {
		p = pairs()[4] // so that there is an RSA one
	}
	c := &weir.Certificate{Chain: weir.NewChain(p.chain), Key: p.key}
	if w.Sealed {
		info := p.info
		c.Key, c.Info = "", &info
		c.KeyRef = &weir.SealedRef{Generation: 1 + w.rng.Int64N(3), Fingerprint: p.info.SHA256[:16]}
	}
	return c
}

// CertificateKey gives the key, in PEM, of a certificate that was made at random with Options.Sealed; empty for
// others.
func CertificateKey(chain string) string {
	for _, p := range pairs() {
		if p.chain == chain {
			return p.key
		}
	}
	return ""
}
