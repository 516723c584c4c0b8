package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// staged is the part of a large change that is written before the change is.
type staged struct {
	id           string
	sum          [sha256.Size]byte // of the body
	bodyChunks   int
	secretChunks int
}

// others are the operations of a transaction besides those of its changes: head and mat.
const others = 2

// leastOps is how many operations a change is at least in a group's transaction.
func (g *group) leastOps(p *pending) int {
	n := 1
	for i := range p.entries {
		if g.materialize {
			n++
		}
		if p.entries[i].plaintext != nil {
			n++
		}
	}
	return n
}

// add puts a change into the group's transaction. It fits, or it does not any more, or it is large: too big
// for any transaction, and then it is only taken alone.
func (s *Store) add(g *group, p *pending) (fits, large bool, err error) {
	h := s.headerOf(p)
	h.Nonce, h.Materialized = g.nonce, g.materialize
	// What surely is too large isn't even written out.
	if g.leastOps(p)+others > maxTxnOps {
		return false, len(g.changes) == 0, nil
	}
	value, err := changeValue(h, bodyOf(p.entries))
	if err != nil {
		return false, false, err
	}
	ops := []clientv3.Op{clientv3.OpPut(changeKey(h.Revision), string(value))}
	size := len(value)
	for i := range p.entries {
		e := &p.entries[i]
		more, n, small := objectOps(e, g.materialize)
		if !small {
			return false, len(g.changes) == 0, nil
		}
		sealed, err := s.seal(e)
		if err != nil {
			return false, false, err
		}
		if sealed != nil {
			g.seals = true
			more = append(more, clientv3.OpPut(sealedKey(e.ref, e.after.Revision), string(sealed)))
		}
		ops, size = append(ops, more...), size+n+len(sealed)
	}
	switch {
	case len(ops)+others > maxTxnOps || size > maxTxnBytes || len(value) > maxChunk:
		return false, len(g.changes) == 0, nil
	case len(g.ops)+len(ops)+others > maxTxnOps || g.bytes+size > maxTxnBytes || g.touches(p):
		return false, false, nil
	}
	g.ops, g.bytes = append(g.ops, ops...), g.bytes+size
	g.compares = append(g.compares, keptCompare(p.entries)...)
	g.headers = append(g.headers, h)
	return true, false, nil
}

// touches tells whether the group has an object of p already: a transaction may write a key only once.
func (g *group) touches(p *pending) bool {
	if g.refs == nil {
		g.refs = map[weir.Ref]bool{}
	}
	for _, e := range p.entries {
		if g.refs[e.ref] {
			return true
		}
	}
	for _, e := range p.entries {
		g.refs[e.ref] = true
	}
	return false
}

// objectOps writes an entry under o/; small is false when that takes more than one key. Without materialize it
// only finds out about the size: what is large must not depend on how far the materializer is.
func objectOps(e *entry, materialize bool) (ops []clientv3.Op, size int, small bool) {
	var value []byte
	if e.after != nil {
		var more [][]byte
		if value, more = objectValues(e.after.Revision, e.afterJSON); len(more) > 0 {
			return nil, 0, false
		}
	}
	if materialize {
		ops = objectKeyOps(e, value)
	}
	return ops, len(value), true
}

// keptCompare asks that no secrets were removed since the older ones that a change takes up again were seen.
func keptCompare(entries []entry) []clientv3.Cmp {
	seen := int64(0)
	for _, e := range entries {
		if e.keptAt != 0 && (seen == 0 || e.keptAt < seen) {
			seen = e.keptAt
		}
	}
	if seen == 0 {
		return nil
	}
	return []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(keySwept), "<", seen+1)}
}

// stage writes what a large change is made of and prepares the transaction that switches to it.
func (s *Store) stage(g *group) error {
	p := g.large
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	st, with, err := s.stagedOf(ctx, p)
	if err != nil {
		return err
	}
	g.materialize = false
	h := s.headerOf(p)
	h.Nonce, h.Staging, h.BodyChunks, h.StagedChunks = g.nonce, st.id, st.bodyChunks, st.secretChunks
	value, err := changeValue(h, nil)
	if err != nil {
		return err
	}
	g.headers = []header{h}
	g.ops = append(with, clientv3.OpPut(changeKey(h.Revision), string(value)), clientv3.OpPut(prefixTaken+st.id, decimal(h.Revision)))
	g.seals = st.secretChunks > 0
	if len(with) == 0 {
		g.compares = append(g.compares, clientv3.Compare(clientv3.Version(prefixBody+st.id+"/"+chunkName(0)), ">", 0))
		if g.seals {
			g.compares = append(g.compares, clientv3.Compare(clientv3.Version(prefixStaged+st.id+"/"+chunkName(0)), ">", 0))
		}
	}
	g.compares = append(g.compares, keptCompare(p.entries)...)
	return nil
}

// stagedOf writes the chunks, or finds them written by an attempt that came too late: what hasn't changed since
// is used again. What is small enough to go with the change itself it gives instead, which saves rounds of the disk.
func (s *Store) stagedOf(ctx context.Context, p *pending) (st *staged, with []clientv3.Op, err error) {
	made := make(chan []byte, 1)
	go func() { made <- bodyOf(p.entries) }() // which takes as long as all else here
	p.sealed, err = s.sealAll(p.entries)
	body := <-made
	if err != nil {
		return nil, nil, err
	}
	var secrets []byte
	if len(p.sealed) > 0 {
		if secrets, err = json.Marshal(p.sealed); err != nil {
			return nil, nil, err
		}
	}
	sum := sha256.Sum256(body)
	if old := p.req.staged; old != nil {
		if old.sum == sum && old.secretChunks == 0 && secrets == nil {
			return old, nil, nil
		}
		s.unstage(ctx, old.id)
		p.req.staged = nil
	}
	st = &staged{id: stagingID(s.opts.Clock()), sum: sum}
	if len(body) <= maxChunk && len(secrets) <= maxChunk && len(body)+len(secrets) <= maxTxnBytes {
		with, st.bodyChunks = []clientv3.Op{clientv3.OpPut(prefixBody+st.id+"/"+chunkName(0), string(body))}, 1
		if secrets != nil {
			with, st.secretChunks = append(with, clientv3.OpPut(prefixStaged+st.id+"/"+chunkName(0), string(secrets))), 1
		}
		return st, with, nil
	}
	p.req.staged = st
	if st.bodyChunks, err = s.putChunks(ctx, prefixBody+st.id+"/", body); err != nil {
		return nil, nil, err
	}
	if secrets != nil {
		if st.secretChunks, err = s.putChunks(ctx, prefixStaged+st.id+"/", secrets); err != nil {
			return nil, nil, err
		}
	}
	return st, nil, nil
}

// A staging's name begins with its time, so that tidying knows what is too young to be an orphan.
func stagingID(now time.Time) string {
	return number(max(now.Unix(), 0)) + "-" + rand.Text()
}

func chunkName(i int) string { return fmt.Sprintf("%06d", i) }

func (s *Store) putChunks(ctx context.Context, prefix string, value []byte) (int, error) {
	chunks := chunksOf(value)
	for i, c := range chunks {
		bounded, cancel := context.WithTimeout(ctx, patience)
		err := s.surely(bounded, func(ctx context.Context) error {
			_, err := s.client.Put(ctx, prefix+chunkName(i), string(c))
			return err
		})
		cancel()
		if err != nil {
			return 0, &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer; nothing was changed", Cause: err}
		}
	}
	return len(chunks), nil
}

func (s *Store) unstage(ctx context.Context, id string) {
	_, err := s.client.Txn(ctx).Then(
		clientv3.OpDelete(prefixBody+id+"/", clientv3.WithPrefix()),
		clientv3.OpDelete(prefixStaged+id+"/", clientv3.WithPrefix()),
	).Commit()
	if err != nil {
		s.opts.Logger.Info("store: what was staged stays until tidied", "staging", id, "error", err)
	}
}

// sealAll gives the sealed secrets that a large change brings, by object.
func (s *Store) sealAll(entries []entry) (map[string][]byte, error) {
	all := map[string][]byte{}
	for i := range entries {
		value, err := s.seal(&entries[i])
		if err != nil {
			return nil, err
		}
		if value != nil {
			all[entries[i].ref.String()] = value
		}
	}
	return all, nil
}

func (s *Store) stagedSecrets(ctx context.Context, h *header, at int64) (map[string][]byte, error) {
	raw, err := s.chunks(ctx, prefixStaged+h.Staging+"/", h.StagedChunks, at)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("read store: the secrets of change %d: %w", h.Revision, err)
	}
	return all, nil
}
