package plan

import (
	"maps"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// logicCauses tells of the rules of each Logic that come, go or change, and for whom, and gives the other lines.
func (d *differ) logicCauses(added, removed []haproxy.Line) (list []cause, restAdded, restRemoved []haproxy.Line) {
	come, restAdded := logicLines(added)
	gone, restRemoved := logicLines(removed)
	owners := map[string]bool{}
	for owner := range come {
		owners[owner] = true
	}
	for owner := range gone {
		owners[owner] = true
	}
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		what := "its rules change"
		switch {
		case gone[owner] == nil:
			what = "its rules come"
		case come[owner] == nil:
			what = "its rules go"
		}
		who := usersOfLogic(d.want, come[owner])
		if come[owner] == nil {
			who = usersOfLogic(d.have, gone[owner])
		}
		if who != "" {
			what += " for " + who
		}
		list = append(list, cause{owner: owner, what: what, why: whyRules})
	}
	if len(list) == 0 {
		return nil, added, removed
	}
	return list, restAdded, restRemoved
}

// logicLines sorts out the lines of Logics, by their owners, and what stands before them.
func logicLines(lines []haproxy.Line) (of map[string][]string, rest []haproxy.Line) {
	of = map[string][]string{}
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l.Owner, "Logic/"):
			of[l.Owner] = append(of[l.Owner], l.Text)
		case l.Text == "# logic of sites", strings.Contains(l.Text, "(txn.logic)"):
		default:
			rest = append(rest, l)
		}
	}
	return of, rest
}

// usersOfLogic names the sites and pools that rules are for.
func usersOfLogic(c *haproxy.Config, lines []string) string {
	var sites, pools []string
	for i := range c.Maps {
		m := &c.Maps[i]
		into := &sites
		switch m.Path {
		case haproxy.LogicOfSites:
		case haproxy.LogicOfPools:
			into = &pools
		default:
			continue
		}
		for _, e := range m.Entries {
			name := e.Key
			if into == &pools {
				name = haproxy.BaseName(name)
			}
			if !haproxy.Own(name) && !slices.Contains(*into, name) && slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, " l."+e.Value) || strings.Contains(l, "!l."+e.Value) }) {
				*into = append(*into, name)
			}
		}
	}
	var said []string
	for _, of := range []struct {
		word  string
		names []string
	}{{"site", sites}, {"pool", pools}} {
		switch len(of.names) {
		case 0:
		case 1:
			said = append(said, of.word+" "+of.names[0])
		default:
			said = append(said, of.word+"s "+some(of.names, 3))
		}
	}
	return strings.Join(said, " and ")
}
