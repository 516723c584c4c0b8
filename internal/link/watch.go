package link

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/ir"
)

// stream is the control plane's side of one agent's watch. One goroutine uses it.
type stream struct {
	hub  *Hub
	name string
	cert *x509.Certificate
	w    http.ResponseWriter
	rc   *http.ResponseController

	mu   sync.Mutex // guards the deadline
	over bool       // nothing may be written any more

	group string
	pos   int  // number of the next delta to send
	self  Hash // of the self that the agent has
	// owed are keys that could not be had when their certificate was sent.
	owed map[string]weir.SealedRef
	sent int64
}

// batch is what an agent lacks at one moment; sent whole it makes the agent's content that of hash.
type batch struct {
	reset    bool
	entries  []entry  // of a snapshot
	lines    [][]byte // of deltas, shared with the other streams
	keys     map[string]weir.SealedRef
	self     *entry
	revision int64
	hash     Hash
	wait     <-chan struct{}
}

func (b *batch) empty() bool { return !b.reset && len(b.lines) == 0 && b.self == nil }

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
	own := &watcher{cancel: cancel}
	s := &stream{hub: h, name: name, cert: cert, w: w, rc: http.NewResponseController(w), owed: map[string]weir.SealedRef{}}
	b, err := h.begin(s, own, resume, lacks)
	if err != nil {
		return err
	}
	defer h.end(name, own)
	w.Header().Set("Content-Type", "application/x-ndjson")
	began := h.opts.Now()
	log := h.opts.Log.With("lb", name, "group", s.group, "address", r.RemoteAddr)
	log.Info("agent's stream begins", "resumed", !b.reset, "revision", b.revision)
	defer context.AfterFunc(ctx, s.abort)()
	err = s.run(ctx, r, b)
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
func (h *Hub) begin(s *stream, own *watcher, resume *Resume, lacks []string) (*batch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.groups) == 0 {
		return nil, refuse(http.StatusServiceUnavailable, string(weir.Unavailable), "the control plane is starting or stopping").after(time.Second)
	}
	m := h.members[s.name]
	if m == nil {
		return nil, refuse(http.StatusForbidden, string(weir.Forbidden), "no group of the control plane lists load balancer %s; if it was deleted, stop its agent or join again", s.name)
	}
	g := h.groups[m.group]
	b := &batch{revision: max(g.seen, h.revision), hash: g.hash.xor(m.self.hash), wait: g.changed, keys: map[string]weir.SealedRef{}}
	// Another server may know more than this one, and an agent never goes back.
	if resume != nil && resume.Epoch == h.opts.Epoch && resume.Revision > b.revision {
		return nil, refuse(http.StatusServiceUnavailable, codeBehind, "this control plane knows revision %d and the agent %d already", b.revision, resume.Revision).after(time.Second)
	}
	s.group, s.self = m.group, m.self.hash
	if pos, self, ok := m.resume(g, resume); ok {
		s.pos = pos
		b.deltas(g, pos)
		if self {
			b.self = &m.self
		}
		b.lacking(g, lacks)
	} else {
		s.pos = g.next()
		b.snapshot(g, m)
	}
	m.stop(errReplaced)
	m.watcher = own
	return b, nil
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

func (b *batch) deltas(g *group, pos int) {
	for _, d := range g.deltas[pos-g.first:] {
		b.lines = append(b.lines, d.lines)
		for _, k := range d.keys {
			b.keys[k.name] = k.ref
		}
	}
	// A certificate may have changed again, or be gone: only keys of the content as it is now are to be had.
	for name, ref := range b.keys {
		if e := g.find("certificate/" + name); e == nil || e.key == nil {
			delete(b.keys, name)
		} else if *e.key != ref {
			b.keys[name] = *e.key
		}
	}
}

func (b *batch) snapshot(g *group, m *member) {
	b.reset, b.entries, b.self = true, g.entries, &m.self
	for _, e := range g.entries {
		if e.key != nil {
			b.keys[e.keyRef().name] = *e.key
		}
	}
}

// lacking adds the keys that an agent asks for, if its group has them.
func (b *batch) lacking(g *group, names []string) {
	for _, name := range names {
		if e := g.find("certificate/" + name); e != nil && e.key != nil {
			b.keys[name] = *e.key
		}
	}
}

func (g *group) find(id string) *entry {
	i, ok := slices.BinarySearchFunc(g.entries, id, func(e entry, id string) int { return strings.Compare(e.ID, id) })
	if !ok {
		return nil
	}
	return &g.entries[i]
}

func (h *Hub) end(name string, own *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.members[name]; m != nil && m.watcher == own {
		m.watcher = nil
	}
}

// more works out what came since the last batch.
func (s *stream) more() (*batch, error) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[s.name]
	if m == nil || m.group != s.group {
		return nil, errLeft
	}
	g := h.groups[s.group]
	if s.pos < g.first {
		return nil, errSlow
	}
	b := &batch{revision: max(g.seen, h.revision), hash: g.hash.xor(m.self.hash), wait: g.changed, keys: map[string]weir.SealedRef{}}
	b.deltas(g, s.pos)
	s.pos = g.next()
	if s.self != m.self.hash {
		s.self, b.self = m.self.hash, &m.self
	}
	return b, nil
}

func (s *stream) run(ctx context.Context, r *http.Request, b *batch) error {
	if err := s.write(appendStart(nil, s.hub.opts.Epoch, b.reset)); err != nil {
		return err
	}
	if err := s.send(ctx, b); err != nil {
		return err
	}
	beat := time.NewTicker(s.hub.opts.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.wait:
			next, err := s.more()
			if err != nil {
				return err
			}
			b.wait = next.wait
			if next.empty() {
				continue // the change was another load balancer's
			}
			if err := s.send(ctx, next); err != nil {
				return err
			}
			beat.Reset(s.hub.opts.Heartbeat)
		case <-beat.C:
			if err := s.beat(ctx, r); err != nil {
				return err
			}
		}
	}
}

// beat judges the agent anew and sends what is new, which may be nothing.
func (s *stream) beat(ctx context.Context, r *http.Request) error {
	if _, _, err := s.hub.agent(r); err != nil {
		return err
	}
	b, err := s.more()
	if err != nil {
		return err
	}
	for name, ref := range s.owed {
		if _, ok := b.keys[name]; !ok {
			b.keys[name] = ref
		}
	}
	return s.send(ctx, b)
}

// send writes a batch as one transaction: keys first, so that nothing refers to what the agent has not.
func (s *stream) send(ctx context.Context, b *batch) error {
	if err := s.secrets(ctx, b.keys); err != nil {
		return err
	}
	var out []byte
	list := make([]ir.Resource, 0, 64)
	size := 0
	flush := func() error {
		out = appendPut(out[:0], list)
		list, size = list[:0], 0
		return s.write(out)
	}
	for _, e := range b.entries {
		list = append(list, e.Resource)
		if size += len(e.ID) + len(e.Body); size > chunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if b.self != nil {
		list = append(list, b.self.Resource)
	}
	for _, lines := range b.lines {
		if err := s.write(lines); err != nil {
			return err
		}
	}
	out = appendCommit(appendPut(out[:0], list), b.revision, b.hash)
	if err := s.write(out); err != nil {
		return err
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("write to agent: %w", err)
	}
	return nil
}

// secrets sends keys. One that can't be had is owed and holds nothing else up.
func (s *stream) secrets(ctx context.Context, keys map[string]weir.SealedRef) error {
	for name, ref := range keys {
		line, err := s.secret(ctx, name, ref)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			if s.owed[name] != ref {
				s.hub.opts.Log.Error("can't send a certificate's key", "lb", s.name, "certificate", name, "generation", ref.Generation, "err", err)
			}
			s.owed[name] = ref
			continue
		}
		delete(s.owed, name)
		if err := s.write(line); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) secret(ctx context.Context, name string, ref weir.SealedRef) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	data, err := s.hub.opts.Keys(ctx, name, ref.Generation)
	if err != nil {
		return nil, err
	}
	if data.IsZero() || data.Len() > weir.MaxSecret {
		return nil, fmt.Errorf("key of certificate %s is %d bytes long; 1 to %d are allowed", name, data.Len(), weir.MaxSecret)
	}
	return appendSecret(nil, Secret{ID: "certificate/" + name, Generation: ref.Generation, Fingerprint: ref.Fingerprint, Data: data})
}

func (s *stream) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := s.extend(); err != nil {
		return err
	}
	n, err := s.w.Write(b)
	s.sent += int64(n)
	if err != nil {
		return fmt.Errorf("write to agent: %w", err)
	}
	return nil
}

// extend gives the agent time to take what is written next.
func (s *stream) extend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errCut
	}
	if err := s.rc.SetWriteDeadline(time.Now().Add(s.hub.opts.WriteTimeout)); err != nil {
		return fmt.Errorf("write to agent: %w", err)
	}
	return nil
}

// abort ends a write that is under way, which a slow agent could stretch.
func (s *stream) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over = true
		_ = s.rc.SetWriteDeadline(time.Now().Add(-time.Second))
	}
}

// finish keeps abort off the response, which is nobody's once its handler has returned.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}
