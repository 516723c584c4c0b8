package compile

import (
	"net/netip"
	"slices"
	"strings"

	"weir"
)

// Candidate is a server held against a pool.
type Candidate struct {
	Name string
	// Object is the Server, nil for a static member.
	Object *weir.Object
	// At is where the pool reaches it; not valid for one that can't be in.
	At netip.AddrPort
	// Mismatch is why it is not selected, Misfit why it takes no part though it is; with both empty, Standing is what its
	// registration makes of it.
	Mismatch weir.Mismatch
	Misfit   Misfit
	Standing weir.Standing
	// Overrides are the names of those that move it.
	Overrides []string
}

// In says that load balancers that have the pool are told of the server as one for traffic.
func (c *Candidate) In() bool { return c.Mismatch == "" && c.Misfit == "" && !c.Standing.Out() }

// Preview holds every Server of the role that a pool selects, and its static members, against the pool, by name. The pool
// need not be in the set; what it gives is what Group would make of it if it were.
func Preview(set *weir.Set, o *weir.Object) []Candidate {
	p, c := &pool{object: o, spec: o.Spec.(*weir.Pool)}, New()
	c.syncOverrides(set)
	list := make([]Candidate, 0, len(p.spec.Members))
	for _, m := range p.spec.Members {
		list = append(list, Candidate{Name: m.Name, At: at(m), Standing: weir.StandingIn, Overrides: c.movedBy(p, m.Name, nil)})
	}
	if s := p.spec.Selector; s != nil {
		for server := range set.All("Server") {
			if server.Metadata.Role == s.Role {
				list = append(list, c.candidate(p, server))
			}
		}
	}
	c.judge(p, list)
	slices.SortStableFunc(list, func(a, b Candidate) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// candidate holds a server against a pool by all but its registration, and makes it known to the index if it is selected.
func (c *Compiler) candidate(p *pool, server *weir.Object) Candidate {
	one := Candidate{Name: server.Metadata.Name, Object: server, Mismatch: p.spec.Mismatch(p.object.Metadata.Role, server)}
	if one.Mismatch == "" {
		c.index.add(server)
		one.At, one.Misfit = seat(p.spec, server)
		one.Overrides = c.movedBy(p, one.Name, server)
	}
	return one
}

func (c *Compiler) movedBy(p *pool, name string, server *weir.Object) (names []string) {
	for _, o := range c.overridesOf(p, name, server) {
		names = append(names, o.Name)
	}
	return names
}

// judge fills in what registrations make of those that are selected, of whom the index has all.
func (c *Compiler) judge(p *pool, list []Candidate) {
	selected := c.selected(p)
	_, standings := admit(p.spec, selected)
	of := make(map[string]weir.Standing, len(selected))
	for i := range selected {
		of[selected[i].object.Metadata.Name] = standings[i]
	}
	for i := range list {
		if one := &list[i]; one.Object != nil && one.Mismatch == "" && one.Misfit == "" {
			one.Standing = of[one.Name]
		}
	}
}

// Finder finds the pools of servers without looking at all pools each time. It is for one goroutine at a time.
type Finder struct{ choosers choosers }

// PoolsOf gives the pools that select a Server, each with what the Server is in it, by name.
func (f *Finder) PoolsOf(set *weir.Set, server *weir.Object) (pools []*weir.Object, seats []Candidate) {
	f.choosers.of(set).Selects(server, func(o *weir.Object) { pools = append(pools, o) })
	slices.SortFunc(pools, byName)
	pools = slices.Compact(pools)
	var c *Compiler
	for _, o := range pools {
		if c == nil {
			c = New()
			c.syncOverrides(set)
		}
		seats = append(seats, c.seatOf(set, &pool{object: o, spec: o.Spec.(*weir.Pool)}, server))
	}
	return pools, seats
}

// seatOf holds one server against a pool that selects it. Only of a silent one the others are asked for: the floor is theirs.
func (c *Compiler) seatOf(set *weir.Set, p *pool, server *weir.Object) Candidate {
	spec := server.Spec.(*weir.Server)
	if p.spec.AsksForRegistration() && spec.Registered() == weir.RegistrationStale {
		list := Preview(set, p.object)
		i := slices.IndexFunc(list, func(one Candidate) bool { return one.Object == server })
		return list[i]
	}
	one := Candidate{Name: server.Metadata.Name, Object: server, Overrides: c.movedBy(p, server.Metadata.Name, server)}
	if one.At, one.Misfit = seat(p.spec, server); one.Misfit == "" {
		one.Standing = p.spec.Standing(spec, false)
	}
	return one
}
