package link

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
)

// keyPatience is how long keys that do not come may hold up one transaction; they follow with a later heartbeat.
const keyPatience = 5 * time.Second

// stream is the control plane's side of one agent's watch. One goroutine uses it.
type stream struct {
	hub  *Hub
	name string
	cert *x509.Certificate
	w    http.ResponseWriter
	rc   *http.ResponseController

	mu   sync.Mutex // guards the deadline
	over bool       // nothing may be written any more

	view *group // of which the agent has the content
	pos  int    // number of the next delta of it to send
	self Hash   // of the self that the agent has
	// owed are keys that could not be had when their certificate was sent.
	owed map[string]weir.SealedRef
	// believes are the CAs that the agent was told of last, empty for one that can't be told; trust is those that
	// this was compared with.
	believes string
	trust    *secrets.Trust
	sent     int64
	briefed  [sha256.Size]byte // what it was told last of ticket keys
}

// more works out what came since the last batch.
func (s *stream) more() (*batch, error) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[s.name]
	if m == nil || m.at.group != s.view.key.group {
		return nil, errLeft
	}
	g := h.groups[m.at]
	if s.pos < s.view.first {
		return nil, errSlow
	}
	b := h.batch(g, m)
	h.bring(b, s.view, s.pos, g)
	s.view, s.pos = g, g.next()
	if s.self != m.self.hash {
		s.self, b.self = m.self.hash, m.self
	}
	return b, nil
}

func (s *stream) run(ctx context.Context, r *http.Request, b *batch, own *watcher) error {
	if err := s.write(appendStart(nil, s.hub.opts.Epoch, b.reset)); err != nil {
		return err
	}
	if err := s.brief(); err != nil {
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
		case <-own.briefs:
			if err := s.brief(); err != nil {
				return err
			}
		case id := <-own.errands:
			if err := s.errand(id); err != nil {
				return err
			}
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
	line, err := s.trustLine()
	if err != nil {
		return err
	}
	if err := s.write(line); err != nil {
		return err
	}
	if err := s.secrets(ctx, b.keys); err != nil {
		return err
	}
	out := writer{stream: s}
	for _, e := range b.entries {
		if err := out.put(e); err != nil {
			return err
		}
	}
	for _, d := range b.deltas {
		if err := out.delta(d); err != nil {
			return err
		}
	}
	if b.self != nil {
		if err := out.put(b.self.Resource); err != nil {
			return err
		}
	}
	if err := out.commit(b.revision, b.hash); err != nil {
		return err
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("write to agent: %w", err)
	}
	return s.deadline(time.Time{}) // HTTP/2 ends a stream at its deadline even when nothing is being written
}

// writer writes the resources of one transaction, about a chunk at a time.
type writer struct {
	*stream
	list []*ir.Resource // not written yet
	size int
	line []byte
}

func (w *writer) put(r *ir.Resource) error {
	w.list = append(w.list, r)
	if w.size += len(r.ID) + bodySize(r); w.size <= chunk {
		return nil
	}
	return w.flush()
}

// delta writes what came before it first: a later line overrules an earlier one.
func (w *writer) delta(d delta) error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.write(d.lines); err != nil {
		return err
	}
	for _, r := range d.chains {
		if err := w.put(r); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) flush() error {
	w.line = appendPut(w.line[:0], w.list)
	w.list, w.size = w.list[:0], 0
	return w.write(w.line)
}

func (w *writer) commit(revision int64, hash Hash) error {
	w.line = appendCommit(appendPut(w.line[:0], w.list), revision, hash)
	return w.write(w.line)
}

// keyReaders is how many streams read keys at the same time: a fleet that comes for the first time would else wait
// for each other until nobody's patience lasts.
const keyReaders = 16

// keysAtOnce is how many keys a stream reads side by side when it is its turn.
const keysAtOnce = 16

// secrets sends keys. One that can't be had, or not soon, is owed and holds nothing else up.
func (s *stream) secrets(ctx context.Context, keys map[string]weir.SealedRef) error {
	rest := keyPatience
	for names := range slices.Chunk(slices.Collect(maps.Keys(keys)), keysAtOnce) {
		read, took := s.readKeys(ctx, rest, names, keys)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if slices.ContainsFunc(read, func(k keyRead) bool { return k.err != nil }) {
			rest -= took
		}
		if err := s.sendKeys(read); err != nil {
			return err
		}
	}
	return nil
}

// readKeys reads keys within the time given, the stream's turn to do so not counted.
func (s *stream) readKeys(ctx context.Context, most time.Duration, names []string, refs map[string]weir.SealedRef) (list []keyRead, took time.Duration) {
	select {
	case s.hub.keyReaders <- struct{}{}:
		defer func() { <-s.hub.keyReaders }()
	case <-ctx.Done():
		return nil, 0
	}
	begin := time.Now()
	soon, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	list = make([]keyRead, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { list[i] = s.readKey(soon, name, refs[name]) })
	}
	all.Wait()
	return list, time.Since(begin)
}

// keyRead is how it went with a key.
type keyRead struct {
	certificate string
	ref         weir.SealedRef
	data        secrets.Secret
	err         error
}

// sendKeys writes those that could be read, and owes the others.
func (s *stream) sendKeys(list []keyRead) error {
	var line secretLine
	for _, k := range list {
		if k.err != nil {
			if s.owed[k.certificate] != k.ref {
				s.hub.opts.Log.Error("can't send a certificate's key", "lb", s.name, "certificate", k.certificate, "generation", k.ref.Generation, "err", k.err)
			}
			s.owed[k.certificate] = k.ref
			continue
		}
		delete(s.owed, k.certificate)
		if line.add(k); line.size > chunk {
			if err := s.writeKeys(&line); err != nil {
				return err
			}
		}
	}
	return s.writeKeys(&line)
}

func (s *stream) writeKeys(line *secretLine) error {
	text, err := line.end()
	if err != nil {
		return err
	}
	return s.write(text)
}

func (s *stream) readKey(ctx context.Context, name string, ref weir.SealedRef) keyRead {
	k := keyRead{certificate: name, ref: ref, err: ctx.Err()}
	if k.err != nil {
		return k
	}
	k.data, k.err = s.hub.opts.Keys(ctx, name, ref.Generation)
	if k.err == nil && (k.data.IsZero() || k.data.Len() > weir.MaxSecret) {
		k.err = fmt.Errorf("key of certificate %s is %d bytes long; 1 to %d are allowed", name, k.data.Len(), weir.MaxSecret)
	}
	return k
}

func (s *stream) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := s.deadline(time.Now().Add(s.hub.opts.WriteTimeout)); err != nil {
		return err
	}
	for part := range slices.Chunk(b, maxWrite) {
		n, err := s.w.Write(part)
		s.sent += int64(n)
		if err != nil {
			return fmt.Errorf("write to agent: %w", err)
		}
	}
	return nil
}

// maxWrite bounds one write in bytes: HTTP/2 keeps a buffer as large as the largest frame for each connection.
const maxWrite = 4 << 10

// deadline gives the agent until then to take what is written next.
func (s *stream) deadline(until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errCut
	}
	if err := s.rc.SetWriteDeadline(until); err != nil {
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
