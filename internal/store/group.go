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

// add puts a change into the group's transaction. It fits, or it does not any more, or it is large: too big
// for any transaction, and then it is only taken alone.
func (s *Store) add(g *group, p *pending) (fits, large bool, err error) {
	h := s.headerOf(p)
	h.Nonce, h.Materialized = g.nonce, g.materialize
	// What surely is too large isn't even written out.
	if len(p.entries) > maxTxnOps {
		return false, len(g.changes) == 0, nil
	}
	body, err := bodyOf(p.entries)
	if err != nil {
		return false, false, err
	}
	value, err := changeValue(h, body)
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
	const others = 2 // head and mat
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
	st, err := s.stagedOf(ctx, p)
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
	g.ops = []clientv3.Op{clientv3.OpPut(changeKey(h.Revision), string(value)), clientv3.OpPut(prefixTaken+st.id, decimal(h.Revision))}
	g.compares = append(g.compares, clientv3.Compare(clientv3.Version(prefixBody+st.id+"/"+chunkName(0)), ">", 0))
	if st.secretChunks > 0 {
		g.seals = true
		g.compares = append(g.compares, clientv3.Compare(clientv3.Version(prefixStaged+st.id+"/"+chunkName(0)), ">", 0))
	}
	g.compares = append(g.compares, keptCompare(p.entries)...)
	return nil
}

// stagedOf writes the chunks, or finds them written by an attempt that came too late: what hasn't changed since
// is used again.
func (s *Store) stagedOf(ctx context.Context, p *pending) (*staged, error) {
	body, err := bodyOf(p.entries)
	if err != nil {
		return nil, err
	}
	secrets, err := s.sealAll(p.entries)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if old := p.req.staged; old != nil {
		if old.sum == sum && old.secretChunks == 0 && secrets == nil {
			return old, nil
		}
		s.unstage(ctx, old.id)
	}
	st := &staged{id: stagingID(s.opts.Clock()), sum: sum}
	p.req.staged = st
	if st.bodyChunks, err = s.putChunks(ctx, prefixBody+st.id+"/", body); err != nil {
		return nil, err
	}
	if secrets != nil {
		if st.secretChunks, err = s.putChunks(ctx, prefixStaged+st.id+"/", secrets); err != nil {
			return nil, err
		}
	}
	return st, nil
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

// sealAll gives the sealed secrets of a large change in one value, by object; nil when it brings none.
func (s *Store) sealAll(entries []entry) ([]byte, error) {
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
	if len(all) == 0 {
		return nil, nil
	}
	return json.Marshal(all)
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
