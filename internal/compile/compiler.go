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
	servers   *weir.Set // whose servers are in the index
	index     index
	overrides map[string][]*weir.Object // by the server's name, each by its own
	pools     map[string]*pool
	choosers  choosers
	groups    map[string]*group
	selection []selected // of the pool that was worked out last; its memory is used again
	// certificates are those of the set that was compiled last, by name.
	certificates []*weir.Object
}

// pool is one Pool with its members as they were worked out last.
type pool struct {
	object   *weir.Object
	spec     *weir.Pool
	stale    bool
	servers  []ir.Server
	out      []string // selected ones that are left out, by name
	problems problems
	// admission is what was worked out with servers, nil when there is nothing to tell; it is replaced, never changed.
	admission *Admission
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
		g = skeleton(set, name, g)
		c.groups[name] = g
	}
	if g.missing {
		delete(c.groups, name)
		return ir.Node{}, g.problems
	}
	node := g.node
	told := slices.Clone(g.problems)
	node.Shifts = g.shiftsOf(set)
	node.Pools = slices.Clone(g.node.Pools)
	for i := range node.Pools {
		p := c.pools[node.Pools[i].Name]
		if p == nil {
			continue // a partner's service, which has its servers
		}
		if p.stale {
			c.members(p)
		}
		node.Pools[i].Servers = p.servers
		told = append(told, p.problems...)
	}
	return node, told.sorted()
}

// Admissions gives those of a node's pools, in their order and nil where there is nothing to tell. The node must be the one
// that Group gave last. Nobody may change them.
func (c *Compiler) Admissions(node *ir.Node) []*Admission {
	list := make([]*Admission, len(node.Pools))
	for i := range node.Pools {
		if p := c.pools[node.Pools[i].Name]; p != nil {
			list[i] = p.admission
		}
	}
	return list
}

// sync brings what is kept up to the set: pools whose members may have changed become stale.
func (c *Compiler) sync(set *weir.Set) {
	certificates := c.stamps["Certificate"]
	changed := func(kind string) bool {
		old := c.stamps[kind]
		c.stamps[kind] = set.Stamp(kind)
		return old != set.Stamp(kind)
	}
	if changed("Pool") {
		c.syncPools(set)
	}
	if changed("Server") {
		c.reindex(set)
	}
	c.servers = set
	if changed("Override") {
		c.syncOverrides(set)
	}
	if changed("Certificate") {
		c.syncCertificates(certificates, set)
	}
}

func (c *Compiler) syncPools(set *weir.Set) {
	pools := make(map[string]*pool, set.Len("Pool"))
	for o := range set.All("Pool") {
		p := c.pools[o.Metadata.Name]
		if p == nil || p.object != o {
			p = &pool{object: o, spec: o.Spec.(*weir.Pool), stale: true}
		}
		pools[o.Metadata.Name] = p
	}
	c.pools = pools
}

// Follow tells which objects differ between the set that was followed or compiled last and this one, and Group of
// this one then looks at no other servers. Without it, all are looked at again when one has changed. Neither set
// may be changed afterwards.
func (c *Compiler) Follow(set *weir.Set, changed []weir.Ref) {
	if c.servers == nil || len(changed) > set.Len("Server")/16+16 {
		c.servers = nil // Group looks at all of them, which is cheaper than many changes of sorted lists
		return
	}
	done := map[weir.Ref]bool{}
	for _, ref := range changed {
		if ref.Kind != "Server" || done[ref] {
			continue
		}
		done[ref] = true
		old, now := c.servers.Get(ref), set.Get(ref)
		if old == now {
			continue
		}
		switch {
		case old == nil:
			c.index.add(now)
			c.outdate(now)
		case now == nil:
			c.index.remove(old)
			c.outdate(old)
		default:
			c.index.replace(old, now)
			c.outdate(old)
			c.outdate(now)
		}
	}
	c.servers, c.stamps["Server"] = set, set.Stamp("Server")
}

// outdate lets the pools that select a server be worked out again; those that come or change with it are anyway.
func (c *Compiler) outdate(server *weir.Object) {
	c.choosers.of(c.servers).Selects(server, func(o *weir.Object) {
		if p := c.pools[o.Metadata.Name]; p != nil {
			p.stale = true
		}
	})
}

// reindex starts afresh.
func (c *Compiler) reindex(set *weir.Set) {
	c.index = newIndex()
	for o := range set.All("Server") {
		c.index.add(o)
	}
	for _, p := range c.pools {
		p.stale = p.stale || p.spec.Selector != nil
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
	if _, out := slices.BinarySearch(p.out, server); out {
		return true
	}
	_, found := slices.BinarySearchFunc(p.servers, server, func(s ir.Server, name string) int { return strings.Compare(s.Name, name) })
	return found
}
