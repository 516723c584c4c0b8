package server

import (
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// crew are the load balancers of a group at one moment.
type crew struct {
	// tellers are all of them, by name.
	tellers []crewman
	// plain counts the active ones of which nothing is to be told: they have all that is wanted, as the group has it, and
	// no other hand was on them. odd are the others, in the order of the group.
	plain int
	odd   []ir.Self
	// telling counts those that have told of servers; kept are the tallies of what they tell.
	telling int
	kept    *keptTallies
	// serve says which pools of the node are known to serve on all that tell of servers, once that was asked.
	serve []bool
}

type crewman struct {
	name string
	*teller
}

// crew gives that of a group.
func (m *moment) crew(g *groupState) *crew {
	if c := m.crews[g]; c != nil {
		return c
	}
	c := &crew{tellers: make([]crewman, 0, len(g.selves))}
	lately := slices.ContainsFunc(g.selves, func(s ir.Self) bool { return m.lately(m.of(s.Name)) })
	for _, self := range g.selves {
		t := m.of(self.Name)
		seen := t
		if lately && !m.lately(t) {
			// What it saw before it fell silent is no news of the servers, while others tell.
			seen = &teller{Reported: t.Reported}
			seen.Servers = nil
		}
		c.tellers = append(c.tellers, crewman{self.Name, seen})
		if len(seen.Servers) > 0 {
			c.telling++
		}
		if self.State == weir.Active && t.heard && t.has && len(t.deviations) == 0 && t.Drift == nil && g.of(self) == g {
			c.plain++
		} else {
			c.odd = append(c.odd, self)
		}
	}
	slices.SortFunc(c.tellers, func(a, b crewman) int { return strings.Compare(a.name, b.name) })
	c.kept = m.tallies.of(g.node.Group.Name, c.tellers)
	m.crews[g] = c
	return c
}

// poolTally is what all load balancers see of a pool's servers.
type poolTally struct {
	// servers are those that some load balancer sees, by name.
	servers []serverTally
	// alive are those that some load balancer would send traffic, out those that somebody took out.
	alive, out int
}

// everywhere says that each load balancer which tells of servers would send traffic to some server of the pool.
func (t *poolTally) everywhere(servers []ir.Server, telling int) bool {
	at := 0
	for i := range servers {
		for at < len(t.servers) && t.servers[at].name < servers[i].Name {
			at++
		}
		if at < len(t.servers) && t.servers[at].name == servers[i].Name && t.servers[at].up == telling {
			return true
		}
	}
	return false
}

// pool sums up what is seen of a pool; m.mu is held. Only those are believed who have the pool, as serverHealth does.
func (m *moment) pool(name string) *poolTally {
	if t := m.pools[name]; t != nil {
		return t
	}
	var servers []ir.Server
	var all []*crew
	for _, g := range m.groups {
		if i := poolAt(&g.node, name); i >= 0 {
			servers, all = g.node.Pools[i].Servers, append(all, m.crew(g))
		}
	}
	var t *poolTally
	switch len(all) {
	case 0:
		t = &poolTally{}
	case 1:
		t = all[0].kept.pool(name, servers)
	default:
		var tellers []crewman
		for _, c := range all {
			tellers = append(tellers, c.tellers...)
		}
		slices.SortFunc(tellers, func(a, b crewman) int { return strings.Compare(a.name, b.name) })
		t = tallyPool(name, servers, tellers)
	}
	m.pools[name] = t
	return t
}

// tallyPool sums up what load balancers tell of a pool which has servers, by name; they may see others that are on their
// way out.
func tallyPool(pool string, servers []ir.Server, all []crewman) *poolTally {
	list := make([]serverTally, len(servers))
	for i := range servers {
		list[i].name = servers[i].Name
	}
	var others map[string]*serverTally
	for _, lb := range all {
		told, known := lb.Servers[pool], 0
		for i := 0; i < len(list) && known < len(told); i++ {
			if h, ok := told[list[i].name]; ok {
				list[i].add(lb.name, &h)
				known++
			}
		}
		if known == len(told) {
			continue
		}
		for name, h := range told {
			if _, in := slices.BinarySearchFunc(servers, name, func(s ir.Server, name string) int { return strings.Compare(s.Name, name) }); in {
				continue
			}
			if others == nil {
				others = map[string]*serverTally{}
			}
			if others[name] == nil {
				others[name] = &serverTally{name: name}
			}
			others[name].add(lb.name, &h)
		}
	}
	for _, s := range others {
		list = append(list, *s)
	}
	list = slices.DeleteFunc(list, func(s serverTally) bool { return s.of == 0 })
	if len(others) > 0 {
		slices.SortFunc(list, func(a, b serverTally) int { return strings.Compare(a.name, b.name) })
	}
	t := &poolTally{servers: list}
	for i := range list {
		switch {
		case list[i].up > 0:
			t.alive++
		case list[i].out > 0:
			t.out++
		}
	}
	return t
}
