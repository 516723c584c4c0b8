package store

import (
	"context"
	"fmt"
	"iter"

	"weir"
)

// Event is one accepted change with its revision.
type Event struct {
	Revision int64
	Change   weir.Change
}

// The ring's bounds: about what a minute of heavy writing makes, and what memory it may hold.
const (
	ringEvents  = 8192
	ringObjects = 50_000
)

// ring holds the last events, without a gap, for those who follow closely.
type ring struct {
	events  []Event
	objects int
}

func (r *ring) add(ev Event) {
	r.events = append(r.events, ev)
	r.objects += len(ev.Change.Objects)
	drop := 0
	for len(r.events)-drop > 1 && (len(r.events)-drop > ringEvents || r.objects > ringObjects) {
		r.objects -= len(r.events[drop].Change.Objects)
		r.events[drop] = Event{} // what is dropped must not be kept by the array
		drop++
	}
	r.events = r.events[drop:]
}

// after gives up to limit events that follow a revision; ok is false when the ring no longer has them.
func (r *ring) after(revision int64, limit int) (list []Event, ok bool) {
	if len(r.events) == 0 || revision+1 < r.events[0].Revision {
		return nil, false
	}
	from := min(int(revision+1-r.events[0].Revision), len(r.events))
	to := min(from+limit, len(r.events))
	return append(list, r.events[from:to]...), true
}

// Watch gives every change after revision from, once each and in order, those to come included, until ctx ends,
// the loop is left, or an error is given, which is then the last. The error is of kind Gone when some of the
// changes asked for are no longer kept or from is not of this store: read View again and watch from there.
// A slow reader slows nobody: it is given from the disk what memory no longer has.
func (s *Store) Watch(ctx context.Context, from int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if last := s.Revision(); from > last {
			yield(Event{}, weir.Errorf(weir.Gone, "watch from revision %d: the last one here is %d", from, last))
			return
		}
		for {
			list, wake, err := s.eventsAfter(ctx, from)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, ev := range list {
				if !yield(ev, nil) {
					return
				}
				from = ev.Revision
			}
			if len(list) > 0 {
				continue
			}
			select {
			case <-wake:
			case <-ctx.Done():
				yield(Event{}, fmt.Errorf("watch: %w", ctx.Err()))
				return
			case <-s.ctx.Done():
				yield(Event{}, errClosed())
				return
			}
		}
	}
}

// eventsAfter gives the next few events after a revision; when there are none, wake is closed once there are.
func (s *Store) eventsAfter(ctx context.Context, from int64) (list []Event, wake <-chan struct{}, err error) {
	const few = 64
	s.mu.Lock()
	last, wake := s.live.Revision, s.wake
	list, near := s.ring.after(from, few)
	s.mu.Unlock()
	if near || from >= last {
		return list, wake, nil
	}
	err = s.eachChange(ctx, from+1, min(from+few, last), 0, func(h header, entries []entry) error {
		if h.Revision != from+int64(len(list))+1 {
			return goneAfter(from)
		}
		list = append(list, h.event(entries))
		return nil
	})
	if err == nil && len(list) == 0 {
		err = goneAfter(from)
	}
	if err != nil && weir.KindOf(err) == "" {
		err = &weir.Error{Kind: weir.Unavailable, Message: fmt.Sprintf("read changes after revision %d", from), Cause: err}
	}
	return list, wake, err
}

func goneAfter(revision int64) error {
	return weir.Errorf(weir.Gone, "watch from revision %d: the changes after it are no longer kept", revision)
}
