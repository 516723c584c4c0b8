package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/internal/discovery"
)

// teller tells a sink what differs from what it was told, and holds what may be on its way from slice to slice.
type teller struct {
	sink    discovery.Sink
	asked   string // what is watched, for errors
	family  string
	hold    time.Duration
	parts   map[string]*told
	dirty   map[string]bool // parts that may differ from what was told
	holding map[string]bool // parts with something lost
	large   map[string]bool // parts with more than is taken
}

// told is what the sink has of a part.
type told struct {
	list []endpoint           // sorted by ID
	lost map[string]time.Time // until when those stand that are in no slice any more
}

func newTeller(s *Source, sink discovery.Sink) *teller {
	return &teller{
		sink: sink, asked: s.asked("watch"), family: s.c.Family, hold: s.c.Hold,
		parts: map[string]*told{}, dirty: map[string]bool{}, holding: map[string]bool{}, large: map[string]bool{},
	}
}

// tell tells what is new in v, and says whether anything was.
func (t *teller) tell(v *view, now time.Time) bool {
	said, gone := t.flush(v, now)
	if gone {
		t.whole()
	}
	return said || gone
}

// flush tells of the parts of v that are dirty, and says whether anything was told and whether parts are gone.
func (t *teller) flush(v *view, now time.Time) (said, gone bool) {
	for _, name := range slices.Sorted(maps.Keys(t.dirty)) {
		part := t.parts[name]
		_, exists := v.parts[name]
		list, lost := t.wanted(v, name, now)
		delete(t.dirty, name)
		switch {
		case len(list) > discovery.MaxFound:
			t.tooLarge(name, len(list))
			said = true
		case !exists && len(list) == 0:
			delete(t.parts, name)
			delete(t.large, name)
			delete(t.holding, name)
			gone = gone || part != nil
		case part != nil && slices.EqualFunc(part.list, list, equal):
			delete(t.large, name)
			part.lost = lost
			t.holds(name, lost)
		default:
			delete(t.large, name)
			t.parts[name] = &told{list: list, lost: lost}
			t.holds(name, lost)
			t.sink.Part(name, founds(name, list))
			said = true
		}
	}
	return said, gone
}

// wanted is what the sink should have of a part: what is in its slices, and what was until a moment ago.
func (t *teller) wanted(v *view, name string, now time.Time) (list []endpoint, lost map[string]time.Time) {
	list = v.merged(name, t.family)
	part := t.parts[name]
	if part == nil {
		return list, nil
	}
	there := len(list)
	for _, e := range part.list {
		if _, ok := slices.BinarySearchFunc(list[:there], e.id, byID); ok {
			continue
		}
		until, held := part.lost[e.id]
		if !held {
			until = now.Add(t.hold)
		}
		if !now.Before(until) {
			continue
		}
		if lost == nil {
			lost = map[string]time.Time{}
		}
		lost[e.id] = until
		list = append(list, e)
	}
	if len(list) > there {
		slices.SortFunc(list, func(a, b endpoint) int { return byID(a, b.id) })
	}
	return list, lost
}

// tooLarge tells that nothing is taken of a part: what was told of it stands. Others go on.
func (t *teller) tooLarge(name string, n int) {
	t.large[name] = true
	if part := t.parts[name]; part != nil {
		part.lost = nil
	}
	delete(t.holding, name)
	t.sink.Failed(fmt.Errorf("%s: service %s has %d endpoints: %w (%d); it stays as it was", t.asked, name, n, discovery.ErrTooMuch, discovery.MaxFound))
}

// holds notes whether a part has something lost.
func (t *teller) holds(name string, lost map[string]time.Time) {
	if len(lost) == 0 {
		delete(t.holding, name)
		return
	}
	t.holding[name] = true
}

// due is when the first of what is held has stood long enough; zero if nothing is held.
func (t *teller) due() time.Time {
	var first time.Time
	for name := range t.holding {
		for _, until := range t.parts[name].lost {
			if first.IsZero() || until.Before(first) {
				first = until
			}
		}
	}
	return first
}

// again holds what is held for as long as if it had been lost now: what would have shown where it went was not heard.
func (t *teller) again(now time.Time) {
	for name := range t.holding {
		lost := t.parts[name].lost
		for id := range lost {
			lost[id] = now.Add(t.hold)
		}
	}
}

// expired marks parts as dirty in which something has stood long enough.
func (t *teller) expired(now time.Time) {
	for name := range t.holding {
		for _, until := range t.parts[name].lost {
			if !now.Before(until) {
				t.dirty[name] = true
			}
		}
	}
}

// whole tells which parts there are.
func (t *teller) whole() {
	all := slices.Collect(maps.Keys(t.parts))
	for name := range t.large {
		if t.parts[name] == nil {
			all = append(all, name) // there is one, though none of it was told
		}
	}
	slices.Sort(all)
	t.sink.Whole(all)
}

func founds(part string, list []endpoint) []discovery.Found {
	all := make([]discovery.Found, len(list))
	for i := range list {
		all[i] = list[i].found(part)
	}
	return all
}

func byID(e endpoint, id string) int {
	switch {
	case e.id < id:
		return -1
	case e.id > id:
		return 1
	}
	return 0
}
