package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"
)

type benchCertificate struct{ chain, key string }

// benchCertificates makes certificates for p0000.example.com and so on, of one authority whose certificate is
// part of each chain, about as long as those of public ones.
func benchCertificates(t *testing.T, n int) []benchCertificate {
	t.Helper()
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return benchCertificatesFor(t, numbers)
}

// issuersAbove is how many certificates stand between a leaf and the root.
const issuersAbove = 3

// benchCertificatesFor makes those of some of the names, of an authority of their own. Chains are as long as those of
// public authorities and look like them: most of the text is that of the issuers, which all have in common.
func benchCertificatesFor(t *testing.T, numbers []int) []benchCertificate {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// padded is as long as what public authorities put in makes it.
	padded := func(c *x509.Certificate) *x509.Certificate {
		filler := make([]byte, 1000)
		_, _ = rand.Read(filler)
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: filler}}
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
		return c
	}
	var ca *x509.Certificate
	var caKey *ecdsa.PrivateKey
	var above string
	for i := range 1 + issuersAbove {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		one := padded(&x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: fmt.Sprintf("bench %d", i)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		})
		if i == 0 {
			ca, caKey = one, key
		}
		der, err := x509.CreateCertificate(rand.Reader, one, ca, &key.PublicKey, caKey)
		must(err)
		if i > 0 { // the root is with clients
			above = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + above
		}
		ca, err = x509.ParseCertificate(der)
		must(err)
		caKey = key
	}
	list := make([]benchCertificate, len(numbers))
	for i, n := range numbers {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		leaf := padded(&x509.Certificate{
			SerialNumber: big.NewInt(int64(n + 2)), DNSNames: []string{fmt.Sprintf("p%04d.example.com", n)}, KeyUsage: x509.KeyUsageDigitalSignature,
		})
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
		must(err)
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		must(err)
		list[i] = benchCertificate{
			chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + above,
			key:   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
		}
	}
	return list
}
