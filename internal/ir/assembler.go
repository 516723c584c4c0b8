package ir

import (
	"fmt"
	"slices"
	"strings"
)

// Assembler is Assemble for one list after the other: what has not changed is neither read again nor put in order
// again, and keeps its place in memory. Nodes share memory with it and with each other: nobody may change them, nor
// the lists given. The zero value is ready, for one goroutine at a time.
type Assembler struct {
	list []*Resource
	node Node
	// named says that every resource of list is called in its body as in its ID, as Node.Resources has it.
	named bool
}

// Assemble puts a node together; see the function Assemble.
func (a *Assembler) Assemble(list []*Resource) (Node, error) {
	put, gone, ok := Changes(a.list, list)
	if !ok || !a.named || len(put)+len(gone) > len(list)/4+16 {
		return a.anew(list)
	}
	if len(put)+len(gone) == 0 {
		return a.node, nil
	}
	c := change{list: list, node: a.node, put: make(map[string]*Resource, len(put)), kinds: map[string]bool{}, pools: map[string]bool{}}
	for _, r := range put {
		c.put[r.ID] = r
		c.note(r.ID)
	}
	for _, id := range gone {
		c.note(id)
	}
	if err := c.apply(); err != nil {
		return Node{}, err
	}
	if c.strange {
		return a.anew(list)
	}
	a.list, a.node = list, c.node
	return a.node, nil
}

// anew reads everything.
func (a *Assembler) anew(list []*Resource) (Node, error) {
	n, err := Assemble(list)
	if err != nil {
		return Node{}, err
	}
	a.list, a.node = list, n
	_, _, sorted := Changes(nil, list)
	a.named = sorted && n.named(list)
	return n, nil
}

// named says whether the parts of a node stand in the order of the sorted list that it was put together from, each
// under the name in its ID.
func (n *Node) named(list []*Resource) bool {
	return same(list, "address/", n.Addresses, func(v *Address) string { return v.Name }) &&
		same(list, "site/", n.Sites, func(v *Site) string { return v.Name }) &&
		same(list, "list/", n.Lists, func(v *AccessList) string { return v.Name }) &&
		same(list, "map/", n.Maps, func(v *Map) string { return v.Name }) &&
		same(list, "page/", n.Pages, func(v *Page) string { return v.Name }) &&
		same(list, "limit/", n.Limits, func(v *RateLimit) string { return v.Name }) &&
		same(list, "logic/", n.Logics, func(v *Logic) string { return v.Name }) &&
		same(list, "shift/", n.Shifts, func(v *Shift) string { return v.Name }) &&
		same(list, "split/", n.Splits, func(v *Split) string { return v.Name }) &&
		same(list, "schedule/", n.Schedules, func(v *Schedule) string { return v.Name }) &&
		same(list, "client/", n.Clients, func(v *EgressClient) string { return v.Name }) &&
		same(list, "sla/", n.SLAs, func(v *SLA) string { return v.Name }) &&
		same(list, "rule/", n.Rules, func(v *EgressRule) string { return v.Name }) &&
		same(list, "certificate/", n.Certificates, func(v *Certificate) string { return v.Name }) &&
		same(list, "challenge/", n.Challenges, func(v *Challenge) string { return v.Token }) &&
		same(list, "pool/", n.Pools, func(v *Pool) string { return v.Name }) &&
		!slices.ContainsFunc(n.Pools, func(p Pool) bool {
			return !same(list, "server/"+p.Name+"/", p.Servers, func(v *Server) string { return v.Name })
		})
}

func same[T any](list []*Resource, prefix string, values []T, name func(*T) string) bool {
	part := under(list, prefix)
	if len(part) != len(values) {
		return false
	}
	for i := range values {
		if part[i].ID[len(prefix):] != name(&values[i]) {
			return false
		}
	}
	return true
}

// under gives the resources of a sorted list whose IDs begin with a prefix that ends with a slash.
func under(list []*Resource, prefix string) []*Resource {
	at := func(id string) int {
		i, _ := slices.BinarySearchFunc(list, id, func(r *Resource, id string) int { return strings.Compare(r.ID, id) })
		return i
	}
	return list[at(prefix):at(prefix[:len(prefix)-1]+string(rune('/'+1)))]
}

// change brings a node to a list that differs little from the one before.
type change struct {
	list []*Resource
	node Node
	// put are the resources that differ, by ID; kinds and pools are those to be looked through again.
	put     map[string]*Resource
	kinds   map[string]bool
	pools   map[string]bool
	strange bool // somebody's name is not the one in the ID
}

func (c *change) note(id string) {
	kind, rest, _ := strings.Cut(id, "/")
	if kind == "server" {
		pool, _, _ := strings.Cut(rest, "/")
		c.pools[pool] = true
		return
	}
	c.kinds[kind] = true
}

func (c *change) apply() error {
	n := &c.node
	for kind := range c.kinds {
		var err error
		switch kind {
		case "self":
			err = one(c, kind, &n.Self)
		case "group":
			err = one(c, kind, &n.Group)
		case "tuning":
			err = one(c, kind, &n.Tuning)
		case "address":
			n.Addresses, err = rebuilt(c, "address/", n.Addresses, func(v *Address) string { return v.Name })
		case "site":
			n.Sites, err = rebuilt(c, "site/", n.Sites, func(v *Site) string { return v.Name })
		case "list":
			n.Lists, err = rebuilt(c, "list/", n.Lists, func(v *AccessList) string { return v.Name })
		case "map":
			n.Maps, err = rebuilt(c, "map/", n.Maps, func(v *Map) string { return v.Name })
		case "shift":
			n.Shifts, err = rebuilt(c, "shift/", n.Shifts, func(v *Shift) string { return v.Name })
		case "split":
			n.Splits, err = rebuilt(c, "split/", n.Splits, func(v *Split) string { return v.Name })
		case "schedule":
			n.Schedules, err = rebuilt(c, "schedule/", n.Schedules, func(v *Schedule) string { return v.Name })
		case "client":
			n.Clients, err = rebuilt(c, "client/", n.Clients, func(v *EgressClient) string { return v.Name })
		case "sla":
			n.SLAs, err = rebuilt(c, "sla/", n.SLAs, func(v *SLA) string { return v.Name })
		case "rule":
			n.Rules, err = rebuilt(c, "rule/", n.Rules, func(v *EgressRule) string { return v.Name })
		case "page":
			n.Pages, err = rebuilt(c, "page/", n.Pages, func(v *Page) string { return v.Name })
		case "limit":
			n.Limits, err = rebuilt(c, "limit/", n.Limits, func(v *RateLimit) string { return v.Name })
		case "logic":
			n.Logics, err = rebuilt(c, "logic/", n.Logics, func(v *Logic) string { return v.Name })
		case "certificate":
			n.Certificates, err = rebuilt(c, "certificate/", n.Certificates, func(v *Certificate) string { return v.Name })
		case "challenge":
			n.Challenges, err = rebuilt(c, "challenge/", n.Challenges, func(v *Challenge) string { return v.Token })
		case "pool":
			err = c.heads()
		default:
			c.strange = true // the whole list tells what is wrong
		}
		if err != nil {
			return err
		}
	}
	return c.members()
}

// one reads the only resource of its kind; without it the node has the zero value.
func one[T any](c *change, id string, v *T) error {
	var next T
	if r, ok := c.put[id]; ok {
		if err := decode(r, &next); err != nil {
			return fmt.Errorf("resource %s: %w", id, err)
		}
	}
	*v = next
	return nil
}

// rebuilt gives the values of the resources under a prefix; old ones, by name, are taken over where nothing was put.
func rebuilt[T any](c *change, prefix string, old []T, name func(*T) string) ([]T, error) {
	part := under(c.list, prefix)
	if len(part) == 0 {
		return nil, nil
	}
	out := make([]T, 0, len(part))
	for i := range part {
		id := part[i].ID
		if r, ok := c.put[id]; ok {
			var v T
			if err := decode(r, &v); err != nil {
				return nil, fmt.Errorf("resource %s: %w", id, err)
			}
			c.strange = c.strange || name(&v) != id[len(prefix):]
			out = append(out, v)
			continue
		}
		for len(old) > 0 && name(&old[0]) < id[len(prefix):] {
			old = old[1:]
		}
		if len(old) == 0 || name(&old[0]) != id[len(prefix):] {
			c.strange = true
			return nil, nil
		}
		out = append(out, old[0])
	}
	return out, nil
}

// heads rebuilds the list of pools; who stays has its servers still, and who is put finds them.
func (c *change) heads() error {
	pools, err := rebuilt(c, "pool/", c.node.Pools, func(v *Pool) string { return v.Name })
	if err != nil {
		return err
	}
	old := c.node.Pools
	for i := range pools {
		p := &pools[i]
		if _, ok := c.put["pool/"+p.Name]; !ok {
			continue
		}
		p.Servers = nil
		if j, ok := find(old, p.Name); ok {
			p.Servers = old[j].Servers
		} else {
			c.pools[p.Name] = true
			// Servers may have been there before their pool; none of them is in the old node.
			for _, r := range under(c.list, "server/"+p.Name+"/") {
				c.put[r.ID] = r
			}
		}
	}
	c.node.Pools = pools
	return nil
}

func find(pools []Pool, name string) (int, bool) {
	return slices.BinarySearchFunc(pools, name, func(p Pool, name string) int { return strings.Compare(p.Name, name) })
}

// members rebuilds the servers of the pools that were noted.
func (c *change) members() error {
	if len(c.pools) == 0 || c.strange {
		return nil
	}
	if !c.kinds["pool"] {
		c.node.Pools = slices.Clone(c.node.Pools)
	}
	for name := range c.pools {
		i, ok := find(c.node.Pools, name)
		if !ok {
			// Nobody reads them, but what can't be read is an error all the same.
			for _, r := range under(c.list, "server/"+name+"/") {
				if r, ok := c.put[r.ID]; ok {
					if err := decode(r, new(Server)); err != nil {
						return fmt.Errorf("resource %s: %w", r.ID, err)
					}
				}
			}
			continue
		}
		p := &c.node.Pools[i]
		var err error
		if p.Servers, err = rebuilt(c, "server/"+name+"/", p.Servers, func(v *Server) string { return v.Name }); err != nil {
			return err
		}
	}
	return nil
}
