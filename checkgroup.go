package weir

import (
	"slices"
	"strings"
)

// groupCheck is what is to be looked at in one group.
type groupCheck struct {
	// cause is the first object written that puts the group at risk.
	cause Ref
	// suspects claim something new; each is blamed on the object that was written, often itself.
	suspects map[Ref]Ref
}

func (c *checker) touch(group string, cause Ref) *groupCheck {
	if c.groups == nil {
		c.groups = map[string]*groupCheck{}
	}
	g := c.groups[group]
	if g == nil {
		g = &groupCheck{cause: cause, suspects: map[Ref]Ref{}}
		c.groups[group] = g
	}
	return g
}

// suspect notes a claimant; one that was written itself is blamed for itself.
func (g *groupCheck) suspect(claimant, cause Ref) {
	if _, ok := g.suspects[claimant]; !ok || claimant == cause {
		g.suspects[claimant] = cause
	}
}

// claim is something that only one site, or one mode, of a group can have: a host name; every name at an
// address and port; a port; or the name of a certificate at a port.
type claim struct {
	host, address string
	port          Port
}

// holder is who has a claim.
type holder struct {
	ref  Ref
	path string
	mode PortMode // of a port
	// certificate holds the name that is shown.
	certificate string
}

// conflict says whether two holders can't both have the claim.
func (c *checker) conflict(cl claim, h, other holder) bool {
	switch {
	case h.ref == other.ref:
		return false
	case cl.shown():
		return h.certificate != other.certificate && c.roleOf(h.ref) != c.roleOf(other.ref)
	}
	return cl.host != "" || h.mode != other.mode
}

func (c *checker) checkGroups() {
	for _, name := range sortedKeys(c.groups) {
		spec := Find[LoadBalancerGroup](c.after, "LoadBalancerGroup", name)
		if spec == nil {
			continue // the missing reference is reported already
		}
		g := c.gather(name, spec)
		c.claims(g, c.groups[name])
		c.localPorts(g, c.groups[name])
		if n := len(g.bound(nil)); n > MaxPorts {
			c.add(c.groups[name].cause, "", "group %s would listen at %d ports; at most %d are possible: use other addresses of one port, or another group", name, n, MaxPorts)
		}
		if len(g.zones) > MaxZones {
			c.add(c.groups[name].cause, "", "group %s would span %d zones, %s; at most %d are possible: leave one out, or use another group",
				name, len(g.zones), strings.Join(sortedKeys(g.zones), ", "), MaxZones)
		}
	}
}

// groupView is a group with what it serves.
type groupView struct {
	set       *Set
	name      string
	tuning    Ref
	ports     []BoundPort
	stats     *StatsPage
	addresses map[string]bool
	sites     map[string]*Site
	balancers map[string]*LoadBalancer
	zones     map[string]bool
}

func (c *checker) gather(name string, spec *LoadBalancerGroup) *groupView {
	g := &groupView{set: c.after, name: name, addresses: map[string]bool{}, sites: map[string]*Site{}, balancers: map[string]*LoadBalancer{}, zones: map[string]bool{}}
	if t := Find[Tuning](c.after, "Tuning", spec.Tuning); t != nil {
		g.tuning, g.ports, g.stats = Ref{"Tuning", spec.Tuning}, t.Ports, t.Stats
	}
	ref := Ref{"LoadBalancerGroup", name}
	for r := range c.after.ReferrersOf("LoadBalancer", ref) {
		if l := Find[LoadBalancer](c.after, r.Kind, r.Name); l != nil {
			g.balancers[r.Name] = l
			g.zones[l.Zone] = true
		}
	}
	for r := range c.after.ReferrersOf("IPAddress", ref) {
		a := Find[IPAddress](c.after, r.Kind, r.Name)
		if a == nil {
			continue
		}
		g.addresses[r.Name] = true
		if a.HomeZone != "" {
			g.zones[a.HomeZone] = true
		}
		for s := range c.after.ReferrersOf("Site", r) {
			if g.sites[s.Name] == nil {
				g.sites[s.Name] = Find[Site](c.after, s.Kind, s.Name)
			}
		}
	}
	for _, s := range g.sites {
		for _, b := range s.Backends {
			for zone := range b.Zones {
				g.zones[zone] = true
			}
		}
	}
	return g
}

// claims holds what the suspects claim against each other and against everybody else's.
func (c *checker) claims(g *groupView, check *groupCheck) {
	if len(check.suspects) == 0 {
		return
	}
	held := map[claim]holder{}
	each := func(suspects bool, take func(claim, holder)) {
		if _, is := check.suspects[g.tuning]; g.tuning.Name != "" && is == suspects {
			g.tuningClaims(take)
		}
		for _, name := range sortedKeys(g.sites) {
			if _, is := check.suspects[Ref{"Site", name}]; is == suspects {
				g.siteClaims(name, take)
			}
		}
	}
	told := map[[2]Ref]bool{}
	tell := func(cl claim, claimant, owner holder) {
		// One sentence for each pair of objects is enough.
		if pair := [2]Ref{claimant.ref, owner.ref}; !told[pair] {
			told[pair] = true
			c.taken(g, check.suspects[claimant.ref], cl, claimant, owner)
		}
	}
	each(true, func(cl claim, h holder) {
		if other, ok := held[cl]; !ok {
			held[cl] = h
		} else if c.conflict(cl, h, other) {
			tell(cl, h, other)
		}
	})
	each(false, func(cl claim, h holder) {
		if suspect, ok := held[cl]; ok && c.conflict(cl, h, suspect) {
			tell(cl, suspect, h)
		}
	})
	c.below(g, check, each)
}

func (g *groupView) tuningClaims(take func(claim, holder)) {
	for i, b := range g.ports {
		take(claim{port: b.Port}, holder{ref: g.tuning, path: index("spec.ports", i), mode: b.Mode})
	}
	if g.stats != nil {
		take(claim{port: g.stats.Port}, holder{ref: g.tuning, path: "spec.stats.port", mode: "statistics"})
	}
}

func (g *groupView) siteClaims(name string, take func(claim, holder)) {
	s, ref := g.sites[name], Ref{"Site", name}
	every := len(s.Hostnames) == 0 || slices.Contains(s.Hostnames, "*")
	for i, l := range s.Listeners {
		path := index("spec.listeners", i) + ".port"
		take(claim{port: l.Port}, holder{ref: ref, path: path, mode: s.PortMode(l)})
		for _, a := range s.Addresses {
			if every && g.addresses[a] {
				take(claim{host: "*", address: a, port: l.Port}, holder{ref: ref, path: path})
			}
		}
	}
	for i, h := range s.Hostnames {
		if h != "*" {
			take(claim{host: h}, holder{ref: ref, path: index("spec.hostnames", i)})
		}
	}
	g.shownClaims(s, ref, take)
}

// causePath is the field by which a change of a kind makes a site claim something.
var causePath = map[string]string{"IPAddress": "spec.groups", "LoadBalancerGroup": "spec.tuning", "Role": "spec.hostnames", "Certificate": "spec.chain"}

func (c *checker) taken(g *groupView, cause Ref, cl claim, claimant, owner holder) {
	path, who := claimant.path, ""
	if cause != claimant.ref {
		who, path = claimant.ref.String()+": ", causePath[cause.Kind]
	}
	switch {
	case cl.shown():
		c.add(cause, path, "%s%s shows a certificate of its own for %q at port %d of group %s; take another port or group", who, owner.ref, cl.host, cl.port, g.name)
	case cl.host == "":
		c.add(cause, path, "%sport %d of group %s speaks %s, as %s asks, and can't speak %s too; take another port, or an address of another group",
			who, cl.port, g.name, owner.mode, owner.ref, claimant.mode)
	case cl.host == "*":
		c.add(cause, path, "%s%s takes everything at IPAddress/%s, port %d, already; take another address or port", who, owner.ref, cl.address, cl.port)
	default:
		c.add(cause, path, "%s%q belongs to %s in group %s; a host name belongs to one site of a group: take it away there first", who, cl.host, owner.ref, g.name)
	}
}

// bound gives the ports of the group, each with one who asks for it, a written one if there is.
func (g *groupView) bound(written map[Ref]bool) map[Port]Ref {
	holders := map[Port]Ref{}
	for _, b := range g.ports {
		holders[b.Port] = g.tuning
	}
	for _, name := range sortedKeys(g.sites) {
		for _, l := range g.sites[name].Listeners {
			if ref := (Ref{"Site", name}); holders[l.Port] == (Ref{}) || written[ref] {
				holders[l.Port] = ref
			}
		}
	}
	return holders
}

// localPorts: translated or not, no two ports of the group are bound at one port of a machine.
func (c *checker) localPorts(g *groupView, check *groupCheck) {
	holders := g.bound(c.written)
	for _, name := range sortedKeys(g.balancers) {
		lb := g.balancers[name]
		if len(lb.LocalPorts) == 0 {
			continue
		}
		bound := map[Port]Port{}
		for _, port := range sortedKeys(holders) {
			local := port
			if to, ok := lb.LocalPorts[port]; ok {
				local = to
			}
			other, taken := bound[local]
			bound[local] = port
			if !taken {
				continue
			}
			cause, path := check.cause, ""
			if ref := (Ref{"LoadBalancer", name}); c.written[ref] {
				cause, path = ref, "spec.localPorts"
			} else if c.written[holders[port]] {
				cause, path = holders[port], "spec.listeners"
			}
			c.add(cause, path, "ports %d and %d of group %s would both be bound at port %d of LoadBalancer/%s; change spec.localPorts there, or take another port",
				other, port, g.name, local, name)
		}
	}
}
