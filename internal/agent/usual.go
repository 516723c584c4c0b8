package agent

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"

	"weir"
)

// usual knows certificates that any HAProxy takes, however its OpenSSL is set up: so it need not be asked about them before
// their files are where a HAProxy that starts would read them. What is not usual may be good all the same. The zero value is
// ready, and remembers signers, of which thousands of chains have few.
type usual struct{ signers map[string]bool }

// usualSignatures are those that OpenSSL takes at its higher levels of security, too.
var usualSignatures = []x509.SignatureAlgorithm{
	x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
	x509.PureEd25519,
}

// mostUsual is what a file may be long, in bytes, to be given to HAProxy in one command.
const mostUsual = 15_000

// pair says that a chain, PEM, and its key are of the usual forms, and belong together.
func (u *usual) pair(chain weir.Chain, key []byte) bool {
	if chain.Len()+len(key) > mostUsual {
		return false
	}
	private, rest := pem.Decode(key)
	if private == nil || len(private.Headers) > 0 || len(strings.TrimSpace(string(rest))) > 0 {
		return false
	}
	signer, ok := privateKey(private).(interface{ Public() crypto.PublicKey })
	if !ok {
		return false
	}
	leaf := parseUsual(chain.Leaf())
	if leaf == nil {
		return false
	}
	public, ok := leaf.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && public.Equal(signer.Public()) && u.signed(strings.TrimSpace(chain.Rest()))
}

const endOfCertificate = "-----END CERTIFICATE-----"

// signed says that what follows a leaf is usual, too.
func (u *usual) signed(text string) bool {
	if good, ok := u.signers[text]; ok || text == "" {
		return good || text == ""
	}
	good := true
	for part := range strings.SplitAfterSeq(text, endOfCertificate) {
		good = good && (strings.TrimSpace(part) == "" || parseUsual(part) != nil)
	}
	if u.signers == nil {
		u.signers = map[string]bool{}
	}
	u.signers[text] = good
	return good
}

func parseUsual(text string) *x509.Certificate {
	block, rest := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 || len(rest) > 0 {
		return nil
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN CERTIFICATE-----") {
		return nil // PEM passes over what stands before a block
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !slices.Contains(usualSignatures, c.SignatureAlgorithm) || !usualKey(c.PublicKey) {
		return nil
	}
	return c
}

func usualKey(public any) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256() || key.Curve == elliptic.P384() || key.Curve == elliptic.P521()
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192
	case ed25519.PublicKey:
		return true
	}
	return false
}

func privateKey(block *pem.Block) (key any) {
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil
	}
	return key
}
