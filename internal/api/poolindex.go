package api

import (
	"maps"

	"weir"
	"weir/internal/compile"
)

// poolIndex says in which pools servers are, and what Overrides move them.
type poolIndex struct {
	servers, poolStamp, overrides *weir.Stamp
	// pools are by server those that select it.
	pools map[string][]string
	// count is how many servers a pool has.
	count map[string]int
	// moves are the Overrides of a server.
	moves map[string][]*weir.Object
	// all are the servers that it was made of, by name, with chooser.
	all     []*weir.Object
	chooser *compile.Chooser
}

// of gives the index of a set, the same one for as long as nothing of it has changed.
func (x *poolIndex) of(view *weir.Set) *poolIndex {
	if x != nil && x.servers == view.Stamp("Server") && x.poolStamp == view.Stamp("Pool") && x.overrides == view.Stamp("Override") {
		return x
	}
	next := &poolIndex{servers: view.Stamp("Server"), poolStamp: view.Stamp("Pool"), overrides: view.Stamp("Override"), moves: map[string][]*weir.Object{}}
	next.take(x, view)
	for o := range view.All("Override") {
		server := o.Spec.(*weir.Override).Server
		next.moves[server] = append(next.moves[server], o)
	}
	return next
}

// take finds the pools of each server, anew for those that are not in an index before with the same pools.
func (x *poolIndex) take(before *poolIndex, view *weir.Set) {
	x.all = make([]*weir.Object, 0, view.Len("Server"))
	var old []*weir.Object
	if before != nil && before.poolStamp == x.poolStamp {
		old, x.chooser = before.all, before.chooser
		x.pools, x.count = maps.Clone(before.pools), maps.Clone(before.count)
	} else {
		x.chooser = compile.New().Chooser(view)
		x.pools, x.count = make(map[string][]string, view.Len("Server")), make(map[string]int, view.Len("Pool"))
		for o := range view.All("Pool") {
			x.count[o.Metadata.Name] = len(o.Spec.(*weir.Pool).Members)
		}
	}
	for server := range view.All("Server") {
		x.all = append(x.all, server)
		for len(old) > 0 && old[0].Metadata.Name < server.Metadata.Name {
			x.drop(old[0])
			old = old[1:]
		}
		if len(old) > 0 && old[0] == server {
			old = old[1:]
			continue
		}
		if len(old) > 0 && old[0].Metadata.Name == server.Metadata.Name {
			x.drop(old[0])
			old = old[1:]
		}
		x.add(server)
	}
	for _, server := range old {
		x.drop(server)
	}
}

func (x *poolIndex) add(server *weir.Object) {
	var pools []string
	x.chooser.Selects(server, func(pool *weir.Object) { pools = appendNew(pools, pool.Metadata.Name) })
	for _, pool := range pools {
		x.count[pool]++
	}
	if len(pools) > 0 {
		x.pools[server.Metadata.Name] = pools
	}
}

func (x *poolIndex) drop(server *weir.Object) {
	for _, pool := range x.pools[server.Metadata.Name] {
		x.count[pool]--
	}
	delete(x.pools, server.Metadata.Name)
}

// index gives the picture's; p.mu is held.
func (p *picture) index() *poolIndex {
	p.pools = p.pools.of(p.view)
	return p.pools
}

// seenIn is what the checks see of a server in each of its pools; p.mu is held.
func (p *picture) seenIn(server string) (list []SeenServer) {
	for _, pool := range p.index().pools[server] {
		all := p.seen[pool]
		if all == nil {
			all = map[string]SeenServer{}
			for _, s := range p.moment.Seen(pool) {
				all[s.Server] = s
			}
			p.seen[pool] = all
		}
		if s, ok := all[server]; ok {
			list = append(list, s)
		}
	}
	return list
}

// movers gives the Overrides in force that move a server; p.mu is held.
func (p *picture) movers(server string) (list []*weir.Object) {
	for _, o := range p.index().moves[server] {
		if p.at.Before(o.Spec.(*weir.Override).ExpiresAt) {
			list = append(list, o)
		}
	}
	return list
}

// poolsOf names the pools of a server.
func (p *picture) poolsOf(server string) (pools []string) {
	p.work(func() { pools = p.index().pools[server] })
	return pools
}
