package secrets

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrPin is the kind of error for a server that does not prove to belong to the pinned CA.
var ErrPin = errors.New("control plane is not the pinned one")

// ClientConfig says whom a client believes and who it is.
type ClientConfig struct {
	// ServerName is the host name or address that the server's certificate must be for; required.
	ServerName string
	// Trust are the CAs to believe. When nil, CAHash pins one by hash, as on first contact, or several as
	// CheckCAHashes reads them.
	Trust  *Trust
	CAHash string
	// Certificate gives what to present, asked at each handshake so that a renewed one is used at once; nil, or
	// a nil result, presents nothing.
	Certificate func() *tls.Certificate
	// Now is the clock; required.
	Now func() time.Time
}

// ClientTLS makes settings for TLS 1.3 that verify the server's chain, dates and name against Trust or the pin.
func ClientTLS(c ClientConfig) (*tls.Config, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(c.ServerName, "["), "]")
	if host == "" {
		return nil, errors.New("make client TLS settings: the server's name is missing")
	}
	out := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: host, Time: c.Now}
	if c.Certificate != nil {
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if cert := c.Certificate(); cert != nil {
				return cert, nil
			}
			return &tls.Certificate{}, nil
		}
	}
	if c.Trust != nil {
		out.RootCAs = c.Trust.pool
		return out, nil
	}
	pins, err := CheckCAHashes(c.CAHash)
	if err != nil {
		return nil, fmt.Errorf("make client TLS settings: %w", err)
	}
	// Not unverified: the CA is only known once the server has shown it, so the whole check is ours, and it runs
	// on every connection, resumed ones too.
	out.InsecureSkipVerify = true
	out.VerifyConnection = func(cs tls.ConnectionState) error {
		// Not cs.ServerName, which is empty when the server was reached by its address.
		return verifyPinned(cs, pins, host, c.Now())
	}
	return out, nil
}

func verifyPinned(cs tls.ConnectionState, pins []string, host string, now time.Time) error {
	ca, err := PinnedCA(cs, pins...)
	if err != nil {
		return err
	}
	trust, err := NewTrust(ca)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPin, err)
	}
	if err := trust.verify(cs.PeerCertificates[0], now, x509.ExtKeyUsageServerAuth, host); err != nil {
		return fmt.Errorf("%w: %w", ErrPin, err)
	}
	return nil
}

// PinnedCA finds a CA with one of the hashes among the certificates that a server presented. It alone proves
// nothing: ask it for connections made with ClientTLS.
func PinnedCA(cs tls.ConnectionState, caHashes ...string) (*x509.Certificate, error) {
	for _, cert := range cs.PeerCertificates {
		if slices.Contains(caHashes, CAHash(cert)) {
			return cert, nil
		}
	}
	got := "it shows no certificate"
	if n := len(cs.PeerCertificates); n > 0 {
		got = "the last certificate it shows has " + CAHash(cs.PeerCertificates[n-1])
	}
	return nil, fmt.Errorf("%w: none of its certificates has the hash %s; %s", ErrPin, strings.Join(caHashes, " or "), got)
}
