// Package discovery learns of servers from places outside: each driver, a package below this one, watches one kind of
// place and tells a Sink what is there. What becomes of it (servers, floors, damping) is decided elsewhere; a driver
// only tells what it sees, in parts, each as often as it changes.
package discovery

import (
	"context"
	"errors"
	"fmt"
)

// Source is one place that is watched.
type Source interface {
	// Watch tells sink what is there, and each change, until ctx ends, and not once more after it has returned. It comes
	// back by itself from every failure, with pauses that grow. Sink's methods are called from one goroutine at a time.
	Watch(ctx context.Context, sink Sink)
}

// Sink takes what a source tells. What was told stands until something else is told of the same part.
type Sink interface {
	// Part says all that is in a part of the source, in place of what it had. The list is the sink's from then on, sorted
	// by ID, each ID once. An empty list is a part with nothing in it.
	Part(name string, found []Found)
	// Whole says which parts there are, after a source was read in full: all others are gone.
	Whole(parts []string)
	// Alive says that the source has answered, and nothing is new.
	Alive()
	// Failed says that nothing can be learned at present, and why, for people: with what was asked, of whom, and what
	// can be done. What was told before stands.
	Failed(err error)
}

// Found is one instance as its source describes it.
type Found struct {
	// ID tells it from the others of its part, and stays the same for as long as the source thinks it the same.
	ID string
	// Fields are what the mapping to servers can use, by names that each driver lists.
	Fields map[string]string
	// State is what the source thinks of its health.
	State State
}

// State is what a source thinks of an instance.
type State uint8

// The states. A source without an opinion says Ready.
const (
	Ready    State = iota // may take traffic
	NotReady              // must not take traffic
	Draining              // finishes what it has
)

// String names the state as people read it.
func (s State) String() string {
	switch s {
	case Ready:
		return "ready"
	case NotReady:
		return "not ready"
	case Draining:
		return "draining"
	}
	return fmt.Sprintf("state %d", s)
}

// The bounds of every source; what is beyond them is a failure, so that nothing of it is taken.
const (
	// MaxFound is how many instances a part can have.
	MaxFound = 100_000
	// MaxAnswer is how long one answer of a source can be, in bytes.
	MaxAnswer = 64 << 20
)

// ErrTooMuch is in the errors about a source beyond the bounds.
var ErrTooMuch = errors.New("more than is taken")
