package sources

import (
	"slices"
	"sync"
	"time"

	"weir/internal/discovery"
)

// inbox holds what a driver tells until it is looked at. What was told of a part and was not looked at gives way to what
// is told next, so that it holds no more than the source has.
type inbox struct {
	clock func() time.Time
	wake  chan struct{}

	mu       sync.Mutex
	told     []told
	answered time.Time
	// err is why nothing can be learned, since failed; nil when something can.
	err    error
	failed time.Time
	// names are of servers that somebody else has written; all says that any may have to be looked at.
	names []string
	all   bool
}

// told is what was told of a part, or which parts there are.
type told struct {
	part  string
	found []discovery.Found
	whole bool
	parts []string
}

func newInbox(clock func() time.Time) *inbox {
	return &inbox{clock: clock, wake: make(chan struct{}, 1)}
}

func (b *inbox) edit(f func()) {
	func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		f()
	}()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// good notes an answer; b.mu is held.
func (b *inbox) good() { b.answered, b.err, b.failed = b.clock(), nil, time.Time{} }

// Part implements discovery.Sink.
func (b *inbox) Part(name string, found []discovery.Found) {
	b.edit(func() {
		b.good()
		for i := len(b.told) - 1; i >= 0 && !b.told[i].whole; i-- {
			if b.told[i].part == name {
				b.told[i].found = found
				return
			}
		}
		b.told = append(b.told, told{part: name, found: found})
	})
}

// Whole implements discovery.Sink.
func (b *inbox) Whole(parts []string) {
	b.edit(func() {
		b.good()
		// What was told of a part before is not wanted when it was told again, or is gone.
		last := map[string]int{}
		for i, t := range b.told {
			last[t.part] = i
		}
		i := -1
		b.told = slices.DeleteFunc(b.told, func(t told) bool {
			i++
			return t.whole || last[t.part] != i || !slices.Contains(parts, t.part)
		})
		b.told = append(b.told, told{whole: true, parts: slices.Clone(parts)})
	})
}

// Alive implements discovery.Sink.
func (b *inbox) Alive() {
	b.mu.Lock()
	mended := b.err != nil
	b.good()
	b.mu.Unlock()
	if mended {
		b.edit(func() {})
	}
}

// Failed implements discovery.Sink.
func (b *inbox) Failed(err error) {
	b.edit(func() {
		if b.err == nil {
			b.failed = b.clock()
		}
		b.err = err
	})
}

// touch has servers looked at that somebody else has written.
func (b *inbox) touch(names []string) { b.edit(func() { b.names = append(b.names, names...) }) }

// touchAll has all of them looked at.
func (b *inbox) touchAll() { b.edit(func() { b.all, b.names = true, nil }) }

// empty gives a roster all there is.
func (b *inbox) empty(roster *discovery.Roster) {
	b.mu.Lock()
	list, names, all := b.told, b.names, b.all
	b.told, b.names, b.all = nil, nil, false
	b.mu.Unlock()
	for _, t := range list {
		if t.whole {
			roster.Whole(t.parts)
		} else {
			roster.Part(t.part, t.found)
		}
	}
	if all {
		roster.TouchAll()
	}
	for _, name := range names {
		roster.Touch(name)
	}
}

// health is when the source answered last, and why it does not, since when.
func (b *inbox) health() (answered, failed time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answered, b.failed, b.err
}
