package secrets

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// AgentKeyFile is an agent's private key in its folder, 0600.
	AgentKeyFile = "agent.key"
	// RenewalGrace is how long after its end an agent's certificate can still be renewed.
	RenewalGrace = 90 * 24 * time.Hour

	agentScheme      = "weir"
	agentHost        = "lb"
	controlPlaneHost = "server"
	maxLBName        = 63
)

// ErrNotAgent is the kind of error for a certificate that names no load balancer.
var ErrNotAgent = errors.New("not an agent's certificate")

// ErrNotControlPlane is the kind of error for a certificate that names no control plane.
var ErrNotControlPlane = errors.New("not a control plane's certificate")

// AgentIdentity gives the name of the load balancer whose agent a certificate, verified already, is for.
func AgentIdentity(cert *x509.Certificate) (string, error) {
	others := len(cert.DNSNames) + len(cert.IPAddresses) + len(cert.EmailAddresses)
	if cert.IsCA || len(cert.URIs) != 1 || others != 0 {
		return "", fmt.Errorf("read agent identity: %w: it must hold one URI and no other name", ErrNotAgent)
	}
	name := strings.TrimPrefix(cert.URIs[0].Path, "/")
	// Compared as a whole, so that nothing hides in a query, a port, an escape or a second slash.
	if checkLBName(name) != nil || cert.URIs[0].String() != agentURI(name).String() {
		return "", fmt.Errorf("read agent identity: %w: its URI is not %s://%s/<name>", ErrNotAgent, agentScheme, agentHost)
	}
	return name, nil
}

// Agent verifies an agent's certificate as valid at a time and gives the name of its load balancer.
func (t *Trust) Agent(cert *x509.Certificate, at time.Time) (string, error) {
	if err := t.verify(cert, at, x509.ExtKeyUsageClientAuth, ""); err != nil {
		return "", fmt.Errorf("verify agent's certificate: %w", err)
	}
	return AgentIdentity(cert)
}

// ControlPlaneIdentity gives the ID of the control plane that a certificate, verified already, is for.
func ControlPlaneIdentity(cert *x509.Certificate) (string, error) {
	others := len(cert.DNSNames) + len(cert.IPAddresses) + len(cert.EmailAddresses)
	if cert.IsCA || len(cert.URIs) != 1 || others != 0 {
		return "", fmt.Errorf("read control plane identity: %w: it must hold one URI and no other name", ErrNotControlPlane)
	}
	id := strings.TrimPrefix(cert.URIs[0].Path, "/")
	if id == "" || strings.Contains(id, "/") || cert.URIs[0].String() != controlPlaneURI(id).String() {
		return "", fmt.Errorf("read control plane identity: %w: its URI is not %s://%s/<id>", ErrNotControlPlane, agentScheme, controlPlaneHost)
	}
	return id, nil
}

func controlPlaneURI(id string) *url.URL {
	return &url.URL{Scheme: agentScheme, Host: controlPlaneHost, Path: "/" + id}
}

func agentURI(lbName string) *url.URL {
	return &url.URL{Scheme: agentScheme, Host: agentHost, Path: "/" + lbName}
}

// checkLBName is the rule for names of objects; nothing here needs quoting in a URI.
func checkLBName(name string) error {
	if name == "" || len(name) > maxLBName {
		return fmt.Errorf("name of the load balancer must be 1 to %d bytes long", maxLBName)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case (c == '-' || c == '_') && i > 0 && i < len(name)-1:
		default:
			return fmt.Errorf("name %q of the load balancer may hold only a-z, 0-9, '-' and '_', and must begin and end with a letter or digit", name)
		}
	}
	return nil
}

// NewAgentKey makes an ECDSA P-256 key in dir, which is made 0700 if absent. After a crash it is whole or not
// there. The error wraps fs.ErrExist when dir already has one; it is then untouched.
func NewAgentKey(dir string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make agent key: %w", err)
	}
	text, err := encodeKey(key)
	if err != nil {
		return nil, fmt.Errorf("make agent key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make agent key: %w", err)
	}
	if err := CreateFile(filepath.Join(dir, AgentKeyFile), text, 0o600); err != nil {
		return nil, fmt.Errorf("make agent key: %w", err)
	}
	return key, nil
}

// OpenAgentKey reads the key that NewAgentKey made in dir. The error wraps fs.ErrNotExist when there is none.
func OpenAgentKey(dir string) (crypto.Signer, error) {
	path := filepath.Join(dir, AgentKeyFile)
	data, err := ReadPrivateFile(path)
	if err != nil {
		return nil, fmt.Errorf("open agent key: %w", err)
	}
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, fmt.Errorf("open agent key %s: %w", path, err)
	}
	key, err := parseKey(blocks[0])
	if err != nil {
		return nil, fmt.Errorf("open agent key %s: %w", path, err)
	}
	return key, nil
}

// CSR makes a request in PEM for a certificate for key. The name only helps people who look at it.
func CSR(key crypto.Signer, name string) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: csrBlock, Bytes: der}), nil
}

// AgentCertificate joins an agent's key and the chain in PEM that it was issued, and checks that they fit.
func AgentCertificate(key crypto.Signer, chain []byte) (tls.Certificate, error) {
	certs, err := parseCertificates(chain)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read agent certificate: %w", err)
	}
	if !samePublicKey(key.Public(), certs[0].PublicKey) {
		return tls.Certificate{}, errors.New("read agent certificate: it was issued for another key")
	}
	out := tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, c := range certs {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

// Serial gives a certificate's serial number in hexadecimal, to be kept as the latest that an agent showed.
func Serial(cert *x509.Certificate) string { return cert.SerialNumber.Text(16) }

// VerifyRenewal says for which load balancer a request may be signed anew on the strength of cert, whose key the
// connection has proven. A valid certificate may change its key; one that ran out at most RenewalGrace ago
// keeps it. That the latter happens once is for the caller to hold: it refuses a cert that ran out when Serial
// is not the latest it knows of the load balancer, and any whose load balancer is gone.
func (t *Trust) VerifyRenewal(cert *x509.Certificate, csr []byte, now time.Time) (lbName string, err error) {
	req, err := parseCSR(csr)
	if err != nil {
		return "", fmt.Errorf("renew agent certificate: %w", err)
	}
	at, expired := now, now.After(cert.NotAfter)
	if expired {
		at = cert.NotAfter.Add(-time.Second)
	}
	if err := t.verify(cert, at, x509.ExtKeyUsageClientAuth, ""); err != nil {
		return "", fmt.Errorf("renew agent certificate: %w", err)
	}
	lbName, err = AgentIdentity(cert)
	if err != nil {
		return "", fmt.Errorf("renew agent certificate: %w", err)
	}
	if now.Sub(cert.NotAfter) > RenewalGrace {
		return "", fmt.Errorf("renew certificate of load balancer %s: it ran out at %s, more than %d days ago; join again with a new token and --replace",
			lbName, stamp(cert.NotAfter), int(RenewalGrace.Hours()/24))
	}
	if expired && !samePublicKey(req.PublicKey, cert.PublicKey) {
		return "", fmt.Errorf("renew certificate of load balancer %s: it ran out at %s, so only the same key renews it; join again with a new token and --replace",
			lbName, stamp(cert.NotAfter))
	}
	return lbName, nil
}
