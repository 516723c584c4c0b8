package plan

import (
	"slices"
	"strings"
)

// cause is one thing that only a reload brings. Those with the same owner and the same why become one Reason.
type cause struct {
	// owner and section are as in Reason.
	owner, section string
	// what is said of the port, or all by itself when there is none; many is what is said of several ports.
	port       string
	what, many string
	// why a reload is needed; "" when what says it.
	why string
}

// Why a reload is needed, in words for people who don't know HAProxy's file.
const (
	whyPorts    = "HAProxy opens ports only when it starts"
	whyTuning   = "HAProxy takes such settings only when it starts"
	whyPages    = "HAProxy takes a group's own pages only when it starts"
	whyKinds    = "HAProxy learns new kinds of pools and checks only when it starts"
	whyRules    = "HAProxy reads its rules only when it starts"
	whyALPN     = "HAProxy may crash when it forgets them while clients connect, so it does so only when it starts"
	whyCounters = "HAProxy makes tables of counters, and rules that count, only when it starts"
	whyFiles    = "HAProxy learns of files only when it starts"
)

// reasonsOf tells causes in as few sentences as there are owners and whys, in the order in which they begin.
func reasonsOf(causes []cause) []Reason {
	var order [][2]string
	alike := map[[2]string][]cause{}
	for _, c := range withoutEchoes(causes) {
		k := [2]string{c.owner, c.why}
		if alike[k] == nil {
			order = append(order, k)
		}
		alike[k] = append(alike[k], c)
	}
	reasons := make([]Reason, 0, len(order))
	for _, k := range order {
		list := alike[k]
		reasons = append(reasons, Reason{
			Owner: k[0], Section: list[0].section + andMore(len(list)-1), Text: sentence(list, k[1]),
		})
	}
	return reasons
}

// withoutEchoes drops what is said twice, and what is said of nobody and of an owner too: a default that many
// sections repeat is its owner's doing.
func withoutEchoes(causes []cause) []cause {
	type said struct{ owner, port, what string }
	owned, seen := map[said]bool{}, map[said]bool{}
	for _, c := range causes {
		owned[said{port: c.port, what: c.what}] = owned[said{port: c.port, what: c.what}] || c.owner != ""
	}
	var list []cause
	for _, c := range causes {
		k := said{c.owner, c.port, c.what}
		if seen[k] || c.owner == "" && owned[k] {
			continue
		}
		seen[k] = true
		list = append(list, c)
	}
	return list
}

// sentence tells causes of one owner and one why; ports of which the same is said are listed.
func sentence(list []cause, why string) string {
	var order []cause
	ports := map[string][]string{}
	for _, c := range list {
		if c.port == "" {
			order = append(order, c)
			continue
		}
		if ports[c.what] == nil {
			order = append(order, c)
		}
		if !slices.Contains(ports[c.what], c.port) {
			ports[c.what] = append(ports[c.what], c.port)
		}
	}
	said := make([]string, 0, len(order))
	for _, c := range order {
		switch of := ports[c.what]; {
		case c.port == "":
			said = append(said, c.what)
		case len(of) == 1:
			said = append(said, "port "+of[0]+" "+c.what)
		default:
			said = append(said, "ports "+some(of, 5)+" "+c.many)
		}
	}
	text := some(said, 4)
	if len(said) > 1 && len(said) <= 4 {
		text = strings.Join(said, ", ")
	}
	if why != "" {
		text += ": " + why
	}
	return text
}
