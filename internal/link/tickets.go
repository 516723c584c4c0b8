package link

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"weir"
	"weir/internal/secrets"
)

// TLS ticket keys: what an agent is told of them, its brief, is on a line of its own, which is no part of a transaction
// and is kept on no disk. It comes before everything else of a stream, and an agent that is about to start HAProxy can
// ask for it alone. What the agent makes of it goes the other way. Both are text of package tickets; an older end
// passes over the line, and has no such address.

const (
	ticketsPath     = Prefix + "tickets"
	maxTicketBrief  = 8 << 20
	maxTicketAnswer = 8 << 20
	answerTries     = 5
	answerPause     = time.Second
)

// Tickets is what the control plane has to say of TLS ticket keys. Many goroutines use it at once.
type Tickets interface {
	// Brief gives what an agent is to be told now, zero for nothing; cert is the one that it has shown. It answers
	// from memory.
	Brief(name string, cert *x509.Certificate) secrets.Secret
	// Answer takes what an agent has made of its brief. An error that is no *weir.Error is shown to nobody.
	Answer(ctx context.Context, name string, text []byte) error
}

// Rebrief tells the agents named, as far as they are connected here, what Tickets now says, if that is news.
func (h *Hub) Rebrief(names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		if m := h.members[name]; m != nil && m.watcher != nil {
			select {
			case m.watcher.briefs <- struct{}{}:
			default:
			}
		}
	}
}

// brief sends what the agent is to be told of ticket keys, unless it was told just that.
func (s *stream) brief() error {
	line, err := s.ticketLine()
	if err != nil || line == nil {
		return err
	}
	if err := s.write(line); err != nil {
		return err
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("write to agent: %w", err)
	}
	return s.deadline(time.Time{})
}

func (s *stream) ticketLine() ([]byte, error) {
	if s.hub.opts.Tickets == nil {
		return nil, nil
	}
	text := s.hub.opts.Tickets.Brief(s.name, s.cert)
	sum := sha256.Sum256(text.Bytes())
	if text.IsZero() || sum == s.briefed {
		return nil, nil
	}
	s.briefed = sum
	line, err := json.Marshal(map[string]json.RawMessage{"tickets": text.Bytes()})
	if err != nil {
		return nil, errors.New("write brief on ticket keys: it can't be encoded")
	}
	return append(line, '\n'), nil
}

// tellTickets answers an agent that wants its brief before anything else.
func (h *Hub) tellTickets(w http.ResponseWriter, r *http.Request) error {
	name, cert, err := h.ticketAgent(r)
	if err != nil {
		return err
	}
	text := h.opts.Tickets.Brief(name, cert)
	if text.IsZero() {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text.Bytes()) // an error means that the other side is gone
	return nil
}

// takeTickets takes what an agent has made of its brief.
func (h *Hub) takeTickets(w http.ResponseWriter, r *http.Request) error {
	name, _, err := h.ticketAgent(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTicketAnswer))
	if err != nil {
		return refuse(http.StatusRequestEntityTooLarge, string(weir.TooLarge), "what is said of ticket keys can't be read, or is longer than %d bytes", maxTicketAnswer)
	}
	if err := h.opts.Tickets.Answer(r.Context(), name, text); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Hub) ticketAgent(r *http.Request) (string, *x509.Certificate, error) {
	name, cert, err := h.agent(r)
	if err != nil {
		return "", nil, err
	}
	if _, ok := h.Wanted(name); !ok {
		return "", nil, refuse(http.StatusForbidden, string(weir.Forbidden), "no group of the control plane lists load balancer %s", name)
	}
	if h.opts.Tickets == nil || h.Held() {
		return "", nil, refuse(http.StatusServiceUnavailable, string(weir.Unavailable), "this control plane says nothing of ticket keys now").after(time.Second)
	}
	return name, cert, nil
}

// Self is who an agent is, and whom it believes.
type Self struct {
	Name        string
	Key         crypto.Signer
	Certificate *x509.Certificate
	Trust       *secrets.Trust
}

func (id *identity) self() Self { return Self{id.name, id.key, id.cert.Leaf, id.trust} }

// Self tells who the agent is now: its certificate is renewed, and so are the CAs that it believes.
func (c *Client) Self() Self { return c.identity().self() }

// Answer sends what the agent has made of its brief on ticket keys; of several the newest. It never waits. What can't
// be sent is given up: with the next session the brief comes anew.
func (c *Client) Answer(text []byte) {
	for {
		select {
		case c.answers <- text:
			return
		default:
		}
		select {
		case <-c.answers:
		default:
		}
	}
}

// answer sends what there is to be said of ticket keys until ctx ends.
func (c *Client) answer(ctx context.Context, t http.RoundTripper, base string) {
	for {
		select {
		case <-ctx.Done():
			return
		case text := <-c.answers:
			c.answerOne(ctx, t, base, text)
		}
	}
}

func (c *Client) answerOne(ctx context.Context, t http.RoundTripper, base string, text []byte) {
	for range answerTries {
		within, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := post(within, t, base+ticketsPath, nil, text, nil)
		cancel()
		var no *refusal
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.As(err, &no) && no.status == http.StatusConflict:
			c.opts.Log.Debug("another load balancer was first with the secret of ticket keys", "reason", no.detail)
			return
		case errors.As(err, &no) && no.status < 500:
			c.opts.Log.Warn("the control plane does not take what was made of ticket keys", "url", base, "err", err)
			return
		}
		c.opts.Log.Warn("can't tell the control plane of ticket keys yet", "url", base, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(answerPause):
		}
	}
}

// FetchBrief asks the control plane, at all URLs at once, for the brief on ticket keys alone, with the identity in
// o.Dir; the first that has one counts. It is nil when the control plane has none to give.
func FetchBrief(ctx context.Context, o Options) (brief []byte, self Self, err error) {
	o = o.withDefaults()
	id, err := openIdentity(o.Dir)
	if err != nil {
		return nil, Self{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type told struct {
		brief []byte
		err   error
	}
	answers := make(chan told, len(o.URLs))
	for _, url := range o.URLs {
		go func() {
			text, err := id.fetchBrief(ctx, o, url)
			answers <- told{text, err}
		}()
	}
	var errs []error
	for range o.URLs {
		a := <-answers
		if a.brief != nil {
			return a.brief, id.self(), nil
		}
		errs = append(errs, a.err)
	}
	return nil, id.self(), errors.Join(errs...)
}

func (id *identity) fetchBrief(ctx context.Context, o Options, base string) ([]byte, error) {
	t, err := transport(base, secrets.ClientConfig{Trust: id.trust, Now: o.Now, Certificate: func() *tls.Certificate { return &id.cert }})
	if err != nil {
		return nil, err
	}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+ticketsPath, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for ticket keys at %s: %w", base, err)
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask for ticket keys at %s: %w", base, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNoContent:
		return nil, nil
	default:
		return nil, fmt.Errorf("ask for ticket keys at %s: %w", base, readRefusal(resp))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxTicketBrief))
	if err != nil {
		return nil, fmt.Errorf("ask for ticket keys at %s: %w", base, err)
	}
	return text, nil
}
