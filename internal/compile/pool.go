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
	p.servers, p.problems = nil, nil
	selected := c.index.selected(p.object)
	if n := len(selected) + len(p.spec.Members); n > 0 {
		// A new list each time: nodes that were given out keep the old one.
		p.servers = make([]ir.Server, 0, n)
	}
	for _, m := range p.spec.Members {
		c.member(p, ir.Server{Name: m.Name, Address: netip.AddrPortFrom(m.Address, uint16(m.Port)), Weight: weight(m.Weight), Owner: p.object.Ref().String()}, nil)
	}
	number, fixed := p.spec.Port.Number()
	for _, o := range selected {
		s := o.Spec.(*weir.Server)
		port, ok := number, fixed
		if !fixed {
			port, ok = s.Ports[string(p.spec.Port)]
		}
		switch {
		case !ok:
			p.problems.add(o.Ref(), "spec.ports", "has no port %q, which %s selects it with; it takes no part in that pool: add the port, or take the server out of the selection", p.spec.Port, p.object.Ref())
		case p.spec.HasMember(o.Metadata.Name):
			p.problems.add(o.Ref(), "metadata.name", "%s has a static member of the same name; the server takes no part in that pool: rename or delete the member", p.object.Ref())
		default:
			c.member(p, ir.Server{Name: o.Metadata.Name, Address: netip.AddrPortFrom(s.Address, uint16(port)), Weight: weight(s.Weight), Owner: o.Ref().String()}, o)
		}
	}
	slices.SortFunc(p.servers, func(a, b ir.Server) int { return strings.Compare(a.Name, b.Name) })
}

// member adds a server with the overrides that move it. An Override of a role moves the role's own servers in
// every pool, and every member of the role's own pools.
func (c *Compiler) member(p *pool, s ir.Server, server *weir.Object) {
	for _, o := range c.overrides[s.Name] {
		v, role := o.Spec.(*weir.Override), o.Metadata.Role
		mine := role == "" || role == p.object.Metadata.Role || server != nil && role == server.Metadata.Role
		if !mine || v.Pool != "" && v.Pool != p.object.Metadata.Name {
			continue
		}
		s.Overrides = append(s.Overrides, ir.Override{Name: o.Metadata.Name, State: v.State, Weight: v.Weight, ExpiresAt: v.ExpiresAt})
	}
	p.servers = append(p.servers, s)
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
		ServerTimeout: spec.ServerTimeout, TLS: spec.TLS, SendProxy: spec.SendProxy, SlowStart: spec.SlowStart,
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
