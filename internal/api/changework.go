package api

import (
	"slices"
	"time"

	"weir"
)

// WorkSource knows what load balancers did for changes. Many goroutines call it at once.
type WorkSource interface {
	// Work gives that of one change, nil when nothing is known of it: it is too old, or was made before this server began.
	// What it returns is the caller's to change.
	Work(revision int64) *ChangeWork
}

// ChangeWork is what load balancers did for a change. Those that had nothing to do for it are left out.
type ChangeWork struct {
	// LoadBalancers are by group, then name.
	LoadBalancers []LoadBalancerWork `json:"loadBalancers"`
}

// LoadBalancerWork is what one load balancer did, as its agent told it.
type LoadBalancerWork struct {
	Name  string `json:"name"`
	Group string `json:"group"`
	Zone  string `json:"zone"`
	// Done says that HAProxy was read back to have the change. All that follows is absent until then.
	Done bool `json:"done"`
	// At is when that was, by the control plane's clock, AfterMS how long after the change, in milliseconds.
	At      time.Time `json:"at,omitzero"`
	AfterMS int64     `json:"afterMs,omitempty"`
	// Commands counts run-time commands; Waiting of them are removals that wait for connections to end.
	Commands int `json:"commands,omitempty"`
	Waiting  int `json:"waiting,omitempty"`
	// Started says that HAProxy was started with it. Reloaded says that it was reloaded, Reload why; reasons of objects that
	// the caller may not see are left out.
	Started  bool           `json:"started,omitempty"`
	Reloaded bool           `json:"reloaded,omitempty"`
	Reload   []ReloadReason `json:"reload,omitempty"`
	// With are other changes that came at once with it, so that the commands are of all of them.
	With []int64 `json:"with,omitempty"`
}

// workOf tells what load balancers did for a change, as far as the caller may know.
func (c *call) workOf(rec *ChangeRecord) *ChangeWork {
	if c.h.opts.Work == nil {
		return nil
	}
	work := c.h.opts.Work.Work(rec.Revision)
	if work == nil {
		return nil
	}
	view := c.h.opts.Store.View()
	for i := range work.LoadBalancers {
		lb := &work.LoadBalancers[i]
		lb.Reload = slices.DeleteFunc(slices.Clone(lb.Reload), func(r ReloadReason) bool { return !c.seesOf(view, rec, r.Object) })
		if lb.Done {
			lb.AfterMS = max(0, lb.At.Sub(rec.At).Milliseconds())
		}
	}
	return work
}

// seesOf is sees for an object that the change may have deleted: who sees its part of the change sees that.
func (c *call) seesOf(view *weir.Set, rec *ChangeRecord, object string) bool {
	return c.sees(view, object) || slices.ContainsFunc(rec.Objects, func(o weir.ObjectChange) bool { return o.Ref.String() == object })
}
