package link

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
)

// An errand is something small that the control plane asks of an agent besides what is wanted: the lines of a log, or a
// health check that is run once. On the agent's stream goes nothing but the errand's name, on a line of its own that is
// no part of a transaction; the agent fetches what is asked and posts its answer, line by line, on a connection of its
// own, so that neither stands in the way of the stream and of reports. Whoever asked goes, or the time is over: then
// the post is ended, and by that the agent knows.

const (
	// errandsHeader says on an agent's watch which kinds of errands it does, comma separated; older agents do none.
	errandsHeader = "Weir-Errands"
	errandsPath   = Prefix + "errands/"

	// MaxErrand is the longest body of an errand, in bytes, and MaxErrandLine the longest line of an answer.
	MaxErrand     = 1 << 20
	MaxErrandLine = 256 << 10
	// maxErrandAnswer bounds an answer in bytes.
	maxErrandAnswer = 256 << 20
	// maxErrands is how many errands an agent may have at once.
	maxErrands = 32
	// takenWithin is how long an agent may take until it begins to answer.
	takenWithin = 10 * time.Second
)

// Errand is what an agent is asked.
type Errand struct {
	// Kind is one that the agent said it does.
	Kind string `json:"kind"`
	// Body is the kind's own.
	Body json.RawMessage `json:"body"`
	// Within is how long the agent may take, in whole milliseconds.
	Within time.Duration `json:"-"`
}

// wireErrand is an errand on its way.
type wireErrand struct {
	Errand
	WithinMs int64 `json:"withinMs"`
	// LoadBalancer is whose agent is to be asked, where a control plane passes it on to another.
	LoadBalancer string `json:"loadBalancer,omitempty"`
}

// errandLine is a line of an answer; the last one, and no other, has an End.
type errandLine struct {
	Line json.RawMessage `json:"line,omitempty"`
	End  *errandEnd      `json:"end,omitempty"`
}

// errandEnd says how an errand ended; without a code well.
type errandEnd struct {
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// The codes of errandEnd.
const (
	endUnknown = "unknown-errand"
	endBusy    = "busy"
	endFailed  = "failed"
	endPassed  = "passed-on" // from another control plane, which has said whose it is
)

var (
	errNotHere    = errors.New("the agent is not connected to this control plane")
	errErrandTime = errors.New("the time for it is over")
	errAgentLeft  = errors.New("its agent is no longer connected")
)

// given is an errand that an agent has.
type given struct {
	id   string
	lb   string
	what Errand
	ctx  context.Context
	take func(line json.RawMessage) error

	begun chan struct{} // closed when the agent answers
	once  sync.Once
	done  chan error // how it ended, once it had begun
}

// Ask gives an errand to the agent of a load balancer, at whichever control plane of the store it is connected, and
// take each line of the answer as it comes. It returns when the agent has come to its end, ctx ends, or the errand's time
// is over; take is not called any more then. Take must not wait; its error ends the errand and is Ask's. All else is
// a *weir.Error that can be shown: weir.Unavailable when the agent is not there, is too old, can't or has failed.
func (h *Hub) Ask(ctx context.Context, lb string, e Errand, take func(line json.RawMessage) error) error {
	if len(e.Body) > MaxErrand {
		return weir.Errorf(weir.TooLarge, "what load balancer %s is asked is longer than %d bytes", lb, MaxErrand)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.Within, errErrandTime)
	defer cancel()
	err := h.askHere(ctx, lb, e, func() {}, take)
	if errors.Is(err, errNotHere) {
		err = h.askOthers(ctx, lb, e, take)
	}
	return askedError(ctx, lb, err)
}

// askedError says for people what became of an errand.
func askedError(ctx context.Context, lb string, err error) error {
	switch cause := context.Cause(ctx); {
	case err == nil || weir.KindOf(err) != "":
		return err
	case errors.Is(cause, errErrandTime):
		return weir.Errorf(weir.Unavailable, "load balancer %s was asked, and did not come to its end in time", lb)
	case cause != nil:
		return cause
	case errors.Is(err, errNotHere):
		return weir.Errorf(weir.Unavailable, "the agent of load balancer %s is not connected to the control plane", lb)
	case errors.Is(err, errAgentLeft):
		return weir.Errorf(weir.Unavailable, "load balancer %s was asked, and %s", lb, err)
	}
	return err
}

// askHere asks an agent that is connected here; here is called before anything else when it is.
func (h *Hub) askHere(ctx context.Context, lb string, e Errand, here func(), take func(json.RawMessage) error) error {
	g := &given{id: rand.Text(), lb: lb, what: e, take: take, begun: make(chan struct{}), done: make(chan error, 1)}
	own, err := h.give(ctx, g)
	if err != nil {
		return err
	}
	here()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(own.ctx, func() { cancel(errAgentLeft) })()
	h.mu.Lock()
	g.ctx = ctx
	h.errands[g.id] = g
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.errands, g.id)
		own.asked--
	}()
	select {
	case own.errands <- g.id:
	default: // of those that nobody waits for any more
		return weir.Errorf(weir.Unavailable, "the agent of load balancer %s is slow to take what it is asked; try again", lb)
	}
	slow := time.NewTimer(takenWithin)
	defer slow.Stop()
	select {
	case <-g.begun:
		return <-g.done
	case <-slow.C:
		err = weir.Errorf(weir.Unavailable, "the agent of load balancer %s does not take what it is asked", lb)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	// It may begin just now.
	cancel(err)
	begun := true
	g.once.Do(func() { begun = false })
	if begun {
		return <-g.done
	}
	return err
}

// give finds the agent's stream, and a place for one more errand.
func (h *Hub) give(ctx context.Context, g *given) (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[g.lb]
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case h.held != nil:
		return nil, weir.Errorf(weir.Unavailable, "the control plane is held since its restore and asks load balancers nothing")
	case m == nil || m.watcher == nil:
		return nil, errNotHere
	}
	own := m.watcher
	switch {
	case len(own.does) == 0:
		return nil, weir.Errorf(weir.Unavailable, "the agent of load balancer %s is of an older version that can't be asked; upgrade it", g.lb)
	case !slices.Contains(own.does, g.what.Kind):
		return nil, weir.Errorf(weir.Unavailable, "the agent of load balancer %s is of a version that does no %q; upgrade it", g.lb, g.what.Kind)
	case own.asked >= maxErrands:
		return nil, weir.Errorf(weir.Unavailable, "load balancer %s is asked %d things already; try again when some are done", g.lb, maxErrands)
	}
	own.asked++
	return own, nil
}

// doesOf reads which errands an agent says that it does.
func doesOf(r *http.Request) []string {
	text := r.Header.Get(errandsHeader)
	if text == "" || len(text) > 1<<10 {
		return nil
	}
	return strings.Split(text, ",")
}

// errand sends the name of an errand.
func (s *stream) errand(id string) error {
	if err := s.write([]byte(`{"errand":"` + id + "\"}\n")); err != nil {
		return err
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("write to agent: %w", err)
	}
	return s.deadline(time.Time{})
}

// errandOf finds the errand that an agent asks about, which must be its own.
func (h *Hub) errandOf(r *http.Request) (*given, error) {
	name, _, err := h.agent(r)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.errands[r.PathValue("id")]
	if g == nil || g.lb != name {
		return nil, refuse(http.StatusNotFound, string(weir.NotFound), "load balancer %s has no such errand, or no longer", name)
	}
	return g, nil
}

// tellErrand tells an agent what it is asked.
func (h *Hub) tellErrand(w http.ResponseWriter, r *http.Request) error {
	g, err := h.errandOf(r)
	if err != nil {
		return err
	}
	left := g.what.Within
	if until, ok := g.ctx.Deadline(); ok {
		left = time.Until(until)
	}
	writeJSON(w, wireErrand{Errand: g.what, WithinMs: max(1, left.Milliseconds())})
	return nil
}

// takeErrand takes what an agent answers, for as long as somebody wants it.
func (h *Hub) takeErrand(w http.ResponseWriter, r *http.Request) error {
	g, err := h.errandOf(r)
	if err != nil {
		return err
	}
	first := false
	g.once.Do(func() { first = true; close(g.begun) })
	if !first {
		return refuse(http.StatusConflict, string(weir.Conflict), "the errand was answered, or nobody waits for it any more")
	}
	g.done <- h.readErrand(w, r, g)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readErrand reads an answer to its end.
func (h *Hub) readErrand(w http.ResponseWriter, r *http.Request, g *given) error {
	control := http.NewResponseController(w)
	ended := make(chan struct{})
	stop := context.AfterFunc(g.ctx, func() {
		defer close(ended)
		_ = control.SetReadDeadline(time.Now().Add(-time.Second)) // a read that waits must end
	})
	defer func() {
		if !stop() {
			<-ended // the response is nobody's once the handler has returned
		}
	}()
	err := readAnswer(http.MaxBytesReader(w, r.Body, maxErrandAnswer), g.lb, g.take)
	if cause := context.Cause(g.ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

// readAnswer gives take the lines of an answer; without the line that ends it, it is an error.
func readAnswer(body io.Reader, lb string, take func(json.RawMessage) error) error {
	in := bufio.NewScanner(body)
	in.Buffer(make([]byte, 4<<10), MaxErrandLine)
	for in.Scan() {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		var line errandLine
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			return weir.Errorf(weir.Unavailable, "what load balancer %s answers can't be read: %s", lb, jsonFault(err))
		}
		if line.End != nil {
			return line.End.err(lb)
		}
		if err := take(line.Line); err != nil {
			return err
		}
	}
	if err := in.Err(); errors.Is(err, bufio.ErrTooLong) {
		return weir.Errorf(weir.Unavailable, "a line that load balancer %s answers is longer than %d bytes", lb, MaxErrandLine)
	}
	return weir.Errorf(weir.Unavailable, "load balancer %s was asked, and broke off", lb)
}

func (e *errandEnd) err(lb string) error {
	detail := cutText(e.Detail)
	switch e.Code {
	case "":
		return nil
	case endPassed:
		return weir.Errorf(weir.Unavailable, "%s", detail)
	case endUnknown, endBusy:
		return weir.Errorf(weir.Unavailable, "load balancer %s: %s", lb, detail)
	}
	return weir.Errorf(weir.Unavailable, "load balancer %s could not do it: %s", lb, detail)
}
