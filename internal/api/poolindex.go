package api

import (
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
}

// of gives the index of a set, the same one for as long as nothing of it has changed.
func (x *poolIndex) of(view *weir.Set) *poolIndex {
	if x != nil && x.servers == view.Stamp("Server") && x.poolStamp == view.Stamp("Pool") && x.overrides == view.Stamp("Override") {
		return x
	}
	x = &poolIndex{
		servers: view.Stamp("Server"), poolStamp: view.Stamp("Pool"), overrides: view.Stamp("Override"),
		pools: make(map[string][]string, view.Len("Server")), count: make(map[string]int, view.Len("Pool")), moves: map[string][]*weir.Object{},
	}
	for o := range view.All("Pool") {
		x.count[o.Metadata.Name] = len(o.Spec.(*weir.Pool).Members)
	}
	chooser := compile.New().Chooser(view)
	for server := range view.All("Server") {
		name := server.Metadata.Name
		chooser.Selects(server, func(pool *weir.Object) {
			before := len(x.pools[name])
			if x.pools[name] = appendNew(x.pools[name], pool.Metadata.Name); len(x.pools[name]) > before {
				x.count[pool.Metadata.Name]++
			}
		})
	}
	for o := range view.All("Override") {
		server := o.Spec.(*weir.Override).Server
		x.moves[server] = append(x.moves[server], o)
	}
	return x
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
