package server

import (
	"slices"

	"weir"
	"weir/internal/store"
)

// mostConcerned bounds the changes of which is remembered whom they concern.
const mostConcerned = 32

// concern is which groups a change concerns.
type concern struct {
	revision int64
	groups   []string
}

// remember notes which groups changes concern that were made on the way to a set; all of them together concern those named.
func (f *fleet) remember(events []store.Event, after *weir.Set, names []string) {
	var fresh []concern
	for _, ev := range events[max(len(events)-mostConcerned, 0):] {
		one := concern{ev.Revision, names}
		if len(events) > 1 {
			one.groups = f.compiler.Groups(f.view, after, refsOf(nil, ev))
		}
		fresh = append(fresh, one)
		f.work.made(one.revision, one.groups)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := append(slices.Clone(f.concerned), fresh...)
	f.concerned = all[max(len(all)-mostConcerned, 0):]
}

// Concerns implements api.StatusSource.
func (f *fleet) Concerns(revision int64, group string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, c := range f.concerned {
		if c.revision == revision {
			return slices.Contains(c.groups, group)
		}
	}
	return true
}
