package dns

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"weir/internal/discovery"
)

// board brings what the names' goroutines learn to the sink, one at a time.
type board struct {
	mu    sync.Mutex
	sink  discovery.Sink
	names []string
	last  map[string]outcome // by name, once it was asked for
	whole bool
}

// outcome is how the last question for a name ended.
type outcome struct {
	sum   [sha256.Size]byte
	known bool // an answer was told of
	err   error
}

// tell says what was learned of a name: what was found, what of it was left out, or why nothing was learned.
func (b *board) tell(ctx context.Context, name string, found []discovery.Found, left, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	now, news := b.last[name], false
	if err == nil {
		sum := discovery.Sum(found)
		if news = !now.known || sum != now.sum; news {
			b.sink.Part(name, found)
		}
		now.sum, now.known = sum, true
		err = left
	}
	now.err = err
	b.last[name] = now
	if !b.whole && len(b.last) == len(b.names) && b.answered() {
		b.whole, news = true, true
		b.sink.Whole(b.names)
	}
	of, failed := b.failed(name)
	switch {
	case of > 1:
		b.sink.Failed(fmt.Errorf("%w (%d of %d names fail)", failed, of, len(b.names)))
	case failed != nil:
		b.sink.Failed(failed)
	case !news:
		b.sink.Alive()
	}
}

// answered says that some name was answered for: else nothing is known of any, and the sink is not to think it was told.
func (b *board) answered() bool {
	for _, o := range b.last {
		if o.known {
			return true
		}
	}
	return false
}

// failed says how many names fail, and gives the failure to tell of, that of the name if it has one. An answer for one name
// does not hide that others fail.
func (b *board) failed(name string) (names int, failed error) {
	for _, n := range b.names {
		o := b.last[n]
		if o.err == nil {
			continue
		}
		if names++; failed == nil || n == name {
			failed = o.err
		}
	}
	return names, failed
}
