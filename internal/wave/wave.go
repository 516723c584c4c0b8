// Package wave decides how a change goes through a group of load balancers: a few canaries first, then a zone, then
// the rest, each step watched; and when it halts and goes back. It is a function of what was seen, the settings and
// the time; who sees and who moves load balancers is elsewhere.
package wave

import (
	"slices"
	"time"
)

// Group is how far a group's configuration has come.
type Group struct {
	// Base is the revision whose configuration those have that no wave has reached.
	Base int64 `json:"base"`
	// Wave is what is on its way, nil for nothing.
	Wave *Wave `json:"wave,omitempty"`
	// Last is how the wave before ended.
	Last *Outcome `json:"last,omitempty"`
}

// Wave is one or several changes on their way through a group.
type Wave struct {
	// Target is the revision whose configuration is brought.
	Target int64 `json:"target"`
	State  State `json:"state"`
	Step   Step  `json:"step"`
	// Canaries are the load balancers of the first step, Zone is that of the second.
	Canaries []string `json:"canaries"`
	Zone     string   `json:"zone"`
	// Judged are those reached that were well when they were: the others hold nothing up.
	Judged []string `json:"judged"`
	// Began dates the wave, Since its step or, stopped or halted, that.
	Began time.Time `json:"began"`
	Since time.Time `json:"since"`
	// Ready is since when all that are judged have it; zero before.
	Ready time.Time `json:"ready,omitzero"`
	// Why and By say what stopped or halted it, and who; By is empty when it halted by itself.
	Why string `json:"why,omitempty"`
	By  string `json:"by,omitempty"`
}

// Outcome is how a wave ended.
type Outcome struct {
	Target int64     `json:"target"`
	Done   bool      `json:"done"`
	At     time.Time `json:"at"`
	Why    string    `json:"why,omitempty"`
	By     string    `json:"by,omitempty"`
}

// State is whether a wave moves.
type State string

// The states of a wave.
const (
	Going   State = "going"   // step by step
	Stopped State = "stopped" // those reached keep it, no others are reached
	Halted  State = "halted"  // it has gone back: nobody has it
)

// Step is how far a wave has come.
type Step string

// The steps of a wave, in this order.
const (
	Canaries Step = "canaries"
	InZone   Step = "zone"
	Rest     Step = "rest"
)

// Reached says whether a load balancer of a zone is to have what the wave brings.
func (w *Wave) Reached(name, zone string) bool {
	if w == nil || w.State == Halted {
		return false
	}
	return w.Step == Rest || slices.Contains(w.Canaries, name) || w.Step == InZone && zone == w.Zone
}

// Shows gives the revision whose configuration a load balancer is to have.
func (g Group) Shows(name, zone string) int64 {
	if g.Wave.Reached(name, zone) {
		return g.Wave.Target
	}
	return g.Base
}

// Stop lets those reached keep what they have, and reaches no others.
func (g Group) Stop(now time.Time, by, why string) Group {
	return g.with(func(w *Wave) { w.State, w.Since, w.By, w.Why = Stopped, now, by, why })
}

// Back takes the wave from those it has reached.
func (g Group) Back(now time.Time, by, why string) Group {
	return g.with(func(w *Wave) { w.State, w.Since, w.By, w.Why, w.Judged = Halted, now, by, why, nil })
}

// Go lets a stopped wave go on where it is, its step watched anew; one that has halted is given up, so that another
// begins with all that waits.
func (g Group) Go(now time.Time) Group {
	if g.Wave != nil && g.Wave.State == Halted {
		return g.end(Outcome{At: now, Why: g.Wave.Why, By: g.Wave.By})
	}
	return g.Again(now)
}

// Again watches the step anew, for somebody who has not seen its beginning.
func (g Group) Again(now time.Time) Group {
	return g.with(func(w *Wave) {
		if w.State != Halted {
			w.State, w.Since, w.Ready, w.Why, w.By = Going, now, time.Time{}, "", ""
		}
	})
}

// Finish brings the configuration of a revision to everybody at once.
func (g Group) Finish(now time.Time, newest int64, by, why string) Group {
	g.Base, g.Wave = max(g.Base, newest), nil
	g.Last = &Outcome{Target: g.Base, Done: true, At: now, Why: why, By: by}
	return g
}

// with changes a copy of the wave, if there is one.
func (g Group) with(change func(*Wave)) Group {
	if g.Wave == nil {
		return g
	}
	w := *g.Wave
	change(&w)
	g.Wave = &w
	return g
}

func (g Group) end(o Outcome) Group {
	o.Target = g.Wave.Target
	if o.Done {
		g.Base = g.Wave.Target
	}
	g.Wave, g.Last = nil, &o
	return g
}
