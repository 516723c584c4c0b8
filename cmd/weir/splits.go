package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir"
)

func splitCells(f *facts, o *object) []cell {
	s := o.Spec.(*weir.Split)
	next := ""
	if step := stepToCome(s, f.client.now()); step != nil {
		next = "in " + span(step.At.Sub(f.client.now()))
	}
	return []cell{{text: s.Site}, {text: s.Backend}, {text: sharesText(s, f.client.now())}, {text: next}, {text: s.Sticky}, programmed(o)}
}

// stepToCome gives the first step that is still to come, nil when there is none.
func stepToCome(s *weir.Split, now time.Time) *weir.SplitStep {
	for i := range s.Steps {
		if now.Before(s.Steps[i].At) {
			return &s.Steps[i]
		}
	}
	return nil
}

// sharesText says what each leg has at a moment, whatever the split's schedule says.
func sharesText(s *weir.Split, at time.Time) string {
	shares := s.Shares(at)
	list := make([]string, len(shares))
	for i, n := range shares {
		list[i] = s.Legs[i].Backend + " " + percent(n)
	}
	return strings.Join(list, ", ")
}

// percent writes thousandths.
func percent(n int) string {
	return strings.TrimSuffix(strconv.FormatFloat(float64(n)/10, 'f', 1, 64), ".0") + "%"
}

// while says that something goes by a Schedule, and whether that holds now, as it does where nothing is known of it.
func (d *description) while(schedule string) (text string, holds bool) {
	kind, _ := weir.KindByName("Schedule")
	text = "while Schedule/" + schedule
	all, err := d.client.all(d.ctx, kind, nil)
	if err != nil {
		return text, true
	}
	for _, o := range all.Items {
		if window := o.Spec.(*weir.Schedule); o.Metadata.Name == schedule && window.Holds(d.client.now()) {
			return text + ", which holds now", true
		}
	}
	return text + ", which does not hold now", false
}

// split tells of each leg's share now and at each step.
func (d *description) split(s *weir.Split) {
	now := d.client.now()
	d.section("Legs")
	for i, n := range s.Shares(now) {
		d.line(fmt.Sprintf("  %s %s", s.Legs[i].Backend, percent(n)))
	}
	if s.Schedule != "" {
		text, holds := d.while(s.Schedule)
		if !holds {
			text += ": everything goes to " + s.Backend
		}
		d.line("  " + text)
	}
	if a := s.Abort; a != nil {
		d.line(fmt.Sprintf("  a leg with more than %d%% of 5xx among %d answers or more within %s is out until the split changes", a.Errors, a.Requests, a.Window))
	}
	next := stepToCome(s, now)
	if next == nil {
		return
	}
	d.section("Steps to come")
	for i := range s.Steps {
		if at := s.Steps[i].At; !at.Before(next.At) {
			d.line("  " + clock(at) + d.faint(" (in "+span(at.Sub(now))+")") + ": " + sharesText(s, at))
		}
	}
}
