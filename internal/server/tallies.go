package server

import (
	"maps"
	"slices"
	"sync"

	"weir/internal/ir"
	"weir/internal/link"
)

// tallies keep what load balancers see of pools from one moment to the next: what none of them has told anew is not summed
// up again.
type tallies struct {
	mu     sync.Mutex
	groups map[string]*keptTallies
}

// keptTallies are those of what the load balancers of a group have told. They are right for whoever has the same reports.
type keptTallies struct {
	tellers []crewman

	mu    sync.Mutex
	pools map[string]keptTally
}

// keptTally is that of a pool while it had certain servers.
type keptTally struct {
	*poolTally
	of []ir.Server
}

// of gives the tallies of what load balancers have told, with those that were made before and are still right.
func (k *tallies) of(group string, tellers []crewman) *keptTallies {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.groups[group]
	if old == nil || !slices.EqualFunc(old.tellers, tellers, func(a, b crewman) bool { return a.name == b.name }) {
		old = &keptTallies{}
	}
	changed := map[string]bool{}
	for i, was := range old.tellers {
		newlyTold(was.Servers, tellers[i].Servers, changed)
	}
	if len(changed) == 0 && old.pools != nil {
		return old
	}
	next := &keptTallies{tellers: tellers, pools: map[string]keptTally{}}
	old.mu.Lock()
	maps.Copy(next.pools, old.pools)
	old.mu.Unlock()
	for pool := range changed {
		delete(next.pools, pool)
	}
	if k.groups == nil {
		k.groups = map[string]*keptTallies{}
	}
	k.groups[group] = next
	return next
}

// drop forgets a group.
func (k *tallies) drop(group string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.groups, group)
}

// newlyTold notes the pools of which a report says something else than the one before; the others are the same in memory.
func newlyTold(was, is map[string]map[string]link.ServerHealth, changed map[string]bool) {
	if sameMap(was, is) {
		return
	}
	for pool, servers := range is {
		if before, known := was[pool]; !known || !sameMap(before, servers) {
			changed[pool] = true
		}
	}
	for pool := range was {
		if _, still := is[pool]; !still {
			changed[pool] = true
		}
	}
}

// pool sums up what is seen of a pool that has servers, by name, and of others that are on their way out.
func (k *keptTallies) pool(name string, servers []ir.Server) *poolTally {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t, ok := k.pools[name]; ok && slices.EqualFunc(t.of, servers, func(a, b ir.Server) bool { return a.Name == b.Name }) {
		return t.poolTally
	}
	t := tallyPool(name, servers, k.tellers)
	k.pools[name] = keptTally{t, servers}
	return t
}
