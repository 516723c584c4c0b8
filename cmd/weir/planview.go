package main

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
)

// effect is the same thing happening to load balancers of one group.
type effect struct {
	group string
	names []string
	// first stands for all of them.
	first api.LoadBalancerPlan
	// differ says that the commands of some differ in their arguments, as addresses do.
	differ bool
}

// effectsOf gathers load balancers that do the same. What is the same is what people are told of it: addresses
// that one-to-one NAT makes differ do not count, unless whole commands are to be shown.
func effectsOf(list []api.LoadBalancerPlan, commands bool) []*effect {
	var order []*effect
	found := map[string]*effect{}
	for _, lb := range list {
		key := sameness(lb, commands)
		e := found[key]
		if e == nil {
			e = &effect{group: lb.Group, first: lb}
			found[key] = e
			order = append(order, e)
		}
		e.names = append(e.names, lb.Name)
		e.differ = e.differ || !slices.Equal(e.first.Commands, lb.Commands)
	}
	return order
}

func sameness(lb api.LoadBalancerPlan, commands bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\x00%v\x00", lb.Group, lb.Reload)
	if commands || len(lb.Sentences) == 0 {
		fmt.Fprintf(&b, "%q", lb.Commands)
	} else {
		fmt.Fprintf(&b, "%q%q", lb.Sentences, folded(lb.Commands))
	}
	return b.String()
}

// printEffects tells what every load balancer would do. sizes counts the load balancers of each group.
func printEffects(s *screen, plan *api.PlanAnswer, sizes map[string]int, commands bool) {
	for _, e := range effectsOf(plan.LoadBalancers, commands) {
		s.line("")
		if len(e.first.Reload) > 0 {
			printReload(s, e, sizes)
			continue
		}
		n := len(e.first.Commands)
		s.printf("%s %s\n", s.title(whichOnes(e, sizes)+":"), s.good("at run time")+s.faint(", "+count(n, "command", "commands")+", no reload"))
		for _, line := range e.first.Sentences {
			s.line(s.wrapped("    ", clean(line)))
		}
		if commands {
			for _, c := range e.first.Commands {
				s.line(s.faint("      " + oneLine(c)))
			}
		} else if n > 0 {
			for _, line := range s.items("    ", folded(e.first.Commands)) {
				s.line(s.faint(line))
			}
			if e.differ {
				s.line(s.faint("    arguments differ between load balancers"))
			}
		}
	}
	printImpact(s, plan)
	printCertificates(s, plan.Certificates)
	for _, text := range plan.Waves {
		s.printf("\n%s\n", s.wrapped("", s.strong("In waves: ")+oneLine(text)+"."))
	}
	if len(plan.Problems) > 0 {
		s.printf("\n%s\n", s.warning("Would be left out; everything else ships:"))
		for _, p := range plan.Problems {
			s.printf("  %s %s\n", s.warning("!"), problemLine(s, p))
		}
	}
}

// printCertificates tells what becomes of certificates.
func printCertificates(s *screen, list []api.PlanNote) {
	if len(list) == 0 {
		return
	}
	s.printf("\n%s\n", s.title("Certificates:"))
	for i, n := range list {
		if i == mostObjects {
			s.line("    " + s.faint(fmt.Sprintf("… and %d more, with -o json", len(list)-i)))
			break
		}
		text := clean(n.Text)
		if strings.Contains(text, "EXPIRED") {
			text = s.bad(text)
		}
		s.line(s.wrapped("    ", strings.TrimPrefix(clean(n.Object)+" "+text, " ")))
	}
}

// printWarnings tells of what ships and is not as clients need it.
func printWarnings(s *screen, list []weir.Problem) {
	if len(list) == 0 {
		return
	}
	s.printf("\n%s\n", s.warning("Not as clients need it:"))
	for i, p := range list {
		if i == mostOutages {
			s.line("  " + s.faint(fmt.Sprintf("… and %d more, with -o json", len(list)-i)))
			break
		}
		s.line(s.wrapped("  ", s.warning("!")+" "+problemLine(s, p)))
	}
}

func printReload(s *screen, e *effect, sizes map[string]int) {
	s.printf("%s %s%s\n", s.title(whichOnes(e, sizes)+":"), s.warning("ONE RELOAD"), s.faint(", hitless, because"))
	for _, r := range e.first.Reload {
		text := clean(r.Text)
		if r.Object != "" {
			text += s.faint(" (" + clean(r.Object) + ")")
		}
		s.line(s.wrapped("    ", text))
	}
}

// whichOnes names load balancers the shortest way: all of a group, or by name.
func whichOnes(e *effect, sizes map[string]int) string {
	n := len(e.names)
	switch {
	case n == 2 && n == sizes[e.group]:
		return "Both load balancers of " + e.group
	case n > 1 && n == sizes[e.group]:
		return fmt.Sprintf("All %d load balancers of %s", n, e.group)
	case n == 1 && sizes[e.group] == 1:
		return "The one load balancer of " + e.group + ", " + e.names[0]
	}
	return some(e.names, 6) + " of " + e.group
}

// folded counts commands by their first two words, in the order in which they begin: "12 × add server".
func folded(commands []string) []string {
	var order []string
	counts := map[string]int{}
	for _, c := range commands {
		verb := verbOf(c)
		if counts[verb] == 0 {
			order = append(order, verb)
		}
		counts[verb]++
	}
	for i, verb := range order {
		order[i] = fmt.Sprintf("%d × %s", counts[verb], verb)
	}
	return order
}

// verbOf gives the words of a command that say what it does.
func verbOf(command string) string {
	if rest, ok := strings.CutPrefix(command, "# "); ok {
		word, _, _ := strings.Cut(rest, " ")
		return word
	}
	words := strings.Fields(command)
	switch {
	case len(words) >= 2 && words[1] == "ssl", len(words) >= 3 && words[0] == "set" && words[1] == "maxconn":
		return strings.Join(words[:min(3, len(words))], " ")
	case len(words) >= 4 && words[0] == "set" && words[1] == "server":
		return "set server " + words[3]
	}
	return strings.Join(words[:min(2, len(words))], " ")
}

// reloading counts the load balancers that would reload, and those that would not.
func reloading(plan *api.PlanAnswer) (reload, runtime int) {
	for _, lb := range plan.LoadBalancers {
		if len(lb.Reload) > 0 {
			reload++
		} else {
			runtime++
		}
	}
	return reload, runtime
}
