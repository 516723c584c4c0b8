package link

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// A group mostly has one content. While a change goes through it in waves it has two: each is a view, with deltas of
// its own, and a load balancer has one of them. It is moved from one to the other by what differs, as one transaction
// on its stream, and an agent that was away meanwhile is brought over in the same way.

// View is one content of a group, and the load balancers that are to have it.
type View struct {
	// Name tells the views of a group apart; the same name stands for the same content as time goes by.
	Name string
	// Resources are as those of SetGroup. Views that share one in memory share it in the hub.
	Resources []*ir.Resource
	Selves    []ir.Self
}

// viewKey names a view of a group.
type viewKey struct{ group, view string }

// seat is where a load balancer belongs.
type seat struct {
	view string
	self *selfEntry
}

// SetViews is SetGroup for a group whose load balancers do not all have the same content; views that are no longer
// listed are dropped. Each load balancer is in one view.
func (h *Hub) SetViews(name string, revision int64, views ...View) error {
	h.setting.Lock()
	defer h.setting.Unlock()
	seats, err := seatsOf(name, views)
	if err != nil {
		return err
	}
	var problems weir.Problems
	steps := make([]step, len(views))
	for i, v := range views {
		old, hash, fresh := h.basis(name, v.Name)
		if fresh && old == nil && i > 0 {
			old, hash = steps[i-1].entries, steps[i-1].hash
		}
		c := compare(old, hash, v.Resources)
		steps[i] = step{change: c, view: v.Name, fresh: fresh}
		if !fresh {
			steps[i].delta = c.delta(hash)
		}
		problems.Append(c.problems.List()...)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.publish(name, revision, steps, seats)
	if err := problems.Err(); err != nil {
		return fmt.Errorf("set group %s: %w", name, err)
	}
	return nil
}

func seatsOf(name string, views []View) (map[string]seat, error) {
	seats := map[string]seat{}
	for _, v := range views {
		for _, s := range v.Selves {
			body, err := json.Marshal(s)
			if err != nil {
				return nil, fmt.Errorf("set group %s: load balancer %s: %w", name, s.Name, err)
			}
			seats[s.Name] = seat{v.Name, newSelf(&ir.Resource{ID: "self", Body: body})}
		}
	}
	return seats, nil
}

// step is how one view becomes what it is to be. Of a fresh one there is no delta: nobody has had it yet.
type step struct {
	*change
	view  string
	fresh bool
	delta delta
}

// basis gives what a view is compared with: itself as it was, or another view of the group when it is fresh, so that
// they share what is equal.
func (h *Hub) basis(name, view string) (entries []*ir.Resource, hash Hash, fresh bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[viewKey{name, view}]; g != nil {
		return g.entries, g.hash, false
	}
	for _, g := range h.viewsOf(name) {
		return g.entries, g.hash, true
	}
	return nil, Hash{}, true
}

// viewsOf lists the contents of a group by the names of the views; h.mu is held.
func (h *Hub) viewsOf(name string) []*group {
	var list []*group
	for k, g := range h.groups {
		if k.group == name {
			list = append(list, g)
		}
	}
	slices.SortFunc(list, func(a, b *group) int { return strings.Compare(a.key.view, b.key.view) })
	return list
}

func (h *Hub) publish(name string, revision int64, steps []step, seats map[string]seat) {
	listed := map[*group]bool{}
	for _, s := range steps {
		g := h.groups[viewKey{name, s.view}]
		if g == nil {
			g = &group{key: viewKey{name, s.view}, revision: revision, entries: s.entries, hash: s.hash, changed: make(chan struct{})}
			h.groups[g.key] = g
		}
		g.seen = max(g.seen, revision)
		listed[g] = true
	}
	moved := h.place(name, revision, seats)
	for _, s := range steps {
		g := h.groups[viewKey{name, s.view}]
		if s.fresh || s.delta.empty() {
			continue
		}
		g.entries, g.hash, g.revision = s.entries, s.hash, g.seen
		g.push(s.delta, h.opts.RingBytes, h.opts.RingBytes/2/len(h.groups))
		if !moved {
			g.wake()
		}
	}
	for _, g := range h.viewsOf(name) {
		if !listed[g] {
			delete(h.groups, g.key)
			h.former[name] = g
		}
		if moved {
			g.wake()
		}
	}
}

// place takes over who has which view of the group and tells whether anything about that changed.
func (h *Hub) place(name string, revision int64, seats map[string]seat) bool {
	changed := false
	for lb, s := range seats {
		m := h.members[lb]
		if m == nil {
			m = &member{self: &selfEntry{}}
			h.members[lb] = m
		}
		at := viewKey{name, s.view}
		if m.at == at && m.self.hash == s.self.hash {
			continue
		}
		switch {
		case m.at.group != name:
			m.past = nil
			m.stop(errLeft)
		case m.self.hash != s.self.hash:
			m.past = append(m.past[max(0, len(m.past)-maxPast+1):], m.self.hash)
		}
		m.at, m.self, m.revision = at, s.self, max(h.groups[at].seen, revision)
		changed = true
	}
	for _, lb := range h.rosters[name] {
		if m := h.members[lb]; seats[lb].self == nil && m != nil && m.at.group == name {
			m.stop(errLeft)
			delete(h.members, lb)
			h.reports.forget(lb)
			changed = true
		}
	}
	if h.rosters[name] = slices.Collect(maps.Keys(seats)); len(seats) == 0 {
		delete(h.rosters, name)
	}
	return changed
}

// siblings are the other contents that an agent of a view may have: the other views of the group, and the one that
// was dropped last.
func (h *Hub) siblings(g *group) []*group {
	list := slices.DeleteFunc(h.viewsOf(g.key.group), func(o *group) bool { return o == g })
	if f := h.former[g.key.group]; f != nil {
		list = append(list, f)
	}
	return list
}

// crossing is what turns one view's content into another's, kept because many streams need it at once.
type crossing struct {
	from, to Hash
	delta    delta
}

// cross gives the delta from one view's content to another's; h.mu is held.
func (h *Hub) cross(from, to *group) delta {
	if c := h.crossing; c == nil || c.from != from.hash || c.to != to.hash {
		h.crossing = &crossing{from.hash, to.hash, between(from.entries, to.entries).delta(from.hash)}
	}
	return h.crossing.delta
}

// between works out what differs; the hash of the change is of no meaning.
func between(old, now []*ir.Resource) *change {
	c := &change{}
	i := 0
	for _, e := range now {
		for ; i < len(old) && old[i].ID < e.ID; i++ {
			c.drop(old[i])
		}
		same := false
		if i < len(old) && old[i].ID == e.ID {
			same = old[i].Same(e)
			i++
		}
		if same {
			continue
		}
		c.put = append(c.put, e)
		if key := keyOfEntry(e); key != nil {
			c.keys = append(c.keys, keyRef{certificateOf(e), *key})
		}
	}
	for ; i < len(old); i++ {
		c.drop(old[i])
	}
	return c
}

// Carries says that what a load balancer reported is a content of the view that it is to have, as it is now or as it
// was a little while ago; a report of another view's content is not.
func (h *Hub) Carries(name string, reported Hash) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[name]
	if m == nil {
		return false
	}
	_, _, ok := m.resume(h.groups[m.at], &Resume{Hash: reported})
	return ok
}

// Holds says whether what a load balancer reported has a resource just as it is to have it now: nothing that came after
// the reported content has touched it. Of a content that is not known here nothing is said.
func (h *Hub) Holds(name string, reported Hash, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[name]
	if m == nil {
		return false
	}
	g := h.groups[m.at]
	pos, _, ok := m.resume(g, &Resume{Hash: reported})
	if !ok || g.find(id) == nil {
		return false
	}
	key := []byte(`"` + id + `"`)
	for _, d := range g.deltas[pos-g.first:] {
		if bytes.Contains(d.lines, key) || slices.ContainsFunc(d.chains, func(r *ir.Resource) bool { return r.ID == id }) {
			return false
		}
	}
	return true
}
