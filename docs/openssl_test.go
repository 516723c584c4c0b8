package docs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openssl does what the documents ask of openssl: to make a key and a certificate that signs itself.
func openssl(args []string, _ *bytes.Buffer) error {
	flags := flag.NewFlagSet("openssl", flag.ContinueOnError)
	_, _, _, _ = flags.Bool("x509", false, ""), flags.Bool("nodes", false, ""), flags.String("newkey", "", ""), flags.String("pkeyopt", "", "")
	subject, names := flags.String("subj", "", ""), flags.String("addext", "", "")
	keyFile, chainFile, days := flags.String("keyout", "", ""), flags.String("out", "", ""), flags.Int("days", 30, "")
	if len(args) == 0 || args[0] != "req" || flags.Parse(args[1:]) != nil {
		return fmt.Errorf("this openssl stands in for the real one and does not know %v", args)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: strings.TrimPrefix(*subject, "/CN=")},
		DNSNames:  []string{strings.TrimPrefix(*names, "subjectAltName=DNS:")},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(0, 0, *days),
	}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	sealed, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(*keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: sealed}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(*chainFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain}), 0o600)
}

func TestOpensslStandsIn(t *testing.T) {
	t.Parallel()
	key, chain := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "chain")
	args := strings.Fields("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=a.example -addext subjectAltName=DNS:a.example -keyout " + key + " -out " + chain)
	if err := openssl(args, nil); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Leaf.VerifyHostname("a.example"); err != nil {
		t.Error(err)
	}
}
