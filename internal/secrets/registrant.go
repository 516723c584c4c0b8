package secrets

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"weir"
)

const (
	// registrantHost is not "server", which is what control planes are called.
	registrantHost     = "registration"
	registrantLifetime = 24 * time.Hour
	tokenIDDigits      = 16
)

// ErrNotRegistrant is the kind of error for a certificate that names no registrant.
var ErrNotRegistrant = errors.New("not a registrant's certificate")

// Registrant is a server that registers itself, as its certificate says.
type Registrant struct {
	// Token is the name of the Token object that let it in, TokenID which of all that ever had that name.
	Token, TokenID string
	// Name is that of the Server.
	Name string
}

// TokenID tells a token from others that have had its name, by the hash that is kept of it. It is no secret.
func TokenID(hash string) string {
	sum := sha256.Sum256([]byte("registration " + hash))
	return hex.EncodeToString(sum[:])[:tokenIDDigits]
}

func (r Registrant) uri() *url.URL {
	return &url.URL{Scheme: agentScheme, Host: registrantHost, Path: "/" + r.Token + "/" + r.TokenID + "/" + r.Name}
}

// IssueRegistrant makes a certificate for a day that says its holder is a server that a token let in. Of the request,
// in PEM, only the public key counts, after its signature has shown that the asker has the key.
func (c *CA) IssueRegistrant(csr []byte, r Registrant) (*x509.Certificate, error) {
	for _, name := range []string{r.Token, r.Name} {
		if err := weir.CheckName(name); err != nil {
			return nil, fmt.Errorf("issue registrant certificate: name %w", err)
		}
	}
	req, err := parseCSR(csr)
	if err != nil {
		return nil, fmt.Errorf("issue registrant certificate for %s: %w", r.Name, err)
	}
	leaf, _, err := c.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: r.Name}, // for people; RegistrantIdentity reads the URI
		URIs:        []*url.URL{r.uri()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, registrantLifetime, req.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issue registrant certificate for %s: %w", r.Name, err)
	}
	return leaf, nil
}

// RegistrantIdentity gives the server that a certificate, verified already, is for.
func RegistrantIdentity(cert *x509.Certificate) (Registrant, error) {
	others := len(cert.DNSNames) + len(cert.IPAddresses) + len(cert.EmailAddresses)
	if cert.IsCA || len(cert.URIs) != 1 || others != 0 {
		return Registrant{}, fmt.Errorf("read registrant identity: %w: it must hold one URI and no other name", ErrNotRegistrant)
	}
	parts := strings.Split(strings.TrimPrefix(cert.URIs[0].Path, "/"), "/")
	if len(parts) == 3 {
		r := Registrant{Token: parts[0], TokenID: parts[1], Name: parts[2]}
		// Compared as a whole, so that nothing hides in a query, a port or an escape.
		if weir.CheckName(r.Token) == nil && weir.CheckName(r.Name) == nil && len(r.TokenID) == tokenIDDigits && cert.URIs[0].String() == r.uri().String() {
			return r, nil
		}
	}
	return Registrant{}, fmt.Errorf("read registrant identity: %w: its URI is not %s://%s/<token>/<id>/<name>", ErrNotRegistrant, agentScheme, registrantHost)
}

// KeyHash names a certificate's public key.
func KeyHash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
