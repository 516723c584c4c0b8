package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"weir"
)

// Filter chooses changes; what is left out chooses all.
type Filter struct {
	// Ref is an object that the change wrote; without a name, any of the kind.
	Ref    weir.Ref
	Author string
	// Before is the revision to go on from: only older changes are given.
	Before int64
	// Limit is the most to give; 100 when 0, at most 1000.
	Limit int
}

func (f *Filter) author(author string) bool { return f.Author == "" || f.Author == author }

func (f *Filter) ref(r weir.Ref) bool {
	return (f.Ref.Kind == "" || f.Ref.Kind == r.Kind) && (f.Ref.Name == "" || f.Ref.Name == r.Name)
}

// any tells whether the filter takes a change by its objects; known is false when the header doesn't list them.
func (f *Filter) any(h *header) (takes, known bool) {
	if f.Ref == (weir.Ref{}) {
		return true, true
	}
	return slices.ContainsFunc(h.Refs, f.ref), len(h.Refs) == h.Count
}

// Changes gives the kept changes that the filter takes, the newest first.
func (s *Store) Changes(ctx context.Context, f Filter) ([]Event, error) {
	const most = 128
	if f.Limit <= 0 {
		f.Limit = 100
	}
	f.Limit = min(f.Limit, 1000)
	end := s.Revision() + 1
	if f.Before > 0 {
		end = min(end, f.Before)
	}
	var list []Event
	// No more are read than are asked for, since one can be as large as the store takes; more at once while the
	// filter takes few.
	for page := min(int64(f.Limit), most); end > 1 && len(list) < f.Limit; page = min(2*page, most) {
		from := max(end-page, 1)
		kvs, err := s.storedChanges(ctx, from, end)
		if err != nil {
			return nil, err
		}
		for _, kv := range slices.Backward(kvs) {
			if len(list) == f.Limit {
				break
			}
			ev, ok, err := s.chosen(ctx, &f, kv.Value)
			if weir.KindOf(err) == weir.Gone {
				return list, nil
			}
			if err != nil {
				return nil, err
			}
			if ok {
				list = append(list, ev)
			}
		}
		if len(kvs) == 0 {
			break // revisions have no gaps: what is older is no longer kept
		}
		end = from
	}
	return list, nil
}

// storedChanges reads the changes of revisions from to before end.
func (s *Store) storedChanges(ctx context.Context, from, end int64) (list []*mvccpb.KeyValue, err error) {
	err = s.pages(ctx, changeKey(from), changeKey(end), 0, 64, func(kvs []*mvccpb.KeyValue) error {
		list = append(list, kvs...)
		return nil
	})
	if err != nil {
		return nil, &weir.Error{Kind: weir.Unavailable, Message: "read changes: etcd does not answer", Cause: err}
	}
	return list, nil
}

func (s *Store) chosen(ctx context.Context, f *Filter, value []byte) (Event, bool, error) {
	h, _, err := parseChangeValue(value)
	if err != nil {
		return Event{}, false, err
	}
	takes, known := f.any(&h)
	if !f.author(h.Author) || known && !takes {
		return Event{}, false, nil
	}
	h, entries, err := s.decodeChange(ctx, value)
	if err != nil {
		return Event{}, false, err
	}
	if !known && !slices.ContainsFunc(entries, func(e entry) bool { return f.ref(e.ref) }) {
		return Event{}, false, nil
	}
	return h.event(entries), true, nil
}

// Change gives one change. It is Gone when it is no longer kept, NotFound when there never was one.
func (s *Store) Change(ctx context.Context, revision int64) (Event, error) {
	h, entries, err := s.change(ctx, revision)
	if err != nil {
		return Event{}, err
	}
	return h.event(entries), nil
}

// About gives a change without its objects, however many those are. The errors are Change's.
func (s *Store) About(ctx context.Context, revision int64) (Event, error) {
	if last := s.Revision(); revision < 1 || revision > last {
		return Event{}, weir.Errorf(weir.NotFound, "there is no change %d; the last is %d", revision, last)
	}
	list, err := s.storedChanges(ctx, revision, revision+1)
	if err != nil {
		return Event{}, err
	}
	if len(list) == 0 {
		return Event{}, weir.Errorf(weir.Gone, "change %d is no longer kept", revision)
	}
	h, _, err := parseChangeValue(list[0].Value)
	if err != nil {
		return Event{}, err
	}
	return h.event(nil), nil
}

func (s *Store) change(ctx context.Context, revision int64) (header, []entry, error) {
	if last := s.Revision(); revision < 1 || revision > last {
		return header{}, nil, weir.Errorf(weir.NotFound, "there is no change %d; the last is %d", revision, last)
	}
	got, err := s.client.Get(ctx, changeKey(revision))
	if err != nil {
		return header{}, nil, &weir.Error{Kind: weir.Unavailable, Message: fmt.Sprintf("read change %d: etcd does not answer", revision), Cause: err}
	}
	if len(got.Kvs) == 0 {
		return header{}, nil, weir.Errorf(weir.Gone, "change %d is no longer kept", revision)
	}
	return s.decodeChange(ctx, got.Kvs[0].Value)
}

// Undo makes a change that puts back what each object of a change was before it. It refuses with Conflict, and
// names them, when objects were changed since, except to what they were before. It is authorized like any other
// writes, never restores tokens, and may itself be undone. Writes and Undoes of the request are not looked at.
func (s *Store) Undo(ctx context.Context, revision int64, r Request) (*Result, error) {
	_, entries, err := s.change(ctx, revision)
	if err != nil {
		return nil, err
	}
	r.Writes, r.Undoes = nil, revision
	return s.submit(ctx, &request{Request: r, undo: true, expand: func(base *weir.Set) ([]weir.Write, []weir.Ref, error) {
		return takeBack(base, revision, entries)
	}})
}

func takeBack(base *weir.Set, revision int64, entries []entry) (writes []weir.Write, skipped []weir.Ref, err error) {
	var since []weir.Problem
	for i := range entries {
		e := &entries[i]
		now, before, after, err := e.wishes(base.Get(e.ref))
		switch {
		case err != nil:
			return nil, nil, err
		case bytes.Equal(now, before), bytes.Equal(before, after):
		case e.ref.Kind == "Token" && e.before != nil:
			skipped = append(skipped, e.ref)
		case !bytes.Equal(now, after):
			since = append(since, weir.Problem{Object: e.ref.String(), Message: changedSince(base.Get(e.ref))})
		case e.before == nil:
			writes = append(writes, weir.Write{Delete: e.ref})
		default:
			writes = append(writes, weir.Write{Put: e.before})
		}
	}
	if len(since) > 0 {
		return nil, nil, &weir.Error{Kind: weir.Conflict, Message: fmt.Sprintf("undo change %d: objects of it were changed since; undo those changes first, or write what you want", revision), Problems: since}
	}
	if len(writes) == 0 && len(skipped) > 0 {
		return nil, nil, weir.Errorf(weir.Conflict, "undo change %d: there is nothing to put back but tokens, and those are never restored; make new ones", revision)
	}
	return writes, skipped, nil
}

func changedSince(o *weir.Object) string {
	if o == nil {
		return "was deleted since"
	}
	return fmt.Sprintf("was changed since, by change %d", o.Revision)
}
