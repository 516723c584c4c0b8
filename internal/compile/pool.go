package compile

import (
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// members works out the servers of a pool: its static members, and the Servers that it selects.
func (c *Compiler) members(p *pool) {
	p.stale = false
	p.servers, p.out, p.problems = nil, nil, nil
	list := c.selected(p)
	if n := len(list) + len(p.spec.Members); n > 0 {
		// A new list each time: nodes that were given out keep the old one.
		p.servers = make([]ir.Server, 0, n)
	}
	for _, m := range p.spec.Members {
		p.servers = append(p.servers, ir.Server{
			Name: m.Name, Address: at(m), Socket: m.Socket, Weight: weight(m.Weight), Owner: p.object.Ref().String(),
			Overrides: c.overridesOf(p, m.Name, nil),
		})
	}
	var standings []weir.Standing
	p.admission, standings = admit(p.spec, list)
	for i := range list {
		if server, ok := list[i].placed(standings[i]); ok {
			p.servers = append(p.servers, server)
		} else {
			p.out = append(p.out, server.Name)
		}
	}
	slices.SortFunc(p.servers, func(a, b ir.Server) int { return strings.Compare(a.Name, b.Name) })
}

// selected gives the Servers that take part in a pool unless their registrations keep them out, by name. The list is
// good until it is called again.
func (c *Compiler) selected(p *pool) []selected {
	objects := c.index.selected(p.object)
	list := c.selection[:0]
	for _, o := range objects {
		at, misfit := seat(p.spec, o)
		switch misfit {
		case MisfitPort:
			p.problems.add(o.Ref(), "spec.ports", "has no port %q, which %s selects it with; it takes no part in that pool: add the port, or take the server out of the selection", p.spec.Port, p.object.Ref())
		case MisfitMember:
			p.problems.add(o.Ref(), "metadata.name", "%s has a static member of the same name; the server takes no part in that pool: rename or delete the member", p.object.Ref())
		default:
			list = append(list, selected{o, o.Spec.(*weir.Server), at, c.overridesOf(p, o.Metadata.Name, o)})
		}
	}
	c.selection = list
	return list
}

// Misfit is why a Server that a pool selects takes no part in it, empty when it does.
type Misfit string

// The reasons why a Server that is selected takes no part.
const (
	MisfitPort   Misfit = "port"   // it has no port of the name that the pool asks for
	MisfitMember Misfit = "member" // the pool has a static member of its name
)

// seat gives where a pool reaches a Server that it selects.
func seat(pool *weir.Pool, o *weir.Object) (netip.AddrPort, Misfit) {
	s := o.Spec.(*weir.Server)
	port, ok := pool.Port.Number()
	if !ok {
		port, ok = s.Ports[string(pool.Port)]
	}
	switch {
	case !ok:
		return netip.AddrPort{}, MisfitPort
	case pool.HasMember(o.Metadata.Name):
		return netip.AddrPort{}, MisfitMember
	}
	return netip.AddrPortFrom(s.Address, uint16(port)), ""
}

// overridesOf gives the overrides that move a server of a pool. An Override of a role moves the role's own servers in
// every pool, and every member of the role's own pools.
func (c *Compiler) overridesOf(p *pool, name string, server *weir.Object) (list []ir.Override) {
	for _, o := range c.overrides[name] {
		v, role := o.Spec.(*weir.Override), o.Metadata.Role
		mine := role == "" || role == p.object.Metadata.Role || server != nil && role == server.Metadata.Role
		if !mine || v.Pool != "" && v.Pool != p.object.Metadata.Name {
			continue
		}
		list = append(list, ir.Override{Name: o.Metadata.Name, State: v.State, Weight: v.Weight, ExpiresAt: v.ExpiresAt})
	}
	return list
}

func weight(w *int) int {
	if w == nil {
		return 100
	}
	return *w
}

// head gives a pool without its servers.
func head(o *weir.Object) ir.Pool {
	spec := o.Spec.(*weir.Pool)
	p := ir.Pool{
		Name: o.Metadata.Name, Mode: spec.Mode, Balance: spec.Balance, BalanceHeader: spec.BalanceHeader,
		ServerTimeout: spec.ServerTimeout, TLS: spec.TLS, SendProxy: spec.SendProxy, Compression: spec.Compression, SlowStart: spec.SlowStart,
		// Without a check there is none to wait for.
		Unchecked: (spec.Admission == weir.AdmissionRegistration || spec.Admission == weir.AdmissionNone) && spec.HealthCheck != nil && spec.HealthCheck.Type != "none",
	}
	if spec.Protocol != "h1" {
		p.Protocol = spec.Protocol
	}
	if spec.HealthCheck != nil {
		p.Check = *spec.HealthCheck
	}
	if spec.Persistence != nil {
		p.Cookie = spec.Persistence.Cookie
	}
	if spec.MaxConnections != nil {
		p.MaxConnections = spec.MaxConnections.PerServer
	}
	if spec.Queue != nil {
		p.NoQueue, p.QueueTimeout = spec.Queue.None, spec.Queue.Timeout
	}
	return p
}

// at gives where a static member is, nothing valid for one at a socket.
func at(m weir.Member) netip.AddrPort {
	if m.Socket != "" {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(m.Address, uint16(m.Port))
}
