package link

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/secrets"
)

// While the CA is being changed, agents are told on their streams which CAs to believe, and keep that, long before
// they need it. When another CA of the bundle has begun to issue, which is its first, they ask it for certificates.

const (
	// trustHeader is what an agent believes, as hashes; who does not send it is not told of other CAs.
	trustHeader = "Weir-Trust"
	// renewalEach and mostSpread bound how closely agents follow each other to a new CA.
	renewalEach = 200 * time.Millisecond
	mostSpread  = 5 * time.Minute
	maxBundle   = 64 << 10
)

// wireTrust is the CAs to believe.
type wireTrust struct {
	// CA is the bundle in PEM, the issuing one first.
	CA string `json:"ca"`
	// Spread is over how many milliseconds agents draw the time at which they renew, if that follows from it.
	Spread int64 `json:"spread,omitempty"`
}

func (w *wireTrust) check() error {
	if w != nil && (w.CA == "" || len(w.CA) > maxBundle || w.Spread < 0 || w.Spread > mostSpread.Milliseconds()) {
		return errors.New("the CAs to believe are none, or too long, or to be spread over too long")
	}
	return nil
}

// trustOf writes a bundle's hashes in one word.
func trustOf(t *secrets.Trust) string { return strings.Join(t.Hashes(), ",") }

// trustLine gives the line by which the agent learns what it does not believe yet, nil when it knows.
func (s *stream) trustLine() ([]byte, error) {
	now := s.hub.opts.CA.Trust()
	if s.believes == "" || now == s.trust {
		return nil, nil
	}
	s.trust = now
	hashes := trustOf(now)
	if hashes == s.believes {
		return nil, nil
	}
	s.believes = hashes
	spread := min(mostSpread, time.Duration(len(s.hub.Connected()))*renewalEach)
	line, err := json.Marshal(message{Trust: &wireTrust{string(now.PEM()), spread.Milliseconds()}})
	if err != nil {
		return nil, fmt.Errorf("write trust bundle: %w", err)
	}
	return append(line, '\n'), nil
}

// believe keeps the CAs that the control plane says are to be believed, on disk first.
func (c *Client) believe(w *wireTrust) error {
	trust, err := secrets.ParseTrust([]byte(w.CA))
	if err != nil {
		return fmt.Errorf("read stream: %w", err)
	}
	id := c.identity()
	if trustOf(trust) == trustOf(id.trust) {
		return nil
	}
	if err := secrets.WriteFile(filepath.Join(c.opts.Dir, trustFile), trust.PEM(), 0o644); err != nil {
		return err
	}
	next := *id
	next.trust = trust
	c.mu.Lock()
	c.id = &next
	c.mu.Unlock()
	if next.outdated() {
		c.moveAt = c.opts.Now().Add(rand.N(time.Duration(w.Spread)*time.Millisecond + 1))
	}
	c.opts.Log.Info("believing other CAs than before", "cas", trust.Hashes(), "renewing", next.outdated())
	c.reporter.refresh()
	return nil
}

// outdated tells that the CA of the certificate no longer issues.
func (id *identity) outdated() bool { return !id.trust.Issues(id.cert.Leaf) }

// standing tells which CAs are believed, and which one issued the certificate.
func (c *Client) standing() (believes []string, issuer string) {
	id := c.identity()
	return id.trust.Hashes(), id.trust.IssuerHash(id.cert.Leaf)
}

// explain says of a connection that failed for want of trust what can have happened, and what to do.
func explain(err error, name string) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; if the control plane's CA was changed while this agent was away, remove agent.crt from its folder and join again: weir token join … --name %s --replace", err, name)
	case strings.Contains(err.Error(), "remote error: tls: bad certificate"):
		return fmt.Errorf("%w: the control plane does not take this agent's certificate; if its CA was changed while this agent was away, remove agent.crt from its folder and join again: weir token join … --name %s --replace", err, name)
	}
	return err
}
