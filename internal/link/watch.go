package link

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// batch is what an agent lacks at one moment; sent whole it makes the agent's content that of hash.
type batch struct {
	held     bool // nothing is sent
	reset    bool
	entries  []*ir.Resource // of a snapshot
	deltas   []delta        // shared with the other streams
	keys     map[string]weir.SealedRef
	self     *selfEntry
	revision int64
	hash     Hash
	wait     <-chan struct{}
}

func (b *batch) empty() bool { return !b.reset && len(b.deltas) == 0 && b.self == nil }

func (h *Hub) watch(w http.ResponseWriter, r *http.Request) error {
	name, cert, err := h.agent(r)
	if err != nil {
		return err
	}
	resume, lacks, err := readResume(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	own := &watcher{cancel: cancel, briefs: make(chan struct{}, 1), ctx: ctx, does: doesOf(r), errands: make(chan string, maxErrands)}
	s := &stream{hub: h, name: name, cert: cert, w: w, rc: http.NewResponseController(w), owed: map[string]weir.SealedRef{}, believes: r.Header.Get(trustHeader)}
	b, err := h.begin(s, own, resume, lacks, tellsOf(r))
	if err != nil {
		return err
	}
	defer h.end(name, own)
	// Once more, now that a Cut would find the stream: what came before it is seen here.
	if err := h.opts.Registry.Admit(ctx, name, cert); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	began := h.opts.Now()
	log := h.opts.Log.With("lb", name, "group", s.view.key.group, "address", r.RemoteAddr)
	log.Info("agent's stream begins", "resumed", !b.reset, "revision", b.revision)
	defer context.AfterFunc(ctx, s.abort)()
	if b.held {
		err = s.hold(ctx, r, *resume)
	} else {
		err = s.run(ctx, r, b, own)
	}
	s.finish()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	log.Info("agent's stream ends", "reason", err, "bytes", s.sent, "lasted", h.opts.Now().Sub(began))
	return nil // the answer has begun
}

// readResume reads what an agent says it has; nil stands for nothing.
func readResume(r *http.Request) (*Resume, []string, error) {
	text := r.Header.Get(resumeHeader)
	if text == "" {
		return nil, nil, nil
	}
	resume, err := ParseResume(text)
	if err != nil {
		return nil, nil, refuse(http.StatusBadRequest, string(weir.Invalid), "%s", err)
	}
	var lacks []string
	if text := r.Header.Get(lacksHeader); text != "" {
		lacks = strings.Split(text, ",")
	}
	return &resume, lacks, nil
}

// begin makes own the load balancer's only stream and works out what its agent lacks.
func (h *Hub) begin(s *stream, own *watcher, resume *Resume, lacks []string, tells bool) (*batch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.groups) == 0 {
		return nil, refuse(http.StatusServiceUnavailable, string(weir.Unavailable), "the control plane is starting or stopping").after(time.Second)
	}
	m := h.members[s.name]
	if m == nil {
		return nil, refuse(http.StatusForbidden, string(weir.Forbidden), "no group of the control plane lists load balancer %s; if it was deleted, stop its agent or join again", s.name)
	}
	h.strangers.welcome(s.name)
	g := h.groups[m.at]
	if h.held != nil {
		if err := h.meet(s.name, resume, tells); err != nil {
			return nil, err
		}
		m.stop(errReplaced)
		m.watcher, s.view = own, g
		return &batch{held: true, revision: resume.Revision}, nil
	}
	b := h.batch(g, m)
	// Another server may know more than this one, and an agent never goes back.
	if resume != nil && resume.Epoch == h.opts.Epoch && resume.Revision > b.revision {
		return nil, refuse(http.StatusServiceUnavailable, codeBehind, "this control plane knows revision %d and the agent %d already", b.revision, resume.Revision).after(time.Second)
	}
	s.view, s.pos, s.self = g, g.next(), m.self.hash
	if from, pos, self, ok := h.resume(g, m, resume); ok {
		h.bring(b, from, pos, g)
		if self {
			b.self = m.self
		}
		b.lacking(g, lacks)
	} else {
		b.snapshot(g, m)
	}
	m.stop(errReplaced)
	m.watcher = own
	return b, nil
}

// batch is an empty one, of what a load balancer is to have now; h.mu is held.
func (h *Hub) batch(g *group, m *member) *batch {
	return &batch{revision: max(g.seen, h.revision), hash: g.hash.xor(m.self.hash), wait: g.changed, keys: map[string]weir.SealedRef{}}
}

// resume finds the view that an agent's content is of, mostly its own, and the place in its ring.
func (h *Hub) resume(g *group, m *member, had *Resume) (from *group, pos int, self, ok bool) {
	if pos, self, ok = m.resume(g, had); ok || had == nil {
		return g, pos, self, ok
	}
	for _, from := range h.siblings(g) {
		if pos, self, ok := m.resume(from, had); ok {
			return from, pos, self, true
		}
	}
	return nil, 0, false, false
}

// resume finds the place in the ring that an agent's content is of, and whether it lacks its self as well.
func (m *member) resume(g *group, had *Resume) (pos int, self, ok bool) {
	if had == nil {
		return 0, false, false
	}
	if pos, ok = g.since(had.Hash.xor(m.self.hash)); ok {
		return pos, false, true
	}
	for _, old := range slices.Backward(m.past) {
		if pos, ok = g.since(had.Hash.xor(old)); ok {
			return pos, true, true
		}
	}
	return 0, false, false
}

// bring adds to a batch what leads from a place in one view to another's content.
func (h *Hub) bring(b *batch, from *group, pos int, to *group) {
	b.add(from.deltas[pos-from.first:]...)
	if from != to && from.hash != to.hash {
		b.add(h.cross(from, to))
	}
	// A certificate may be gone again: only keys of the content as it is now are to be had.
	for name := range b.keys {
		if e := to.find("certificate/" + name); e == nil || keyOfEntry(e) == nil {
			delete(b.keys, name)
		}
	}
}

func (b *batch) add(deltas ...delta) {
	b.deltas = append(b.deltas, deltas...)
	for _, d := range deltas {
		for _, k := range d.keys {
			b.keys[k.name] = k.ref
		}
	}
}

func (b *batch) snapshot(g *group, m *member) {
	b.reset, b.entries, b.self = true, g.entries, m.self
	for _, e := range g.entries {
		if key := keyOfEntry(e); key != nil {
			b.keys[certificateOf(e)] = *key
		}
	}
}

// lacking adds the keys that an agent asks for, if its group has them.
func (b *batch) lacking(g *group, names []string) {
	for _, name := range names {
		if e := g.find("certificate/" + name); e != nil {
			if key := keyOfEntry(e); key != nil {
				b.keys[name] = *key
			}
		}
	}
}

func (g *group) find(id string) *ir.Resource {
	i, ok := slices.BinarySearchFunc(g.entries, id, func(e *ir.Resource, id string) int { return strings.Compare(e.ID, id) })
	if !ok {
		return nil
	}
	return g.entries[i]
}

func (h *Hub) end(name string, own *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.members[name]; m != nil && m.watcher == own {
		m.watcher = nil
	}
}
