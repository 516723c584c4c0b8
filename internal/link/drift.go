package link

import (
	"time"

	"weir"
)

// DriftReport is what was changed at a load balancer by other hands than Weir's.
type DriftReport struct {
	// Mode says what becomes of it.
	Mode weir.DriftMode `json:"mode"`
	// Now is what differs, Total how much that is where the list is cut.
	Now   []Drift `json:"now,omitempty"`
	Total int     `json:"total,omitempty"`
	// Past is what happened last and is over, the newest last; Undone counts what was undone since the agent began.
	Past   []Drift `json:"past,omitempty"`
	Undone uint64  `json:"undone,omitempty"`
}

// Drift is one thing that somebody changed by hand.
type Drift struct {
	// Kind is that of the place, as "Weight"; Found is what it has, where that is a word or a number.
	Kind  string `json:"kind"`
	Found string `json:"found,omitempty"`
	// Object is whose it is, as "Server/web-017"; "" when it is the load balancer's. Pool and Server say where.
	Object string `json:"object,omitempty"`
	Pool   string `json:"pool,omitempty"`
	Server string `json:"server,omitempty"`
	// Text says it to people: "weight 100 → 7".
	Text string `json:"text"`
	// Since is when it was first seen, Undone when Weir took it back, Times how often it did.
	Since  time.Time `json:"since"`
	Undone time.Time `json:"undone,omitzero"`
	Times  int       `json:"times,omitempty"`
}

// MaxDrift is how much drift a report names, and MaxPast how much that is over.
const (
	MaxDrift = 200
	MaxPast  = 50
)

func (d *DriftReport) bound() *DriftReport {
	if d == nil {
		return nil
	}
	out := *d
	out.Mode = weir.DriftMode(cutText(string(d.Mode)))
	out.Now = boundDrift(d.Now[:min(len(d.Now), MaxDrift)])
	out.Past = boundDrift(d.Past[max(0, len(d.Past)-MaxPast):])
	out.Total = max(d.Total, len(out.Now))
	return &out
}

func boundDrift(list []Drift) []Drift {
	var out []Drift
	for _, d := range list {
		for _, s := range []*string{&d.Kind, &d.Found, &d.Object, &d.Pool, &d.Server, &d.Text} {
			*s = cutText(*s)
		}
		out = append(out, d)
	}
	return out
}
