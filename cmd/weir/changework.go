package main

import (
	"fmt"
	"strings"
	"time"

	"weir/internal/api"
)

// deed is the same done by load balancers of one group.
type deed struct {
	names []string
	// first stands for all of them but for when: from and to are how long after the change it was, in milliseconds.
	first    api.LoadBalancerWork
	from, to int64
}

// deedsOf gathers load balancers that did the same, in the order in which they come.
func deedsOf(list []api.LoadBalancerWork) []*deed {
	var order []*deed
	found := map[string]*deed{}
	for _, lb := range list {
		key := fmt.Sprint(lb.Group, lb.Done, lb.Commands, lb.Waiting, lb.Started, lb.Reloaded, lb.Reload, lb.With)
		d := found[key]
		if d == nil {
			d = &deed{first: lb, from: lb.AfterMS, to: lb.AfterMS}
			found[key] = d
			order = append(order, d)
		}
		d.names = append(d.names, lb.Name)
		d.from, d.to = min(d.from, lb.AfterMS), max(d.to, lb.AfterMS)
	}
	return order
}

// printWork tells what load balancers did for a change.
func printWork(s *screen, work *api.ChangeWork) {
	if work == nil {
		return
	}
	if len(work.LoadBalancers) == 0 {
		s.printf("\n%s\n", s.faint("No load balancer had anything to do for it."))
		return
	}
	sizes := map[string]int{}
	for _, lb := range work.LoadBalancers {
		sizes[lb.Group]++
	}
	s.line("")
	for _, d := range deedsOf(work.LoadBalancers) {
		who := whichOnes(&effect{group: d.first.Group, names: d.names}, sizes)
		s.line(s.wrapped("", s.title(who+":")+" "+d.words(s)))
		for _, r := range d.first.Reload {
			text := clean(r.Text)
			if r.Object != "" {
				text += s.faint(" (" + clean(r.Object) + ")")
			}
			s.line(s.wrapped("    ", text))
		}
	}
}

func (d *deed) words(s *screen) string {
	lb := &d.first
	if !lb.Done {
		return s.warning("not read back yet")
	}
	text := s.good("at run time") + s.faint(", "+count(lb.Commands, "command", "commands")+", no reload")
	switch {
	case lb.Reloaded:
		text = s.warning("ONE RELOAD") + s.faint(", hitless")
	case lb.Started:
		text = "HAProxy was started with it"
	case lb.Commands == 0:
		text = "nothing was to be done"
	}
	if lb.Waiting > 0 {
		text += s.faint(fmt.Sprintf(", %d waiting for connections to end", lb.Waiting))
	}
	text += s.faint(", read back after " + betweenMS(d.from, d.to))
	if n := len(lb.With); n > 0 {
		list := make([]string, 0, 3)
		for _, r := range lb.With[:min(n, 3)] {
			list = append(list, itoa(r))
		}
		more := ""
		if n > 3 {
			more = fmt.Sprintf(" and %d more", n-3)
		}
		text += s.faint(", together with " + strings.Join(list, ", ") + more)
	}
	return text
}

// betweenMS is "85 ms", "85 to 120 ms", "0.4 to 2 s".
func betweenMS(from, to int64) string {
	a, b := lasting(from), lasting(to)
	switch {
	case a == b:
		return a
	case strings.HasSuffix(a, " ms") && strings.HasSuffix(b, " ms"):
		return strings.TrimSuffix(a, " ms") + " to " + b
	}
	return a + " to " + b
}

// lasting is a time in milliseconds as people read it.
func lasting(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case ms < 1000:
		return fmt.Sprintf("%d ms", ms)
	case ms < 60_000:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
