package haproxy

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// The maps by which servers are tried whatever their health.
const (
	mapRegardless = "maps/regardless.map" // route → how many pools:backend:backend…
	mapWays       = "maps/ways.map"       // backend → servers|width of a place|backend by which they are reached
	mapPlaces     = "maps/places.map"     // backend → address|port of each server, in places of equal width
)

// mostPlaces is how many servers of a pool are in the map, and mostTries how many are tried for one request.
const (
	mostPlaces = 32
	mostTries  = 32
)

// anyConnect is how long one of them may take to be reached.
const anyConnect = weir.Duration(time.Second)

// regardless sends a request that no zone has a server for to every server that is admitted, one after the other,
// beginning anywhere: the checks may be wrong. They are not made twice for that: a backend has a server without an
// address, and gets it from the map; its other one leads back here. When all that was tried, the fallback takes it.
func (c chooser) regardless() {
	none := "if !{ var(txn.be) -m found }"
	c.s.add("# no zone has a server: each is tried, whatever its health; then the fallback")
	c.set("every", "var(txn.route),map_str(%s) %s", opt(mapRegardless), none)
	every := none[:2] + " { var(txn.every) -m found }"
	c.set("tries", "int(0) %s", every)
	c.set("start", "rand(1000000) %s", every)
	if c.second {
		walked := every + " { var(txn.walk) -m found } { var(txn.walk) -m len gt 0 }"
		c.set("tries", "var(txn.walk),field(2,.),add(1) %s", walked)
		c.set("start", "var(txn.walk),field(1,.) %s", walked)
	}
	c.set("pools", "var(txn.every),field(1,:),add(0) %s", every)
	c.set("which", "var(txn.start),add(txn.tries),mod(txn.pools) %s", every)
	for k := 1; k <= ir.Slots; k++ {
		c.set("one", "var(txn.every),field(%d,:) %s { var(txn.which) -m int %d }", k+1, every, k-1)
	}
	c.set("way", "var(txn.one),map_str(%s) %s", opt(mapWays), every)
	c.set("many", "var(txn.way),field(1,|),add(0) %s", every)
	c.set("width", "var(txn.way),field(2,|),add(0) %s", every)
	c.set("left", "var(txn.many),mul(txn.pools),sub(txn.tries) %s", every)
	c.set("left", "int(0) if { var(txn.tries) -m int ge %d }", mostTries)
	c.set("place", "var(txn.tries),div(txn.pools),add(txn.start),mod(txn.many),mul(txn.width) %s", every)
	c.set("place", "var(txn.one),map_str(%s),bytes(txn.place,txn.width) %s { var(txn.left) -m int gt 0 }", opt(mapPlaces), every)
	place := every + " { var(txn.left) -m int gt 0 }"
	c.add("set-var-fmt(txn.walk) %%[var(txn.start)].%%[var(txn.tries)] %s", place)
	c.add("set-dst var(txn.place),field(1,|) %s", place)
	c.add("set-dst-port var(txn.place),field(2,|) %s", place)
	c.set("be", "var(txn.way),field(3,|) %s", place)
	if c.second { // one that other sites have for a zone sends back too, and would be asked again and again
		c.set("back", "var(txn.site),map_str(%s) %s", opt(mapFallbacks), none)
		none += " !{ var(txn.back),strcmp(txn.from) eq 0 }"
		c.set("be", "var(txn.back) %s", none)
		return
	}
	c.set("be", "var(txn.site),map_str(%s) %s", opt(mapFallbacks), none)
}

// places fills the maps for routes and pools, and makes the backends by which servers without health are reached: one
// for each way of speaking to servers, or for each pool where backends can't be made at run time.
func (r *renderer) places() {
	made := map[string]bool{}
	way := func(mode, name, logic, options, owner string) string {
		if !made[name] {
			made[name] = true
			r.backend = append(r.backend, Backend{
				Name: name, Profile: anyProfile(mode, logic), Mode: mode, Owner: owner,
				Servers: []Server{
					r.againServer(mode, "", owner),
					{Name: "_any." + digest(options), Address: "0.0.0.0:0", Options: options, ID: 1, Weight: 1, Owner: owner},
				},
			})
		}
		return name
	}
	group := "LoadBalancerGroup/" + r.node.Group.Name
	plain := map[string]string{}
	for _, mode := range []string{"http", "tcp"} {
		plain[mode] = way(mode, "_any-"+mode+"."+digest(""), "", "", group)
	}
	for i := range r.node.Pools {
		p := &r.node.Pools[i]
		name, owner, id := r.names[p.Name], ir.PoolOwner(p.Name), r.logic.pools[p.Name]
		leads := plain[p.Mode]
		switch options := strings.TrimSpace(r.speaking(p, false)); {
		case !r.can.DynamicBackends: // one of its own, so that nothing of the pool is a reload
			leads = way(p.Mode, r.ownWay(p.Name, id), id, options, owner)
		case id != "":
			leads = way(p.Mode, "_any-"+p.Mode+"."+digest(options, id), id, options, owner)
		case options != "":
			leads = way(p.Mode, "_any-"+p.Mode+"."+digest(options), "", options, owner)
		}
		if id != "" {
			r.put(mapPoolLogic, leads, id, owner)
		}
		ways, places := placesOf(p)
		if places == "" {
			continue
		}
		r.put(mapWays, name, ways+leads, owner)
		r.put(mapPlaces, name, places, owner)
	}
	for i := range r.node.Sites {
		s := &r.node.Sites[i]
		for _, b := range s.Backends {
			r.everyPlace(s, b)
		}
	}
}

// everyPlace says in which pools a route's request tries every server.
func (r *renderer) everyPlace(s *ir.Site, b ir.Backend) {
	pools := b.Slots
	if b.Pool != "" {
		pools = []string{b.Pool}
	}
	var names []string
	for _, pool := range pools {
		name, ok := r.names[pool]
		if _, has := r.maps[mapPlaces][name]; ok && has && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		r.put(mapRegardless, s.Name+"/"+b.Name, fmt.Sprintf("%d:%s", len(names), strings.Join(names, ":")), "Site/"+s.Name)
	}
}

// placesOf gives what maps say of a pool's servers: how many and how wide the places are, and the places.
func placesOf(p *ir.Pool) (ways, places string) {
	servers := placed(p)
	width := 0
	words := make([]string, len(servers))
	for i, s := range servers {
		words[i] = s.Address.Addr().String() + "|" + strconv.Itoa(int(s.Address.Port())) + "|"
		width = max(width, len(words[i]))
	}
	var b strings.Builder
	for _, word := range words {
		b.WriteString(word)
		b.WriteString(strings.Repeat("|", width-len(word)))
	}
	return fmt.Sprintf("%d|%d|", len(servers), width), b.String()
}

// replaced gives the maps of places with those of pools that have changed, under the names of their backends.
func replaced(all []Map, changed map[string]*ir.Pool) []Map {
	all = slices.Clone(all) // those given out stay as they are
	for i := range all {
		m := &all[i]
		if m.Path != mapWays && m.Path != mapPlaces {
			continue
		}
		m.Entries = slices.Clone(m.Entries)
		for name, p := range changed {
			at, found := slices.BinarySearchFunc(m.Entries, name, func(e Entry, name string) int { return strings.Compare(e.Key, name) })
			if !found {
				continue // none of its servers may be tried, now as before
			}
			ways, places := placesOf(p)
			if e := &m.Entries[at]; m.Path == mapPlaces {
				e.Value = places
			} else {
				e.Value = ways + e.Value[strings.LastIndexByte(e.Value, '|')+1:]
			}
		}
	}
	return all
}

// placed gives the servers of a pool that may be tried without health: not those that are out by hand, nor at a socket, which
// no set-dst reaches. Of many only some
// are, chosen by their names alone, so that few entries change when a server comes or goes.
func placed(p *ir.Pool) []*ir.Server {
	list := make([]*ir.Server, 0, len(p.Servers))
	for i := range p.Servers {
		if s := &p.Servers[i]; !s.Maintenance && s.Weight > 0 && s.Socket == "" {
			list = append(list, s)
		}
	}
	if len(list) <= mostPlaces {
		return list
	}
	rank := func(s *ir.Server) uint32 {
		h := fnv.New32a()
		h.Write([]byte(s.Name))
		return h.Sum32()
	}
	slices.SortFunc(list, func(a, b *ir.Server) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
	})
	return list[:mostPlaces]
}

// anyProfile is the profile of the backends that reach servers without health.
func anyProfile(mode, logic string) string {
	if logic != "" {
		return "p-" + mode + "-any.l-" + logic
	}
	return "p-" + mode + "-any"
}

// anyProfiles writes them: of two servers the first is asked, and the one that leads back when that can't be reached.
// Many are tried, so that none may take long.
func (r *renderer) anyProfiles() {
	r.anyProfile("http", "")
	r.anyProfile("tcp", "")
	asked := map[string]bool{}
	for _, id := range r.logic.pools {
		asked[id] = true
	}
	for _, id := range sortedKeys(asked) {
		r.anyProfile("http", id)
	}
}

func (r *renderer) anyProfile(mode, logic string) {
	s := r.section("defaults", anyProfile(mode, logic)+" from servers-"+mode)
	s.Spare = logic != ""
	s.add("balance first")
	s.add("retries 1")
	s.add("timeout connect %s", ms(min(r.node.Tuning.Timeouts.Connect, anyConnect)))
	if mode == "http" {
		s.add("http-request disable-l7-retry unless METH_GET or { method HEAD OPTIONS }")
	}
	r.poolLogic(s, logic)
}

// ownWay names the backend by which the servers of one pool are reached, where that can't be made at run time.
func (r *renderer) ownWay(pool, logic string) string {
	if logic != "" {
		return "_any-" + pool + "." + digest(logic)
	}
	return "_any-" + pool
}
