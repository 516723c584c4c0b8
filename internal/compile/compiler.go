package compile

import (
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// Compiler compiles groups as the function Group does, and keeps what it worked out for as long as the objects
// that it came from are the same ones, so that compiling again after a small change costs little. Nodes share
// memory with it and with each other: nobody may change them. It is for one goroutine at a time.
type Compiler struct {
	stamps    map[string]*weir.Stamp
	servers   []*weir.Object // by name
	index     index
	overrides map[string][]*weir.Object // by the server's name, each by its own
	pools     map[string]*pool
	selecting map[string][]*pool // by the role selected
	groups    map[string]*group
}

// pool is one Pool with its members as they were worked out last.
type pool struct {
	object   *weir.Object
	spec     *weir.Pool
	stale    bool
	servers  []ir.Server
	problems problems
}

// New makes a Compiler that knows nothing yet.
func New() *Compiler {
	return &Compiler{stamps: map[string]*weir.Stamp{}, index: newIndex(), pools: map[string]*pool{}, groups: map[string]*group{}}
}

// Group gives what the load balancers of a group have in common, and what had to be left out of it; see the
// function Group. Sets may come in any order; one that shares most objects with the one before is cheap.
func (c *Compiler) Group(set *weir.Set, name string) (ir.Node, []weir.Problem) {
	c.sync(set)
	g := c.groups[name]
	if g == nil || !g.fresh(set) {
		g = skeleton(set, name)
		c.groups[name] = g
	}
	if g.missing {
		delete(c.groups, name)
		return ir.Node{}, g.problems
	}
	node := g.node
	told := slices.Clone(g.problems)
	node.Pools = slices.Clone(g.node.Pools)
	for i := range node.Pools {
		p := c.pools[node.Pools[i].Name]
		if p.stale {
			c.members(p)
		}
		node.Pools[i].Servers = p.servers
		told = append(told, p.problems...)
	}
	return node, told.sorted()
}

// sync brings what is kept up to the set: pools whose members may have changed become stale.
func (c *Compiler) sync(set *weir.Set) {
	changed := func(kind string) bool {
		old := c.stamps[kind]
		c.stamps[kind] = set.Stamp(kind)
		return old != set.Stamp(kind)
	}
	if changed("Pool") {
		c.syncPools(set)
	}
	if changed("Server") {
		c.syncServers(set)
	}
	if changed("Override") {
		c.syncOverrides(set)
	}
}

func (c *Compiler) syncPools(set *weir.Set) {
	pools := make(map[string]*pool, set.Len("Pool"))
	c.selecting = map[string][]*pool{}
	for o := range set.All("Pool") {
		p := c.pools[o.Metadata.Name]
		if p == nil || p.object != o {
			p = &pool{object: o, spec: o.Spec.(*weir.Pool), stale: true}
		}
		pools[o.Metadata.Name] = p
		if s := p.spec.Selector; s != nil {
			c.selecting[s.Role] = append(c.selecting[s.Role], p)
		}
	}
	c.pools = pools
}

// syncServers walks the old and the new servers side by side; what is the same object in both costs a
// comparison.
func (c *Compiler) syncServers(set *weir.Set) {
	old := c.servers
	next := make([]*weir.Object, 0, set.Len("Server"))
	var lost, gained []*weir.Object
	i := 0
	for o := range set.All("Server") {
		for i < len(old) && old[i] != o && byName(old[i], o) < 0 {
			lost = append(lost, old[i])
			i++
		}
		switch {
		case i < len(old) && old[i] == o:
			i++
		case i < len(old) && byName(old[i], o) == 0:
			lost, gained = append(lost, old[i]), append(gained, o)
			i++
		default:
			gained = append(gained, o)
		}
		next = append(next, o)
	}
	lost = append(lost, old[i:]...)
	c.servers = next
	if len(lost)+len(gained) > len(next)/16+16 {
		c.reindex()
		return
	}
	for _, o := range lost {
		c.index.remove(o)
		c.moved(o)
	}
	for _, o := range gained {
		c.index.add(o)
		c.moved(o)
	}
}

// reindex starts afresh, which is cheaper than many changes of a sorted list.
func (c *Compiler) reindex() {
	c.index = newIndex()
	for _, o := range c.servers {
		c.index.add(o)
	}
	for _, p := range c.pools {
		p.stale = p.stale || p.spec.Selector != nil
	}
}

func (c *Compiler) moved(server *weir.Object) {
	for _, p := range c.selecting[server.Metadata.Role] {
		p.stale = p.stale || p.spec.Selects(p.object.Metadata.Role, server)
	}
}

func (c *Compiler) syncOverrides(set *weir.Set) {
	next := make(map[string][]*weir.Object, set.Len("Override"))
	for o := range set.All("Override") {
		server := o.Spec.(*weir.Override).Server
		next[server] = append(next[server], o)
	}
	touched := map[string]bool{}
	for server, list := range c.overrides {
		touched[server] = !slices.Equal(list, next[server])
	}
	for server := range next {
		if _, known := c.overrides[server]; !known {
			touched[server] = true
		}
	}
	for server, changed := range touched {
		if !changed {
			continue
		}
		for _, p := range c.pools {
			p.stale = p.stale || p.has(server)
		}
	}
	c.overrides = next
}

func (p *pool) has(server string) bool {
	_, found := slices.BinarySearchFunc(p.servers, server, func(s ir.Server, name string) int { return strings.Compare(s.Name, name) })
	return found
}
