package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

func sameSection(a, b *haproxy.Section) bool {
	return a.Kind == b.Kind && a.Name == b.Name && sameLines(a.Lines, b.Lines)
}

func sameLines(a, b []haproxy.Line) bool {
	return slices.EqualFunc(a, b, func(x, y haproxy.Line) bool { return x.Text == y.Text })
}

func title(s *haproxy.Section) string { return strings.TrimSpace(s.Kind + " " + plainName(s)) }

// plainName is the name without the section that it takes its defaults from.
func plainName(s *haproxy.Section) string {
	name, _, _ := strings.Cut(s.Name, " from ")
	return name
}

// sectionCauses compares the text. Spare sections that nobody asks for any more wait for another reload.
func (d *differ) sectionCauses() []cause {
	have, want := d.have.Sections, d.want.Sections
	if shared(have, want) || slices.EqualFunc(have, want, func(a, b haproxy.Section) bool { return sameSection(&a, &b) }) {
		return nil
	}
	var all []cause
	matched, ordered := d.match()
	stays := map[int]bool{}
	for i := range want {
		j, ok := matched[i]
		stays[j] = stays[j] || ok
		switch {
		case !ok:
			all = append(all, d.newSection(&want[i])...)
		case !sameLines(have[j].Lines, want[i].Lines):
			all = append(all, d.changedSection(&have[j], &want[i])...)
		}
	}
	for j := range have {
		if !stays[j] && !have[j].Spare {
			all = append(all, d.goneSection(&have[j])...)
		}
	}
	if len(all) == 0 && !ordered {
		all = append(all, cause{what: "the parts of haproxy.cfg come in another order", why: whyRules})
	}
	return all
}

// match finds for each section of want the one in have with its kind and name, and says whether their order is
// the same. Of equal kind and name the first belongs to the first.
func (d *differ) match() (matched map[int]int, ordered bool) {
	at := map[[2]string][]int{}
	for j, s := range d.have.Sections {
		k := [2]string{s.Kind, s.Name}
		at[k] = append(at[k], j)
	}
	matched, ordered = map[int]int{}, true
	last := -1
	for i, s := range d.want.Sections {
		k := [2]string{s.Kind, s.Name}
		if len(at[k]) == 0 {
			continue
		}
		j := at[k][0]
		at[k] = at[k][1:]
		matched[i] = j
		ordered = ordered && j > last
		last = j
	}
	return matched, ordered
}

// newSection tells why a section comes, and of the logic in it.
func (d *differ) newSection(s *haproxy.Section) []cause {
	if s.Kind == "defaults" {
		if list, _, _ := d.logicCauses(s, s.Lines, nil); list != nil {
			for i := range list {
				list[i].section = title(s)
			}
			return list
		}
	}
	return []cause{d.firstSection(s)}
}

func (d *differ) firstSection(s *haproxy.Section) cause {
	c := cause{owner: firstOwner(s.Lines), section: title(s)}
	switch {
	case s.Kind == "peers":
		c.what, c.why = firstLimits, whyCounters
		if onlyLegs(s) {
			c.what, c.why = firstAborts, whyRules
		}
		return c
	case s.Kind == "frontend":
		return d.newFrontend(s, c)
	case s.Kind == "defaults" && strings.HasSuffix(plainName(s), "-egress"):
		c.what, c.why = "services of partners may be called from now on", whyKinds
		return c
	case s.Kind == "defaults" && s.Name != "":
		users := d.users(func(b *haproxy.Backend) bool { return b.Profile == plainName(s) })
		return firstUse(c, kindOfPool(s), users)
	case s.Kind == "healthcheck":
		users := d.users(func(b *haproxy.Backend) bool { return checksBy(b, s.Name) })
		return firstUse(c, kindOfCheck(s), users)
	}
	c.what, c.why = thing(s)+" is new", whyRules
	return c
}

// users gives the backends of want for which something holds.
func (d *differ) users(holds func(*haproxy.Backend) bool) []*haproxy.Backend {
	var list []*haproxy.Backend
	for i := range d.want.Backends {
		if b := &d.want.Backends[i]; holds(b) {
			list = append(list, b)
		}
	}
	return list
}

func checksBy(b *haproxy.Backend, check string) bool {
	return slices.ContainsFunc(b.Servers, func(s haproxy.Server) bool {
		_, after, ok := strings.Cut(s.Options, "healthcheck "+check)
		return ok && (after == "" || after[0] == ' ')
	})
}

func firstUse(c cause, kind string, users []*haproxy.Backend) cause {
	c.why = whyKinds
	switch len(users) {
	case 0:
		c.what = "pools may now have " + kind
		return c
	case 1:
		c.what = poolNames(users) + " is the first with " + kind
	default:
		c.what = poolNames(users) + " are the first with " + kind
	}
	c.owner = oneOwner(users)
	return c
}

func (d *differ) goneSection(s *haproxy.Section) []cause {
	c := cause{owner: firstOwner(s.Lines), section: title(s), what: thing(s) + " goes", why: whyRules}
	if s.Kind == "peers" {
		c.what, c.why = lastLimits, whyCounters
		if onlyLegs(s) {
			c.what, c.why = lastAborts, whyRules
		}
	}
	if s.Kind != "frontend" {
		return []cause{c}
	}
	if haproxy.Again(s) {
		c.what, c.why = otherZone, whyPorts
		return []cause{c}
	}
	_, port := modeAndPort(s)
	for i := range d.want.Sections {
		if _, p := modeAndPort(&d.want.Sections[i]); p == port {
			return nil // that one says so
		}
	}
	c.port, c.what, c.many, c.why = port, "is no longer served", "are no longer served", "HAProxy closes ports only when it starts"
	return []cause{c}
}

// changedSection tells what the lines that come and go mean: those whose directive comes once on either side as
// one that takes the other's place.
func (d *differ) changedSection(h, w *haproxy.Section) []cause {
	added, removed := lineDiff(h.Lines, w.Lines)
	nothing := len(added)+len(removed) == 0
	blocks, added, removed := blockCauses(h, w, added, removed)
	limits, added, removed := limitCauses(added, removed)
	added, removed = withoutTests(added), withoutTests(removed)
	held, added, removed := heldCauses(added, removed)
	zones, added, removed := zoneCauses(w, added, removed)
	http3, added, removed := http3Causes(added, removed)
	logics, added, removed := d.logicCauses(w, added, removed)
	_, port := modeAndPort(w)
	var list []cause
	say := func(c cause, owner string) {
		c.section = title(w)
		if c.many != "" {
			c.port = port
		}
		if c.why != whyPorts { // who asked for the port first has not asked for this
			c.owner = owner
		}
		list = append(list, c)
	}
	for _, c := range slices.Concat(blocks, limits, held, zones, http3, logics) {
		say(c, c.owner)
	}
	if nothing {
		say(ruleCause(w, "its rules come in another order"), "")
	}
	pairs, added, removed := inPairs(added, removed)
	for _, p := range pairs {
		say(lineCause(w, text(p[0]), text(p[1])), firstOwner(p[:]))
	}
	rest := func(lines []haproxy.Line, cause func(string) cause) {
		for _, l := range lines {
			say(cause(text(l)), l.Owner)
		}
	}
	if len(added)+len(removed) > mostLines {
		say(ruleCause(w, lineChange(texts(added), texts(removed))), firstOwner(added, removed))
		return list
	}
	rest(added, func(l string) cause { return lineCause(w, l, "") })
	rest(removed, func(l string) cause { return lineCause(w, "", l) })
	return list
}

// mostLines is how many lines of a section are told one by one.
const mostLines = 4

// thing is a section in people's words.
func thing(s *haproxy.Section) string {
	switch name := plainName(s); {
	case s.Kind == "global":
		return "how HAProxy runs"
	case s.Kind == "defaults" && name == "":
		return "what all share"
	case s.Kind == "defaults" && strings.HasPrefix(name, "clients-"):
		return "what all " + strings.TrimPrefix(name, "clients-") + " ports share"
	case s.Kind == "defaults" && strings.HasPrefix(name, "servers-"):
		return "what all " + strings.TrimPrefix(name, "servers-") + " pools share"
	case s.Kind == "defaults":
		return "the kind of pool " + name
	case s.Kind == "healthcheck":
		return "the check " + name
	case s.Kind == "resolvers":
		return "whom HAProxy asks for names of partners"
	default:
		return title(s)
	}
}

// firstOwner gives the owner of the lines if there is just one.
func firstOwner(lists ...[]haproxy.Line) string {
	owner := ""
	for _, lines := range lists {
		for _, l := range lines {
			if l.Owner == "" || l.Owner == owner {
				continue
			}
			if owner != "" {
				return ""
			}
			owner = l.Owner
		}
	}
	return owner
}
