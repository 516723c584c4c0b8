package link

import (
	"context"

	"weir"
	"weir/internal/ir"
)

// State is all that an agent's load balancer must do, as it is on disk. Resources is shared and must not be
// changed; it is sorted by ID and the Body of what did not change stays where it is in memory.
type State struct {
	Epoch     string
	Revision  int64
	Hash      Hash
	Resources []*ir.Resource
	// Newer is closed when a newer state is on disk, which is delivered once this one has been taken care of; nil
	// for never.
	Newer <-chan struct{}

	keys map[string]weir.SealedRef
}

// state gives what the replica holds and keeps later changes away from it.
func (r *replica) state() State {
	r.lent = true
	return State{Epoch: r.epoch, Revision: r.revision, Hash: r.hash, Resources: r.list, keys: r.keys}
}

// State gives the newest state on disk; ok is false before the first snapshot.
func (c *Client) State() (s State, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica.state(), c.replica.epoch != ""
}

// offer tells the deliverer that there is a newer state.
func (c *Client) offer() {
	c.mu.Lock()
	c.undelivered = true
	if c.newer != nil {
		close(c.newer)
		c.newer = nil
	}
	c.mu.Unlock()
	select {
	case c.offered <- struct{}{}:
	default:
	}
}

// deliver hands states to the sink, one at a time and always the newest, until ctx ends.
func (c *Client) deliver(ctx context.Context, sink func(State)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.offered:
		}
		c.mu.Lock()
		s := c.replica.state()
		c.undelivered, c.delivering = false, true
		c.newer = make(chan struct{})
		s.Newer = c.newer
		c.mu.Unlock()
		sink(s)
		c.mu.Lock()
		c.delivering = false
		c.mu.Unlock()
	}
}

// settled tells that the sink has seen the newest state, and so nobody asks for keys of an older one.
func (c *Client) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.undelivered && !c.delivering
}
