package link

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// A control plane that was restored from a backup is held: agents connect and report, their streams say what they
// have themselves and no more, and so they go on with it. Since the control plane has forgotten what that is, it
// asks them: a line on the stream, upon which the agent posts its resources, without keys, in the lines of its
// journal. Load balancers of a group mostly have the same, so that one of them is asked.

const (
	// tellHeader says that an agent understands to be asked.
	tellHeader = "Weir-Tells"
	// Contents are bounded twice, because a few bytes of gzip can hold gigabytes.
	maxTellBody = 64 << 20
	maxTell     = 256 << 20
	// maxHeldBytes bounds all that agents tell, apart from what they have in common.
	maxHeldBytes = 512 << 20
	// maxAsked is how many agents are asked at once, and tellPatience how long one may take before it no longer
	// counts as that, and is asked again.
	maxAsked     = 4
	tellPatience = 30 * time.Second
)

var errReleased = errors.New("the restore was accepted")

// Told is what is known of what a load balancer has, while a hub is held.
type Told struct {
	Resume
	// Resources are all that it has, with its self, by ID; shared, not to be changed.
	Resources []*ir.Resource
	// Common is the hash of the resources without self: load balancers with the same one differ in self alone.
	Common Hash
	// Why says what is missing when the resources are not known; empty when they are.
	Why string
}

// holding is what a held hub knows; guarded by Hub.mu.
type holding struct {
	agents   map[string]*heldAgent
	contents map[Hash]*heldContent
	bytes    int
	asked    map[string]time.Time // who was asked and has not answered
	reading  chan struct{}        // a place for each answer that is being read
}

// heldAgent is one agent that has come.
type heldAgent struct {
	had   *Resume // nil: it has nothing
	tells bool
	own   bool // it came to this control plane, and was not heard of from another
	// common names what it has beside its self, once that is known.
	common *Hash
	self   *selfEntry
	why    string // it could not be told
}

// heldContent is what load balancers have in common.
type heldContent struct{ list []*ir.Resource }

func newHolding() *holding {
	return &holding{agents: map[string]*heldAgent{}, contents: map[Hash]*heldContent{}, asked: map[string]time.Time{}, reading: make(chan struct{}, 2)}
}

// Held tells that nothing is sent to agents until Release.
func (h *Hub) Held() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held != nil
}

// Released is closed once nothing is held.
func (h *Hub) Released() <-chan struct{} { return h.released }

// Release lets a held hub go: all streams are cut, and agents that return are sent what is wanted.
func (h *Hub) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return
	}
	h.held = nil
	close(h.released)
	for _, m := range h.members {
		m.stop(errReleased)
	}
}

// Told tells what a load balancer has, as far as it is known.
func (h *Hub) Told(name string) Told {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return Told{Why: "nothing is held"}
	}
	a := h.held.agents[name]
	switch {
	case a == nil:
		return Told{Why: "its agent has not come to this control plane since the restore"}
	case a.had == nil:
		return Told{Why: "its agent has nothing on disk; HAProxy serves on as it is"}
	}
	out := Told{Resume: *a.had, Why: a.why}
	switch {
	case h.recognise(name, a):
		c := h.held.contents[*a.common]
		out.Common, out.Why = *a.common, ""
		at, _ := slices.BinarySearchFunc(c.list, "self", func(r *ir.Resource, id string) int { return strings.Compare(r.ID, id) })
		out.Resources = slices.Insert(slices.Clone(c.list), at, a.self.Resource)
	case out.Why != "":
	case !a.tells:
		out.Why = "its agent is of an older version and can't tell what it has"
	default:
		out.Why = "its agent is being asked what it has"
	}
	return out
}

// recognise finds out whether what an agent has is known already: as that of another with its self, or as what
// its group is to have.
func (h *Hub) recognise(name string, a *heldAgent) bool {
	if a.common != nil {
		return true
	}
	m := h.members[name]
	if m == nil || a.had == nil {
		return false
	}
	common := a.had.Hash.xor(m.self.hash)
	if h.held.contents[common] == nil {
		g := h.groups[m.at]
		if g == nil || g.hash != common {
			return false
		}
		h.held.contents[common] = &heldContent{list: g.entries}
	}
	a.common, a.self = &common, m.self
	return true
}

// meet notes an agent that comes to a held hub; h.mu is held.
func (h *Hub) meet(name string, had *Resume, tells bool) error {
	a := h.held.agents[name]
	if a == nil || had == nil || a.had == nil || *a.had != *had {
		a = &heldAgent{had: had}
		h.held.agents[name] = a
	}
	a.tells, a.own = tells, true
	if had == nil {
		return refuse(http.StatusServiceUnavailable, codeHeld, "this control plane was restored from a backup and is held; load balancer %s has nothing yet and gets what is wanted once weir restore accept was run", name).after(5 * time.Second)
	}
	return nil
}

// ask says whether an agent is to be asked now what it has.
func (h *Hub) ask(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return false
	}
	a, now := h.held.agents[name], h.opts.Now()
	if a == nil || !a.tells || a.why != "" || h.recognise(name, a) {
		return false
	}
	for other, at := range h.held.asked {
		if now.Sub(at) > tellPatience {
			delete(h.held.asked, other)
		}
	}
	if _, under := h.held.asked[name]; under || len(h.held.asked) >= maxAsked {
		return false
	}
	h.held.asked[name] = now
	return true
}

// hold is run for an agent of a held hub: it says what the agent itself has said, and so changes nothing.
func (s *stream) hold(ctx context.Context, r *http.Request, had Resume) error {
	if err := s.write(appendStart(nil, had.Epoch, false)); err != nil {
		return err
	}
	beat := time.NewTicker(s.hub.opts.Heartbeat)
	defer beat.Stop()
	for {
		line, err := s.trustLine()
		if err != nil {
			return err
		}
		if s.hub.ask(s.name) {
			line = append(line, "{\"tell\":true}\n"...)
		}
		if err := s.write(appendCommit(line, had.Revision, had.Hash)); err != nil {
			return err
		}
		if err := s.rc.Flush(); err != nil {
			return fmt.Errorf("write to agent: %w", err)
		}
		if err := s.deadline(time.Time{}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-beat.C:
		}
		if _, _, err := s.hub.agent(r); err != nil {
			return err
		}
	}
}

// told takes what an agent has; whose it is says the certificate.
func (h *Hub) told(w http.ResponseWriter, r *http.Request) error {
	name, _, err := h.agent(r)
	if err != nil {
		return err
	}
	h.mu.Lock()
	held := h.held
	h.mu.Unlock()
	if held == nil {
		return refuse(http.StatusConflict, codeHeld, "nobody asks what load balancer %s has", name)
	}
	select {
	case held.reading <- struct{}{}:
		defer func() { <-held.reading }()
	case <-r.Context().Done():
		return refuse(http.StatusServiceUnavailable, string(weir.Unavailable), "the agent did not wait")
	}
	has, err := readTold(w, r)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(held.asked, name)
	if err == nil {
		err = held.take(name, has)
	}
	if err != nil {
		if a := held.agents[name]; a != nil {
			a.why = "what its agent tells can't be used: " + refusalOf(err).detail
		}
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// take keeps what an agent has, once for all that have the same.
func (held *holding) take(name string, has *replica) error {
	a := held.agents[name]
	if a == nil || a.had == nil || a.had.Hash != has.hash {
		return refuse(http.StatusConflict, codeHeld, "what load balancer %s tells is not what its agent came with", name)
	}
	at, ok := has.find("self")
	if !ok {
		return refuse(http.StatusBadRequest, string(weir.Invalid), "there is no self among what load balancer %s has", name)
	}
	self := newSelf(has.list[at])
	common := has.hash.xor(self.hash)
	if err := held.keep(common, slices.Delete(slices.Clone(has.list), at, at+1)); err != nil {
		return err
	}
	a.common, a.self, a.why = &common, self, ""
	return nil
}

// keep keeps what load balancers have in common.
func (held *holding) keep(common Hash, list []*ir.Resource) error {
	if held.contents[common] != nil {
		return nil
	}
	size := 0
	for _, one := range list {
		size += len(one.ID) + len(one.Body)
	}
	if held.bytes+size > maxHeldBytes {
		return refuse(http.StatusInsufficientStorage, string(weir.TooLarge), "load balancers that differ have told of more than %d bytes already", maxHeldBytes)
	}
	held.bytes += size
	held.contents[common] = &heldContent{list: list}
	return nil
}

// readTold reads the lines of an agent's journal.
func readTold(w http.ResponseWriter, r *http.Request) (*replica, error) {
	body := http.MaxBytesReader(w, r.Body, maxTellBody)
	z, err := gzip.NewReader(body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, string(weir.Invalid), "what the agent has is not gzip")
	}
	limited := &io.LimitedReader{R: z, N: maxTell + 1}
	return readContent(limited)
}

// readContent reads one transaction that is all there is.
func readContent(in *io.LimitedReader) (*replica, error) {
	has := &replica{}
	_, fault := has.read(bufio.NewReaderSize(in, 256<<10))
	var large *http.MaxBytesError
	switch {
	case in.N == 0 || errors.As(fault, &large):
		return nil, refuse(http.StatusRequestEntityTooLarge, string(weir.TooLarge), "what the agent has is longer than %d bytes, or %d compressed", maxTell, maxTellBody)
	case !errors.Is(fault, io.EOF) || errors.Is(fault, io.ErrUnexpectedEOF) || has.epoch == "":
		return nil, refuse(http.StatusBadRequest, string(weir.Invalid), "what the agent has can't be read: it does not come to its end")
	}
	return has, nil
}

// tell posts what the agent has to a control plane that has asked for it.
func (c *Client) tell(ctx context.Context, t http.RoundTripper, base string) {
	s, ok := c.State()
	if !ok {
		return
	}
	err := c.postState(ctx, t, base, s)
	if err != nil && ctx.Err() == nil {
		c.opts.Log.Warn("can't tell the control plane what this load balancer has", "url", base, "err", err)
		return
	}
	c.opts.Log.Info("told the control plane what this load balancer has, for its restore", "url", base, "resources", len(s.Resources))
}

func (c *Client) postState(ctx context.Context, t http.RoundTripper, base string, s State) error {
	body, err := packed(appendCommit(appendPut(appendStart(nil, s.Epoch, true), s.Resources), s.Revision, s.Hash))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tellPatience)
	defer cancel()
	return post(ctx, t, base+resourcesPath, http.Header{"Content-Encoding": {"gzip"}}, body, nil)
}

// tellsOf reads what agents say of themselves for this.
func tellsOf(r *http.Request) bool { return r.Header.Get(tellHeader) != "" }
