package acme

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxChain bounds how many certificates a chain has.
const maxChain = 10

// request makes the request for a certificate, with nothing in it but names and key.
func request(names []string, key crypto.Signer) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
}

// parseChain reads a chain as CAs send it.
func parseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			if len(bytes.TrimSpace(rest)) > 0 {
				return nil, errors.New("the chain ends with what is no PEM")
			}
			break
		}
		if b.Type != "CERTIFICATE" || len(chain) == maxChain {
			return nil, fmt.Errorf("the chain has a %q, or more than %d certificates", clean(b.Type), maxChain)
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the chain: %w", len(chain)+1, err)
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, errors.New("the chain has no certificate")
	}
	return chain, nil
}

// checkChain says what is wrong with a chain for the names and the key, empty for nothing. What the client is to trust
// is not looked at.
func checkChain(chain []*x509.Certificate, names []string, key crypto.PublicKey) string {
	leaf := chain[0]
	pub, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(key) {
		return "the certificate is of another key than this order's"
	}
	have := make([]string, 0, len(leaf.DNSNames))
	for _, n := range leaf.DNSNames {
		have = append(have, strings.ToLower(n))
	}
	for _, n := range names {
		if !slices.Contains(have, n) {
			return "the certificate lacks the name " + n
		}
	}
	if more := unordered(leaf, have, names); more != "" {
		return "the certificate is also for " + clean(more) + ", which was not ordered"
	}
	if !leaf.NotAfter.After(leaf.NotBefore) {
		return "the certificate ends before it begins"
	}
	for i, c := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(c); err != nil {
			return fmt.Sprintf("certificate %d of the chain has not signed the one before it", i+2)
		}
	}
	return ""
}

// unordered gives something that a leaf is for besides the names, empty for nothing: it is shown for no more than the role
// may claim.
func unordered(leaf *x509.Certificate, have, names []string) string {
	for _, n := range have {
		if !slices.Contains(names, n) {
			return strconv.Quote(n)
		}
	}
	for _, ip := range leaf.IPAddresses {
		return ip.String()
	}
	for _, m := range leaf.EmailAddresses {
		return strconv.Quote(m)
	}
	for _, u := range leaf.URIs {
		return strconv.Quote(u.String())
	}
	return ""
}

// encodeChain writes a chain as PEM, with nothing between the certificates.
func encodeChain(chain []*x509.Certificate) string {
	var b bytes.Buffer
	for _, c := range chain {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Buffer takes all
	}
	return b.String()
}
