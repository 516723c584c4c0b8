package compile

import (
	"weir"
)

// Groups names, sorted, the groups whose nodes a change may have altered: before is the set without it, after
// with it, and written what it put or deleted. A group that is not named compiles to the same nodes from both.
func Groups(before, after *weir.Set, written []weir.Ref) []string {
	return New().Groups(before, after, written)
}

// Groups is the function Groups, and keeps what finds pools for as long as those are the same.
func (c *Compiler) Groups(before, after *weir.Set, written []weir.Ref) []string {
	e := &effects{before: before, after: after, choosers: &c.choosers, groups: map[string]bool{}, seen: map[weir.Ref]bool{}}
	for _, r := range written {
		e.object(r)
	}
	return sortedKeys(e.groups)
}

type effects struct {
	before, after *weir.Set
	groups        map[string]bool
	seen          map[weir.Ref]bool
	choosers      *choosers
	orders        [2]map[[2]string][]weir.Ref // by role and host name, before and after; made when they are asked for
}

func (e *effects) object(r weir.Ref) {
	if e.seen[r] {
		return
	}
	e.seen[r] = true
	switch r.Kind {
	case "LoadBalancerGroup":
		e.groups[r.Name] = true
	case "LoadBalancer", "IPAddress", "Site":
		// What these refer to leads to the group; nothing that refers to a load balancer or a site does.
		e.forward(r)
	case "Route":
		e.both(r, func(o *weir.Object) { e.object(weir.Ref{Kind: "Site", Name: o.Spec.(*weir.Route).Site}) })
	case "Split":
		e.both(r, func(o *weir.Object) { e.object(weir.Ref{Kind: "Site", Name: o.Spec.(*weir.Split).Site}) })
	case "Server":
		e.server(r)
	case "Override":
		e.override(r)
	case "ZoneShift":
		e.shift(r)
	case "EgressClient", "Partner", "SLA", "EgressRule":
		e.waysOut()
	case "Zone", "Tuning", "Pool", "Certificate", "ErrorPage", "AccessList", "Map", "RateLimit", "Logic", "Schedule":
		e.back(r)
	}
	if r.Kind == "Certificate" {
		e.wanted(r)
	}
}

// both runs for the object as it was and as it is.
func (e *effects) both(r weir.Ref, take func(*weir.Object)) {
	for _, set := range []*weir.Set{e.before, e.after} {
		if o := set.Get(r); o != nil {
			take(o)
		}
	}
}

func (e *effects) forward(r weir.Ref) {
	e.both(r, func(o *weir.Object) {
		for _, to := range o.Spec.References() {
			switch to.Kind {
			case "LoadBalancerGroup":
				e.groups[to.Name] = true
			case "IPAddress":
				e.both(to.Ref, func(a *weir.Object) {
					for _, g := range a.Spec.(*weir.IPAddress).Groups {
						e.groups[g] = true
					}
				})
			}
		}
	})
}

// back follows who refers to the object, but servers, of which there are many: a server leads nowhere by the
// zone that it names.
func (e *effects) back(r weir.Ref) {
	for _, set := range []*weir.Set{e.before, e.after} {
		for _, kind := range [...]string{"LoadBalancerGroup", "LoadBalancer", "IPAddress", "Tuning", "Logic", "Pool", "RateLimit", "Site", "Route", "ZoneShift", "Split", "Partner", "EgressRule"} {
			for from := range set.ReferrersOf(kind, r) {
				e.object(from)
			}
		}
	}
}

// waysOut leads to the groups of egress sites, each of which may let through what the object is about.
func (e *effects) waysOut() {
	for _, set := range []*weir.Set{e.before, e.after} {
		for site := range set.All("Site") {
			if site.Spec.(*weir.Site).Egress != nil {
				e.object(site.Ref())
			}
		}
	}
}

// wanted follows the sites that have a certificate ordered for the same host name, which refer to none.
func (e *effects) wanted(r weir.Ref) {
	e.both(r, func(o *weir.Object) {
		order, ordered := weir.OrderOf(o)
		if !ordered {
			return
		}
		for i, set := range []*weir.Set{e.before, e.after} {
			if e.orders[i] == nil {
				e.orders[i] = map[[2]string][]weir.Ref{}
				for _, w := range set.Orders() {
					key := [2]string{w.Role, w.Hostname}
					e.orders[i][key] = append(e.orders[i][key], w.Sites...)
				}
			}
			for _, site := range e.orders[i][[2]string{order.Role, order.Hostname}] {
				e.object(site)
			}
		}
	})
}

// server follows the pools that select the server.
func (e *effects) server(r weir.Ref) {
	e.both(r, func(server *weir.Object) {
		for _, set := range e.poolSets() {
			e.choosers.of(set).Selects(server, func(pool *weir.Object) { e.object(pool.Ref()) })
		}
	})
}

func (e *effects) override(r weir.Ref) {
	e.both(r, func(o *weir.Object) {
		name := o.Spec.(*weir.Override).Server
		e.server(weir.Ref{Kind: "Server", Name: name})
		for _, set := range e.poolSets() {
			for _, pool := range e.choosers.of(set).members[name] {
				e.object(pool.Ref())
			}
		}
	})
}

// poolSets gives the sets whose pools count: one when both have the same.
func (e *effects) poolSets() []*weir.Set {
	if e.before.Stamp("Pool") == e.after.Stamp("Pool") {
		return []*weir.Set{e.after}
	}
	return []*weir.Set{e.before, e.after}
}

// shift leads to the groups of the sites that it is about, before and after.
func (e *effects) shift(r weir.Ref) {
	e.both(r, func(o *weir.Object) {
		spec := o.Spec.(*weir.ZoneShift)
		for _, site := range spec.Sites {
			e.object(weir.Ref{Kind: "Site", Name: site})
		}
		if len(spec.Sites) > 0 {
			return
		}
		for _, set := range []*weir.Set{e.before, e.after} {
			for site := range set.All("Site") {
				if spec.Shifts(o.Metadata.Role, site) {
					e.object(site.Ref())
				}
			}
		}
	})
}
