package plan

import (
	"iter"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// A map's value leads to another map's key when one of the names in it begins the key: the host map's "www"
// leads to the route map's "www/api/". The planner knows no more than that about maps, and needs no more.

// names gives the names in a value: all of it, and its parts between what can't stand in a name. A colon can,
// in a backend's; it also parts names.
func names(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if value == "" || !yield(value) {
			return
		}
		if !parts(value, true, yield) || !strings.Contains(value, ":") {
			return
		}
		parts(value, false, yield)
	}
}

// parts yields the parts of a value that are not all of it, and says whether to go on.
func parts(value string, withColon bool, yield func(string) bool) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return !nameRune(r, withColon) }) {
		if len(part) < len(value) && !yield(part) {
			return false
		}
	}
	return true
}

// heads gives what can lead to a key: all of it, and what stands before each mark that is in no name.
func heads(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(key) {
			return
		}
		for i, r := range key {
			if i > 0 && !nameRune(r, false) && !yield(key[:i]) {
				return
			}
		}
	}
}

func nameRune(r rune, withColon bool) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		r == '-' || r == '_' || r == '.' || withColon && r == ':'
}

// readByFresh says that a new entry tells a new backend something and leads nowhere itself.
func (d *differ) readByFresh(e edit) bool {
	if len(d.fresh) == 0 || !readBy(e.key, d.freshNames()) {
		return false
	}
	for t := range names(e.newVal) {
		if d.freshNames()[t] || d.cold[t] != nil {
			return false
		}
	}
	return true
}

func (d *differ) readByGone(key string) bool { return len(d.gone) > 0 && readBy(key, d.goneNames()) }

func readBy(key string, set map[string]bool) bool {
	for t := range heads(key) {
		if set[t] {
			return true
		}
	}
	return false
}

func (d *differ) freshNames() map[string]bool { return backendNames(&d.freshSet, d.fresh) }
func (d *differ) goneNames() map[string]bool  { return backendNames(&d.goneSet, d.gone) }

func backendNames(set *map[string]bool, list []*haproxy.Backend) map[string]bool {
	if *set == nil {
		*set = make(map[string]bool, len(list))
		for _, b := range list {
			(*set)[b.Name] = true
		}
	}
	return *set
}

// holdBack marks the changes that lead to cold backends, and asks for the waits.
func (d *differ) holdBack(list []*change) {
	if len(d.cold) == 0 {
		return
	}
	for _, c := range list {
		for _, e := range c.edits {
			if !e.gets {
				continue
			}
			for t := range names(e.newVal) {
				if cold := d.cold[t]; cold != nil && len(cold.servers) > 0 {
					cold.wanted, c.held = true, true
				}
			}
		}
	}
}

// inSequence orders changes so that what an entry leads to is there before it, and stays until nothing leads to
// it. Where that goes round in a circle, and otherwise, adding comes before setting before leaving. What must
// come after something held is held; so is all setting after held adding, for an entry that is set may have
// stood in for one that is added, as a wildcard does.
func inSequence(list []*change) []*change {
	slices.SortStableFunc(list, func(a, b *change) int { return int(a.step - b.step) })
	link(list)
	sorted := make([]*change, 0, len(list))
	for _, c := range list {
		sorted = c.visit(sorted)
	}
	adds := slices.ContainsFunc(sorted, func(c *change) bool { return c.held && c.adds() })
	for _, c := range sorted {
		c.held = c.held || adds && c.step == setting || slices.ContainsFunc(c.before, func(b *change) bool { return b.held })
	}
	return sorted
}

func (c *change) adds() bool {
	return slices.ContainsFunc(c.edits, func(e edit) bool { return !e.had })
}

func (c *change) visit(sorted []*change) []*change {
	if c.visited {
		return sorted
	}
	c.visited = true
	for _, b := range c.before {
		sorted = b.visit(sorted)
	}
	return append(sorted, c)
}

// link fills in what must come before what. What is added needs only what else is added: keys that are set
// lead somewhere all the time.
func link(list []*change) {
	fresh, known := map[string][]*change{}, map[string][]*change{} // by key, with all its heads
	for _, c := range list {
		for _, e := range c.edits {
			keys := fresh
			if e.had {
				keys = known
			}
			for t := range heads(e.key) {
				if l := keys[t]; len(l) == 0 || l[len(l)-1] != c {
					keys[t] = append(l, c)
				}
			}
		}
	}
	for _, c := range list {
		var needs, sets, left reached
		for _, e := range c.edits {
			if e.gets {
				needs.add(c, fresh, e.newVal)
			}
			if e.gets && e.had {
				sets.add(c, known, e.newVal)
			}
			if e.had {
				left.add(c, known, e.oldVal)
			}
		}
		for _, t := range slices.Concat(needs.list, sets.list) {
			if t.step != leaving {
				c.before = append(c.before, t)
			}
		}
		for _, t := range left.list {
			if t.step == leaving {
				t.before = append(t.before, c)
			}
		}
	}
}

// reached is a set of changes in the order in which they were found.
type reached struct {
	list  []*change
	in    map[*change]bool
	asked map[string]bool
}

func (r *reached) add(from *change, keys map[string][]*change, value string) {
	for t := range names(value) {
		to := keys[t]
		if len(to) == 0 || r.asked[t] {
			continue
		}
		if r.in == nil {
			r.in, r.asked = map[*change]bool{}, map[string]bool{}
		}
		r.asked[t] = true
		for _, c := range to {
			if c != from && !r.in[c] {
				r.in[c] = true
				r.list = append(r.list, c)
			}
		}
	}
}
