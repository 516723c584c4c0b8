package plan

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// A map's value leads to another map's key when it, or one of the names listed in it, begins the key: the host
// map's "www" leads to the route map's "www/api/", and that one's "www/api" to the pool map's "www/api@1". The
// planner knows no more than that about maps, and needs no more.

// names gives the names in a value: all of it, and its parts when it is a list. A colon is in the names of some
// backends and between those of others.
func names(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if value == "" || !yield(value) {
			return
		}
		if !parts(value, " \t,;|+", yield) || !strings.Contains(value, ":") {
			return
		}
		parts(value, " \t,;|+:", yield)
	}
}

// parts yields the parts of a value that are not all of it, and says whether to go on.
func parts(value, marks string, yield func(string) bool) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune(marks, r) }) {
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
			if i > 0 && !nameRune(r) && !yield(key[:i]) {
				return
			}
		}
	}
}

func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
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

// readByGone says that an entry told something to a backend that goes, and led to none that does.
func (d *differ) readByGone(e edit) bool {
	if len(d.gone) == 0 || !readBy(e.key, d.goneNames()) {
		return false
	}
	for t := range names(e.oldVal) {
		if d.goneNames()[t] {
			return false
		}
	}
	return true
}

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
// it. Where that goes round in a circle, and otherwise, adding comes before setting before leaving.
func inSequence(list []*change) []*change {
	slices.SortStableFunc(list, func(a, b *change) int {
		if c := cmp.Or(int(a.step-b.step), weigh(!a.adds())-weigh(!b.adds()), weigh(a.dead)-weigh(b.dead)); c != 0 || a.step != leaving {
			return c
		}
		return strings.Compare(b.op.Path, a.op.Path) // what goes, goes in the reverse order
	})
	link(list)
	sorted := make([]*change, 0, len(list))
	for _, c := range list {
		sorted = c.visit(sorted)
	}
	for hold(sorted) {
	}
	return sorted
}

func weigh(last bool) int {
	if last {
		return 1
	}
	return 0
}

// leadsNowhere says that a value names backends of which none will serve.
func (d *differ) leadsNowhere(value string) bool {
	dead := false
	for n := range names(value) {
		if b := d.wanted(n); b != nil {
			if slices.ContainsFunc(b.Servers, func(s haproxy.Server) bool { return serves(&s) }) {
				return false
			}
			dead = true
		}
	}
	return dead
}

// wanted finds a backend of want by its name, nil when there is none.
func (d *differ) wanted(name string) *haproxy.Backend {
	list := d.want.Backends
	i, ok := slices.BinarySearchFunc(list, name, func(b haproxy.Backend, n string) int { return strings.Compare(b.Name, n) })
	if !ok {
		return nil
	}
	return &list[i]
}

// hold holds what must come after something held, and says whether that was news. An entry may stand in for
// another that is not there yet, as a wildcard does, or the beginning of a path: so what is added beside a held
// entry that is about the same thing is held, and so is all setting after held adding.
func hold(sorted []*change) bool {
	news, adds := false, false
	about := map[string]bool{}
	for _, c := range sorted {
		if c.held && c.adds() {
			adds = true
			for _, e := range c.edits {
				about[subject(e.key)] = true
			}
		}
	}
	for _, c := range sorted {
		if c.held || c.step == leaving {
			continue
		}
		c.held = adds && c.step == setting || slices.ContainsFunc(c.before, func(b *change) bool { return b.held }) ||
			len(about) > 0 && slices.ContainsFunc(c.edits, func(e edit) bool { return about[subject(e.key)] })
		news = news || c.held
	}
	return news
}

// subject is the first name in a key: the site of a path, the host of a host and address.
func subject(key string) string {
	key = strings.TrimLeftFunc(key, func(r rune) bool { return !nameRune(r) })
	if i := strings.IndexFunc(key, func(r rune) bool { return !nameRune(r) }); i > 0 {
		return key[:i]
	}
	return key
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
	if !slices.ContainsFunc(list, func(c *change) bool { return c.op.Path != list[0].op.Path }) {
		return // a map's entries lead to none of its own
	}
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

// reached is a set of changes of other maps in the order in which they were found.
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
			if c.op.Path != from.op.Path && !r.in[c] {
				r.in[c] = true
				r.list = append(r.list, c)
			}
		}
	}
}
