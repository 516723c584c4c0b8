package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newDrift() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "drift [GROUP…]",
		GroupID: groupOperate,
		Short:   "Show what somebody changed by hand at the load balancers",
		Long: `Show what differs at the load balancers from what is wanted because somebody changed it there by hand: a server
weighted, drained, added or deleted at HAProxy's socket, an entry of a map, a certificate, a file, HAProxy reloaded
or restarted by somebody else. Each with since when; and what was undone in the last day, how often.

A group undoes such things at once, or with drift: report in its spec leaves them and tells of them.`,
		Example: `  weir drift
  weir drift edge
  weir drift adopt web-az1-017 --for 2h --reason "was drained at the socket, TICKET-42"
  weir drift -o json | jq '.[] | select(.undone == null)'`,
	}
	lookAtGroups(cmd, func(fleet *api.FleetStatus) any { return driftsOf(fleet) }, printDrifts)
	cmd.AddCommand(newDriftAdopt())
	return cmd
}

// driftOn is one thing that was changed by hand, with where.
type driftOn struct {
	Group        string `json:"group"`
	LoadBalancer string `json:"loadBalancer"`
	api.Drift
}

// driftsOf gives what differs now at all load balancers, then what is over, the newest first.
func driftsOf(fleet *api.FleetStatus) []driftOn {
	now, past := []driftOn{}, []driftOn{}
	for _, g := range fleet.Groups {
		for _, lb := range g.LoadBalancers {
			if lb.Drift == nil {
				continue
			}
			for _, d := range lb.Drift.Now {
				now = append(now, driftOn{g.Name, lb.Name, d})
			}
			for _, d := range lb.Drift.Past {
				past = append(past, driftOn{g.Name, lb.Name, d})
			}
		}
	}
	slices.SortStableFunc(past, func(a, b driftOn) int { return whenOver(b.Drift).Compare(whenOver(a.Drift)) })
	return append(now, past...)
}

func whenOver(d api.Drift) time.Time {
	if d.Undone.IsZero() {
		return d.Since
	}
	return d.Undone
}

func printDrifts(s *screen, fleet *api.FleetStatus, _ bool, now time.Time) {
	found := driftsOf(fleet)
	t := table{columns: []column{{title: "LOAD BALANCER"}, {title: "WHERE", shrinks: true}, {title: "WHAT", shrinks: true}, {title: "SINCE"}, {title: "AND NOW"}}}
	adoptable := ""
	modes := modesOf(fleet)
	for _, d := range found {
		row := words(d.LoadBalancer, whereDrifted(d.Drift), d.Text, ago(d.Since, now), becomes(d, modes, now))
		if d.Undone.IsZero() && d.Kind != "Restarted" {
			row[2].tone = warning
			if adoptable == "" && adoption(d.Drift) != nil {
				adoptable = d.Server
			}
		}
		t.add(row)
	}
	if len(found) == 0 {
		s.line("Nothing at the load balancers was changed by hand, as far as they told.")
	}
	t.print(s)
	for _, g := range fleet.Groups {
		for _, lb := range g.LoadBalancers {
			if lb.Drift == nil {
				continue
			}
			if more := lb.Drift.Total - len(lb.Drift.Now) - lb.Drift.Hidden; more > 0 {
				s.printf("%s\n", s.faint(fmt.Sprintf("… and %d more on %s", more, clean(lb.Name))))
			}
			if n := lb.Drift.Hidden; n > 0 {
				s.printf("%s\n", s.faint(count(n, "thing", "things")+" on "+clean(lb.Name)+" this token may not see"))
			}
		}
	}
	if adoptable != "" {
		s.printf("%s\n", s.faint("weir drift adopt "+clean(adoptable)+" --for 2h --reason WHY makes it an Override, on every load balancer."))
	}
}

func modesOf(fleet *api.FleetStatus) map[string]weir.DriftMode {
	modes := map[string]weir.DriftMode{}
	for _, g := range fleet.Groups {
		for _, lb := range g.LoadBalancers {
			if lb.Drift != nil {
				modes[lb.Name] = lb.Drift.Mode
			}
		}
	}
	return modes
}

// whereDrifted names what was changed.
func whereDrifted(d api.Drift) string {
	switch {
	case d.Server != "":
		return "server " + d.Server + " in pool " + d.Pool
	case d.Pool != "":
		return "pool " + d.Pool
	}
	return cmp.Or(d.Object, "the load balancer")
}

// becomes says what is made of it.
func becomes(d driftOn, modes map[string]weir.DriftMode, now time.Time) string {
	switch {
	case !d.Undone.IsZero() && d.Times > 1:
		return fmt.Sprintf("undone %s, %d times", ago(d.Undone, now), d.Times)
	case !d.Undone.IsZero():
		return "undone " + ago(d.Undone, now)
	case d.Kind == "Restarted":
		return "is over"
	case modes[d.LoadBalancer] == weir.DriftReport:
		return "left as it is"
	}
	return "being undone"
}

// mostDrift is how many things by hand a group's state names.
const mostDrift = 5

// printDrift tells in a group's state what was changed by hand.
func printDrift(s *screen, g *api.GroupStatus, now time.Time) {
	total, undone := 0, uint64(0)
	var last *driftOn
	all := driftsOf(&api.FleetStatus{Groups: []api.GroupStatus{*g}})
	for _, lb := range g.LoadBalancers {
		if lb.Drift != nil {
			total += lb.Drift.Total
			undone += lb.Drift.Undone
		}
	}
	named := 0
	for i, d := range all {
		switch {
		case !d.Undone.IsZero() || d.Kind == "Restarted":
			if last == nil {
				last = &all[i]
			}
		case named < mostDrift:
			named++
			s.line(s.wrapped("    ", s.warning("changed by hand: ")+s.strong(clean(whereDrifted(d.Drift)))+" on "+clean(d.LoadBalancer)+", for "+span(now.Sub(d.Since))+": "+oneLine(d.Text)))
		}
	}
	if total > named {
		s.printf("    %s\n", s.faint(fmt.Sprintf("… and %d more by hand: weir drift", total-named)))
	}
	if last == nil {
		return
	}
	text := fmt.Sprintf("the last %s on %s: %s: %s", ago(whenOver(last.Drift), now), last.LoadBalancer, whereDrifted(last.Drift), last.Text)
	if undone == 1 {
		text = "1 change by hand was undone, " + text
	} else if undone > 0 {
		text = fmt.Sprintf("%d changes by hand were undone, ", undone) + text
	} else {
		text = "by hand, " + text
	}
	s.line(s.faint(s.wrapped("    ", oneLine(text))))
}

// driftedNow says that something at a load balancer differs by hand.
func driftedNow(g *api.GroupStatus) bool {
	return slices.ContainsFunc(g.LoadBalancers, func(lb api.LoadBalancerStatus) bool { return lb.Drift != nil && lb.Drift.Total > 0 })
}
