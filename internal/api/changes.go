package api

import (
	"slices"
	"strconv"

	"weir"
	"weir/internal/store"
)

// ChangeRecord is one kept change as its reader may see it.
type ChangeRecord struct {
	Revision int64 `json:"revision"`
	weir.Change
	// Omitted counts the objects of the change that the reader may not see.
	Omitted int `json:"omitted,omitempty"`
	// Waves are the groups where the change is on its way in waves, was sent back, or waits for the next wave; it is
	// told of a change that is asked for alone.
	Waves []ChangeWaves `json:"waves,omitempty"`
	// Work is what load balancers did for it; it is told of a change that is asked for alone, of the last ones only, and
	// absent where nothing is known.
	Work *ChangeWork `json:"work,omitempty"`
}

// ChangeWaves is how far a change has come in a group.
type ChangeWaves struct {
	Group string `json:"group"`
	// State is that of the group's waves, or queued while the change waits for the next.
	State string `json:"state"`
	// Message says more; it is shown to those who may see everything.
	Message string `json:"message,omitempty"`
}

// ChangeList is a page of changes, the newest first.
type ChangeList struct {
	Items []ChangeRecord `json:"items"`
	// Continue is what to give as before to get older ones; absent when there are none.
	Continue int64 `json:"continue,omitempty"`
}

// record gives the part of a change that the caller may see; ok is false when that is nothing.
func (c *call) record(ev store.Event) (ChangeRecord, bool) {
	all := len(ev.Change.Objects)
	rec := ChangeRecord{Revision: ev.Revision, Change: ev.Change}
	rec.Objects = slices.DeleteFunc(slices.Clone(ev.Change.Objects), func(o weir.ObjectChange) bool {
		return Allowed(c.who, Read, o.Before, o.After) != nil
	})
	rec.Change, rec.Omitted = publicChange(rec.Change), all-len(rec.Objects)
	return rec, len(rec.Objects) > 0
}

func (c *call) pathRevision() (int64, error) {
	n, err := strconv.ParseInt(c.r.PathValue("revision"), 10, 64)
	if err != nil || n < 1 {
		return 0, weir.Errorf(weir.NotFound, "there is no such change; changes are numbered from 1")
	}
	return n, nil
}

// change answers one change.
func (c *call) change() error {
	revision, err := c.pathRevision()
	if err != nil {
		return err
	}
	ev, err := c.h.opts.Store.Change(c.r.Context(), revision)
	if err != nil {
		return err
	}
	rec, ok := c.record(ev)
	if !ok {
		return weir.Errorf(weir.Forbidden, "change %d wrote only objects that %s may not see", revision, c.who.Subject)
	}
	c.revision, rec.Waves, rec.Work = revision, c.wavesOf(revision), c.workOf(&rec)
	return c.answerLong(rec)
}

// changes answers a page of changes, or streams them.
func (c *call) changes() error {
	watch, err := c.flag("watch")
	if err != nil {
		return err
	}
	filter, err := c.changeFilter()
	if err != nil {
		return err
	}
	if watch {
		return c.watchChanges(filter)
	}
	if c.has("from") {
		return queryProblem("from", c.text("from"), "together with watch=true")
	}
	brief, err := c.flag("brief")
	if err != nil {
		return err
	}
	page, err := c.changePage(filter, brief)
	if err != nil {
		return err
	}
	return c.answerLong(page)
}

func (c *call) changeFilter() (store.Filter, error) {
	f := store.Filter{Author: c.text("author")}
	if word := c.text("kind"); word != "" {
		kind, ok := weir.KindByWord(word)
		if !ok {
			return f, queryProblem("kind", word, "a kind of object")
		}
		f.Ref.Kind = kind.Name
	}
	if f.Ref.Name = c.text("name"); f.Ref.Name != "" && f.Ref.Kind == "" {
		return f, queryProblem("name", f.Ref.Name, "together with kind")
	}
	var err error
	if f.Before, err = c.number("before", 0, 1, 1<<62); err != nil {
		return f, err
	}
	limit, err := c.number("limit", 100, 1, 1000)
	f.Limit = int(limit)
	return f, err
}

// The bounds of one page besides its limit: how many changes are looked at, and about how many objects in them,
// shown or not. Who may see few changes, or meets large ones, gets a shorter page and goes on from there.
const (
	maxScan        = 10_000
	maxPageObjects = 20_000
	scanAtOnce     = 20
)

func (c *call) changePage(f store.Filter, brief bool) (ChangeList, error) {
	list := ChangeList{Items: []ChangeRecord{}}
	want, objects := f.Limit, 0
	for scanned := 0; scanned < maxScan && objects < maxPageObjects && len(list.Items) < want; {
		f.Limit = min(scanAtOnce, want-len(list.Items))
		events, err := c.h.opts.Store.Changes(c.r.Context(), f)
		if err != nil {
			return list, err
		}
		for _, ev := range events {
			f.Before = ev.Revision
			objects += len(ev.Change.Objects)
			rec, ok := c.record(ev)
			if !ok {
				continue
			}
			if brief {
				withoutSides(rec.Objects)
			}
			list.Items = append(list.Items, rec)
		}
		scanned += len(events)
		if len(events) < f.Limit || f.Before == 1 {
			return list, nil
		}
	}
	list.Continue = f.Before
	return list, nil
}

// withoutSides leaves of a change only what it is about.
func withoutSides(objects []weir.ObjectChange) {
	for i := range objects {
		objects[i].Before, objects[i].After = nil, nil
	}
}
