package server

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
)

// The bounds of what is remembered of changes: the last ones, and what load balancers did for them; what is oldest goes
// first.
const (
	mostWorked = 200
	mostWork   = 50_000
)

// workLog remembers what load balancers did for the last changes, in memory: it knows which change gives which load balancer
// another content, by the content's hash, and agents tell what they did to come to a content.
type workLog struct {
	most, mostOf int

	mu sync.Mutex
	// changes are by revision, order oldest first, count is how much there is of all.
	changes map[int64]*changeWork
	order   []int64
	count   int
	members map[string]*workMember
}

// changeWork is a change, with those who have something to do for it.
type changeWork struct {
	groups []string
	by     map[string]*api.LoadBalancerWork
}

// workMember is a load balancer.
type workMember struct {
	group, zone string
	wanted      link.Hash // its content
	// open are changes that nobody has looked at yet, or that a wave has not brought to it.
	open []int64
	dues []workDue // contents that it was not told to have yet, in their order
	// passes are those told last, of the agent that began then; taken is the number of the last one that led to a content.
	passes []toldPass
	began  time.Time
	taken  uint64
}

// workDue is a content that a load balancer is to have, and the changes that it brings.
type workDue struct {
	revision int64
	hash     link.Hash
	changes  []int64
}

// toldPass is a pass with when it ended by this machine's clock.
type toldPass struct {
	link.PassReport
	at time.Time
}

func newWorkLog() *workLog {
	return &workLog{most: mostWorked, mostOf: mostWork, changes: map[int64]*changeWork{}, members: map[string]*workMember{}}
}

// made takes in a change and the groups that it concerns, before the hub is told of it.
func (w *workLog) made(revision int64, groups []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes[revision] = &changeWork{groups: groups, by: map[string]*api.LoadBalancerWork{}}
	w.order = append(w.order, revision)
	for len(w.order) > w.most || w.count > w.mostOf && len(w.order) > 1 {
		w.count -= len(w.changes[w.order[0]].by)
		delete(w.changes, w.order[0])
		w.order = w.order[1:]
	}
}

// sent takes in what the load balancers of a group are to have from now on, as wanted knows it.
func (w *workLog) sent(name string, g *groupState, wanted func(name string) (link.Wanted, bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh := w.concerning(name)
	for _, self := range g.selves {
		now, _ := wanted(self.Name)
		m := w.members[self.Name]
		if m == nil || m.group != name {
			m = &workMember{group: name, wanted: now.Hash}
			w.members[self.Name] = m
			m.open = slices.Clone(fresh) // it comes with all of them
		} else {
			w.reopen(m, self, g, fresh)
		}
		m.zone = self.Zone
		w.give(m, self, g, now)
		w.match(self.Name, m)
	}
	for _, revision := range fresh {
		c := w.changes[revision]
		c.groups = slices.DeleteFunc(slices.Clone(c.groups), func(g string) bool { return g == name })
	}
	w.forget(name, g)
}

// concerning gives the changes that concern a group and that its load balancers were not held against.
func (w *workLog) concerning(group string) (list []int64) {
	for _, revision := range w.order {
		if slices.Contains(w.changes[revision].groups, group) {
			list = append(list, revision)
		}
	}
	return list
}

// heldBack says of a change whether a load balancer is to have it later, by a wave.
func heldBack(g *groupState, self ir.Self, revision int64) bool {
	s := g.waved
	return s != nil && g.of(self) != g && revision > s.group.Shows(self.Name, self.Zone) && (slices.Contains(s.carried, revision) || slices.Contains(s.queued, revision))
}

// reopen adds changes, those too that were brought and that a wave has taken away again.
func (w *workLog) reopen(m *workMember, self ir.Self, g *groupState, fresh []int64) {
	m.open = append(m.open, fresh...)
	if g.waved == nil {
		return
	}
	for _, revision := range g.waved.carried {
		c := w.changes[revision]
		if c == nil || c.by[self.Name] == nil || !heldBack(g, self, revision) || slices.Contains(m.open, revision) {
			continue
		}
		m.open = append(m.open, revision)
		c.by[self.Name] = w.blank(m, self.Name)
		for i := range m.dues {
			m.dues[i].changes = slices.DeleteFunc(slices.Clone(m.dues[i].changes), func(r int64) bool { return r == revision })
		}
	}
}

// give notes the changes that a load balancer is to have now, if they are something to it.
func (w *workLog) give(m *workMember, self ir.Self, g *groupState, now link.Wanted) {
	given := slices.DeleteFunc(slices.Clone(m.open), func(r int64) bool { return heldBack(g, self, r) })
	m.open = slices.DeleteFunc(m.open, func(r int64) bool { return slices.Contains(given, r) || w.changes[r] == nil })
	for _, revision := range m.open {
		w.expect(revision, m, self.Name) // it comes with a later wave
	}
	if now.Hash == m.wanted {
		for _, revision := range given {
			w.drop(revision, self.Name) // there is nothing to do for it
		}
		return
	}
	m.wanted = now.Hash
	if self.State == weir.Maintenance {
		m.dues = nil
		return
	}
	for _, revision := range given {
		w.expect(revision, m, self.Name)
	}
	if len(given) > 0 || len(m.dues) > 0 {
		m.dues = append(m.dues[max(0, len(m.dues)-w.most+1):], workDue{now.Revision, now.Hash, given})
	}
}

func (w *workLog) blank(m *workMember, name string) *api.LoadBalancerWork {
	return &api.LoadBalancerWork{Name: name, Group: m.group, Zone: m.zone}
}

func (w *workLog) expect(revision int64, m *workMember, name string) {
	if c := w.changes[revision]; c != nil && c.by[name] == nil {
		c.by[name] = w.blank(m, name)
		w.count++
	}
}

func (w *workLog) drop(revision int64, name string) {
	if c := w.changes[revision]; c != nil && c.by[name] != nil {
		delete(c.by, name)
		w.count--
	}
}

// forget drops the load balancers that a group has no more.
func (w *workLog) forget(group string, g *groupState) {
	there := map[string]bool{}
	for _, self := range g.selves {
		there[self.Name] = true
	}
	maps.DeleteFunc(w.members, func(name string, m *workMember) bool { return m.group == group && !there[name] })
}

// takeAll takes in what agents have told.
func (w *workLog) takeAll(all map[string]link.Reported) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, rep := range all {
		if m := w.members[name]; m != nil && w.take(m, rep) {
			w.match(name, m)
		}
	}
}

// take says whether there is anything new.
func (w *workLog) take(m *workMember, rep link.Reported) bool {
	n := len(rep.Passes)
	if n == 0 || len(m.passes) > 0 && m.began.Equal(rep.Started) && m.passes[len(m.passes)-1].Number == rep.Passes[n-1].Number {
		return false
	}
	if !m.began.Equal(rep.Started) {
		m.began, m.taken = rep.Started, 0
	}
	m.passes = make([]toldPass, n)
	for i, p := range rep.Passes {
		at := rep.At
		if age := rep.Now.Sub(p.At); !rep.Now.IsZero() && age > 0 {
			at = at.Add(-age)
		}
		m.passes[i] = toldPass{p, at.UTC().Truncate(time.Millisecond)}
	}
	return true
}

// match finds the passes that led to contents that are due. Whoever has a newer one was brought all before it.
func (w *workLog) match(name string, m *workMember) {
	for i := range m.passes {
		p := &m.passes[i]
		if p.Number <= m.taken {
			continue
		}
		last := -1
		for j, d := range m.dues {
			if d.hash == p.Hash && p.Revision >= d.revision {
				last = j
			}
		}
		if last < 0 {
			continue
		}
		m.taken = p.Number
		var brought []int64
		for _, d := range m.dues[:last+1] {
			brought = append(brought, d.changes...)
		}
		m.dues = slices.Clone(m.dues[last+1:])
		w.note(name, p, brought)
	}
}

// note writes down that a pass has brought changes.
func (w *workLog) note(name string, p *toldPass, brought []int64) {
	for _, revision := range brought {
		c := w.changes[revision]
		if c == nil || c.by[name] == nil {
			continue
		}
		one := *c.by[name]
		one.Done, one.At, one.Commands, one.Waiting, one.Started, one.Reloaded = true, p.at, p.Commands, p.Waiting, p.Started, len(p.Reload) > 0
		one.Reload = nil
		for _, r := range p.Reload {
			one.Reload = append(one.Reload, api.ReloadReason{Object: r.Object, Text: r.Text})
		}
		one.With = slices.DeleteFunc(slices.Clone(brought), func(r int64) bool { return r == revision })
		c.by[name] = &one
	}
}

// Work implements api.WorkSource.
func (w *workLog) Work(revision int64) *api.ChangeWork {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.changes[revision]
	if c == nil {
		return nil
	}
	out := &api.ChangeWork{LoadBalancers: make([]api.LoadBalancerWork, 0, len(c.by))}
	for _, one := range c.by {
		out.LoadBalancers = append(out.LoadBalancers, *one)
	}
	slices.SortFunc(out.LoadBalancers, func(a, b api.LoadBalancerWork) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name))
	})
	return out
}
