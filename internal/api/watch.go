package api

import (
	"context"
	"iter"

	"weir"
	"weir/internal/store"
)

// watchFrom reads from where to watch: the present when nothing is said.
func (c *call) watchFrom() (from int64, first bool, err error) {
	last := c.h.opts.Store.Revision()
	if from, err = c.number("from", last, 0, 1<<62); err != nil {
		return 0, false, err
	}
	// The store answers at once when it has something, or refuses.
	return from, from != last, nil
}

func (c *call) events(from int64) func(ctx context.Context) iter.Seq2[store.Event, error] {
	return func(ctx context.Context) iter.Seq2[store.Event, error] { return c.h.opts.Store.Watch(ctx, from) }
}

// watchObjects streams what happens to the chosen objects of a kind.
func (c *call) watchObjects(kind weir.Kind, sel selection) error {
	from, first, err := c.watchFrom()
	if err != nil {
		return err
	}
	at := from
	return stream(c, source[store.Event]{
		seq: c.events(from), first: first,
		beat: func() any { return WatchLine{Type: "heartbeat", Revision: at} },
		lines: func(ev store.Event) (lines []any, last bool) {
			for _, o := range ev.Change.Objects {
				if o.Kind == kind.Name {
					if line, ok := c.objectLine(ev.Revision, o, sel); ok {
						lines = append(lines, line)
					}
				}
			}
			at, c.revision = ev.Revision, ev.Revision
			if len(lines) > 0 {
				lines = append(lines, WatchLine{Type: "heartbeat", Revision: at})
			}
			return lines, false
		},
	})
}

// objectLine: what leaves the selection, or the caller's sight, looks deleted.
func (c *call) objectLine(revision int64, o weir.ObjectChange, sel selection) (WatchLine, bool) {
	chosen := func(side *weir.Object) bool { return sel.takes(side) && c.may(side) == nil }
	switch {
	case chosen(o.After):
		return WatchLine{Type: "put", Revision: revision, Object: shown(o.After)}, true
	case chosen(o.Before):
		return WatchLine{Type: "delete", Revision: revision, Deleted: &o.Ref}, true
	}
	return WatchLine{}, false
}

// watchChanges streams changes as they are made.
func (c *call) watchChanges(f store.Filter) error {
	from, first, err := c.watchFrom()
	if err != nil {
		return err
	}
	at := from
	return stream(c, source[store.Event]{
		seq: c.events(from), first: first,
		beat: func() any { return WatchLine{Type: "heartbeat", Revision: at} },
		lines: func(ev store.Event) (lines []any, last bool) {
			at, c.revision = ev.Revision, ev.Revision
			if rec, ok := c.record(ev); ok && wanted(f, rec) {
				lines = append(lines, WatchLine{Type: "change", Revision: at, Change: &rec})
			}
			return lines, false
		},
	})
}

func wanted(f store.Filter, rec ChangeRecord) bool {
	if f.Author != "" && f.Author != rec.Author {
		return false
	}
	for _, o := range rec.Objects {
		if (f.Ref.Kind == "" || f.Ref.Kind == o.Kind) && (f.Ref.Name == "" || f.Ref.Name == o.Name) {
			return true
		}
	}
	return false
}
