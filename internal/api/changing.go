package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/store"
)

// The bounds of the changes that are told to be on their way: what is older and stuck is told of the load balancers.
const (
	mostChanging   = 10
	changingWithin = time.Hour
)

// changing tells which of the newest changes are on their way, as far as the caller sees any of what they wrote.
func (c *call) changing(p *picture) []Changing {
	list := []Changing{}
	for _, one := range p.changing(c) {
		if _, ok := c.record(one.event); ok {
			list = append(list, one.told)
		}
	}
	return list
}

// onItsWay counts who has a change, in the groups that it concerns. Those that are silent or have failed are not waited for.
func (f *fleetView) onItsWay(revision int64, concerns func(revision int64, group string) bool) (told Changing) {
	for i := range f.status.Groups {
		g := &f.status.Groups[i]
		if !concerns(revision, g.Name) {
			continue
		}
		if w := g.Waves; w != nil && (slices.Contains(w.Changes, revision) || slices.Contains(w.Queued, revision)) {
			told.Waves = append(told.Waves, g.Name)
		}
		for j := range g.LoadBalancers {
			lb := &g.LoadBalancers[j]
			if lb.State != weir.Active || !lb.Reachable || lb.Run == "failed" {
				continue
			}
			told.Of++
			if lb.Ready && len(told.Waves) == 0 || lb.Revision >= revision {
				told.Ready++
			}
		}
	}
	return told
}

// movingChange is a change on its way, with what it wrote.
type movingChange struct {
	told  Changing
	event store.Event
}

// recent keeps the newest changes, which may be large and are asked for again and again while they are on their way.
type recent struct {
	mu     sync.Mutex
	events map[int64]store.Event
}

// of gives a change; ok is false when it can't be read.
func (r *recent) of(ctx context.Context, s *store.Store, revision int64) (store.Event, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ev, ok := r.events[revision]; ok {
		return ev, true
	}
	ev, err := s.Change(ctx, revision)
	if err != nil {
		return ev, false
	}
	if r.events == nil || len(r.events) >= 2*mostChanging {
		r.events = map[int64]store.Event{}
	}
	r.events[revision] = ev
	return ev, true
}

// changing finds the newest changes that somebody does not have yet.
func (p *picture) changing(c *call) (list []movingChange) {
	f := p.standing()
	for revision := p.view.Revision; revision > 0 && revision > p.view.Revision-mostChanging; revision-- {
		told := f.onItsWay(revision, c.h.opts.Status.Concerns)
		if told.Ready == told.Of && len(told.Waves) == 0 {
			continue
		}
		about, ok := c.h.touches.of(c.r.Context(), c.h.opts.Store, revision)
		if !ok || p.at.Sub(about.At) > changingWithin {
			break
		}
		ev, ok := c.h.recent.of(c.r.Context(), c.h.opts.Store, revision)
		if !ok {
			break
		}
		told.Revision, told.Author, told.Reason, told.Time = revision, ev.Change.Author, ev.Change.Reason, ev.Change.At
		list = append(list, movingChange{told, ev})
	}
	return list
}
