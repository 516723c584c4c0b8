package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/link"
)

// driftStatus gives what an agent told of other hands.
func driftStatus(d *link.DriftReport) *api.DriftStatus {
	if d == nil {
		return nil
	}
	out := &api.DriftStatus{Mode: d.Mode, Total: d.Total, Undone: d.Undone}
	for _, x := range d.Now {
		out.Now = append(out.Now, api.Drift(x))
	}
	for _, x := range d.Past {
		out.Past = append(out.Past, api.Drift(x))
	}
	return out
}

// undoneFor is how long an object says that something by hand was undone.
const undoneFor = time.Hour

// byHand gathers what other hands did to one object.
type byHand struct {
	now, past []string
	since     time.Time
	more      int
	undone    bool // some of what is past was
}

// shownDrift is how many changes by hand one condition names.
const shownDrift = 5

// drift notes what a load balancer told of other hands, as far as the object is concerned. What is told of a load
// balancer or group everybody may read, and so names nobody's objects.
func (v *view) drift(loadBalancer string, d *link.DriftReport) {
	switch {
	case d == nil:
		return
	case v.ref.Kind == "LoadBalancer" || v.ref.Kind == "LoadBalancerGroup":
		v.driftWhole(loadBalancer, d)
		return
	}
	for _, x := range d.Now {
		if v.touches(x) {
			v.hand.note(loadBalancer+": "+where(v.ref, x)+x.Text+" since "+clock(x.Since), x.Since)
		}
	}
	for _, x := range slices.Backward(d.Past) {
		if v.touches(x) && v.clock().Sub(x.Undone) < undoneFor {
			v.hand.undone = true
			v.hand.past = append(v.hand.past, loadBalancer+": "+where(v.ref, x)+x.Text+undoneText(x))
		}
	}
}

func (v *view) touches(x link.Drift) bool {
	return x.Object == v.ref.String() || v.ref.Kind == "Pool" && x.Pool == v.ref.Name
}

func where(ref weir.Ref, x link.Drift) string {
	switch {
	case ref.Kind == "Server" && x.Pool != "":
		return "in pool " + x.Pool + " "
	case x.Server != "":
		return "server " + x.Server + " "
	}
	return ""
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func undoneText(x link.Drift) string {
	text := ", undone at " + clock(x.Undone)
	if x.Times > 1 {
		text += fmt.Sprintf(", %d times by now", x.Times)
	}
	return text
}

func (b *byHand) note(text string, since time.Time) {
	if b.since.IsZero() || since.Before(b.since) {
		b.since = since
	}
	if len(b.now) == shownDrift {
		b.more++
		return
	}
	b.now = append(b.now, text)
}

// driftWhole tells what differs on a load balancer by its kinds, and what is the load balancer's own in words.
func (v *view) driftWhole(loadBalancer string, d *link.DriftReport) {
	if d.Total > 0 {
		kinds := map[string]int{}
		var first time.Time
		for _, x := range d.Now {
			if x.Kind == "File" {
				v.hand.note(loadBalancer+": "+x.Text+" since "+clock(x.Since), x.Since)
				continue
			}
			kinds[x.Kind]++
			if first.IsZero() || x.Since.Before(first) {
				first = x.Since
			}
		}
		if len(kinds) > 0 {
			of := ""
			if d.Total > len(d.Now) {
				of = fmt.Sprintf("; %d in all", d.Total)
			}
			var parts []string
			for _, kind := range sortedNames(kinds) {
				parts = append(parts, fmt.Sprintf("%s %d", kind, kinds[kind]))
			}
			v.hand.note(loadBalancer+": changed by hand since "+clock(first)+": "+strings.Join(parts, ", ")+of, first)
		}
	}
	var last time.Time
	for _, x := range slices.Backward(d.Past) {
		switch {
		case x.Undone.IsZero():
			v.hand.past = append(v.hand.past, loadBalancer+": "+x.Text)
		case x.Undone.After(last):
			last = x.Undone
		}
	}
	if v.clock().Sub(last) < undoneFor {
		v.hand.undone = true
		v.hand.past = append(v.hand.past, fmt.Sprintf("%s: changes by hand undone since its agent began: %d, the last at %s", loadBalancer, d.Undone, clock(last)))
	}
}

// drifted says what other hands did, if anything.
func (v *view) drifted() (weir.Condition, bool) {
	h := &v.hand
	c := weir.Condition{Type: weir.Drifted, Since: h.since}
	switch {
	case len(h.now) > 0:
		c.Status, c.Reason, c.Message = "True", "ByHand", strings.Join(h.now, "; ")
		if h.more > 0 {
			c.Message += fmt.Sprintf("; and %d more", h.more)
		}
	case len(h.past) > 0:
		c.Status, c.Reason, c.Message = "False", "Restarted", strings.Join(h.past[:min(len(h.past), shownDrift)], "; ")
		if h.undone {
			c.Reason = "Undone"
		}
	default:
		return c, false
	}
	return c, true
}
