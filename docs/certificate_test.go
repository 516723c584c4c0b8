package docs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"weir"
)

// certificate makes a chain of one with a reference to its key, as the store keeps it.
func certificate(t *testing.T, serial int64) *weir.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"*.example.com"}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial + 1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &weir.Certificate{
		Chain:  weir.NewChain(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		KeyRef: &weir.SealedRef{Generation: 1, Fingerprint: fmt.Sprintf("fp1:0:%d", serial)},
		Info:   &weir.CertificateInfo{Names: names, NotAfter: template.NotAfter, Serial: fmt.Sprint(serial)},
	}
}
