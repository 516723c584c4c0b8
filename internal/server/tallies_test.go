package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// toldWalk is a walk of changes and reports.
type toldWalk struct {
	t       *testing.T
	rng     *rand.Rand
	fleet   *fleet
	set     *weir.Set
	tellers map[string]*teller
}

// write changes objects by chance and compiles all groups.
func (w *toldWalk) write() {
	change := weirtest.RandomWrite(w.rng, w.set, weirtest.Options{Registered: true, Zoned: true})
	w.set = weirtest.Apply(w.set, change)
	var refs []weir.Ref
	for _, one := range change {
		refs = append(refs, one.Ref())
	}
	var names []string
	for o := range w.set.All("LoadBalancerGroup") {
		names = append(names, o.Metadata.Name)
	}
	for name := range w.fleet.groups {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	w.fleet.compiler.Follow(w.set, refs)
	w.fleet.compile(w.set, names, nil)
}

// report has load balancers tell something else of some pools; all else stays the same in memory, as a hub keeps it.
func (w *toldWalk) report() {
	for _, g := range w.fleet.groups {
		for _, self := range g.selves {
			old := w.tellers[self.Name]
			if old == nil {
				old = &teller{heard: w.rng.IntN(8) > 0}
			} else if w.rng.IntN(3) > 0 {
				continue
			}
			next := *old
			next.heard, next.has, next.At = old.heard || w.rng.IntN(2) == 0, w.rng.IntN(4) > 0, w.fleet.clock()
			if w.rng.IntN(4) == 0 {
				next.At = next.At.Add(-time.Hour)
			}
			next.State = []link.RunState{link.Converged, link.Converged, link.Applying}[w.rng.IntN(3)]
			next.Resources.Deviations = nil
			next.Servers = maps.Clone(old.Servers)
			if next.Servers == nil {
				next.Servers = map[string]map[string]link.ServerHealth{}
			}
			for _, p := range g.node.Pools {
				switch w.rng.IntN(6) {
				case 0:
					delete(next.Servers, p.Name)
				case 1, 2:
					next.Servers[p.Name] = w.health(p)
				}
				if w.rng.IntN(40) == 0 {
					next.Resources.Deviations = map[string]link.Deviation{"pool/" + p.Name: {State: link.Quarantined, Reason: link.RefusedAtFirst, Message: "no"}}
				}
			}
			next.deviations = deviationsOf(next.Resources.Deviations)
			w.tellers[self.Name] = &next
		}
	}
}

func (w *toldWalk) health(p ir.Pool) map[string]link.ServerHealth {
	told := map[string]link.ServerHealth{}
	if w.rng.IntN(4) == 0 {
		told["left"] = link.ServerHealth{State: link.Up}
	}
	for _, s := range p.Servers {
		state := []link.Health{link.Up, link.Up, link.NoCheck, link.Down, link.StartingUp, link.Drain, link.Maint, ""}[w.rng.IntN(8)]
		if state != "" {
			told[s.Name] = link.ServerHealth{State: state, Since: time.Unix(int64(w.rng.IntN(1000)), 0), Check: fmt.Sprint("said ", w.rng.IntN(3))}
		}
	}
	return told
}

// silent are those that were not heard lately, in groups of which others were: they do not count.
func (w *toldWalk) silent() map[string]bool {
	silent := map[string]bool{}
	for _, g := range w.fleet.groups {
		heard := func(s ir.Self) bool { return w.fleet.clock().Sub(w.tellers[s.Name].At) < heardWithin }
		for _, self := range g.selves {
			silent[self.Name] = !heard(self) && slices.ContainsFunc(g.selves, heard)
		}
	}
	return silent
}

// seen counts what is seen of a pool, server by server and load balancer by load balancer.
func (w *toldWalk) seen(pool string) []api.SeenServer {
	by := map[string]*api.SeenServer{}
	silent := w.silent()
	for _, lb := range w.fleet.with(weir.Ref{Kind: "Pool", Name: pool}) {
		if silent[lb] {
			continue
		}
		for server, h := range w.tellers[lb].Servers[pool] {
			s := by[server]
			if s == nil {
				s = &api.SeenServer{Server: server}
				by[server] = s
			}
			s.Of++
			if h.State == link.Up || h.State == link.NoCheck {
				s.Up++
				continue
			}
			if h.State == link.Drain || h.State == link.Maint {
				s.Out++
			}
			if h.State == link.StartingUp {
				s.Starting++
			}
			if s.LoadBalancer == "" {
				s.LoadBalancer, s.State, s.Since, s.Check = lb, string(h.State), h.Since, h.Check
			}
		}
	}
	var list []api.SeenServer
	for _, name := range sortedNames(by) {
		list = append(list, *by[name])
	}
	return list
}

// check holds a moment, which takes over what earlier ones have summed up, against one that sums up all anew and looks at
// each load balancer.
func (w *toldWalk) check(found map[string]int) {
	w.t.Helper()
	moment := func() *moment {
		m := w.fleet.moment()
		m.tellers = maps.Clone(w.tellers)
		return m
	}
	m, anew := moment(), moment()
	anew.fleet = &fleet{store: m.store, hub: m.hub, clock: m.clock, groups: m.groups, places: m.places, chooser: m.chooser, orders: m.orders}
	for _, g := range m.groups {
		anew.crew(g).plain, anew.crew(g).odd = 0, g.selves
		for _, self := range g.selves {
			got, want := m.outages(g, self), outagesOf(g, w.tellers[self.Name].Report, nil)
			if !reflect.DeepEqual(got, want) {
				w.t.Fatalf("%s does not serve\n%+v, want\n%+v", self.Name, got, want)
			}
			found["outages"] += len(got)
		}
	}
	for o := range w.set.Every() {
		got, want := m.Status(o), anew.Status(o)
		if !reflect.DeepEqual(got, want) {
			w.t.Fatalf("%s:\n%+v, want\n%+v", o.Ref(), got, want)
		}
		if o.Kind == "Pool" {
			if got, want := m.Seen(o.Metadata.Name), w.seen(o.Metadata.Name); !reflect.DeepEqual(got, want) {
				w.t.Fatalf("%s is seen\n%+v, want\n%+v", o.Ref(), got, want)
			}
			found["seen"] += len(m.Seen(o.Metadata.Name))
		}
	}
	for lb, is := range w.silent() {
		if is && len(w.tellers[lb].Servers) > 0 {
			found["silent"]++
		}
	}
	for _, c := range m.crews {
		found["plain"] += c.plain
		found["odd"] += len(c.odd)
		for _, serves := range c.serve {
			if serves {
				found["everywhere"]++
			}
		}
	}
}

// TestMomentsTakeOver: what a moment takes over from those before it is as if it had summed it up itself, whatever was
// changed and told in between.
func TestMomentsTakeOver(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for seed := range uint64(4) {
		s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Check: weir.Check})
		if err != nil {
			t.Fatal(err)
		}
		w := &toldWalk{t: t, rng: rand.New(rand.NewPCG(seed, 3)), fleet: testFleet(t, s), set: weirtest.RandomObjects(seed, weirtest.Options{Registered: true, Zoned: true}), tellers: map[string]*teller{}}
		for range 60 {
			if w.rng.IntN(3) == 0 {
				w.write()
			}
			w.report()
			w.check(found)
		}
		_ = s.Close()
	}
	for _, what := range strings.Fields("outages seen plain odd silent everywhere") {
		if found[what] == 0 {
			t.Errorf("the walks came by no %s: %v", what, found)
		}
	}
}
