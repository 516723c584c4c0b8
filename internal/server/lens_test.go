package server

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// lensWalk is a walk of changes with what a lens must show of them.
type lensWalk struct {
	t    *testing.T
	seed uint64
	sets []*weir.Set // by revision, the first is before any change
	past past
}

// step makes one more change by chance and gives the objects that it wrote.
func (w *lensWalk) step(rng *rand.Rand) []weir.Ref {
	before := w.sets[len(w.sets)-1]
	change := weirtest.RandomWrite(rng, before, weirtest.Options{Sealed: true, Faults: true, Registered: true, Zoned: true, Egress: true})
	after := weirtest.Apply(before, change)
	after.Revision = int64(len(w.sets))
	w.sets = append(w.sets, after)
	ev := store.Event{Revision: after.Revision}
	var refs []weir.Ref
	for _, one := range change {
		r := one.Ref()
		if before.Get(r) != after.Get(r) && !slices.Contains(refs, r) {
			refs = append(refs, r)
			ev.Change.Objects = append(ev.Change.Objects, weir.ObjectChange{Ref: r, Before: before.Get(r), After: after.Get(r)})
		}
	}
	w.past.note(ev)
	return refs
}

// view puts together what is shown at a revision out of whole sets, as nobody else does it.
func (w *lensWalk) view(revision int64) *weir.Set {
	base, now := w.sets[revision], w.sets[len(w.sets)-1]
	var list []*weir.Object
	for _, k := range weir.Kinds() {
		from := now
		if weir.WaitForWaves(k.Name) {
			from = base
		}
		for o := range from.All(k.Name) {
			list = append(list, o)
		}
	}
	view := weir.NewSet(list...)
	// A zone or schedule that has been there all the time since, until it was deleted, is still named.
	for _, kind := range []string{"Zone", "Schedule"} {
		for o := range base.All(kind) {
			if view.Get(o.Ref()) == nil {
				view.Put(o)
			}
		}
	}
	return view
}

func (w *lensWalk) check(l *lens, name string) {
	w.t.Helper()
	want, problems := compile.Group(w.view(l.revision), name)
	list := slices.DeleteFunc(want.Resources(), func(r *ir.Resource) bool { return r.ID == "self" })
	if !slices.EqualFunc(l.state.resources, list, func(a, b *ir.Resource) bool { return a.ID == b.ID && a.Same(b) }) {
		w.t.Fatalf("seed %d, revision %d: group %s at %d shows something else than its objects say", w.seed, len(w.sets)-1, name, l.revision)
	}
	if !slices.Equal(l.state.problems, problems) {
		w.t.Fatalf("seed %d, revision %d: group %s at %d: problems %v, want %v", w.seed, len(w.sets)-1, name, l.revision, l.state.problems, problems)
	}
	// What waits is never worse off than where it comes from.
	_, then := compile.Group(w.sets[l.revision], name)
	_, now := compile.Group(w.sets[len(w.sets)-1], name)
	for _, p := range problems {
		kind, _, _ := strings.Cut(p.Object, "/")
		if weir.WaitForWaves(kind) && !slices.Contains(then, p) && !slices.Contains(now, p) {
			w.t.Fatalf("seed %d, revision %d: group %s at %d: %v is a problem neither then nor now", w.seed, len(w.sets)-1, name, l.revision, p)
		}
	}
}

// TestAViewIsWhatItsObjectsSay: what waits is as it was at the revision, all else as it is now, however the view came
// about, and what it has in common with the newest state is one in memory.
func TestAViewIsWhatItsObjectsSay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 2))
		w := &lensWalk{t: t, seed: seed, sets: []*weir.Set{weirtest.RandomObjects(seed, weirtest.Options{Sealed: true, Faults: true, Registered: true, Zoned: true, Egress: true})}}
		lenses := map[string]*lens{}
		for range 120 {
			refs := w.step(rng)
			now := w.sets[len(w.sets)-1]
			for name, l := range lenses {
				if now.Get(weir.Ref{Kind: "LoadBalancerGroup", Name: name}) == nil || w.sets[l.revision].Get(weir.Ref{Kind: "LoadBalancerGroup", Name: name}) == nil {
					delete(lenses, name)
					continue
				}
				l.follow(now, refs, w.past)
				w.check(l, name)
				if rng.IntN(25) == 0 {
					delete(lenses, name)
				}
			}
			since := int64(rng.IntN(len(w.sets)))
			for r, o := range w.past.forms(since, now) {
				if o != w.past.form(r, since, now) {
					t.Fatalf("seed %d: %s at %d is another object among all than alone", seed, r, since)
				}
			}
			for o := range now.All("LoadBalancerGroup") {
				name := o.Metadata.Name
				if lenses[name] != nil || rng.IntN(4) > 0 {
					continue
				}
				revision := int64(rng.IntN(len(w.sets)))
				if w.sets[revision].Get(o.Ref()) == nil {
					continue
				}
				node, _ := compile.Group(now, name)
				newest := &groupState{node: node, resources: slices.DeleteFunc(node.Resources(), func(r *ir.Resource) bool { return r.ID == "self" })}
				l := newLens(name, revision, now, w.past, newest)
				w.check(l, name)
				sharesBodies(t, l.state.resources, newest.resources)
				if same := l.same; same != slices.EqualFunc(l.state.resources, newest.resources, func(a, b *ir.Resource) bool { return a.ID == b.ID && a.Same(b) }) {
					t.Fatalf("seed %d: group %s at %d is the same: %v", seed, name, revision, same)
				}
				lenses[name] = l
			}
		}
	}
}

func sharesBodies(t *testing.T, a, b []*ir.Resource) {
	t.Helper()
	bodies := map[string][]byte{}
	for _, r := range b {
		bodies[r.ID] = r.Body
	}
	for _, r := range a {
		if other := bodies[r.ID]; len(other) > 0 && string(other) == string(r.Body) && &other[0] != &r.Body[0] {
			t.Fatalf("%s is twice in memory", r.ID)
		}
	}
}

func TestUndoesInThePast(t *testing.T) {
	t.Parallel()
	var p past
	pool := []weir.ObjectChange{{Ref: weir.Ref{Kind: "Pool", Name: "web"}}}
	for _, ev := range []store.Event{
		{Revision: 5, Change: weir.Change{Objects: pool}},
		{Revision: 6, Change: weir.Change{Objects: []weir.ObjectChange{{Ref: weir.Ref{Kind: "Server", Name: "a"}}}}},
		{Revision: 7, Change: weir.Change{Objects: pool}},
		{Revision: 8, Change: weir.Change{Objects: pool, Undoes: 5}},
		{Revision: 9, Change: weir.Change{Objects: pool, Undoes: 7}},
		{Revision: 9, Change: weir.Change{Objects: pool}}, // seen twice
	} {
		p.note(ev)
	}
	if len(p) != 4 || len(p.after(7)) != 2 || len(p.after(9)) != 0 || len(p.after(0)) != 4 {
		t.Fatalf("remembered: %+v", p)
	}
	for _, c := range []struct{ base, target, want int64 }{{4, 5, 8}, {4, 7, 9}, {5, 7, 9}, {5, 6, 0}, {7, 8, 0}, {4, 9, 0}} {
		if got := p.undoes(c.base, c.target); got != c.want {
			t.Errorf("a wave from %d to %d is taken back by %d, want %d", c.base, c.target, got, c.want)
		}
	}
}

// TestZonesOfAView: a new zone is there for all, since load balancers may be in it; one that was deleted is still there
// for those who have what names it.
func TestZonesOfAView(t *testing.T) {
	t.Parallel()
	zone := func(name string) *weir.Object {
		return &weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: name}, Spec: &weir.Zone{Capacity: 100}}
	}
	pool := func(balance string) *weir.Object {
		return &weir.Object{Kind: "Pool", Metadata: weir.Metadata{Name: "web"}, Spec: &weir.Pool{Balance: balance}}
	}
	old, older := zone("old"), pool("leastconn")
	var p past
	p.note(store.Event{Revision: 5, Change: weir.Change{Objects: []weir.ObjectChange{
		{Ref: old.Ref(), Before: old}, {Ref: zone("new").Ref(), After: zone("new")}, {Ref: older.Ref(), Before: older, After: pool("random")},
	}}})
	p.note(store.Event{Revision: 6, Change: weir.Change{Objects: []weir.ObjectChange{{Ref: older.Ref(), Before: pool("random"), After: pool("source")}}}})
	now := weir.NewSet(zone("new"), pool("source"))
	for revision, want := range map[int64]string{4: "old=true new=true leastconn", 5: "old=false new=true random", 6: "old=false new=true source"} {
		form := func(kind, name string) *weir.Object { return p.form(weir.Ref{Kind: kind, Name: name}, revision, now) }
		got := fmt.Sprintf("old=%v new=%v %s", form("Zone", "old") != nil, form("Zone", "new") != nil, form("Pool", "web").Spec.(*weir.Pool).Balance)
		if got != want {
			t.Errorf("at %d: %s, want %s", revision, got, want)
		}
	}
}

// TestRegistrationsWaitForNoWave: where a wave has not come yet a pool is as it was, and a server that withdraws leaves it
// all the same, as one that registers comes in.
func TestRegistrationsWaitForNoWave(t *testing.T) {
	t.Parallel()
	server := func(name, state string) *weir.Object {
		return decoded(t, "kind: Server\nmetadata: {name: "+name+"}\nspec: {address: 10.1.0.1, zone: az1, registration: {state: "+state+", since: 2026-11-22T10:00:00Z}}")
	}
	pool := func(more string) *weir.Object {
		return decoded(t, "kind: Pool\nmetadata: {name: web}\nspec: {members: [{name: fixed, address: 10.1.0.9, port: 80}], selector: {role: web}, port: 80, admission: both"+more+"}")
	}
	of := func(o *weir.Object) *weir.Object {
		o.Metadata.Role = "web"
		return o
	}
	before := weir.NewSet(
		decoded(t, "kind: LoadBalancerGroup\nmetadata: {name: edge}\nspec: {ranges: [10.0.0.0/28]}"),
		decoded(t, "kind: IPAddress\nmetadata: {name: vip}\nspec: {address: 10.0.0.1, groups: [edge]}"),
		decoded(t, "kind: Site\nmetadata: {name: www}\nspec: {hostnames: [www.example.com], addresses: [vip], listeners: [{port: 80}], backends: {default: web}}"),
		pool(""), of(server("a", "healthy")), of(server("b", "stale")),
	)
	before.Revision = 1
	now := before.Copy()
	now.Revision = 2
	now.Put(pool(", slowStart: 30s"))
	changed := weir.Ref{Kind: "Pool", Name: "web"}
	held := past{{revision: 2, objects: []weir.ObjectChange{{Ref: changed, Before: before.Get(changed)}}}}
	node, _ := compile.Group(now, "edge")
	l := newLens("edge", 1, now, held, &groupState{node: node, resources: node.Resources()})
	is := func(when string, want ...string) {
		t.Helper()
		p := l.state.node.Pools[0]
		var names []string
		for _, s := range p.Servers {
			names = append(names, s.Name)
		}
		if p.SlowStart != 0 || !slices.Equal(names, want) {
			t.Errorf("%s: slow start %v, servers %v; want none, %v", when, p.SlowStart, names, want)
		}
	}
	is("held back", "a", "fixed")
	say := func(revision int64, o *weir.Object) {
		now = now.Copy()
		now.Revision = revision
		now.Put(of(o))
		l.follow(now, []weir.Ref{o.Ref()}, held)
	}
	say(3, server("b", "healthy"))
	is("another registers", "a", "b", "fixed")
	say(4, server("a", "withdrawn"))
	is("one withdraws", "b", "fixed")
}
