package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// materializeAfter is how long a change's objects are left before they are put in their places: whoever waits for what was
// changed should not have to share the machine with that.
const materializeAfter = time.Second

// materializeLoop brings o/ and x/ up to the changes whose own transaction could not: large ones, and those that
// came before they were done. Any server on the etcd may do it, also several at once: every batch asks that mat
// still be where it was.
func (s *Store) materializeLoop() {
	s.materializeSoon()
	for after := time.Duration(0); ; after = materializeAfter {
		select {
		case <-s.lag:
		case <-s.ctx.Done():
			return
		}
		if !s.pause(after) {
			return
		}
		for {
			err := s.materialize(s.ctx)
			if err == nil {
				break
			}
			if s.ctx.Err() != nil {
				return
			}
			if errors.Is(err, errLost) {
				continue
			}
			s.opts.Logger.Warn("store: objects can't be brought up to date on disk; trying again", "error", err)
			if !s.pause(time.Second) {
				return
			}
		}
	}
}

func (s *Store) materializeSoon() {
	select {
	case s.lag <- struct{}{}:
	default:
	}
}

// materialize runs until mat has reached head.
func (s *Store) materialize(ctx context.Context) error {
	for {
		got, err := s.client.Txn(ctx).Then(clientv3.OpGet(keyMat), clientv3.OpGet(keyHead)).Commit()
		if err != nil {
			return err
		}
		mat, err := revisionIn(got.Responses[0].GetResponseRange().Kvs, keyMat)
		if err != nil {
			return err
		}
		head, err := revisionIn(got.Responses[1].GetResponseRange().Kvs, keyHead)
		if err != nil {
			return err
		}
		s.materialized(mat)
		if mat >= head {
			return nil
		}
		done := mat
		err = s.eachChange(ctx, mat+1, min(head, mat+32), 0, func(h header, entries []entry) error {
			if h.Revision != done+1 {
				return fmt.Errorf("read store: change %d is missing", done+1)
			}
			done = h.Revision
			return s.materializeOne(ctx, h, entries)
		})
		if err != nil {
			return err
		}
	}
}

// materializeOne writes one change's objects, some at a time; the last batch moves mat.
func (s *Store) materializeOne(ctx context.Context, h header, entries []entry) error {
	b := &batch{store: s, ctx: ctx, mat: h.Revision - 1}
	secrets := map[string][]byte{}
	if h.StagedChunks > 0 {
		var err error
		if secrets, err = s.stagedSecrets(ctx, &h, 0); err != nil {
			return errors.Join(err, s.whetherMoved(ctx, b.mat))
		}
	}
	for i := range entries {
		e := &entries[i]
		if value, ok := secrets[e.ref.String()]; ok {
			b.add(len(value), clientv3.OpPut(sealedKey(e.ref, h.Revision), string(value)))
		}
		b.object(e)
		if b.err != nil {
			return b.err
		}
	}
	b.add(0, clientv3.OpPut(keyMat, decimal(h.Revision)))
	if h.StagedChunks > 0 {
		b.add(0, clientv3.OpDelete(prefixStaged+h.Staging+"/", clientv3.WithPrefix()))
	}
	b.flush()
	if b.err == nil {
		s.materialized(h.Revision)
	}
	return b.err
}

// materialized notes how far objects and secrets are known to be in their places.
func (s *Store) materialized(revision int64) {
	s.mu.Lock()
	s.mat = max(s.mat, revision)
	s.mu.Unlock()
	s.unplaced.placed(revision)
}

// whetherMoved is errLost when another server has moved mat: then what it was done with is gone.
func (s *Store) whetherMoved(ctx context.Context, mat int64) error {
	got, err := s.client.Get(ctx, keyMat)
	if err != nil {
		return err
	}
	now, err := revisionIn(got.Kvs, keyMat)
	if err == nil && now != mat {
		err = errLost
	}
	return err
}

// batch collects operations into transactions, all on the condition that mat is where it was.
type batch struct {
	store *Store
	ctx   context.Context
	mat   int64
	ops   []clientv3.Op
	size  int
	err   error
}

// object writes an entry under o/ and l/. The further chunks of a large object come before its o/ key, and the
// old ones go with the old o/ value, so that whoever reads meanwhile finds what the value names.
func (b *batch) object(e *entry) {
	var value []byte
	if e.after != nil {
		var more [][]byte
		value, more = objectValues(e.after.Revision, e.afterJSON)
		for i, c := range more {
			b.add(len(c), clientv3.OpPut(largePrefix(e.ref)+number(e.after.Revision)+"/"+chunkName(i), string(c)))
		}
	}
	b.add(len(value), objectKeyOps(e, value)...)
}

// objectKeyOps put or delete an o/ key, and delete what an earlier, large value had under l/.
func objectKeyOps(e *entry, value []byte) []clientv3.Op {
	ops := []clientv3.Op{clientv3.OpDelete(objectKey(e.ref))}
	if e.after != nil {
		ops[0] = clientv3.OpPut(objectKey(e.ref), string(value))
	}
	if e.before == nil || len(e.beforeJSON) <= maxChunk/2 {
		return ops
	}
	end := clientv3.GetPrefixRangeEnd(largePrefix(e.ref))
	if e.after != nil {
		end = largePrefix(e.ref) + number(e.after.Revision)
	}
	return append(ops, clientv3.OpDelete(largePrefix(e.ref), clientv3.WithRange(end)))
}

func (b *batch) add(size int, ops ...clientv3.Op) {
	if len(b.ops)+len(ops) > maxTxnOps || b.size+size > maxTxnBytes {
		b.flush()
	}
	b.ops, b.size = append(b.ops, ops...), b.size+size
}

func (b *batch) flush() {
	if b.err != nil || len(b.ops) == 0 {
		return
	}
	same := clientv3.Compare(clientv3.Value(keyMat), "=", decimal(b.mat))
	got, err := b.store.client.Txn(b.ctx).If(same).Then(b.ops...).Commit()
	if err == nil && !got.Succeeded {
		err = errLost
	}
	b.ops, b.size, b.err = b.ops[:0], 0, err
}
