package server

import (
	"maps"
	"slices"
	"strconv"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/store"
	"weir/internal/wave"
)

// wavedState is who of a group is shown what, when the group wants waves. It is replaced, never changed.
type wavedState struct {
	settings weir.Waves
	group    wave.Group
	// base is what those are shown that no wave has reached, target what those are shown that the present one has;
	// nil stands for the newest state.
	base, target *groupState
	sets         map[*groupState]*weir.Set // that they come from
	// carried are the changes of the present wave, queued those that wait for the next.
	carried, queued []int64
	// undone is a change that takes back one that is carried; 0 for none.
	undone int64
}

// pending says that something waits, or is on its way.
func (w *wavedState) pending() bool { return w.base != nil }

// of gives the state that a load balancer of the group is to have.
func (g *groupState) of(self ir.Self) *groupState {
	w := g.waved
	if w == nil {
		return g
	}
	s := w.base
	if w.group.Wave.Reached(self.Name, self.Zone) {
		s = w.target
	}
	if s == nil {
		return g
	}
	return s
}

// holdsBack says whether an object is newer than what a load balancer is to have.
func (g *groupState) holdsBack(o *weir.Object, self ir.Self) bool {
	return g.of(self) != g && weir.WaitForWaves(o.Kind) && o.Revision > g.waved.group.Shows(self.Name, self.Zone)
}

// wavesOf is what the goroutine that compiles remembers for waves.
type wavesOf struct {
	record waveRecord
	names  []string // of its groups
	past   past
	lenses map[string]*lenses
	// wanting are the groups that want waves, by the groups that there were when that was looked up.
	wanting map[string]weir.Waves
	stamp   *weir.Stamp
}

// lenses are those of one group; shown names the view of those whom no wave has reached.
type lenses struct {
	base, target *lens
	shown        string
	began        int64 // the target when views were set last, 0 for none
}

// wants gives the settings of the groups that want waves.
func (w *wavesOf) wants(set *weir.Set) map[string]weir.Waves {
	if stamp := set.Stamp("LoadBalancerGroup"); w.wanting == nil || w.stamp != stamp {
		w.wanting, w.stamp = map[string]weir.Waves{}, stamp
		for o := range set.All("LoadBalancerGroup") {
			if s := o.Spec.(*weir.LoadBalancerGroup).Waves; s != nil {
				w.wanting[o.Metadata.Name] = *s
			}
		}
	}
	return w.wanting
}

// note remembers changes that may have to wait, for as long as a group wants that.
func (f *fleet) note(events []store.Event, after *weir.Set) {
	w := &f.waves
	if len(w.wants(after)) == 0 {
		w.past, w.lenses = nil, map[string]*lenses{}
		return
	}
	before := len(w.past)
	for _, ev := range events {
		w.past.note(ev)
	}
	fresh := w.past[before:]
	if len(fresh) == 0 {
		return
	}
	groups := map[string]bool{}
	for _, name := range f.compiler.Groups(f.view, after, fresh.refs()) {
		groups[name] = true
	}
	for i := range fresh {
		fresh[i].groups = groups
	}
}

// look works out who of a group is shown what, after the objects named have changed.
func (f *fleet) look(name string, next *groupState, set *weir.Set, refs []weir.Ref) *wavedState {
	w := &f.waves
	settings, wants := w.wants(set)[name]
	group, known := w.record.Groups[name]
	if !wants || !known {
		delete(w.lenses, name)
		return nil
	}
	ls := w.lenses[name]
	if ls == nil {
		ls = &lenses{shown: itoa(group.Base)}
		w.lenses[name] = ls
	}
	ls.base = f.sharpen(ls.base, name, group.Base, next, set, refs)
	out := &wavedState{settings: settings, group: group, sets: map[*groupState]*weir.Set{}}
	from := group.Base
	if group.Wave != nil {
		from = group.Wave.Target
		out.undone = w.past.undoes(group.Base, from)
	}
	if ls.base != nil || group.Wave != nil {
		out.queued = w.past.after(from).concerning(name)
		out.carried = w.past.after(group.Base).concerning(name)
		out.carried = out.carried[:len(out.carried)-len(out.queued)]
	}
	if ls.base == nil {
		ls.target = nil
		return out
	}
	out.base, out.sets[ls.base.state] = ls.base.state, ls.base.set
	if group.Wave == nil || group.Wave.State == wave.Halted {
		ls.target = nil
		return out
	}
	if ls.target = f.sharpen(ls.target, name, from, next, set, refs); ls.target != nil {
		out.target, out.sets[ls.target.state] = ls.target.state, ls.target.set
	}
	return out
}

// stirs lets the views of a group follow a change that means nothing to its newest state, and says whether it means
// something to one of them: what that still names may have changed, or something more may wait.
func (f *fleet) stirs(name string, set *weir.Set, refs []weir.Ref) bool {
	moved := false
	for _, l := range []*lens{f.waves.lenses[name].base, f.waves.lenses[name].target} {
		if l == nil {
			continue
		}
		before := l.state
		l.follow(set, refs, f.waves.past)
		moved = moved || l.state != before || slices.ContainsFunc(refs, func(r weir.Ref) bool { return waits(r.Kind) })
	}
	return moved
}

// sharpen gives the lens for a revision of a group, nil when that shows what is newest.
func (f *fleet) sharpen(l *lens, name string, revision int64, next *groupState, set *weir.Set, refs []weir.Ref) *lens {
	if len(f.waves.past.after(revision).concerning(name)) == 0 {
		return nil
	}
	if l == nil || l.revision != revision {
		l = newLens(name, revision, set, f.waves.past, next)
	} else {
		l.follow(set, refs, f.waves.past)
		l.challenge(next.node.Challenges)
		l.compare(next, refs)
	}
	if l.same {
		return nil
	}
	return l
}

// send tells the hub who of a group is to have what.
func (f *fleet) send(name string, revision int64, g *groupState) error {
	w := g.waved
	if w == nil {
		return f.hub.SetGroup(name, revision, g.resources, g.selves)
	}
	ls := f.waves.lenses[name]
	// Where a wave has brought everybody what it carried, that view is the one that all have from now on.
	if ls.began > 0 && w.group.Base == ls.began {
		ls.shown = itoa(ls.began)
	}
	ls.began = 0
	content := func(s *groupState) []*ir.Resource {
		if s == nil {
			s = g
		}
		return s.resources
	}
	reached, rest := split(g.selves, func(s ir.Self) bool { return w.group.Wave.Reached(s.Name, s.Zone) })
	views := []link.View{{Name: ls.shown, Resources: content(w.base), Selves: rest}}
	if w.group.Wave != nil && w.group.Wave.State != wave.Halted {
		ls.began = w.group.Wave.Target
		views = append(views, link.View{Name: itoa(ls.began), Resources: content(w.target), Selves: reached})
	}
	return f.hub.SetViews(name, revision, views...)
}

// take follows what was written about waves, here or by another server.
func (f *fleet) take(record waveRecord) {
	old := f.waves.record
	f.waves.record, f.waves.names = record, sortedNames(record.Groups)
	names := map[string]bool{}
	for _, r := range []waveRecord{old, record} {
		for name := range r.Groups {
			names[name] = names[name] || !same(old.Groups[name], record.Groups[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f.mu.RLock()
		g := f.groups[name]
		f.mu.RUnlock()
		if names[name] && g != nil {
			f.show(name, *g, f.view, nil)
		}
	}
	f.prune()
	f.published(f.view.Revision)
}

// show makes a state of a group the present one, for agents first.
func (f *fleet) show(name string, g groupState, set *weir.Set, refs []weir.Ref) {
	g.waved = f.look(name, &g, set, refs)
	if err := f.send(name, set.Revision, &g); err != nil {
		f.log.Error("send group", "group", name, "error", err)
	}
	f.work.sent(name, &g, f.hub.Wanted)
	f.mu.Lock()
	var before []*ir.Resource
	if old := f.groups[name]; old != nil {
		before = old.resources
	}
	f.places.follow(name, before, g.resources)
	f.groups[name] = &g
	f.mu.Unlock()
}

// prune forgets changes that every group has everywhere.
func (f *fleet) prune() {
	w := &f.waves
	oldest := f.view.Revision
	for name, g := range w.record.Groups {
		if _, wants := w.wants(f.view)[name]; wants {
			oldest = min(oldest, g.Base)
		}
	}
	if rest := w.past.after(oldest); len(rest) < len(w.past) {
		w.past = slices.Clone(rest)
	}
}

// setFor gives the objects as a load balancer is to have them.
func (f *fleet) setFor(view *weir.Set, name string) *weir.Set {
	self, ok := compile.Self(view, name)
	if !ok {
		return view
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	g := f.groups[weir.Find[weir.LoadBalancer](view, "LoadBalancer", name).Group]
	if g == nil || g.waved == nil {
		return view
	}
	if set := g.waved.sets[g.of(self)]; set != nil {
		return set
	}
	return view
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
