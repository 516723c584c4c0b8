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

// sectionChange is one section that is new, gone or different; several with the same sentence become one reason.
type sectionChange struct {
	owner, title, text string
	more               int
}

// sectionReasons compares the text. Spare sections that nobody asks for any more wait for another reload.
func (d *differ) sectionReasons() []Reason {
	have, want := d.have.Sections, d.want.Sections
	if slices.EqualFunc(have, want, func(a, b haproxy.Section) bool { return sameSection(&a, &b) }) {
		return nil
	}
	var all []sectionChange
	matched, ordered := d.match()
	stays := map[int]bool{}
	for i := range want {
		j, ok := matched[i]
		stays[j] = stays[j] || ok
		switch {
		case !ok:
			all = append(all, d.newSection(&want[i]))
		case !sameLines(have[j].Lines, want[i].Lines):
			all = append(all, changedSection(&have[j], &want[i]))
		}
	}
	for j := range have {
		if !stays[j] && !have[j].Spare {
			all = append(all, d.goneSection(&have[j]))
		}
	}
	if len(all) == 0 && !ordered {
		all = append(all, sectionChange{text: "the sections of haproxy.cfg come in another order"})
	}
	return joined(all)
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

func (d *differ) newSection(s *haproxy.Section) sectionChange {
	c := sectionChange{owner: firstOwner(s.Lines), title: title(s)}
	switch {
	case s.Kind == "frontend":
		c.text = d.newFrontend(s)
	case s.Kind == "defaults" && s.Name != "":
		users := d.users(func(b *haproxy.Backend) bool { return b.Profile == plainName(s) })
		c.text, c.owner = firstUse("profile", plainName(s), users, c.owner)
	case s.Kind == "healthcheck":
		users := d.users(func(b *haproxy.Backend) bool { return checksBy(b, s.Name) })
		c.text, c.owner = firstUse("health check", s.Name, users, c.owner)
	default:
		c.text = thing(s) + " is new"
	}
	return c
}

func (d *differ) newFrontend(s *haproxy.Section) string {
	old := map[string]string{}
	for i := range d.have.Sections {
		for _, p := range boundPorts(&d.have.Sections[i]) {
			old[p] = plainName(&d.have.Sections[i])
		}
	}
	var fresh []string
	for _, p := range boundPorts(s) {
		if from, taken := old[p]; taken {
			return title(s) + " takes port " + p + " over from " + from
		}
		fresh = append(fresh, p)
	}
	switch len(fresh) {
	case 0:
		return title(s) + " is new"
	case 1:
		return "port " + fresh[0] + " is new to the group"
	default:
		return "ports " + some(fresh, 5) + " are new to the group"
	}
}

// boundPorts gives the ports of a frontend's bind lines, in order, each once.
func boundPorts(s *haproxy.Section) []string {
	var ports []string
	for _, l := range s.Lines {
		f := strings.Fields(l.Text)
		if len(f) < 2 || f[0] != "bind" {
			continue
		}
		for addr := range strings.SplitSeq(f[1], ",") {
			p := addr[strings.LastIndexByte(addr, ':')+1:]
			if p != "" && strings.Trim(p, "0123456789-") == "" && !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
	}
	return ports
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

func firstUse(what, name string, users []*haproxy.Backend, owner string) (text, by string) {
	text = what + " " + name + " is new"
	if len(users) == 0 {
		return text, owner
	}
	verb := " is the first to use it"
	if len(users) > 1 {
		verb = " are the first to use it"
	}
	return text + ": " + poolNames(users) + verb, oneOwner(users)
}

func (d *differ) goneSection(s *haproxy.Section) sectionChange {
	c := sectionChange{owner: firstOwner(s.Lines), title: title(s), text: thing(s) + " goes"}
	if s.Kind != "frontend" {
		return c
	}
	still := map[string]bool{}
	for i := range d.want.Sections {
		for _, p := range boundPorts(&d.want.Sections[i]) {
			still[p] = true
		}
	}
	ports := slices.DeleteFunc(boundPorts(s), func(p string) bool { return still[p] })
	switch {
	case len(ports) == 1:
		c.text = "port " + ports[0] + " is no longer served"
	case len(ports) > 1:
		c.text = "ports " + some(ports, 5) + " are no longer served"
	}
	return c
}

func changedSection(h, w *haproxy.Section) sectionChange {
	added, removed := lineDiff(h.Lines, w.Lines)
	c := sectionChange{title: title(w), owner: firstOwner(added, removed)}
	what := thing(w) + " changes: "
	if w.Kind == "frontend" { // its name is in the title, so that alike changes of many are one reason
		what = "frontends' rules change: "
	}
	c.text = what + lineChange(texts(added), texts(removed))
	return c
}

// thing is a section in people's words.
func thing(s *haproxy.Section) string {
	switch {
	case s.Kind == "global":
		return "the global section"
	case s.Kind == "defaults" && s.Name == "":
		return "the defaults section"
	case s.Kind == "defaults":
		return "profile " + plainName(s)
	case s.Kind == "healthcheck":
		return "health check " + s.Name
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

// joined makes one reason of changes that read alike.
func joined(all []sectionChange) []Reason {
	at := map[[2]string]int{}
	var list []sectionChange
	for _, c := range all {
		k := [2]string{c.owner, c.text}
		if i, ok := at[k]; ok {
			list[i].more++
			continue
		}
		at[k] = len(list)
		list = append(list, c)
	}
	reasons := make([]Reason, 0, len(list))
	for _, c := range list {
		reasons = append(reasons, Reason{Owner: c.owner, Section: c.title + andMore(c.more), Text: c.text})
	}
	return reasons
}
