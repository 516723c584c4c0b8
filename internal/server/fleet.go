package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/store"
)

// fleet compiles what people want for every group, hands it to the hub, and knows what the agents make of it.
type fleet struct {
	store   *store.Store
	hub     *link.Hub
	log     *slog.Logger
	clock   func() time.Time
	version string
	// restored tells of the restore that the store comes from.
	restored func() *api.Restored
	tickets  *ticketBook

	mu       sync.RWMutex
	revision int64
	groups   map[string]*groupState
	places   *places
	chooser  *compile.Chooser      // of the pools of the set that is compiled
	counted  registered            // its Servers
	past     past                  // the changes up to revision that some group does not have everywhere
	wanting  map[string]weir.Waves // the groups that want waves; replaced, never changed
	recorded []string              // the groups of which is written how far waves have come
	// concerned are the newest changes, oldest first; replaced, never changed.
	concerned []concern
	compiled  chan struct{} // closed when revision has grown, or others are shown something

	// Of the goroutine that compiles: what it worked out before, and from what.
	compiler *compile.Compiler
	view     *weir.Set
	waves    wavesOf
	// records are what was written about waves, for that goroutine.
	records chan waveRecord
	// challenges are those that are to be answered, of which that goroutine is told.
	challenges challenges
	orders     *orders
	found      foundServers
	fetched    fetchedLists
	names      knownNames
	tallies    tallies
	refusals   refusals
	// partnerCalls are what fails of calls to partners.
	partnerCalls partnerCalls

	// work is what load balancers did for changes.
	work *workLog
}

// groupState is what was made of one group last. It is replaced, never changed.
type groupState struct {
	node      ir.Node
	resources []*ir.Resource
	problems  []weir.Problem
	selves    []ir.Self
	// admissions are those of the node's pools, in their order; nil where there is nothing to tell.
	admissions []*compile.Admission
	// claims gives what says whether a site of the node has a name, worked out when it is first asked for.
	claims func() func(name string) bool
	// waved is nil where no change goes in waves: then all have this state.
	waved *wavedState
}

func newFleet(s *store.Store, hub *link.Hub, o Options) *fleet {
	return &fleet{
		store: s, hub: hub, log: o.Log, clock: o.Clock, version: o.Version,
		groups: map[string]*groupState{}, places: newPlaces(), compiled: make(chan struct{}), compiler: compile.New(),
		waves: wavesOf{lenses: map[string]*lenses{}}, records: make(chan waveRecord),
		challenges: newChallenges(), orders: newOrders(o.Clock()), work: newWorkLog(),
	}
}

// load compiles everything once, before agents are let in.
func (f *fleet) load(ctx context.Context) error {
	view := f.store.View()
	if err := f.readWaves(ctx, view); err != nil {
		return err
	}
	var names []string
	for o := range view.All("LoadBalancerGroup") {
		names = append(names, o.Metadata.Name)
	}
	f.compile(view, names, nil)
	return nil
}

// run follows the store until ctx ends. However fast changes come, the newest state is compiled and what lies
// between is passed over.
func (f *fleet) run(ctx context.Context) error {
	changes := make(chan store.Event)
	ended := make(chan error, 1)
	go func() {
		for ev, err := range f.store.Watch(ctx, f.done()) {
			if err != nil {
				ended <- err
				return
			}
			select {
			case changes <- ev:
			case <-ctx.Done():
			}
		}
		ended <- nil
	}()
	for {
		var first store.Event
		select {
		case first = <-changes:
		case record := <-f.records:
			f.take(record)
			continue
		case <-f.challenges.changed:
			f.challenge()
			continue
		case err := <-ended:
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the store: %w", err)
		case <-ctx.Done():
			return nil
		}
		if first.Revision <= f.done() {
			continue
		}
		after := f.store.View()
		// The view may be ahead of the events, and whatever is in it must be compiled now: nobody comes back for it.
		refs, events := refsOf(nil, first), []store.Event{first}
		for last := first.Revision; last < after.Revision; {
			ev, err := next(ctx, changes, ended)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			refs, events, last = refsOf(refs, ev), append(events, ev), ev.Revision
		}
		begin := time.Now()
		names := f.compiler.Groups(f.view, after, refs)
		f.note(events, after)
		f.remember(events, after, names)
		f.compiler.Follow(after, refs)
		f.compile(after, names, refs)
		f.log.Info("compile", "revision", after.Revision, "objects", len(refs), "groups", names, "took", time.Since(begin).Round(10*time.Microsecond))
	}
}

// next waits for another change, or for the end of the watch.
func next(ctx context.Context, changes <-chan store.Event, ended <-chan error) (store.Event, error) {
	select {
	case ev := <-changes:
		return ev, nil
	case err := <-ended:
		return store.Event{}, fmt.Errorf("follow the store: %w", errors.Join(err))
	case <-ctx.Done():
		return store.Event{}, ctx.Err()
	}
}

func refsOf(refs []weir.Ref, ev store.Event) []weir.Ref {
	for _, c := range ev.Change.Objects {
		refs = append(refs, c.Ref)
	}
	return refs
}

// compile brings groups to a set of objects, of which those named have changed, and tells the hub.
func (f *fleet) compile(view *weir.Set, names []string, refs []weir.Ref) {
	for _, name := range names {
		if view.Get(weir.Ref{Kind: "LoadBalancerGroup", Name: name}) == nil {
			f.hub.DropGroup(name)
			f.tallies.drop(name)
			delete(f.waves.lenses, name)
			f.mu.Lock()
			if old := f.groups[name]; old != nil {
				f.places.follow(name, old.resources, nil)
			}
			delete(f.groups, name)
			f.mu.Unlock()
			continue
		}
		f.mu.RLock()
		old := f.groups[name]
		f.mu.RUnlock()
		f.show(name, *f.group(view, name, old), view, refs)
	}
	for name := range f.waves.lenses {
		f.mu.RLock()
		g := f.groups[name]
		f.mu.RUnlock()
		if g != nil && !slices.Contains(names, name) && f.stirs(name, view, refs) {
			f.show(name, *g, view, refs)
		}
	}
	f.hub.Advance(view.Revision)
	counted := f.counted.after(f.view, view, refs)
	f.view = view
	f.mu.Lock()
	f.chooser, f.counted = f.compiler.Chooser(view), counted
	f.mu.Unlock()
	f.published(view.Revision)
}

// published lets everybody who waits look again.
func (f *fleet) published(revision int64) {
	f.mu.Lock()
	f.revision, f.past, f.recorded, f.wanting = revision, f.waves.past, f.waves.names, f.waves.wanting
	close(f.compiled)
	f.compiled = make(chan struct{})
	f.mu.Unlock()
}

func (f *fleet) group(view *weir.Set, name string, old *groupState) *groupState {
	node, problems := f.compiler.Group(view, name)
	node.Challenges = f.challenges.of(&node)
	next := &groupState{node: node, problems: problems, admissions: f.compiler.Admissions(&node), claims: sync.OnceValue(node.Claims)}
	for lb := range view.ReferrersOf("LoadBalancer", weir.Ref{Kind: "LoadBalancerGroup", Name: name}) {
		if self, ok := compile.Self(view, lb.Name); ok {
			next.selves = append(next.selves, self)
		}
	}
	if old == nil {
		next.resources = slices.DeleteFunc(node.Resources(), func(r *ir.Resource) bool { return r.ID == "self" })
		ir.Lighten(next.resources, node.Certificates)
		return next
	}
	put, gone := difference(old.node, node)
	next.resources = patch(old.resources, put, gone)
	return next
}

// difference is what a group's resources differ in from those of an older node of it.
func difference(old, node ir.Node) (put []*ir.Resource, gone []string) {
	put, gone = compile.Delta(old, node)
	ir.Lighten(put, node.Certificates)
	return put, gone
}

// patch puts resources into a sorted list and takes others out; what stays keeps its place in memory, and what is
// replaced leaves its ID to its successor, which is put for the first time here.
func patch(list, put []*ir.Resource, gone []string) []*ir.Resource {
	out := make([]*ir.Resource, 0, len(list)+len(put))
	// to copies what comes before an ID, leaves the one that has it out, and gives the ID as that has it.
	to := func(id string) string {
		at, found := slices.BinarySearchFunc(list, id, func(r *ir.Resource, id string) int { return strings.Compare(r.ID, id) })
		out = append(out, list[:at]...)
		if list = list[at:]; found {
			id, list = list[0].ID, list[1:]
		}
		return id
	}
	for len(put)+len(gone) > 0 {
		if len(put) == 0 || len(gone) > 0 && gone[0] < put[0].ID {
			to(gone[0])
			gone = gone[1:]
			continue
		}
		put[0].ID = to(put[0].ID)
		out, put = append(out, put[0]), put[1:]
	}
	return append(out, list...)
}

// holds says whether some of a group's resources come from an object. A member of a pool counts for the pool and for
// the Server of its name. f.mu is held.
func (f *fleet) holds(g *groupState, r weir.Ref) bool {
	switch r.Kind {
	case "LoadBalancerGroup":
		return r.Name == g.node.Group.Name
	case "Tuning":
		return r.Name == g.node.Tuning.Name
	case "Server":
		return f.places.has(r.Name, g.node.Group.Name)
	case "Partner": // of which each service is a pool
		prefix := "pool/" + r.Name + "."
		i, _ := slices.BinarySearchFunc(g.resources, prefix, func(r *ir.Resource, id string) int { return strings.Compare(r.ID, id) })
		return i < len(g.resources) && strings.HasPrefix(g.resources[i].ID, prefix)
	}
	id, ok := ir.ID(r)
	if ok {
		_, ok = slices.BinarySearchFunc(g.resources, id, func(r *ir.Resource, id string) int { return strings.Compare(r.ID, id) })
	}
	return ok
}

// done is the revision that is compiled.
func (f *fleet) done() int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.revision
}

func (f *fleet) ready() error {
	if f.done() == 0 {
		return errors.New("nothing is compiled yet")
	}
	return nil
}
