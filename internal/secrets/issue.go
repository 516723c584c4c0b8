package secrets

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"
)

const (
	maxCSR     = 16 << 10
	maxRSABits = 8192 // larger keys cost the one who checks them too much
)

// IssueServer makes a key and a certificate for one year under which a control plane answers at names and ips.
// It presents itself and the CA, so that a client that knows only the CA's hash can verify it.
func (c *CA) IssueServer(names []string, ips []netip.Addr) (tls.Certificate, error) {
	if len(names)+len(ips) == 0 {
		return tls.Certificate{}, errors.New("issue server certificate: name a host or an address that it is for")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue server certificate: %w", err)
	}
	tmpl := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Weir control plane"},
		DNSNames:    names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, ip := range ips {
		tmpl.IPAddresses = append(tmpl.IPAddresses, net.IP(ip.Unmap().AsSlice()))
	}
	leaf, issuer, err := c.sign(tmpl, serverLifetime, key.Public())
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue server certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, issuer.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// IssueControlPlane makes a key and a certificate by which a control plane shows the others of its store who it is.
func (c *CA) IssueControlPlane(id string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue control plane certificate: %w", err)
	}
	leaf, issuer, err := c.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "Weir control plane " + id},
		URIs:        []*url.URL{controlPlaneURI(id)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, agentLifetime, key.Public())
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue control plane certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, issuer.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// IssuePeer makes a certificate for one year for a member of the store at a host name or address: it serves the
// other members there, and shows them who it is. Of the request, in PEM, only the public key counts, after its
// signature has shown that the asker has the key.
func (c *CA) IssuePeer(csr []byte, host string) (*x509.Certificate, error) {
	req, err := parseCSR(csr)
	if err != nil {
		return nil, fmt.Errorf("issue certificate of store member %s: %w", host, err)
	}
	tmpl := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Weir store member"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		tmpl.IPAddresses = []net.IP{net.IP(ip.Unmap().AsSlice())}
	} else {
		tmpl.DNSNames = []string{host}
	}
	leaf, _, err := c.sign(tmpl, serverLifetime, req.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issue certificate of store member %s: %w", host, err)
	}
	return leaf, nil
}

// IssueAgent makes a certificate for 30 days that says its holder is the agent of load balancer lbName. Of the
// request, in PEM, only the public key counts, after its signature has shown that the asker has the key.
func (c *CA) IssueAgent(csr []byte, lbName string) (*x509.Certificate, error) {
	if err := checkLBName(lbName); err != nil {
		return nil, fmt.Errorf("issue agent certificate: %w", err)
	}
	req, err := parseCSR(csr)
	if err != nil {
		return nil, fmt.Errorf("issue agent certificate for %s: %w", lbName, err)
	}
	leaf, _, err := c.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: lbName}, // for people; AgentIdentity reads the URI
		URIs:        []*url.URL{agentURI(lbName)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, agentLifetime, req.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issue agent certificate for %s: %w", lbName, err)
	}
	return leaf, nil
}

// IssuedAt is when a CA of ours issued a certificate, to the second: its validity begins earlier.
func IssuedAt(cert *x509.Certificate) time.Time { return cert.NotBefore.Add(backdate) }

// NeedsRenewal tells whether half of a certificate's life is over.
func NeedsRenewal(cert *x509.Certificate, now time.Time) bool { return !now.Before(RenewAt(cert)) }

// RenewAt is the middle of a certificate's life.
func RenewAt(cert *x509.Certificate) time.Time {
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) / 2)
}

func parseCSR(data []byte) (*x509.CertificateRequest, error) {
	if len(data) > maxCSR {
		return nil, fmt.Errorf("the request is %d bytes long; at most %d are allowed", len(data), maxCSR)
	}
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, fmt.Errorf("the request: %w", err)
	}
	if len(blocks) != 1 || blocks[0].Type != csrBlock {
		return nil, fmt.Errorf("the request must be one PEM block %q", csrBlock)
	}
	req, err := x509.ParseCertificateRequest(blocks[0].Bytes)
	if err != nil {
		return nil, fmt.Errorf("the request: %w", err)
	}
	// Before the signature: checking it with an enormous key is work for us.
	if err := checkPublicKey(req.PublicKey); err != nil {
		return nil, fmt.Errorf("the request: %w", err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the request is not signed with its own key: %w", err)
	}
	return req, nil
}

func checkPublicKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= maxRSABits {
			return nil
		}
	}
	return fmt.Errorf("its key must be ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to %d bits", maxRSABits)
}
