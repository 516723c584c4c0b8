package agent

import (
	"time"

	"weir"
	"weir/internal/drift"
	"weir/internal/link"
)

// hands remembers what other hands than this agent's did to HAProxy and its files. The loop alone uses it.
type hands struct {
	items []drift.Item
	since map[drift.Place]time.Time
	// past is what is over, newest last; times is how often a place was brought back, undone how often in all.
	past   []pastDrift
	times  map[drift.Place]int
	undone uint64
	// restored are the backends of what was brought back, as often as it was, until somebody asks.
	restored []string
	// news says that the control plane has not been told.
	news bool
}

type pastDrift struct {
	place drift.Place
	link.Drift
}

const (
	// pastFor is how long what is over is told.
	pastFor = 24 * time.Hour
	// maxTimes bounds how many places are remembered that were brought back.
	maxTimes = 10_000
)

// take notes everything that differs now, and gives what did not before.
func (h *hands) take(found []drift.Item, now time.Time) (fresh []drift.Item) {
	before := make(map[drift.Place]string, len(h.items))
	for _, item := range h.items {
		before[item.Place] = item.Is
	}
	since := make(map[drift.Place]time.Time, len(found))
	for _, item := range found {
		is, known := before[item.Place]
		since[item.Place] = h.since[item.Place]
		if !known {
			since[item.Place] = now
		}
		if !known || is != item.Is {
			fresh = append(fresh, item)
		}
	}
	h.news = h.news || len(fresh) > 0 || len(found) != len(h.items)
	h.items, h.since = found, since
	return fresh
}

// files gives what was found of files.
func (h *hands) files() []drift.Item {
	var list []drift.Item
	for _, item := range h.items {
		if item.Kind == drift.File {
			list = append(list, item)
		}
	}
	return list
}

// settle notes what differs still; the rest is over, and undone by this agent or not.
func (h *hands) settle(still []drift.Item, undone bool, now time.Time) {
	left := make(map[drift.Place]bool, len(still))
	for _, item := range still {
		left[item.Place] = true
	}
	for _, item := range h.items {
		if undone && !left[item.Place] {
			h.took(item, now)
		}
	}
	h.take(still, now)
}

// giveUp notes that some of what differs is brought back although it was to be left alone, and says whether there is any.
func (h *hands) giveUp(which func(drift.Place) bool, now time.Time) bool {
	left := make([]drift.Item, 0, len(h.items))
	for _, item := range h.items {
		if which(item.Place) {
			h.took(item, now)
		} else {
			left = append(left, item)
		}
	}
	given := len(left) < len(h.items)
	h.items = left
	return given
}

// took notes that something was brought back.
func (h *hands) took(item drift.Item, now time.Time) {
	if _, known := h.times[item.Place]; !known && (h.times == nil || len(h.times) >= maxTimes) {
		h.times = map[drift.Place]int{}
	}
	h.times[item.Place]++
	h.undone++
	switch item.Kind {
	case drift.Weight, drift.State, drift.Address, drift.Limit, drift.Server, drift.Backend, drift.Published:
		h.restored = append(h.restored, item.At)
	}
	d := tellItem(item, h.since[item.Place])
	d.Undone, d.Times = now, h.times[item.Place]
	h.over(item.Place, d)
}

// takeRestored gives the backends in which something was brought back since it was asked last.
func (h *hands) takeRestored() []string {
	names := h.restored
	h.restored = nil
	return names
}

// happened notes what can't be undone.
func (h *hands) happened(place drift.Place, text string, now time.Time) {
	h.over(place, link.Drift{Kind: string(place.Kind), Text: text, Since: now})
}

// over puts what is over at the end, in the place of the same thing before.
func (h *hands) over(place drift.Place, d link.Drift) {
	h.news = true
	kept := h.past[:0]
	for _, p := range h.past {
		if p.place != place {
			kept = append(kept, p)
		}
	}
	h.past = append(kept, pastDrift{place, d})
	h.past = h.past[max(0, len(h.past)-link.MaxPast):]
}

func tellItem(item drift.Item, since time.Time) link.Drift {
	d := link.Drift{Kind: string(item.Kind), Object: item.Object, Pool: item.Pool, Server: item.Server, Text: item.Text, Since: since}
	if item.Kind == drift.Weight || item.Kind == drift.State {
		d.Found = item.Is
	}
	return d
}

// tell is what the control plane is told; nil when there is nothing to tell and never was.
func (h *hands) tell(mode weir.DriftMode, now time.Time) *link.DriftReport {
	h.news = false
	if len(h.items) == 0 && len(h.past) == 0 && h.undone == 0 && mode != weir.DriftReport {
		return nil
	}
	r := &link.DriftReport{Mode: weir.DriftCorrect, Total: len(h.items), Undone: h.undone}
	if mode == weir.DriftReport {
		r.Mode = mode
	}
	for _, item := range h.items[:min(len(h.items), link.MaxDrift)] {
		d := tellItem(item, h.since[item.Place])
		d.Times = h.times[item.Place]
		r.Now = append(r.Now, d)
	}
	for _, p := range h.past {
		at := p.Undone
		if at.IsZero() {
			at = p.Since
		}
		if now.Sub(at) < pastFor {
			r.Past = append(r.Past, p.Drift)
		}
	}
	return r
}
