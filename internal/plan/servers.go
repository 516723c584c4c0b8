package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

func serverOp(k Kind, backend string, s *haproxy.Server) Op {
	return Op{Kind: k, Owner: s.Owner, Backend: backend, Server: s.Name}
}

func addServer(ops []Op, backend string, s *haproxy.Server) []Op {
	add := serverOp(AddServer, backend, s)
	add.Address, add.Options, add.Check = s.Address, s.Options, s.Check
	add.ID, add.Weight, add.MaxConnections = s.ID, s.Weight, s.MaxConnections
	ops = append(ops, add)
	if s.Maintenance {
		return ops // its checks would run all the same
	}
	return enable(ops, backend, s)
}

// enable takes a server out of maintenance and lets its checks run, in this order: a check that ends in
// maintenance does not count, and another interval would be waited for.
func enable(ops []Op, backend string, s *haproxy.Server) []Op {
	ops = append(ops, serverOp(EnableServer, backend, s))
	if s.Check {
		ops = append(ops, serverOp(EnableHealth, backend, s))
	}
	return ops
}

// serverPair is a server that stays itself.
type serverPair struct{ have, want *haproxy.Server }

// bench is what differs between the servers of one backend.
type bench struct {
	name, owner string
	added, gone []*haproxy.Server
	// kept servers stay the same, but for weight, maintenance and bound.
	kept []serverPair
	// remade servers can't stand beside those whose name or ID they take.
	remade []remake
	// before, after and through count the servers that serve in have, in want and in both.
	before, after, through int
	// coming and going are the members, by their names without digests, that get and lose a server that serves.
	coming, going map[string]bool
}

type remake struct {
	want *haproxy.Server
	over []*haproxy.Server // gone servers that must be removed first
}

// servers changes the servers of a backend: new ones and gains first, then, as soon as it can be noticed by
// nobody, losses.
func (d *differ) servers(h, w *haproxy.Backend) {
	b := newBench(h, w)
	s := &d.stages
	s.serveIn = slices.Grow(s.serveIn, 3*len(b.added))
	for _, n := range b.added {
		s.serveIn = addServer(s.serveIn, b.name, n)
	}
	var losses []Op
	for _, p := range b.kept {
		gain, loss := moveServer(b.name, p)
		s.serveIn = append(s.serveIn, gain...)
		losses = append(losses, loss...)
	}
	if h.Unpublished { // it was to go, or was never finished
		s.serveIn = append(s.serveIn, Op{Kind: PublishBackend, Owner: w.Owner, Backend: w.Name})
	}

	wait, most := b.waits()
	if len(wait) > 0 {
		s.waits = append(s.waits, Op{Kind: WaitUp, Owner: b.owner, Backend: b.name, Servers: wait})
	}
	late := most || b.after == 0
	for _, g := range b.gone {
		off := serverOp(DisableServer, b.name, g)
		if late || serves(g) && b.coming[haproxy.BaseName(g.Name)] {
			s.drain = append(s.drain, off)
		} else {
			losses = append(losses, off)
		}
		s.remove = append(s.remove, serverOp(RemoveServer, b.name, g))
	}
	if late {
		s.drain = append(s.drain, losses...)
	} else {
		s.serveIn = append(s.serveIn, losses...)
	}
	for _, r := range b.remade {
		if b.before > 0 {
			s.remake = r.ops(s.remake, b)
		} else { // nobody can miss them, and somebody may wait for them
			s.serveIn = r.ops(s.serveIn, b)
		}
	}
}

// newBench sorts the servers of a backend by what becomes of them.
func newBench(h, w *haproxy.Backend) *bench {
	b := &bench{name: w.Name, owner: w.Owner}
	var clash []*haproxy.Server // in want, with a name in have that means another server
	byName := func(a, b *haproxy.Server) int { return strings.Compare(a.Name, b.Name) }
	merge(h.Servers, w.Servers, byName, func(hs, ws *haproxy.Server) {
		if hs != nil && serves(hs) {
			b.before++
		}
		if ws != nil && serves(ws) {
			b.after++
		}
		switch {
		case hs == nil:
			b.added = append(b.added, ws)
		case ws == nil:
			b.gone = append(b.gone, hs)
		case !sameForm(hs, ws):
			b.gone = append(b.gone, hs)
			clash = append(clash, ws)
		default:
			if serves(hs) && serves(ws) {
				b.through++
			}
			if !sameServer(hs, ws) {
				b.kept = append(b.kept, serverPair{hs, ws})
			}
		}
	})
	if len(b.gone) > 0 {
		b.setApart(h, clash)
	}
	if len(b.gone) > 0 {
		b.coming, b.going = bases(slices.Concat(b.added, b.returning())), bases(b.gone)
	}
	return b
}

// setApart finds the new servers that can't be added before old ones are removed: digests that collide, and IDs
// that go from one server to another and of whose place all others are in use too.
func (b *bench) setApart(h *haproxy.Backend, clash []*haproxy.Server) {
	byID := make(map[int]*haproxy.Server, len(b.gone))
	byName := make(map[string]*haproxy.Server, len(b.gone))
	for _, g := range b.gone {
		byName[g.Name] = g
		if g.ID != 0 {
			byID[g.ID] = g
		}
	}
	used := make(map[int]bool, len(h.Servers)+len(b.added))
	for _, list := range [][]*haproxy.Server{pointers(h.Servers), b.added, clash} {
		for _, s := range list {
			used[s.ID] = true
		}
	}
	over := map[*haproxy.Server]bool{}
	var free []*haproxy.Server
	for _, n := range slices.Concat(b.added, clash) {
		if byName[n.Name] == nil && byID[n.ID] != nil {
			n = beside(n, used)
		}
		name, id := byName[n.Name], byID[n.ID]
		if name == nil && id == nil {
			free = append(free, n)
			continue
		}
		r := remake{want: n}
		for _, g := range []*haproxy.Server{name, id} {
			if g != nil && !over[g] {
				over[g] = true
				r.over = append(r.over, g)
			}
		}
		b.remade = append(b.remade, r)
	}
	slices.SortStableFunc(b.remade, func(x, y remake) int { return x.turn() - y.turn() })
	b.added = free
	b.gone = slices.DeleteFunc(b.gone, func(g *haproxy.Server) bool { return over[g] })
}

// beside gives a server an ID of its place that nobody has, if there is one.
func beside(s *haproxy.Server, used map[int]bool) *haproxy.Server {
	for _, id := range haproxy.Elsewhere(s.ID) {
		if !used[id] {
			used[id] = true
			other := *s
			other.ID = id
			return &other
		}
	}
	return s
}

func pointers(list []haproxy.Server) []*haproxy.Server {
	out := make([]*haproxy.Server, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// moveServer changes weight, bound and maintenance of a server that stays: gain may come at once, loss takes
// traffic away. In no order does a server serve that should not: its weight is set before it is enabled and
// after it is disabled.
func moveServer(backend string, p serverPair) (gain, loss []Op) {
	h, w := p.have, p.want
	if h.MaxConnections != w.MaxConnections {
		op := serverOp(SetMaxConnections, backend, w)
		op.MaxConnections = w.MaxConnections
		gain = append(gain, op)
	}
	var weight []Op
	if h.Weight != w.Weight {
		op := serverOp(SetWeight, backend, w)
		op.Weight = w.Weight
		weight = []Op{op}
	}
	switch {
	case (h.Maintenance || h.Drained && !w.Drained || h.Unproven) && !w.Maintenance:
		gain = enable(append(gain, weight...), backend, w)
	case !h.Maintenance && w.Maintenance:
		loss = append(append(loss, serverOp(DisableServer, backend, w)), weight...)
	case serves(h) && !serves(w):
		loss = weight
	default:
		gain = append(gain, weight...)
	}
	return gain, loss
}

// waits gives the servers to wait for before old ones go, and whether all losses wait for them. They do when
// fewer than half of the servers that serve now serve all the time; otherwise only what a new server replaces
// stays until that is up.
func (b *bench) waits() (servers []string, most bool) {
	if b.after == 0 || b.before == 0 {
		return nil, false
	}
	most = 2*b.through < b.before && (b.through == 0 || b.gains())
	for _, n := range slices.Concat(b.added, b.returning()) {
		if n.Check && serves(n) && (most || b.going[haproxy.BaseName(n.Name)]) {
			servers = append(servers, n.Name)
		}
	}
	slices.Sort(servers)
	return servers, most
}

// returning gives the servers that are there and will serve again.
func (b *bench) returning() []*haproxy.Server {
	var list []*haproxy.Server
	for _, p := range b.kept {
		if !serves(p.have) && serves(p.want) {
			list = append(list, p.want)
		}
	}
	return list
}

// gains says that servers come that serve, whether or not they stand beside the old ones.
func (b *bench) gains() bool { return b.after > b.through }

// bases gives the names, without digests, of the servers among these that serve.
func bases(list []*haproxy.Server) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		if serves(s) {
			set[haproxy.BaseName(s.Name)] = true
		}
	}
	return set
}

// turn orders servers that are made anew: first those that bring what nobody loses, last those that bring nothing.
func (r remake) turn() int {
	switch {
	case !serves(r.want):
		return 2
	case slices.ContainsFunc(r.over, serves):
		return 1
	default:
		return 0
	}
}

// ops removes what stands in the way of a server, makes it, and waits for it, so that of several that are made
// anew only one is away at a time.
func (r remake) ops(ops []Op, b *bench) []Op {
	for _, g := range r.over {
		ops = append(ops, serverOp(DisableServer, b.name, g), serverOp(RemoveServer, b.name, g))
	}
	ops = addServer(ops, b.name, r.want)
	if r.want.Check && serves(r.want) && b.before > 0 {
		ops = append(ops, Op{Kind: WaitUp, Owner: r.want.Owner, Backend: b.name, Servers: []string{r.want.Name}})
	}
	return ops
}
