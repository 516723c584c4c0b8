package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"weir"
	"weir/internal/secrets"
)

// WaveSource steers the waves in which changes go through a group. Many goroutines call it at once.
type WaveSource interface {
	// SteerWaves does what somebody asks for, for all servers of the store. It is a weir.Conflict when nothing is on
	// its way that it could be done to, or the group wants no waves.
	SteerWaves(ctx context.Context, group string, action WaveAction, by, reason string) error
}

// WaveAction is what a person does to a wave.
type WaveAction string

// What can be done to a wave.
const (
	WaveStop   WaveAction = "stop"   // it reaches no further load balancer; those reached keep what they have
	WaveBack   WaveAction = "back"   // those reached are given what they had before
	WaveGo     WaveAction = "go"     // it goes on where it was stopped, or begins anew after it has gone back
	WaveFinish WaveAction = "finish" // everybody is given what is newest, at once
)

var waveActions = []WaveAction{WaveStop, WaveBack, WaveGo, WaveFinish}

// WaveStatus is how far changes have come that go through a group in waves.
type WaveStatus struct {
	// State is idle, waiting, going, stopped or halted; waiting is for a load balancer that could be the first.
	State string `json:"state"`
	// Base is the revision whose configuration those have that no wave has reached, Target the one that is brought.
	Base   int64 `json:"base"`
	Target int64 `json:"target,omitempty"`
	// Step is canaries, zone or rest; Canaries and Zone are those of the first two.
	Step     string   `json:"step,omitempty"`
	Canaries []string `json:"canaries,omitempty"`
	Zone     string   `json:"zone,omitempty"`
	// Reached of Of load balancers are to have what is brought, and Has have it.
	Reached int `json:"reached"`
	Has     int `json:"has"`
	Of      int `json:"of"`
	// Since is when the step began, or the wave was stopped or halted; Until is when watching the step ends, absent
	// before all that were reached have it.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Why and By say what stopped or halted it, and who; By is empty when it halted by itself. Why is shown to those who
	// may see everything: it can be about any role's objects.
	Why string `json:"why,omitempty"`
	By  string `json:"by,omitempty"`
	// Changes are on their way, Queued wait for the next wave.
	Changes []int64 `json:"changes,omitempty"`
	Queued  []int64 `json:"queued,omitempty"`
	// Last is how the wave before ended.
	Last *WaveOutcome `json:"last,omitempty"`
	// Message says all this in a sentence.
	Message string `json:"message"`
}

// The states of a WaveStatus that are not those of a wave.
const (
	WavesIdle    = "idle"
	WavesWaiting = "waiting"
)

// WaveOutcome is how a wave ended.
type WaveOutcome struct {
	Target int64 `json:"target"`
	// Done says that everybody has it; else it went back.
	Done bool      `json:"done"`
	At   time.Time `json:"at"`
	Why  string    `json:"why,omitempty"`
	By   string    `json:"by,omitempty"`
}

// discreet leaves out what is about objects that the caller may not see.
func (w *WaveStatus) discreet(c *call) *WaveStatus {
	if w == nil || c.who.Holds(weir.Viewer, "") {
		return w
	}
	shown := *w
	shown.Why, shown.Message = "", ""
	if w.Last != nil {
		last := *w.Last
		last.Why, shown.Last = "", &last
	}
	return &shown
}

// wavesOf tells where a change is on its way, or waits.
func (c *call) wavesOf(revision int64) []ChangeWaves {
	var list []ChangeWaves
	for _, g := range c.h.opts.Status.Fleet().Groups {
		w := g.Waves.discreet(c)
		switch {
		case w == nil:
		case slices.Contains(w.Changes, revision):
			list = append(list, ChangeWaves{g.Name, w.State, w.Message})
		case slices.Contains(w.Queued, revision):
			list = append(list, ChangeWaves{g.Name, "queued", w.Message})
		}
	}
	return list
}

func (c *call) waveStatus(kind weir.Kind) (*WaveStatus, error) {
	o, err := c.find(kind)
	if err != nil {
		return nil, err
	}
	for _, g := range c.h.opts.Status.Fleet().Groups {
		if g.Name == o.Metadata.Name && g.Waves != nil {
			return g.Waves, nil
		}
	}
	return nil, weir.Errorf(weir.Conflict, "group %s wants no waves: what is changed reaches all its load balancers at once; set spec.waves of LoadBalancerGroup/%s for that", o.Metadata.Name, o.Metadata.Name)
}

func (c *call) waves(kind weir.Kind) error {
	status, err := c.waveStatus(kind)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, status.discreet(c))
}

// steerWaves moves everybody's changes, and so takes a right on everybody's.
func (c *call) steerWaves(kind weir.Kind) error {
	if !c.who.Holds(weir.Operator, "") {
		return weir.Errorf(weir.Forbidden, "a wave carries every role's changes: steering it takes the right operator on role \"*\", which %s does not have; a change of one's own is taken back with an undo, which sends its wave back", c.who.Subject)
	}
	action := WaveAction(c.text("action"))
	if !slices.Contains(waveActions, action) {
		return queryProblem("action", string(action), "stop, back, go or finish")
	}
	reason, err := c.reason()
	if err != nil {
		return err
	}
	if reason == "" && action == WaveFinish {
		return &weir.Error{Kind: weir.Invalid, Message: "say why nobody is to watch what this does", Problems: []weir.Problem{{Path: "query.reason", Message: "is missing"}}}
	}
	status, err := c.waveStatus(kind)
	if err != nil {
		return err
	}
	if c.h.opts.Waves == nil {
		return weir.Errorf(weir.Unavailable, "this server steers no waves")
	}
	name := c.r.PathValue("name")
	entry := secrets.AuditEntry{What: "wave " + string(action), Object: "LoadBalancerGroup/" + name, Outcome: "accepted", Reason: reason}
	if err := c.h.opts.Waves.SteerWaves(c.r.Context(), name, action, c.who.Subject, reason); err != nil {
		entry.Outcome, entry.Reason = "refused", err.Error()
		c.audit(entry)
		return err
	}
	c.audit(entry)
	if after, err := c.waveStatus(kind); err == nil {
		status = after
	}
	return c.answer(http.StatusOK, status)
}
