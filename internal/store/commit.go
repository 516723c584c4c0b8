package store

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
)

// errLost says that the present has moved since the requests were worked out.
var errLost = errors.New("another change came first")

// patience is how long etcd may be silent before a request is refused.
const patience = 15 * time.Second

// tryFor is how long one try of a write may take before it is made again. A write that was on its way to a leader
// which died is lost, but the member that took it says so only after seven seconds; by this time there is another
// leader. A try that was only slow does no harm: at most one of them comes first.
const tryFor = 2 * time.Second

// commitLoop takes requests in order and makes them changes: what waits together and is small goes in one
// transaction, each request a change of its own.
func (s *Store) commitLoop() {
	defer close(s.ended)
	for {
		var batch []*request
		select {
		case r := <-s.queue:
			batch = append(batch, r)
		case <-s.ctx.Done():
			return
		}
	gather:
		for len(batch) < maxTxnOps/2 {
			select {
			case r := <-s.queue:
				batch = append(batch, r)
			default:
				break gather
			}
		}
		s.commitBatch(batch)
	}
}

func (s *Store) commitBatch(batch []*request) {
	for len(batch) > 0 {
		g := s.gather(batch)
		switch err := s.commit(g); {
		case errors.Is(err, errLost):
			if err := s.behind(g); err != nil {
				g.answer(err)
				batch = batch[g.taken:]
			}
		default:
			g.answer(err)
			batch = batch[g.taken:]
		}
	}
}

// behind reads what came first, so that the batch can be worked out again.
func (s *Store) behind(g *group) error {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if _, err := s.catchUp(ctx); err != nil {
		return unavailable(err)
	}
	if g.seals {
		// Another key may seal by now.
		if err := s.readSealing(ctx); err != nil {
			return unavailable(err)
		}
	}
	if s.Revision() == g.base.Revision {
		// Nothing came first: then what was staged, or secrets, were tidied away.
		for _, p := range g.changes {
			p.req.staged = nil
		}
	}
	return nil
}

func unavailable(err error) error {
	return &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer; the change may have been made or not", Cause: err}
}

// group is what goes into one transaction.
type group struct {
	base        *weir.Set
	materialize bool
	taken       int // how many requests of the batch are answered by it
	changes     []*pending
	headers     []header
	answers     []func(error)
	ops         []clientv3.Op
	compares    []clientv3.Cmp
	refs        map[weir.Ref]bool
	bytes       int
	nonce       string
	// sealedUnder is the ring as the group began; with seals, the group holds something sealed.
	sealedUnder *secrets.Keyring
	seals       bool
	large       *pending // when set, it is alone
}

func (g *group) answer(err error) {
	for _, f := range g.answers {
		f(err)
	}
}

// gather works out requests, each upon the one before it, as far as one transaction holds them.
func (s *Store) gather(batch []*request) *group {
	base, mat := s.present()
	g := &group{base: base, materialize: mat == base.Revision, nonce: rand.Text(), sealedUnder: s.keyring()}
	present := base
	for _, r := range batch {
		p, err := s.evaluateQueued(present, r)
		if err == nil && len(p.entries) > 0 {
			fits, large, addErr := s.add(g, p)
			switch {
			case addErr != nil:
				err = addErr
			case large:
				g.large = p
			case !fits:
				return g
			}
		}
		g.taken++
		g.answers = append(g.answers, s.answerOf(r, p, err))
		if err == nil && len(p.entries) > 0 {
			g.changes = append(g.changes, p)
			present = p.after
		}
		if g.large != nil {
			break
		}
	}
	return g
}

func (s *Store) evaluateQueued(base *weir.Set, r *request) (*pending, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, &weir.Error{Kind: weir.Unavailable, Message: "apply: nothing was changed", Cause: err}
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	return s.evaluate(ctx, base, r)
}

// answerOf makes what tells a request its outcome, once that of the group is known: a refusal may rest on a
// change of the same group.
func (s *Store) answerOf(r *request, p *pending, refusal error) func(error) {
	return func(failure error) {
		switch {
		case refusal != nil:
			r.done <- outcome{err: refusal}
		case failure != nil:
			r.done <- outcome{err: failure}
		case len(p.entries) == 0:
			r.done <- outcome{result: s.resultOf(p, p.base.Revision)}
		default:
			r.done <- outcome{result: s.resultOf(p, p.after.Revision)}
		}
	}
}

// commit writes a group and moves memory; errLost when the present has moved.
func (s *Store) commit(g *group) error {
	if len(g.changes) == 0 {
		return nil
	}
	if g.large != nil {
		if err := s.stage(g); err != nil {
			return err
		}
	}
	last := g.base.Revision + int64(len(g.changes))
	ops := append(g.ops, clientv3.OpPut(keyHead, decimal(last)))
	if g.materialize {
		ops = append(ops, clientv3.OpPut(keyMat, decimal(last)))
	}
	compares := append(g.compares, clientv3.Compare(clientv3.Value(keyHead), "=", decimal(g.base.Revision)))
	if g.seals {
		compares = append(compares, sealedUnder(g.sealedUnder))
	}
	if err := s.write(g, compares, ops); err != nil {
		return err
	}
	if g.large != nil {
		s.unplaced.add(last, g.large.sealed)
	}
	for i, p := range g.changes {
		if err := s.advance(g.headers[i], p.entries, p.after); err != nil {
			return unavailable(err)
		}
	}
	if !g.materialize {
		s.materializeSoon()
	}
	return nil
}

// write makes sure of one transaction's outcome: what got no answer is tried again, and whether the first try
// had gone through shows by its nonce.
func (s *Store) write(g *group, compares []clientv3.Cmp, ops []clientv3.Op) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), patience)
	defer cancel()
	first := changeKey(g.base.Revision + 1)
	again, lost := false, false
	err := s.surely(ctx, func(ctx context.Context) error {
		txn := s.client.Txn(ctx).If(compares...).Then(ops...)
		if again {
			txn = txn.Else(clientv3.OpGet(first))
		}
		got, err := txn.Commit()
		lost = err == nil && !got.Succeeded && !(again && wroteIt(got, g.nonce))
		again = true
		return err
	})
	switch {
	case err == nil && lost:
		return errLost
	case refused(err):
		return &weir.Error{Kind: weir.Unavailable, Message: "etcd refused the change; nothing was changed", Cause: err}
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// surely writes something that may be written twice until it has an answer: nil, or that it is refused. When ctx ends
// before, it gives the last error.
func (s *Store) surely(ctx context.Context, put func(ctx context.Context) error) error {
	for {
		try, done := context.WithTimeout(ctx, tryFor)
		err := put(try)
		done()
		if err == nil || refused(err) || ctx.Err() != nil {
			return err
		}
		s.opts.Logger.Warn("store: etcd did not answer a write; trying again", "error", err)
		wait := time.NewTimer(100 * time.Millisecond)
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
		wait.Stop()
	}
}

func wroteIt(got *clientv3.TxnResponse, nonce string) bool {
	for _, kv := range got.Responses[0].GetResponseRange().Kvs {
		if h, _, err := parseChangeValue(kv.Value); err == nil && h.Nonce == nonce {
			return true
		}
	}
	return false
}

// refused tells the errors that say for certain that nothing was written.
func refused(err error) bool {
	for _, definite := range []error{rpctypes.ErrNoSpace, rpctypes.ErrRequestTooLarge, rpctypes.ErrTooManyOps, rpctypes.ErrPermissionDenied, rpctypes.ErrCorrupt} {
		if errors.Is(err, definite) {
			return true
		}
	}
	return false
}

// notAllowed tells the errors of a client that etcd doesn't know or doesn't let in.
func notAllowed(err error) bool {
	for _, definite := range []error{rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty, rpctypes.ErrUserNotFound, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthNotEnabled} {
		if errors.Is(err, definite) {
			return true
		}
	}
	return false
}
