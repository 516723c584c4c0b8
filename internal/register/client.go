package register

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"weir"
	"weir/internal/secrets"
)

// caHeader is in which control planes name the CAs to believe, and servers those that they believe.
const caHeader = "Weir-CA"

// The patience with one control plane: another may be there.
const (
	askPatience = 5 * time.Second
	maxAnswer   = 1 << 20
)

// client speaks to the control plane. It is for one goroutine.
type client struct {
	service *Service
	state   string // the folder
	now     func() time.Time
	log     *slog.Logger

	id *identity
	at int // the URL that answered last
	// renewAfter is when the certificate is renewed at the earliest, so that thousands don't do it at once.
	renewAfter time.Time
	named      string // the CAs that the control plane named last
	transport  *http.Transport
}

// answer is what a control plane says of a registration.
type answer struct {
	State          string        `json:"state"`
	Reason         string        `json:"reason"`
	Revision       int64         `json:"revision"`
	Lease          weir.Duration `json:"lease"`
	Heartbeat      weir.Duration `json:"heartbeat"`
	TokenExpiresAt time.Time     `json:"tokenExpiresAt"`
	ManagedBy      string        `json:"managedBy"`
}

// refusal is an answer other than success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// everywhere does something at each control plane in turn, beginning with the one that answered last, until one has
// answered: a refusal is an answer, unless it says that this one can't.
func (c *client) everywhere(ctx context.Context, do func(base string) error) error {
	var errs []error
	for range c.service.ControlPlane {
		base := c.service.ControlPlane[c.at%len(c.service.ControlPlane)]
		err := do(base)
		var no *refusal
		if err == nil || errors.As(err, &no) && no.status < http.StatusInternalServerError {
			return err
		}
		errs = append(errs, fmt.Errorf("at %s: %w", base, err))
		c.hangUp()
		c.at++
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// hangUp closes the connection, so that the next shows another certificate, or goes elsewhere.
func (c *client) hangUp() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
		c.transport = nil
	}
}

// say tells what the service is, with an identity that is got first if need be.
func (c *client) say(ctx context.Context, said weir.Announcement) (answer, error) {
	body, err := json.Marshal(said)
	if err != nil {
		return answer{}, err
	}
	var got answer
	err = c.known(ctx, func(base string) error {
		return c.ask(ctx, base, http.MethodPut, "/api/v1/registrations/"+c.id.name, "", body, &got)
	})
	if err == nil {
		c.follow(ctx)
	}
	return got, err
}

// withdraw ends the registration. One that is not there is no error.
func (c *client) withdraw(ctx context.Context, reason string) error {
	err := c.known(ctx, func(base string) error {
		return c.ask(ctx, base, http.MethodDelete, "/api/v1/registrations/"+c.id.name+"?reason="+url.QueryEscape(reason), "", nil, nil)
	})
	var no *refusal
	if errors.As(err, &no) && no.status == http.StatusNotFound {
		return nil
	}
	return err
}

// known does something as somebody known: with a certificate, which is got by the token when there is none, or when the
// one that is there is not taken any more.
func (c *client) known(ctx context.Context, do func(base string) error) error {
	fresh := false
	if !c.id.good(c.now()) {
		if err := c.exchange(ctx); err != nil {
			return err
		}
		fresh = true
	}
	err := c.everywhere(ctx, do)
	if err == nil || fresh || !strange(err) {
		return err
	}
	c.log.Info("the control plane does not take the certificate any more; exchanging the token again", "why", err)
	if err := c.exchange(ctx); err != nil {
		return err
	}
	return c.everywhere(ctx, do)
}

// strange says that whoever was asked did not know who asks.
func strange(err error) bool {
	var no *refusal
	if errors.As(err, &no) {
		return no.status == http.StatusUnauthorized
	}
	// A handshake in which the other side refused the certificate. TLS 1.3 tells it with the first read.
	return err != nil && strings.Contains(err.Error(), "remote error: tls:")
}

// exchange gets a certificate for the token.
func (c *client) exchange(ctx context.Context) error {
	token, err := secrets.ReadPrivateFile(c.service.TokenFile)
	if err != nil {
		return fmt.Errorf("exchange the token: %w", err)
	}
	c.id = c.id.without()
	c.hangUp()
	err = c.everywhere(ctx, func(base string) error {
		return c.certified(ctx, base, "/api/v1/registrations", strings.TrimSpace(string(token)))
	})
	if err != nil {
		return fmt.Errorf("exchange the token in %s: %w", c.service.TokenFile, err)
	}
	c.log.Info("got a certificate for the token", "server", c.id.name, "until", c.id.cert.Leaf.NotAfter)
	return nil
}

// certified asks for a certificate and keeps it.
func (c *client) certified(ctx context.Context, base, path, token string) error {
	csr, err := secrets.CSR(c.id.key, c.id.name)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"name": c.id.name, "csr": string(csr)})
	if err != nil {
		return err
	}
	var got struct {
		Certificate, CA string
	}
	if err := c.ask(ctx, base, http.MethodPost, path, token, body, &got); err != nil {
		return err
	}
	next, err := c.id.with([]byte(got.Certificate), []byte(got.CA))
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	if err := next.keep(c.state, c.service.CA, []byte(got.Certificate), []byte(got.CA)); err != nil {
		return err
	}
	c.id, c.renewAfter = next, time.Time{}
	c.hangUp()
	return nil
}

// follow renews the certificate at half of its life, or when the control plane names other CAs than are believed. An error
// is no reason not to go on: what there is still serves.
func (c *client) follow(ctx context.Context) {
	now := c.now()
	due := secrets.NeedsRenewal(c.id.cert.Leaf, now)
	if !due && c.id.believes(c.named) {
		c.renewAfter = time.Time{}
		return
	}
	if c.renewAfter.IsZero() {
		c.renewAfter = now.Add(spread(renewSpread))
	}
	if now.Before(c.renewAfter) {
		return
	}
	err := c.everywhere(ctx, func(base string) error {
		return c.certified(ctx, base, "/api/v1/registrations/"+c.id.name+"/renew", "")
	})
	if err != nil {
		c.renewAfter = now.Add(renewAgain)
		c.log.Warn("renew the certificate; going on with the one before", "until", c.id.cert.Leaf.NotAfter, "error", err)
		return
	}
	c.log.Info("renewed the certificate", "until", c.id.cert.Leaf.NotAfter)
}

// ask sends one request; a token, if given, goes with it.
func (c *client) ask(ctx context.Context, base, method, path, token string, body []byte, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, askPatience, fmt.Errorf("no answer within %s", askPatience))
	defer cancel()
	if c.transport == nil {
		made, err := c.dial(base)
		if err != nil {
			return err
		}
		c.transport = made
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header["Idempotency-Key"] = []string{} // is not sent: it lets a connection that was closed meanwhile be made anew
	if c.id.trust != nil {
		req.Header.Set(caHeader, strings.Join(c.id.trust.Hashes(), ","))
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return c.unreached(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return refused(resp.StatusCode, raw)
	}
	c.named = resp.Header.Get(caHeader)
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errors.New("read the answer: it is none of a control plane's")
	}
	return nil
}

// unreached says for people why nobody answered.
func (c *client) unreached(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("it shows another CA than those known here; if the CA was changed while this server was away, put the hash that weir ca status tells into ca, and start again: %w", err)
	}
	return err
}

func refused(status int, raw []byte) error {
	var no struct {
		Detail string
		Errors []weir.Problem
	}
	if err := json.Unmarshal(raw, &no); err != nil || no.Detail == "" {
		return &refusal{status, fmt.Sprintf("answered %d %s", status, http.StatusText(status))}
	}
	text := no.Detail
	for _, p := range no.Errors {
		text += "; " + p.Path + " " + p.Message
	}
	return &refusal{status, secrets.RedactTokens(text)}
}

// connect asks from the address that the service has, where it says one and the machine has it: it is the one that the
// control plane is to see.
func (c *client) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if own := c.service.Address; own.IsValid() {
		from := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(own, 0)), Timeout: askPatience}
		conn, err := from.DialContext(ctx, network, address)
		var addr *net.AddrError
		if !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.As(err, &addr) && (err == nil || !strings.Contains(err.Error(), "no suitable address")) {
			return conn, err
		}
	}
	return (&net.Dialer{Timeout: askPatience}).DialContext(ctx, network, address)
}

// dial makes what holds the connection, which lasts over many requests.
func (c *client) dial(base string) (*http.Transport, error) {
	at, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	cert := c.id.cert
	config, err := secrets.ClientTLS(secrets.ClientConfig{
		ServerName: at.Hostname(), Trust: c.id.trust, CAHash: c.service.CA, Now: c.now,
		Certificate: func() *tls.Certificate { return cert },
	})
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		TLSClientConfig: config, TLSHandshakeTimeout: askPatience, DisableCompression: true, MaxConnsPerHost: 1, DialContext: c.connect,
		MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: 5 * time.Minute,
	}, nil
}
