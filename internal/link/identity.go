package link

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"weir/internal/secrets"
)

// The files in an agent's folder beside secrets.AgentKeyFile. The certificate comes last when joining, so that
// where there is one, all is there.
const (
	certificateFile = "agent.crt"
	trustFile       = "ca.crt"
)

// identity is who an agent is and whom it believes. It never changes once made.
type identity struct {
	name  string
	key   crypto.Signer
	cert  tls.Certificate
	trust *secrets.Trust
}

func openIdentity(dir string) (*identity, error) {
	key, err := secrets.OpenAgentKey(dir)
	if err != nil {
		return nil, fmt.Errorf("open identity: %w; join first", err)
	}
	chain, err := os.ReadFile(filepath.Join(dir, certificateFile))
	if err != nil {
		return nil, fmt.Errorf("open identity: %w; join first", err)
	}
	bundle, err := os.ReadFile(filepath.Join(dir, trustFile))
	if err != nil {
		return nil, fmt.Errorf("open identity: %w; join first", err)
	}
	return newIdentity(key, chain, bundle)
}

func newIdentity(key crypto.Signer, chain, bundle []byte) (*identity, error) {
	cert, err := secrets.AgentCertificate(key, chain)
	if err != nil {
		return nil, fmt.Errorf("open identity: %w", err)
	}
	trust, err := secrets.ParseTrust(bundle)
	if err != nil {
		return nil, fmt.Errorf("open identity: %w", err)
	}
	name, err := secrets.AgentIdentity(cert.Leaf)
	if err != nil {
		return nil, fmt.Errorf("open identity: %w", err)
	}
	return &identity{name, key, cert, trust}, nil
}

// keep writes what a control plane has answered into dir and opens it.
func keep(dir string, key crypto.Signer, a identityAnswer) (*identity, error) {
	id, err := newIdentity(key, []byte(a.Certificate), []byte(a.CA))
	if err != nil {
		return nil, err
	}
	if err := secrets.WriteFile(filepath.Join(dir, trustFile), []byte(a.CA), 0o644); err != nil {
		return nil, err
	}
	return id, secrets.WriteFile(filepath.Join(dir, certificateFile), []byte(a.Certificate), 0o644)
}

// transport makes connections to the control plane at base; each call begins anew, so that a renewed
// certificate is shown.
func transport(base string, c secrets.ClientConfig) (*http.Transport, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("reach control plane: %q is no URL like https://weir.example:8443", base)
	}
	c.ServerName = u.Hostname()
	settings, err := secrets.ClientTLS(c)
	if err != nil {
		return nil, fmt.Errorf("reach control plane: %w", err)
	}
	return &http.Transport{
		TLSClientConfig:     settings,
		TLSHandshakeTimeout: 10 * time.Second,
		// The dialler's own timeout would be minutes.
		DialContext:           dial,
		ForceAttemptHTTP2:     true,
		ResponseHeaderTimeout: 30 * time.Second,
		DisableCompression:    true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: Silence / 2, PingTimeout: Silence / 2},
	}, nil
}

// Join is what an agent needs to become a load balancer's.
type Join struct {
	// Token is the join token as it was given out.
	Token string
	// Name is the load balancer's; empty leaves it to the token.
	Name string
	// Agent and HAProxy are versions, for people.
	Agent, HAProxy string
}

// Enrol makes a key in o.Dir, spends the token and keeps the certificate there; it returns the load balancer's
// name. The error wraps fs.ErrExist when the folder belongs to a load balancer already. URLs are tried in
// turn until one can be reached.
func Enrol(ctx context.Context, o Options, j Join) (string, error) {
	secret, caHash, err := secrets.ParseJoinToken(j.Token)
	if err != nil {
		return "", fmt.Errorf("enrol: %w", err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, certificateFile)); err == nil {
		return "", fmt.Errorf("enrol: %w: %s holds the identity of a load balancer; use another folder, or remove that one", fs.ErrExist, o.Dir)
	}
	key, err := secrets.NewAgentKey(o.Dir)
	if errors.Is(err, fs.ErrExist) { // of a try that did not get this far
		key, err = secrets.OpenAgentKey(o.Dir)
	}
	if err != nil {
		return "", fmt.Errorf("enrol: %w", err)
	}
	csr, err := secrets.CSR(key, j.Name)
	if err != nil {
		return "", fmt.Errorf("enrol: %w", err)
	}
	o = o.withDefaults()
	var answer identityAnswer
	err = errors.New("name at least one URL of the control plane")
	for _, base := range o.URLs {
		req := enrolRequest{Name: j.Name, CSR: string(csr), Agent: j.Agent, HAProxy: j.HAProxy}
		if answer, err = enrolAt(ctx, o, base, secret, caHash, req); err == nil || errors.As(err, new(*refusal)) {
			break
		}
	}
	if err != nil {
		return "", fmt.Errorf("enrol: %w", err)
	}
	id, err := keep(o.Dir, key, answer)
	if err != nil {
		return "", fmt.Errorf("enrol: %w", err)
	}
	return id.name, nil
}

func enrolAt(ctx context.Context, o Options, base, secret, caHash string, req enrolRequest) (identityAnswer, error) {
	t, err := transport(base, secrets.ClientConfig{CAHash: caHash, Now: o.Now})
	if err != nil {
		return identityAnswer{}, err
	}
	defer t.CloseIdleConnections()
	var answer identityAnswer
	err = postJSON(ctx, t, base+enrolPath, http.Header{"Authorization": {"Bearer " + secret}}, req, &answer)
	if err != nil {
		return identityAnswer{}, fmt.Errorf("at %s: %w", base, err)
	}
	trust, err := secrets.ParseTrust([]byte(answer.CA))
	if err != nil {
		return identityAnswer{}, fmt.Errorf("at %s: %w", base, err)
	}
	if !trust.Has(caHash) {
		return identityAnswer{}, fmt.Errorf("at %s: the CA bundle answered does not hold the CA that the token names", base)
	}
	return answer, nil
}

// renew asks for a new certificate for the same key and keeps it.
func (id *identity) renew(ctx context.Context, t http.RoundTripper, base, dir string) (*identity, error) {
	csr, err := secrets.CSR(id.key, id.name)
	if err != nil {
		return nil, fmt.Errorf("renew certificate: %w", err)
	}
	var answer identityAnswer
	if err := postJSON(ctx, t, base+renewPath, nil, renewRequest{CSR: string(csr)}, &answer); err != nil {
		return nil, fmt.Errorf("renew certificate at %s: %w", base, err)
	}
	if answer.Name != id.name {
		return nil, fmt.Errorf("renew certificate at %s: it is for %.80q, not %s", base, answer.Name, id.name)
	}
	return keep(dir, id.key, answer)
}
