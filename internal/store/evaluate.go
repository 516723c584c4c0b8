package store

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
)

// pending is a request worked out against a set: what would change, checked and authorized.
type pending struct {
	req         *request
	base, after *weir.Set
	entries     []entry
	at          time.Time
	skipped     []weir.Ref
	// sealed are the secrets that a large change brings, by object.
	sealed map[string][]byte
}

// draft is one write on its way to be an entry.
type draft struct {
	entry
	write    weir.Write
	problems []weir.Problem
	same     bool   // nothing would change
	known    string // the secret's plaintext, when it was given or looked up
	// revokedOnce are serials that a Certificate knew of when it was deleted, which an undo makes anew.
	revokedOnce []string
}

// evaluate works a request out. It writes nothing, and reads etcd only for secrets that are not given again.
func (s *Store) evaluate(ctx context.Context, base *weir.Set, r *request) (*pending, error) {
	p := &pending{req: r, base: base, at: s.now()}
	writes := r.Writes
	if r.expand != nil {
		var err error
		if writes, p.skipped, err = r.expand(base); err != nil {
			return nil, err
		}
	}
	if r.Expand != nil {
		more, err := r.Expand(base)
		if err != nil {
			return nil, err
		}
		writes = append(slices.Clip(writes), more...)
	}
	writes = append(slices.Clip(writes), s.takenAlong(base, writes)...)
	drafts := make([]draft, len(writes))
	issuers := sync.OnceValue(func() []*weir.Object { return issuersWith(base, writes) })
	past := s.pastOf(ctx, r)
	err := inParallel(len(writes), func(i int) error {
		drafts[i].write, drafts[i].ref = writes[i], writes[i].Ref()
		return s.draft(ctx, base, r, &drafts[i], issuers, past, p.at)
	})
	if err != nil {
		return nil, err
	}
	if err := onlyOnce(drafts); err != nil {
		return nil, err
	}
	if err := authorize(r, drafts); err != nil {
		return nil, err
	}
	var problems weir.Problems
	for i := range drafts {
		problems.Append(drafts[i].problems...)
	}
	if err := refusal(&problems); err != nil {
		return nil, err
	}
	if err := fresh(drafts); err != nil {
		return nil, err
	}
	return p, s.settle(p, drafts)
}

// settle keeps what differs, builds the new set and has the whole checked.
func (s *Store) settle(p *pending, drafts []draft) error {
	p.after = s.fork(p.base)
	var refs []weir.Ref
	for i := range drafts {
		if d := &drafts[i]; !d.same {
			p.entries = append(p.entries, d.entry)
			refs = append(refs, d.ref)
		}
	}
	if len(p.entries) == 0 {
		return nil
	}
	put(p.after, p.base.Revision+1, p.entries)
	if s.opts.Check == nil {
		return nil
	}
	var problems weir.Problems
	problems.Append(s.opts.Check(p.base, p.after, refs)...)
	return refusal(&problems)
}

// maxProblems is how many broken rules a refusal names; a mistake in a template makes thousands.
const maxProblems = 200

func refusal(problems *weir.Problems) error {
	list := problems.List()
	if len(list) <= maxProblems {
		return problems.Err()
	}
	return &weir.Error{
		Kind: weir.Invalid, Message: fmt.Sprintf("the objects break rules in %d places, of which these are the first", len(list)),
		Problems: list[:maxProblems:maxProblems],
	}
}

// draft validates one write by itself and finds out whether it changes something.
func (s *Store) draft(ctx context.Context, base *weir.Set, r *request, d *draft, issuers func() []*weir.Object, past *past, now time.Time) error {
	d.before = base.Get(d.ref)
	var err error
	if d.beforeJSON, err = canonical(d.before); err != nil {
		return err
	}
	if d.write.Put == nil {
		d.same = d.before == nil
		return nil
	}
	if d.after = d.copyOf(d.write.Put); d.after == nil {
		return nil
	}
	d.after.Revision = base.Revision + 1
	if !r.Registers {
		d.keepObserved()
	}
	d.carryOver(r.undo, now)
	d.pinIssuers(issuers)
	d.problems = append(d.problems, weir.Validate(d.after)...)
	if r.undo {
		if err := past.recall(d); err != nil {
			return err
		}
	}
	var cert *parsedCertificate
	if len(d.problems) == 0 {
		cert = d.parseCertificate(&s.signers)
		if s.opts.Prepare != nil {
			d.problems = append(d.problems, s.opts.Prepare(d.after)...)
		}
	}
	// Whatever was wrong so far, plaintext goes no further than here.
	if err := s.resolveSecret(ctx, d, r.undo, past); err != nil {
		return err
	}
	if d.afterJSON, err = canonical(d.after); err != nil {
		return err
	}
	if len(d.problems) == 0 {
		s.equals.object(d.after)
	}
	d.same = d.before != nil && bytes.Equal(d.beforeJSON, d.afterJSON)
	if cert != nil && len(d.problems) == 0 && d.newCertificate() {
		return s.checkCertificate(ctx, d, cert, now)
	}
	return nil
}

// copyOf takes the wish out of what is put; nil when it can't be one, and then there is a problem.
func (d *draft) copyOf(o *weir.Object) *weir.Object {
	kind, ok := weir.KindByName(o.Kind)
	if !ok || o.Spec == nil || reflect.TypeOf(o.Spec) != reflect.TypeOf(kind.New()) || reflect.ValueOf(o.Spec).IsNil() {
		d.problems = append(d.problems, weir.Problem{Object: d.ref.String(), Path: "kind", Message: fmt.Sprintf("%q is no kind, or the spec is another kind's", o.Kind)})
		return nil
	}
	raw, err := canonical(o)
	if err == nil {
		var c *weir.Object
		if c, err = weir.DecodeStored(raw); err == nil {
			return c
		}
	}
	// Not the error itself: it may quote a value.
	d.problems = append(d.problems, weir.Problem{Object: d.ref.String(), Path: "spec", Message: "can't be written as JSON and read again"})
	return nil
}

func onlyOnce(drafts []draft) error {
	seen := make(map[weir.Ref]bool, len(drafts))
	var problems weir.Problems
	for i := range drafts {
		if r := drafts[i].ref; seen[r] {
			problems.Append(weir.Problem{Object: r.String(), Message: "is written twice in one request; write it once"})
		} else {
			seen[r] = true
		}
	}
	return problems.Err()
}

// authorize asks for every write, and gives all refusals as one error.
func authorize(r *request, drafts []draft) error {
	if r.Authorize == nil {
		return nil
	}
	var refusals []weir.Problem
	var first error
	for i := range drafts {
		d := &drafts[i]
		if d.after == nil && (d.before == nil || d.write.Put != nil) {
			continue // nothing to delete, or refused anyway and to Authorize it would look like a deletion
		}
		if err := r.Authorize(d.before, d.after); err != nil {
			if first == nil {
				first = err
			}
			refusals = append(refusals, weir.Problem{Object: d.ref.String(), Message: strings.TrimPrefix(err.Error(), d.ref.String()+": ")})
		}
	}
	if len(refusals) <= 1 {
		return first
	}
	kind := weir.KindOf(first)
	if kind == "" {
		kind = weir.Forbidden
	}
	return &weir.Error{Kind: kind, Message: "the writes are not allowed", Problems: refusals}
}

// fresh holds If-Match against the present.
func fresh(drafts []draft) error {
	for i := range drafts {
		d := &drafts[i]
		switch want := d.write.IfMatch; {
		case want == 0:
		case want == weir.MustNotExist && d.before != nil:
			return weir.Errorf(weir.Stale, "%s exists already, since revision %d", d.ref, d.before.Revision)
		case want == weir.MustNotExist:
		case d.before == nil:
			return weir.Errorf(weir.Stale, "%s no longer exists; it was expected at revision %d", d.ref, want)
		case d.before.Revision != want:
			return weir.Errorf(weir.Stale, "%s is at revision %d, not %d: it was changed meanwhile; read it again", d.ref, d.before.Revision, want)
		}
	}
	return nil
}
