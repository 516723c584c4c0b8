package plan

import (
	"maps"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// logicCauses tells of the rules of each Logic that come, go or change, and for whom, and gives the other lines.
func (d *differ) logicCauses(s *haproxy.Section, added, removed []haproxy.Line) (list []cause, restAdded, restRemoved []haproxy.Line) {
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
		who := usersOfLogic(d.want, s, come[owner])
		if come[owner] == nil {
			who = usersOfLogic(d.have, s, gone[owner])
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

// usersOfLogic names the sites that rules of a frontend are for, or the pools that have a profile.
func usersOfLogic(c *haproxy.Config, s *haproxy.Section, lines []string) string {
	path, word := haproxy.LogicOfSites, "site"
	if s.Kind == "defaults" {
		path, word = haproxy.LogicOfPools, "pool"
	}
	var names []string
	for i := range c.Maps {
		if c.Maps[i].Path != path {
			continue
		}
		for _, e := range c.Maps[i].Entries {
			name := e.Key
			if word == "pool" {
				name = haproxy.BaseName(name)
			}
			if !haproxy.Own(name) && !slices.Contains(names, name) && slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "l."+e.Value) }) {
				names = append(names, name)
			}
		}
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return word + " " + names[0]
	}
	return word + "s " + some(names, 3)
}
