package secrets

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// PeerState is what a client's certificate is worth.
type PeerState int

// The states of a peer. PeerValid, PeerControlPlane and PeerRegistrant are identities; PeerExpired is good for a renewal and nothing else.
const (
	PeerNone         PeerState = iota // it presented no certificate
	PeerValid                         // it is the agent that Name says
	PeerExpired                       // it was that agent, until its certificate ran out
	PeerControlPlane                  // it is another control plane of the same store
	PeerRegistrant                    // it is the server that Registrant says
	PeerRefused                       // what it presented is not an agent's certificate of ours; Err says why
)

// String gives the state in a word.
func (s PeerState) String() string {
	switch s {
	case PeerNone:
		return "none"
	case PeerValid:
		return "valid"
	case PeerExpired:
		return "expired"
	case PeerControlPlane:
		return "control plane"
	case PeerRegistrant:
		return "registrant"
	}
	return "refused"
}

// Peer is who is at the other end of a connection, judged at one moment.
type Peer struct {
	State PeerState
	// Name is the load balancer's, when State is PeerValid or PeerExpired, and the control plane's ID when it is PeerControlPlane.
	Name string
	// Registrant is who it is when State is PeerRegistrant.
	Registrant Registrant
	// Certificate is what was presented, nil when nothing was. The handshake has proven that the peer has its key.
	Certificate *x509.Certificate
	// Err says why State is PeerRefused.
	Err error
}

// Peer judges at now what a client presented on a connection made with ServerTLS; nil stands for a connection
// without TLS. Long streams ask again: a valid peer becomes an expired one.
func (t *Trust) Peer(cs *tls.ConnectionState, now time.Time) Peer {
	if cs == nil || len(cs.PeerCertificates) == 0 {
		return Peer{State: PeerNone}
	}
	p := Peer{State: PeerValid, Certificate: cs.PeerCertificates[0]}
	at := now
	if now.After(p.Certificate.NotAfter) {
		p.State, at = PeerExpired, p.Certificate.NotAfter.Add(-time.Second)
	}
	err := t.verify(p.Certificate, at, x509.ExtKeyUsageClientAuth, "")
	if err == nil {
		p.Name, err = AgentIdentity(p.Certificate)
	}
	if errors.Is(err, ErrNotAgent) && p.State == PeerValid {
		if id, peerErr := ControlPlaneIdentity(p.Certificate); peerErr == nil {
			p.State, p.Name, err = PeerControlPlane, id, nil
		} else if r, peerErr := RegistrantIdentity(p.Certificate); peerErr == nil {
			p.State, p.Registrant, err = PeerRegistrant, r, nil
		}
	}
	if err != nil {
		return Peer{State: PeerRefused, Certificate: p.Certificate, Err: fmt.Errorf("client certificate refused: %w", err)}
	}
	return p
}

// ServerConfig says what a control plane presents and whom it believes; all fields are required.
type ServerConfig struct {
	// Certificate gives what to present, asked at each handshake so that a renewed one is used at once.
	Certificate func() *tls.Certificate
	// Trust gives the CAs of the agents, asked at each handshake.
	Trust func() *Trust
	// Now is the clock.
	Now func() time.Time
}

// ServerTLS makes settings that ask every client for a certificate and need none. A certificate that our CA did
// not issue to an agent, a registrant or a control plane ends the handshake. One that ran out does not, because its holder may have come to renew
// it: handlers must ask Trust.Peer who the client is. What crypto/tls itself calls verified stays empty, so
// that a handler which forgets refuses everybody.
func ServerTLS(c ServerConfig) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		Time:       c.Now,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			cert := c.Certificate()
			if cert == nil {
				return nil, errors.New("answer handshake: there is no server certificate")
			}
			return c.handshake(cert, c.Trust()), nil
		},
		// Never used, but servers refuse to start without.
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.Certificate(), nil },
	}
}

func (c ServerConfig) handshake(cert *tls.Certificate, trust *Trust) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		Time:         c.Now,
		Certificates: []tls.Certificate{*cert},
		ClientAuth:   tls.RequestClientCert,
		// Sent as a hint, so that browsers don't offer their users certificates of others.
		ClientCAs: trust.pool,
		// A resumed session would carry the peer's certificate past a change of trust.
		SessionTicketsDisabled: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			return trust.Peer(&cs, c.Now()).Err
		},
	}
}
