package compile

import (
	"weir"
)

// Groups names, sorted, the groups whose nodes a change may have altered: before is the set without it, after
// with it, and written what it put or deleted. A group that is not named compiles to the same nodes from both.
func Groups(before, after *weir.Set, written []weir.Ref) []string {
	e := &effects{before: before, after: after, groups: map[string]bool{}, seen: map[weir.Ref]bool{}}
	for _, r := range written {
		e.object(r)
	}
	return sortedKeys(e.groups)
}

type effects struct {
	before, after *weir.Set
	groups        map[string]bool
	seen          map[weir.Ref]bool
	pools         []*weir.Object // of both sets, made when the first server is looked at
	// choosing finds the pools that may select a server by its role and cluster, "" for those that take any.
	choosing map[[2]string][]*weir.Object
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
	case "Server":
		e.server(r)
	case "Override":
		e.override(r)
	case "Zone", "Tuning", "Pool", "Certificate", "ErrorPage", "AccessList", "Map":
		e.back(r)
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
		for _, kind := range [...]string{"LoadBalancerGroup", "LoadBalancer", "IPAddress", "Tuning", "Pool", "Site"} {
			for from := range set.ReferrersOf(kind, r) {
				e.object(from)
			}
		}
	}
}

// server follows the pools that select the server, without looking at the others: a change can write as many
// servers as there are.
func (e *effects) server(r weir.Ref) {
	choosing := e.selecting()
	e.both(r, func(server *weir.Object) {
		role := server.Metadata.Role
		for _, cluster := range append([]string{""}, server.Spec.(*weir.Server).Clusters...) {
			for _, pool := range choosing[[2]string{role, cluster}] {
				if !e.seen[pool.Ref()] && pool.Spec.(*weir.Pool).Selects(pool.Metadata.Role, server) {
					e.object(pool.Ref())
				}
			}
		}
	})
}

func (e *effects) selecting() map[[2]string][]*weir.Object {
	if e.choosing != nil {
		return e.choosing
	}
	e.choosing = map[[2]string][]*weir.Object{}
	for _, pool := range e.allPools() {
		s := pool.Spec.(*weir.Pool).Selector
		if s == nil {
			continue
		}
		clusters := s.Clusters
		if len(clusters) == 0 {
			clusters = []string{""}
		}
		for _, cluster := range clusters {
			key := [2]string{s.Role, cluster}
			e.choosing[key] = append(e.choosing[key], pool)
		}
	}
	return e.choosing
}

func (e *effects) override(r weir.Ref) {
	e.both(r, func(o *weir.Object) {
		name := o.Spec.(*weir.Override).Server
		e.server(weir.Ref{Kind: "Server", Name: name})
		for _, pool := range e.allPools() {
			if pool.Spec.(*weir.Pool).HasMember(name) {
				e.object(pool.Ref())
			}
		}
	})
}

func (e *effects) allPools() []*weir.Object {
	if e.pools == nil {
		e.pools = make([]*weir.Object, 0, e.after.Len("Pool"))
		for pool := range e.after.All("Pool") {
			e.pools = append(e.pools, pool)
		}
		if e.before.Stamp("Pool") != e.after.Stamp("Pool") {
			for pool := range e.before.All("Pool") {
				if e.after.Get(pool.Ref()) != pool {
					e.pools = append(e.pools, pool)
				}
			}
		}
	}
	return e.pools
}
