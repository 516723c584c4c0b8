package store

import (
	"context"
	"time"

	"weir"
)

// Request asks for one atomic change.
type Request struct {
	// Author comes from the credential; it is never empty.
	Author string
	// Credential names what the author was known by, empty for Weir itself; it is only kept.
	Credential string
	Reason     string
	// Writes name each object once. Status and revision of what is put are ignored.
	Writes []weir.Write
	// Expand, when set, gives further writes, worked out of the objects as they are at the moment of the change. It may be
	// asked more than once, must not change what it is given, and its error is the request's.
	Expand func(base *weir.Set) ([]weir.Write, error)
	// DryRun tells what would happen and leaves no trace.
	DryRun bool
	// Registers lets the Writes say what is observed: Servers' registrations, addresses of Partners' names, and what AccessLists and Maps have from their sources.
	// Without it each Server keeps what it has, and a new one has none: what is observed is nobody's to wish.
	Registers bool
	// Undoes is the revision that this takes back, 0 for none; Store.Undo sets it.
	Undoes int64
	// Authorize, when set, is asked for every write, also for those that turn out to change nothing: before is
	// nil for a new object, after for a deleted one, and neither holds a secret's plaintext. It must not wait for
	// the store.
	Authorize func(before, after *weir.Object) error
}

// Result is what became of a request.
type Result struct {
	// Revision is that of the change, or of the last change before when nothing was written.
	Revision int64
	// Change lists only what differs; its Objects are empty when nothing does.
	Change weir.Change
	// Before and After are all objects on both sides of the change; the sets are the caller's.
	Before, After *weir.Set
	// Skipped are the objects that an undo leaves alone for good: tokens are never restored.
	Skipped []weir.Ref
}

// maxReason is the longest reason kept, in bytes.
const maxReason = 4096

// request is a Request on its way.
type request struct {
	Request
	ctx context.Context
	// expand, when set, makes the writes out of the present objects.
	expand func(base *weir.Set) (writes []weir.Write, skipped []weir.Ref, err error)
	// undo allows what only an undo may: to take up a deleted object's secret again.
	undo   bool
	staged *staged
	done   chan outcome
}

type outcome struct {
	result *Result
	err    error
}

// Apply makes the writes one change: all or none of them. When it returns without an error the change is on
// disk, in View and on its way to every watcher. Writes that change nothing are left out, and if nothing is
// left there is no change. Errors are *weir.Error: Invalid with every broken rule, Forbidden, Stale when If-Match
// does not hold, Unavailable when etcd does not answer, and then the change may yet have been made.
func (s *Store) Apply(ctx context.Context, r Request) (*Result, error) {
	return s.submit(ctx, &request{Request: r})
}

func (s *Store) submit(ctx context.Context, r *request) (*Result, error) {
	if r.Author == "" {
		return nil, weir.Errorf(weir.Invalid, "apply: a change needs an author")
	}
	if len(r.Reason) > maxReason {
		return nil, weir.Errorf(weir.Invalid, "apply: the reason is %d bytes long; at most %d are kept", len(r.Reason), maxReason)
	}
	if s.ctx.Err() != nil {
		return nil, errClosed()
	}
	r.ctx = ctx
	if r.DryRun {
		p, err := s.evaluate(ctx, s.View(), r)
		if err != nil {
			return nil, err
		}
		return s.resultOf(p, p.base.Revision), nil
	}
	r.done = make(chan outcome, 1)
	select {
	case s.queue <- r:
	case <-ctx.Done():
		return nil, &weir.Error{Kind: weir.Unavailable, Message: "apply: nothing was changed", Cause: ctx.Err()}
	case <-s.ctx.Done():
		return nil, errClosed()
	}
	// From here on the outcome is waited for, whatever becomes of ctx: "perhaps" helps nobody.
	select {
	case out := <-r.done:
		return out.result, out.err
	case <-s.ended:
	}
	select {
	case out := <-r.done:
		return out.result, out.err
	default:
		return nil, errClosed()
	}
}

func (s *Store) resultOf(p *pending, revision int64) *Result {
	h := s.headerOf(p)
	return &Result{
		Revision: revision, Change: h.event(p.entries).Change,
		Before: s.fork(p.base), After: s.fork(p.after), Skipped: p.skipped,
	}
}

// headerOf makes the header of a change as it stands after evaluation.
func (s *Store) headerOf(p *pending) header {
	h := header{
		Revision: p.base.Revision + 1, Author: p.req.Author, Credential: p.req.Credential, Reason: p.req.Reason, At: p.at,
		Undoes: p.req.Undoes, Count: len(p.entries),
	}
	if len(p.entries) <= maxRefs {
		for _, e := range p.entries {
			h.Refs = append(h.Refs, e.ref)
		}
		h.Sealed = sealedNames(p.entries)
	}
	return h
}

// now is the time that a change gets: in UTC, to the millisecond.
func (s *Store) now() time.Time { return s.opts.Clock().UTC().Truncate(time.Millisecond) }
