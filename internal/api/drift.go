package api

import (
	"slices"
	"time"

	"weir"
)

// DriftStatus is what was changed at a load balancer by other hands than Weir's.
type DriftStatus struct {
	// Mode says what becomes of it: correct or report.
	Mode weir.DriftMode `json:"mode"`
	// Now is what differs, the first few hundred of Total.
	Now   []Drift `json:"now,omitempty"`
	Total int     `json:"total"`
	// Past is what happened in the last day and is over, newest last; Undone counts what was undone since the agent
	// began.
	Past   []Drift `json:"past,omitempty"`
	Undone uint64  `json:"undone"`
	// Hidden counts what Now leaves out because the caller may not see it.
	Hidden int `json:"hidden,omitempty"`
}

// Drift is one thing that somebody changed by hand.
type Drift struct {
	// Kind says what it is: Weight, State, Address, Limit, Server, Backend, Published, Entry, Map, Certificate,
	// Authority, ListLine, File or Restarted. Found is what a Weight or State is: a number, or ready, drained or
	// maintenance.
	Kind  string `json:"kind"`
	Found string `json:"found,omitempty"`
	// Object is whose it is, as "Server/web-017"; empty for the load balancer's own. Pool and Server say where.
	Object string `json:"object,omitempty"`
	Pool   string `json:"pool,omitempty"`
	Server string `json:"server,omitempty"`
	// Text says it to people, as "weight 100 → 7".
	Text string `json:"text"`
	// Since is when it was first seen, Undone when Weir took it back, Times how often it did.
	Since  time.Time `json:"since"`
	Undone time.Time `json:"undone,omitzero"`
	Times  int       `json:"times,omitempty"`
}

// driftSeen leaves out what the caller may not see: others' objects, and what is nobody's unless they see all.
func (c *call) driftSeen(view *weir.Set, d *DriftStatus) *DriftStatus {
	if d == nil {
		return nil
	}
	hidden := func(x Drift) bool {
		if x.Object == "" {
			return !c.who.Holds(weir.Viewer, "")
		}
		return !c.sees(view, x.Object)
	}
	out := *d
	out.Now = slices.DeleteFunc(slices.Clone(d.Now), hidden)
	out.Past = slices.DeleteFunc(slices.Clone(d.Past), hidden)
	out.Hidden = len(d.Now) - len(out.Now)
	return &out
}
