package plan

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// Counts is a plan in numbers.
type Counts struct {
	Reloads  int `json:"reloads"` // 0 or 1
	Ops      int `json:"ops"`
	Backends int `json:"backends"` // added or removed
	Servers  int `json:"servers"`  // added, removed or changed, each once
	Entries  int `json:"entries"`  // of maps, added, set or removed
	Certs    int `json:"certs"`    // files and lines of lists, added, renewed or removed
}

// Count counts what the plan touches.
func Count(p Plan) Counts {
	ops := told(p.Ops)
	c := Counts{Ops: len(ops), Reloads: min(1, len(p.Reload))}
	servers := map[[2]string]bool{}
	for i := range ops {
		switch o := &ops[i]; o.Kind {
		case AddBackend, RemoveBackend:
			c.Backends++
		case AddServer, RemoveServer, EnableServer, DisableServer, SetWeight, SetMaxConnections:
			servers[[2]string{o.Backend, o.Server}] = true
		case MapAdd, MapSet, MapDel:
			c.Entries++
		case MapSwap:
			c.Entries += o.Changes
		case SetCA, SetCert, DelCA, DelCert, AddCrt, DelCrt:
			c.Certs++
		}
	}
	c.Servers = len(servers)
	return c
}

// told are the operations that people are told of: without what each pool brings along, as its servers' places in the
// maps of those that are tried whatever their health.
func told(ops []Op) []Op {
	own := func(o Op) bool { return haproxy.Own(o.Backend) || haproxy.Own(o.Server) || haproxy.OwnMap(o.Path) }
	if list := slices.DeleteFunc(slices.Clone(ops), own); len(list) > 0 {
		return list
	}
	return ops
}

// Summary tells the plan in sentences, as "adds 6 servers to pool web-az1"; an empty plan has none. Each reason
// to reload is a sentence; operations are gathered by what they are about, in the order in which they begin.
func Summary(p Plan) []string {
	if len(p.Reload) > 0 {
		list := make([]string, 0, len(p.Reload))
		for _, r := range p.Reload {
			list = append(list, "reloads HAProxy: "+r.String())
		}
		return list
	}
	ops := told(p.Ops)
	t := teller{facts: gather(ops), groups: map[saying]*group{}}
	for i := range ops {
		t.op(&ops[i])
	}
	list := make([]string, 0, len(t.order))
	for _, g := range t.order {
		list = append(list, g.sentence())
	}
	return list
}

// facts is what a sentence about one operation must know of the others.
type facts struct {
	added, removed map[[2]string]bool // servers
	fresh, gone    map[string]bool    // backends
	pools          map[string]bool    // pools that are on both sides
	files          map[string]bool    // new files
	shown, hidden  map[[2]string]bool // lists with files
}

func gather(ops []Op) facts {
	f := facts{
		added: map[[2]string]bool{}, removed: map[[2]string]bool{}, fresh: map[string]bool{}, gone: map[string]bool{},
		pools: map[string]bool{}, files: map[string]bool{}, shown: map[[2]string]bool{}, hidden: map[[2]string]bool{},
	}
	bases := map[string]bool{}
	for i := range ops {
		switch o := &ops[i]; o.Kind {
		case AddServer:
			f.added[[2]string{o.Backend, haproxy.BaseName(o.Server)}] = true
		case RemoveServer:
			f.removed[[2]string{o.Backend, haproxy.BaseName(o.Server)}] = true
		case AddBackend:
			f.fresh[o.Backend] = true
			bases[haproxy.BaseName(o.Backend)] = true
		case NewCert, NewCA:
			f.files[o.Path] = true
		case AddCrt:
			f.shown[[2]string{o.Path, o.File}] = true
		case DelCrt:
			f.hidden[[2]string{o.Path, o.File}] = true
		}
	}
	for i := range ops {
		if o := &ops[i]; o.Kind == RemoveBackend {
			f.gone[o.Backend] = true
			f.pools[haproxy.BaseName(o.Backend)] = bases[haproxy.BaseName(o.Backend)]
		}
	}
	return f
}

// saying is a sentence but for what it counts; one that counts nothing has no many.
type saying struct{ verb, one, many, where string }

type group struct {
	saying
	n     int
	names []string // of what is counted, the first few
	pools []string // to which a route leads
}

// sentence names what there is one or two of, and counts more.
func (g *group) sentence() string {
	switch {
	case len(g.pools) == 1:
		return g.verb + " to pool " + g.pools[0]
	case len(g.pools) > 1:
		return g.verb + " to pools " + some(g.pools, 8)
	case g.many == "":
		return g.verb + g.where
	case g.n == len(g.names) && g.n <= 2:
		word := g.one
		if g.n > 1 {
			word = g.many
		}
		return g.verb + " " + strings.TrimSpace(word+" "+strings.Join(g.names, " and ")) + g.where
	default:
		return fmt.Sprintf("%s %s%s", g.verb, count(g.n, g.one, g.many), g.where)
	}
}

type teller struct {
	facts
	groups map[saying]*group
	order  []*group
	routes map[string]bool // that lead elsewhere
}

// mostRoutes is how many routes are named, one sentence each; more are counted.
const mostRoutes = 10

func (t *teller) say(s saying, n int, name string) {
	g := t.groups[s]
	if g == nil {
		g = &group{saying: s}
		t.groups[s] = g
		t.order = append(t.order, g)
	}
	g.n += n
	if name != "" && len(g.names) < 3 && !slices.Contains(g.names, name) {
		g.names = append(g.names, name)
	}
}

func (t *teller) op(o *Op) {
	switch o.Kind {
	case AddBackend, RemoveBackend:
		t.pool(o)
	case AddServer, RemoveServer, EnableServer, DisableServer, SetWeight, SetMaxConnections:
		t.server(o)
	case WaitUp:
		t.say(saying{"waits for", "server", "servers", " of pool " + haproxy.BaseName(o.Backend) + " to come up"}, len(o.Servers), "")
	case MapAdd, MapSet, MapDel, MapSwap:
		t.entry(o)
	case SetCert, SetCA, DelCert, DelCA, AddCrt, DelCrt:
		t.cert(o)
	}
}

func (t *teller) pool(o *Op) {
	base := haproxy.BaseName(o.Backend)
	switch {
	case t.pools[base] && o.Kind == AddBackend:
		t.say(saying{verb: "makes pool " + base + " anew under profile " + o.Profile + ", beside the old one"}, 1, "")
	case t.pools[base]:
	case o.Kind == AddBackend:
		t.say(saying{"adds", "pool", "pools", ""}, 1, base)
	default:
		t.say(saying{"removes", "pool", "pools", ""}, 1, base)
	}
}

func (t *teller) server(o *Op) {
	pool, name := haproxy.BaseName(o.Backend), haproxy.BaseName(o.Server)
	id := [2]string{o.Backend, name}
	again := t.added[id] && t.removed[id]
	switch {
	case o.Kind == AddServer && t.pools[pool]:
	case o.Kind == AddServer && again:
		t.say(saying{"makes", "server", "servers", " of pool " + pool + " anew"}, 1, name)
	case o.Kind == AddServer:
		t.say(saying{"adds", "server", "servers", " to pool " + pool}, 1, name)
	case t.gone[o.Backend] || again || t.added[id]:
	case o.Kind == RemoveServer:
		t.say(saying{"removes", "server", "servers", " from pool " + pool}, 1, name)
	case t.removed[id]:
	case o.Kind == EnableServer:
		t.say(saying{"takes", "server", "servers", " of pool " + pool + " out of maintenance"}, 1, name)
	case o.Kind == DisableServer:
		t.say(saying{"puts", "server", "servers", " of pool " + pool + " into maintenance"}, 1, name)
	case o.Kind == SetWeight && o.Weight == 0:
		t.say(saying{"drains", "server", "servers", " of pool " + pool}, 1, name)
	case o.Kind == SetWeight:
		t.say(saying{fmt.Sprintf("sets weight %d for", o.Weight), "server", "servers", " of pool " + pool}, 1, name)
	case o.MaxConnections == 0:
		t.say(saying{"lifts the bound on connections of", "server", "servers", " of pool " + pool}, 1, name)
	default:
		t.say(saying{fmt.Sprintf("bounds connections to %d for", o.MaxConnections), "server", "servers", " of pool " + pool}, 1, name)
	}
}

// entry tells where routes lead, and gathers everything else about maps by the object that it is for. What a new
// or old pool reads by its own name is a part of the pool.
func (t *teller) entry(o *Op) {
	where := " of map " + o.Path
	if o.Owner != "" {
		where = " for " + o.Owner
	}
	switch {
	case o.Kind == MapSwap:
		t.say(saying{"changes", "entry", "entries", " of map " + o.Path + " at once"}, o.Changes, "")
	case t.fresh[o.Key] || t.gone[o.Key]:
	case len(o.Pools) > 0 && o.Kind != MapDel:
		t.send(o)
	case o.Kind == MapAdd:
		t.say(saying{"adds", "map entry", "map entries", where}, 1, word(o.Key))
	case o.Kind == MapSet:
		t.say(saying{"changes", "map entry", "map entries", where}, 1, word(o.Key))
	default:
		t.say(saying{"removes", "map entry", "map entries", where}, 1, word(o.Key))
	}
}

// send notes the pools of a route, which has one entry for each zone, told apart by what follows an @.
func (t *teller) send(o *Op) {
	route, _, _ := strings.Cut(o.Key, "@")
	this := saying{verb: "sends " + word(route)}
	if t.routes == nil {
		t.routes = map[string]bool{}
	}
	if more := len(t.routes) >= mostRoutes; more && t.groups[this] == nil {
		if !t.routes[route] {
			t.say(saying{"sends", "more route", "more routes", " to other pools"}, 1, "")
		}
		t.routes[route] = true
		return
	}
	t.routes[route] = true
	t.say(this, 1, "")
	g := t.groups[this]
	for _, p := range o.Pools {
		if !slices.Contains(g.pools, p) {
			g.pools = append(g.pools, p)
			slices.Sort(g.pools)
		}
	}
}

func (t *teller) cert(o *Op) {
	name := o.Certificate
	if name == "" {
		name = o.Path
	}
	again := t.shown[[2]string{o.Path, o.File}] && t.hidden[[2]string{o.Path, o.File}]
	switch {
	case again && o.Kind == DelCrt:
	case again:
		t.say(saying{"shows", "certificate", "certificates", " otherwise on " + o.Path}, 1, o.File)
	case o.Kind == AddCrt:
		t.say(saying{"shows", "certificate", "certificates", " on " + o.Path}, 1, o.File)
	case o.Kind == DelCrt:
		t.say(saying{"stops showing", "certificate", "certificates", " on " + o.Path}, 1, o.File)
	case o.Kind == SetCert && t.files[o.Path]:
		t.say(saying{"loads", "certificate", "certificates", ""}, 1, name)
	case o.Kind == SetCA && t.files[o.Path]:
		t.say(saying{"loads", "authority", "authorities", ""}, 1, name)
	case o.Kind == SetCert || o.Kind == SetCA:
		t.say(saying{"renews", "certificate", "certificates", ""}, 1, name)
	case o.Kind == DelCert || o.Kind == DelCA:
		t.say(saying{"forgets", "certificate", "certificates", ""}, 1, name)
	}
}
