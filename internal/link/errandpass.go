package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"weir"
	"weir/internal/secrets"
)

// An agent is connected to one control plane of the store, which need not be the one that somebody asks. So that one
// asks the others that it listens to, all at once, and the one that has the agent passes the answer on as it comes.

const (
	askPath = Prefix + "ask"
	// codeNotHere says that the agent is connected to another control plane, or to none.
	codeNotHere = "not-here"
)

// know remembers another control plane for as long as it is listened to.
func (h *Hub) know(url string, show func() (secrets.ClientConfig, error)) (forget func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.others[url] = show
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.others, url)
	}
}

// askOthers passes an errand on to the control plane that has the agent.
func (h *Hub) askOthers(ctx context.Context, lb string, e Errand, take func(json.RawMessage) error) error {
	body, err := json.Marshal(wireErrand{Errand: e, WithinMs: e.Within.Milliseconds(), LoadBalancer: lb})
	if err != nil {
		return err
	}
	h.mu.Lock()
	type answer struct {
		from io.ReadCloser
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(h.others))
	for url, show := range h.others {
		go func() {
			from, err := askAt(ctx, url, show, body)
			answers <- answer{from, err}
		}()
	}
	waiting := len(h.others)
	h.mu.Unlock()
	err = errNotHere
	var from io.ReadCloser
	for ; waiting > 0 && from == nil; waiting-- {
		a := <-answers
		from = a.from
		if weir.KindOf(a.err) != "" {
			err = a.err // it has the agent, and says why not
		}
	}
	go func() { // who is slower has nothing, or is not wanted any more
		for range waiting {
			if a := <-answers; a.from != nil {
				_ = a.from.Close()
			}
		}
	}()
	if from == nil {
		return err
	}
	defer func() { _ = from.Close() }()
	err = readAnswer(from, lb, take)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

// askAt asks another control plane; there is an answer to read, or an error.
func askAt(ctx context.Context, url string, show func() (secrets.ClientConfig, error), body []byte) (io.ReadCloser, error) {
	config, err := show()
	if err != nil {
		return nil, err
	}
	t, err := transport(url, config)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+askPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.RoundTrip(req)
	if err != nil {
		t.CloseIdleConnections()
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return &passed{resp.Body, t}, nil
	}
	defer t.CloseIdleConnections()
	defer func() { _ = resp.Body.Close() }()
	no := readRefusal(resp)
	if no.code == codeNotHere || no.status == http.StatusNotFound { // or it is of an older version, and so is its agent
		return nil, errNotHere
	}
	return nil, weir.Errorf(weir.Unavailable, "%s", no.detail)
}

// passed is an answer that closes its connection, too.
type passed struct {
	io.ReadCloser
	t *http.Transport
}

// Close ends the answer; the control plane that sends it hears of that.
func (p *passed) Close() error {
	err := p.ReadCloser.Close()
	p.t.CloseIdleConnections()
	return err
}

// passOn asks an agent that is connected here for another control plane.
func (h *Hub) passOn(w http.ResponseWriter, r *http.Request) error {
	if peer := h.opts.CA.Trust().Peer(r.TLS, h.opts.Now()); peer.State != secrets.PeerControlPlane {
		return refuse(http.StatusForbidden, string(weir.Forbidden), "only another control plane of this store may pass on what an agent is asked")
	}
	var asked wireErrand
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxErrand+64<<10)).Decode(&asked); err != nil {
		return refuse(http.StatusBadRequest, string(weir.Invalid), "what is asked: %s", jsonFault(err))
	}
	asked.Within = time.Duration(asked.WithinMs) * time.Millisecond
	ctx, cancel := context.WithTimeoutCause(r.Context(), asked.Within, errErrandTime)
	defer cancel()
	out := &passer{w: w, control: http.NewResponseController(w), patience: h.opts.WriteTimeout}
	err := h.askHere(ctx, asked.LoadBalancer, asked.Errand, out.begin, func(line json.RawMessage) error { return out.write(errandLine{Line: line}) })
	if errors.Is(err, errNotHere) {
		return refuse(http.StatusNotFound, codeNotHere, "the agent of load balancer %s is not connected here", asked.LoadBalancer)
	}
	err = askedError(ctx, asked.LoadBalancer, err)
	if err != nil && !out.begun {
		return err
	}
	end := errandEnd{}
	if err != nil {
		end = errandEnd{Code: endPassed, Detail: refusalOf(err).detail}
	}
	_ = out.write(errandLine{End: &end}) // an error means that the other side is gone
	return nil
}

// passer writes the lines of an answer as they come.
type passer struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	begun    bool
}

// begin tells the control plane that asks that it need not wait for another one.
func (p *passer) begin() {
	p.begun = true
	p.w.Header().Set("Content-Type", "application/x-ndjson")
	_ = p.control.Flush() // an error means that the other side is gone
}

func (p *passer) write(line errandLine) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_ = p.control.SetWriteDeadline(time.Now().Add(p.patience))
	if _, err := p.w.Write(append(text, '\n')); err != nil {
		return err
	}
	if err := p.control.Flush(); err != nil {
		return err
	}
	return p.control.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream at its deadline even when nothing is being written
}
