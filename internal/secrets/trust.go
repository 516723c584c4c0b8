package secrets

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	certBlock = "CERTIFICATE"
	keyBlock  = "PRIVATE KEY"
	csrBlock  = "CERTIFICATE REQUEST"
)

// Trust is the list of CA certificates that are believed: one, or during a change of CA the old and the new.
// It never changes once made.
type Trust struct {
	certs []*x509.Certificate
	pool  *x509.CertPool
}

// NewTrust believes certs, of which there must be one at least and each must be a CA.
func NewTrust(certs ...*x509.Certificate) (*Trust, error) {
	if len(certs) == 0 {
		return nil, errors.New("make trust bundle: there is no CA certificate")
	}
	t := &Trust{pool: x509.NewCertPool()}
	for _, c := range certs {
		if !c.BasicConstraintsValid || !c.IsCA {
			return nil, fmt.Errorf("make trust bundle: certificate %q is no CA", c.Subject)
		}
		if !t.Has(CAHash(c)) {
			t.certs = append(t.certs, c)
			t.pool.AddCert(c)
		}
	}
	return t, nil
}

// ParseTrust reads CA certificates in PEM, and refuses other blocks and text that is not PEM.
func ParseTrust(bundle []byte) (*Trust, error) {
	certs, err := parseCertificates(bundle)
	if err != nil {
		return nil, fmt.Errorf("read trust bundle: %w", err)
	}
	return NewTrust(certs...)
}

// PEM gives the bundle as ParseTrust reads it.
func (t *Trust) PEM() []byte { return encodeCertificates(t.certs...) }

// Certificates gives the CA certificates, the issuing one first.
func (t *Trust) Certificates() []*x509.Certificate {
	return append([]*x509.Certificate(nil), t.certs...)
}

// Hashes names the CAs, the issuing one first.
func (t *Trust) Hashes() []string {
	list := make([]string, len(t.certs))
	for i, c := range t.certs {
		list[i] = CAHash(c)
	}
	return list
}

// IssuerHash names the CA of the bundle that issued a certificate, verified already; empty when it is none of them.
func (t *Trust) IssuerHash(cert *x509.Certificate) string {
	for _, c := range t.certs {
		if bytes.Equal(c.RawSubject, cert.RawIssuer) {
			return CAHash(c)
		}
	}
	return ""
}

// Issues tells whether the CA that issues, the bundle's first, is the one that issued a certificate, verified
// already.
func (t *Trust) Issues(cert *x509.Certificate) bool {
	return bytes.Equal(t.certs[0].RawSubject, cert.RawIssuer)
}

// Has tells whether a CA with this hash is believed.
func (t *Trust) Has(caHash string) bool {
	for _, c := range t.certs {
		if CAHash(c) == caHash {
			return true
		}
	}
	return false
}

// verify checks leaf's chain to the bundle at a time, for a use, and for a host name or address if not empty.
func (t *Trust) verify(leaf *x509.Certificate, at time.Time, use x509.ExtKeyUsage, host string) error {
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: t.pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{use}, DNSName: host,
	})
	return err
}

// CAHash names a CA certificate: "sha256:" and the digest of all of its DER in hexadecimal, so that the pin
// covers the dates too and not the key only.
func CAHash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hashPrefix + hex.EncodeToString(sum[:])
}

// maxPins is how many CAs can be pinned at once.
const maxPins = 4

// CheckCAHash gives the canonical form of a CA's hash, or says what is wrong with it.
func CheckCAHash(text string) (string, error) {
	sum, err := parseCAHash(text)
	if err != nil {
		return "", err
	}
	return hashPrefix + hex.EncodeToString(sum), nil
}

// CheckCAHashes reads a pin: one hash, or while the CA is being changed several with commas between them. They
// come back canonical, in their order, each once.
func CheckCAHashes(text string) ([]string, error) {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		hash, err := CheckCAHash(part)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, hash) {
			list = append(list, hash)
		}
	}
	if len(list) > maxPins {
		return nil, fmt.Errorf("%d CA hashes are too many: at most %d can be pinned at once", len(list), maxPins)
	}
	return list, nil
}

func parseCAHash(text string) ([]byte, error) {
	digest, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(text)), hashPrefix)
	sum, err := hex.DecodeString(digest)
	if !ok || err != nil || len(sum) != sha256.Size {
		return nil, errors.New(`CA hash must be "sha256:" and 64 hexadecimal digits, as the control plane prints it when it starts`)
	}
	return sum, nil
}

func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for _, b := range blocks {
		if b.Type != certBlock {
			return nil, fmt.Errorf("it holds a block %q where certificates belong", b.Type)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// decodePEM gives all blocks and refuses what is no PEM, also behind and between them.
func decodePEM(data []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for data = bytes.TrimSpace(data); len(data) > 0; data = bytes.TrimSpace(data) {
		if !bytes.HasPrefix(data, []byte("-----BEGIN ")) {
			return nil, errors.New("it holds text that is not PEM")
		}
		b, rest := pem.Decode(data)
		if b == nil {
			return nil, errors.New("it holds PEM that was cut or changed")
		}
		blocks, data = append(blocks, b), rest
	}
	if len(blocks) == 0 {
		return nil, errors.New("it is empty; PEM is needed")
	}
	return blocks, nil
}

func encodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: c.Raw})...)
	}
	return out
}
