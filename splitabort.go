package weir

import (
	"slices"
	"time"
)

// SplitAbort takes a leg out that fails: as soon as more of its answers within a time are errors than are fine, what would
// go to it goes to the first leg, which is never taken out. Each load balancer judges by its own requests, HAProxy at each
// answer, with nobody else there. The leg comes back when the Split is changed, or after 24 days without a request for it.
type SplitAbort struct {
	// Errors is the percentage of a leg's answers that may be 5xx, those of HAProxy for want of a server too.
	Errors int `json:"errors"`
	// Window is the time that is looked back on: 10s, 1m or 10m; 1m when left out.
	Window Duration `json:"window,omitempty"`
	// Requests is how many answers there must be within it, before anybody judges; 20 when left out.
	Requests int `json:"requests,omitempty"`
}

// AbortWindows are what a Split can look back on: each that is used is a table of its own.
var AbortWindows = []Duration{Duration(10 * time.Second), Duration(time.Minute), Duration(10 * time.Minute)}

func (a *SplitAbort) normalize() {
	if a != nil {
		setDefault(&a.Window, Duration(time.Minute))
		setDefault(&a.Requests, 20)
	}
}

func (a *SplitAbort) validate(p *Problems) {
	if a == nil {
		return
	}
	between(p, "abort.errors", a.Errors, 1, 99)
	if !slices.Contains(AbortWindows, a.Window) {
		p.Add("abort.window", "%s is none of %s", a.Window, "10s, 1m and 10m")
	}
	between(p, "abort.requests", a.Requests, 1, 1_000_000)
}
