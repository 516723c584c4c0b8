package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
)

// printGroup tells the state of one group: how many have what is wanted and what of it does not serve, then only
// what needs a look.
func printGroup(s *screen, g *api.GroupStatus, now time.Time) {
	converged := s.good(fmt.Sprintf("%d/%d", g.Ready, g.Of))
	switch {
	case g.Ready < g.Of:
		converged = s.bad(fmt.Sprintf("%d/%d", g.Ready, g.Of))
	case g.Of == 0:
		converged = s.faint("0/0")
	}
	s.printf("%s %s  %s converged%s%s\n", groupMark(s, g), s.title(clean(g.Name)), converged, s.faint(", revision "+itoa(g.Wanted)), notWell(s, g))
	for i := range g.LoadBalancers {
		lb := &g.LoadBalancers[i]
		printLoadBalancer(s, lb, g.Wanted, now)
		printMachine(s, lb, now)
	}
	if w := g.Waves; w != nil && w.State != api.WavesIdle {
		s.line(s.wrapped("    ", s.strong("waves: ")+oneLine(cmp.Or(w.Message, w.State))))
	}
	printOverdueKeys(s, g.TicketKeys, now)
	printOutages(s, g)
	printDeviations(s, g, now)
	printDrift(s, g, now)
	printLeftOut(s, g.Problems)
	printReloads(s, g, now)
}

// groupMark says in one sign how a group is: well only when its load balancers have all that is wanted, were heard,
// hold nothing back, and everything serves.
func groupMark(s *screen, g *api.GroupStatus) string {
	down := slices.ContainsFunc(g.NotServing, func(o api.Outage) bool { return o.Down })
	held := slices.ContainsFunc(g.LoadBalancers, func(lb api.LoadBalancerStatus) bool {
		return lb.Quarantined > 0 || len(lb.Warnings) > 0 || lb.State == weir.Active && !lb.Reachable
	})
	switch {
	case down || g.Ready < g.Of:
		return s.bad("✗")
	case held || driftedNow(g) || waitsForSomebody(g.Waves) || len(g.NotServing)+g.NotServingHidden+len(g.Problems) > 0:
		return s.warning("!")
	case g.Of == 0:
		return s.faint("–")
	}
	return s.good("✓")
}

// waitsForSomebody says whether a wave has gone back or was stopped: it goes no further by itself.
func waitsForSomebody(w *api.WaveStatus) bool {
	return w != nil && (w.State == "halted" || w.State == "stopped")
}

// notWell counts what a group does not serve, or holds back.
func notWell(s *screen, g *api.GroupStatus) string {
	down, partly := map[string]bool{}, map[string]bool{}
	for _, o := range g.NotServing {
		if o.Down {
			down[o.Object] = true
		} else {
			partly[o.Object] = true
		}
	}
	for object := range down {
		delete(partly, object)
	}
	var text string
	if n := len(down); n > 0 {
		text += s.bad("; " + count(n, "site does not serve", "sites do not serve"))
	}
	if n := len(partly); n > 0 {
		text += s.warning("; " + count(n, "site or pool serves in part", "sites or pools serve in part"))
	}
	if n := g.NotServingHidden; n > 0 {
		text += s.warning("; " + count(n, "finding is about what this token may not see", "findings are about what this token may not see"))
	}
	if n := len(faultsOf(g, "quarantined")); n > 0 {
		text += s.bad(fmt.Sprintf("; %d quarantined", n))
	}
	if n := len(g.Problems); n > 0 {
		text += s.warning(fmt.Sprintf("; %d left out", n))
	}
	return text
}

// printLeftOut names what was left out: of those in the same words, as when one site's port takes a thousand others'
// place, the first, and a few in all.
func printLeftOut(s *screen, list []weir.Problem) {
	alike := map[string]int{}
	for _, p := range list {
		alike[p.Message]++
	}
	shown, named := 0, map[string]bool{}
	for _, p := range list {
		if named[p.Message] {
			continue
		}
		if shown == mostOutages {
			break
		}
		named[p.Message] = true
		line := problemLine(s, p)
		if n := alike[p.Message] - 1; n > 0 {
			line += s.faint(fmt.Sprintf(" (and %s, in the same words)", count(n, "other object", "other objects")))
		}
		s.line(s.wrapped("    ", s.warning("left out:")+" "+line))
		shown++
	}
	rest := 0
	for message, n := range alike {
		if !named[message] {
			rest += n
		}
	}
	if rest > 0 {
		s.printf("    %s\n", s.faint(fmt.Sprintf("… and %d more left out, with -o json", rest)))
	}
}

// notIssuedText counts and names the certificates that can't be had, and says why the first can't.
func notIssuedText(s *screen, list []weir.Problem) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = clean(strings.TrimPrefix(p.Object, "Certificate/"))
	}
	text := s.warning("certificates:") + fmt.Sprintf(" %d can't be had: %s", len(list), some(names, 4))
	if len(list) == 1 {
		return text + ": " + oneLine(list[0].Message)
	}
	return text + "; the first: " + oneLine(list[0].Message)
}

// mostOutages is how many a group's state names; after an accident there can be thousands.
const mostOutages = 10

// printOutages names what does not serve, where, and why.
func printOutages(s *screen, g *api.GroupStatus) {
	for i, o := range g.NotServing {
		if i == mostOutages {
			s.printf("    %s\n", s.faint(fmt.Sprintf("… and %d more, with -o json", len(g.NotServing)-mostOutages)))
			return
		}
		word := s.warning("in part: ")
		if o.Down {
			word = s.bad("does not serve: ")
		}
		s.line(s.wrapped("    ", word+s.strong(clean(o.Object))+" on "+where(o.LoadBalancers, len(g.LoadBalancers))+": "+oneLine(o.Message)))
	}
}

// where names load balancers of a group, or says that it is all.
func where(names []string, of int) string {
	if len(names) == of && of > 1 {
		return fmt.Sprintf("all %d", of)
	}
	return clean(some(names, 4))
}

// printLoadBalancer says something of a load balancer only if there is something to say.
func printLoadBalancer(s *screen, lb *api.LoadBalancerStatus, wanted int64, now time.Time) {
	if state := lb.State; state != weir.Active && state != "" {
		s.printf("    %s is in %s and does not count\n", s.warning(clean(lb.Name)), state)
		return
	}
	if lb.Ready && lb.Reachable {
		return
	}
	s.line(s.wrapped("    ", s.bad(clean(lb.Name))+" "+oneLine(whyNot(lb, wanted, now))))
}

// printMachine tells what is wrong with a load balancer's machine, and that its HAProxy ended.
func printMachine(s *screen, lb *api.LoadBalancerStatus, now time.Time) {
	for _, w := range lb.Warnings {
		since := ""
		if !w.Since.IsZero() {
			since = " for " + span(now.Sub(w.Since))
		}
		s.line(s.wrapped("    ", s.warning(clean(lb.Name)+since+":")+" "+oneLine(w.Message)))
	}
	if lb.Ended.Count > 0 {
		s.line(s.wrapped("    ", s.warning(clean(lb.Name)+":")+" "+endedText(lb.Ended, now)))
	}
}

// endedText says how often HAProxy ended since the agent began, and how.
func endedText(e api.EndedStatus, now time.Time) string {
	text := "HAProxy ended by itself " + ago(e.Last, now)
	if e.Count > 1 {
		text = fmt.Sprintf("HAProxy ended by itself %d times since the agent began, the last %s", e.Count, ago(e.Last, now))
	}
	if e.Why != "" {
		text += " (" + oneLine(e.Why) + ")"
	}
	return text + "; its agent starts it again each time, or systemd where that runs it"
}

// whyNot says why a load balancer does not count as converged, and since when.
func whyNot(lb *api.LoadBalancerStatus, wanted int64, now time.Time) string {
	var parts []string
	switch {
	case lb.Run == "unknown" || lb.LastSeen.IsZero():
		parts = append(parts, "was never heard: is its agent running?")
	case !lb.Reachable:
		parts = append(parts, "is silent, last heard "+ago(lb.LastSeen, now))
	case lb.Run == "failed":
		parts = append(parts, "failed: "+lb.Message)
	case lb.Message != "":
		parts = append(parts, "is "+lb.Run+": "+lb.Message)
	default:
		parts = append(parts, "is "+lb.Run)
	}
	if lb.OtherHistory {
		parts = append(parts, fmt.Sprintf("keeps what it had before the restore, revision %d of that history", lb.Revision))
	} else if lb.Revision < wanted {
		has := fmt.Sprintf("has revision %d", lb.Revision)
		if lb.Seen > lb.Revision {
			has += fmt.Sprintf(", received %d", lb.Seen)
		}
		parts = append(parts, has)
	}
	if lb.Pending > 0 {
		text := count(lb.Pending, "object", "objects") + " pending"
		if since := oldest(lb.Deviations, "pending"); !since.IsZero() {
			text += " for " + span(now.Sub(since))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func oldest(list []api.Deviation, state string) time.Time {
	var first time.Time
	for _, d := range list {
		if d.State == state && !d.Since.IsZero() && (first.IsZero() || d.Since.Before(first)) {
			first = d.Since
		}
	}
	return first
}

// fault is one deviation on one or more load balancers.
type fault struct {
	api.Deviation
	names []string
}

// faultsOf gathers the same deviation on several load balancers.
func faultsOf(g *api.GroupStatus, state string) []*fault {
	var order []*fault
	found := map[[2]string]*fault{}
	for _, lb := range g.LoadBalancers {
		for _, d := range lb.Deviations {
			if d.State != state {
				continue
			}
			key := [2]string{d.Object, d.Message}
			f := found[key]
			if f == nil {
				f = &fault{Deviation: d}
				found[key] = f
				order = append(order, f)
			}
			if !d.Since.IsZero() && d.Since.Before(f.Since) {
				f.Since = d.Since
			}
			if !slices.Contains(f.names, lb.Name) {
				f.names = append(f.names, lb.Name)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b *fault) int { return cmp.Compare(a.Object, b.Object) })
	return order
}

// printDeviations names what is quarantined, and what a load balancer has not done yet.
func printDeviations(s *screen, g *api.GroupStatus, now time.Time) {
	held := faultsOf(g, "quarantined")
	for i, f := range held {
		if i == mostOutages {
			s.printf("    %s\n", s.faint(fmt.Sprintf("… and %d more quarantined, with -o json", len(held)-mostOutages)))
			break
		}
		s.line(s.wrapped("    ", s.bad("quarantined: ")+faultText(s, f, len(g.LoadBalancers), now)))
	}
	const most = 5
	pending := faultsOf(g, "pending")
	for i, f := range pending {
		if i == most {
			s.printf("    %s\n", s.faint(fmt.Sprintf("… and %d more pending", len(pending)-most)))
			break
		}
		s.line(s.wrapped("    ", s.warning("pending: ")+faultText(s, f, len(g.LoadBalancers), now)))
	}
}

func faultText(s *screen, f *fault, of int, now time.Time) string {
	object := f.Object
	if object == "" {
		object = "the whole"
	}
	text := s.strong(clean(object)) + " on " + where(f.names, of)
	if !f.Since.IsZero() {
		text += ", for " + span(now.Sub(f.Since))
	}
	if why := cmp.Or(f.Message, f.Reason); why != "" {
		text += ": " + oneLine(why)
	}
	return text
}

// printReloads counts a group's reloads and tells the reasons of the last one.
func printReloads(s *screen, g *api.GroupStatus, now time.Time) {
	total, least, most := 0, 0, 0
	var last *api.LoadBalancerStatus
	for i := range g.LoadBalancers {
		lb := &g.LoadBalancers[i]
		n := lb.Reloads.Count
		total += n
		if i == 0 || n < least {
			least = n
		}
		most = max(most, n)
		if n > 0 && (last == nil || lb.Reloads.Last.After(last.Reloads.Last)) {
			last = lb
		}
	}
	if len(g.LoadBalancers) == 0 {
		return
	}
	if total == 0 {
		s.line(s.faint("    no reload since the agents began"))
		return
	}
	each := fmt.Sprintf("%d each", most)
	if least != most {
		each = fmt.Sprintf("%d to %d each", least, most)
	}
	text := fmt.Sprintf("%s (%s), the last %s on %s", count(total, "reload", "reloads"), each, ago(last.Reloads.Last, now), clean(last.Name))
	if len(g.LoadBalancers) == 1 {
		text = fmt.Sprintf("%s, the last %s", count(total, "reload", "reloads"), ago(last.Reloads.Last, now))
	}
	if why := reasonsText(last.Reloads.Reasons); why != "" {
		text += ": " + why
	}
	s.line(s.faint(s.wrapped("    ", text)))
}

func reasonsText(reasons []api.ReloadReason) string {
	var parts []string
	for _, r := range reasons {
		text := oneLine(r.Text)
		if r.Object != "" {
			text += " (" + clean(r.Object) + ")"
		}
		parts = append(parts, text)
	}
	return some(parts, 3)
}
