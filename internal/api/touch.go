package api

import (
	"context"
	"sync"
	"time"

	"weir/internal/store"
)

// Touch says who made a change, and when.
type Touch struct {
	At time.Time `json:"at"`
	By string    `json:"by"`
}

// touches remembers those of changes, which never change.
type touches struct {
	mu         sync.Mutex
	byRevision map[int64]Touch
}

// mostTouches bounds how many are remembered.
const mostTouches = 20_000

// of gives that of a change; ok is false when it is no longer kept, or can't be read.
func (t *touches) of(ctx context.Context, s *store.Store, revision int64) (Touch, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one, ok := t.byRevision[revision]; ok {
		return one, !one.At.IsZero()
	}
	ev, err := s.About(ctx, revision)
	if err != nil {
		return Touch{}, false
	}
	if t.byRevision == nil || len(t.byRevision) >= mostTouches {
		t.byRevision = map[int64]Touch{}
	}
	one := Touch{At: ev.Change.At, By: ev.Change.Author}
	t.byRevision[revision] = one
	return one, true
}
