package api

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"weir"
)

// Graph is what leads where, from load balancers to servers, folded until it is small enough to be looked at.
type Graph struct {
	Revision int64 `json:"revision"`
	// Nodes are by kind, as traffic flows, then by name; edges by their ends.
	Nodes []GraphNode `json:"nodes"`
	Edges []GraphEdge `json:"edges"`
	// LeftOut counts the nodes that there is no room for even so: those that serve go first.
	LeftOut int `json:"leftOut,omitempty"`
}

// GraphNode is an object, or several folded into one.
type GraphNode struct {
	// ID is as "Site/www"; of folded ones it is what opens them.
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
	// State and Why are those of the object, or the worst of those folded.
	State State  `json:"state,omitempty"`
	Why   string `json:"why,omitempty"`
	Zone  string `json:"zone,omitempty"`
	Group string `json:"group,omitempty"`
	// Folds counts what is inside, States by state; absent for an object.
	Folds  int           `json:"folds,omitempty"`
	States map[State]int `json:"states,omitempty"`
	// Requests are a second, ErrorRatio their share with a status of 500 to 599; null where that is not known.
	Requests   Point `json:"requests"`
	ErrorRatio Point `json:"errorRatio"`
}

// GraphEdge leads from one node to another. Its figures are known where it is the only one from or to a node.
type GraphEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Zones are those in which a site uses a pool.
	Zones      []string `json:"zones,omitempty"`
	Requests   Point    `json:"requests"`
	ErrorRatio Point    `json:"errorRatio"`
}

var graphParams = []param{
	{name: "focus", kind: "string", doc: "An object, as Site/www: only what its traffic comes through and goes to."},
	roleParam, groupParam,
	{name: "open", kind: "string", doc: "Folded nodes to open, by their ids, with commas between: what was in one is folded in smaller parts, or not at all."},
	{name: "limit", kind: "integer", doc: "From how many nodes on they are folded, 300 when left out."},
}

// The bounds of a graph.
const (
	nodesAtOnce = 300
	mostNodes   = 3000
	mostOpen    = 200
)

// graph answers what leads where.
func (c *call) graph() error {
	if err := c.granted(weir.Viewer); err != nil {
		return err
	}
	limit, err := c.number("limit", nodesAtOnce, 10, mostNodes)
	if err != nil {
		return err
	}
	open := map[string]bool{}
	for id := range strings.SplitSeq(c.text("open"), ",") {
		if open[id] = true; len(open) > mostOpen {
			return queryProblem("open", "", fmt.Sprintf("%d nodes at most", mostOpen))
		}
	}
	p := c.h.picture(c.who.Subject)
	c.revision = p.view.Revision
	for _, kind := range withTraffic {
		p.busy(kind)
	}
	chosen, err := c.graphOf(p)
	if err != nil {
		return err
	}
	return c.answerTagged(folded(chosen, open, int(limit), p.view.Revision))
}

// graphOf chooses what is asked for of what the caller may see, in order.
func (c *call) graphOf(p *picture) ([]*vertex, error) {
	w, role := p.graph(), c.text("role")
	may := func(v *vertex) bool { return c.may(v.object) == nil }
	var focus []*vertex
	for _, one := range []string{c.text("focus"), groupRef(c.text("group"))} {
		if one == "" {
			continue
		}
		kind, name, _ := strings.Cut(one, "/")
		v := w.byID[weir.Ref{Kind: kind, Name: name}]
		if v == nil {
			return nil, queryProblem("focus", one, "an object of the graph, as Site/www")
		}
		if err := c.may(v.object); err != nil {
			return nil, err
		}
		focus = append(focus, v)
	}
	takes := may
	for _, v := range focus {
		on, before := path([]*vertex{v}, may), takes
		takes = func(v *vertex) bool { return on[v] && before(v) }
	}
	if role != "" {
		near, before := map[*vertex]bool{}, takes
		for _, v := range w.vertices {
			if v.object.Metadata.Role != role || !may(v) {
				continue
			}
			near[v] = true
			for _, a := range v.in {
				near[a.from] = true
			}
			for _, a := range v.out {
				near[a.to] = true
			}
		}
		takes = func(v *vertex) bool { return near[v] && before(v) }
	}
	var list []*vertex
	for _, v := range w.vertices {
		if takes(v) {
			list = append(list, v)
		}
	}
	return list, nil
}

func groupRef(name string) string {
	if name == "" {
		return ""
	}
	return "LoadBalancerGroup/" + name
}

// folds are the ways to fold, each smaller than the one before. A key is what is folded into one; empty stays by itself.
var folds = []func(v *vertex) string{
	func(*vertex) string { return "" },
	crowdKey,
	hungKey,
	zonalKey,
	func(v *vertex) string {
		if v.kind == "Site" {
			return "role " + v.object.Metadata.Role
		}
		return zonalKey(v)
	},
	func(v *vertex) string {
		switch spec := v.object.Spec.(type) {
		case *weir.LoadBalancer:
			return spec.Group
		case *weir.IPAddress:
			return strings.Join(spec.Groups, " ")
		case *weir.LoadBalancerGroup:
			return ""
		}
		return "role " + v.object.Metadata.Role
	},
	func(*vertex) string { return "all" },
}

// zonalKey folds pools and servers by their role and zone, and besides as the way before.
func zonalKey(v *vertex) string {
	if v.kind == "Pool" || v.kind == "Server" {
		return v.object.Metadata.Role + " " + zoneOf(v.line)
	}
	return hungKey(v)
}

// hungKey folds partners, and what hangs on sites and pools, by their role, and besides as the way before.
func hungKey(v *vertex) string {
	if v.hung || v.kind == "Partner" {
		return "role " + v.object.Metadata.Role
	}
	return crowdKey(v)
}

// crowdKey folds servers by their first pool, and load balancers by their group and zone.
func crowdKey(v *vertex) string {
	switch spec := v.object.Spec.(type) {
	case *weir.Server:
		if len(v.in) > 0 {
			return "of " + v.in[0].from.id
		}
		return "of no pool"
	case *weir.LoadBalancer:
		return spec.Group + " " + spec.Zone
	}
	return ""
}

// bundle is a node in the making.
type bundle struct {
	GraphNode
	inside []*vertex
}

// bundles folds vertices one way. One alone is not folded.
func bundles(list []*vertex, way int, open map[string]bool) []*bundle {
	byID := map[string]*bundle{}
	var all []*bundle
	for _, v := range list {
		fold := v.keys[way]
		for finer := way; fold != "" && open[fold]; fold = v.keys[finer] {
			finer-- // the first way folds nothing
		}
		if fold == "" {
			all = append(all, &bundle{GraphNode: GraphNode{ID: v.id, Kind: v.kind}, inside: []*vertex{v}})
			continue
		}
		b := byID[fold]
		if b == nil {
			b = &bundle{GraphNode: GraphNode{ID: fold, Kind: v.kind}}
			byID[fold], all = b, append(all, b)
		}
		b.inside = append(b.inside, v)
	}
	return all
}

// sizeOf counts the nodes of one way to fold, as far as most.
func sizeOf(list []*vertex, way, most int) int {
	seen, n := map[string]bool{}, 0
	for _, v := range list {
		if fold := v.keys[way]; fold == "" || !seen[fold] {
			if seen[fold] = true; n > most {
				break
			}
			n++
		}
	}
	return n
}

// folded makes the graph: in the first way that is small enough.
func folded(list []*vertex, open map[string]bool, limit int, revision int64) Graph {
	var all []*bundle
	for way := range folds {
		if way == len(folds)-1 || sizeOf(list, way, limit) <= limit {
			all = bundles(list, way, open)
			break
		}
	}
	g := Graph{Revision: revision, Nodes: []GraphNode{}, Edges: []GraphEdge{}}
	if n := len(all) - limit - mostOpen; n > 0 { // somebody opened a lot
		slices.SortStableFunc(all, func(a, b *bundle) int { return worstOf(a.inside).worse(worstOf(b.inside)) })
		all, g.LeftOut = all[:limit+mostOpen], n
	}
	at := make(map[*vertex]*bundle, len(list))
	for _, b := range all {
		b.fill()
		for _, v := range b.inside {
			at[v] = b
		}
		g.Nodes = append(g.Nodes, b.GraphNode)
	}
	g.edges(all, at)
	return g
}

func worstOf(list []*vertex) State {
	worst := StateServing
	for _, v := range list {
		if v.state != "" && v.state.worse(worst) < 0 {
			worst = v.state
		}
	}
	return worst
}

// fill says what a node is, out of what is inside.
func (b *bundle) fill() {
	first := b.inside[0]
	b.Requests, b.ErrorRatio = Point(math.NaN()), Point(math.NaN())
	if len(b.inside) == 1 {
		o := first.object
		b.ID, b.Name, b.Role, b.State, b.Why, b.Zone, b.Group = first.id, o.Metadata.Name, o.Metadata.Role, first.state, first.why, zoneOf(first.line), groupOf(first.line)
		if known(first.minute) {
			b.Requests, b.ErrorRatio = first.minute.Requests, first.minute.ErrorRatio
		}
		return
	}
	b.Folds, b.States, b.State = len(b.inside), map[State]int{}, worstOf(b.inside)
	_, text, _ := strings.Cut(b.ID, ":")
	b.Name, b.Role, b.Zone, b.Group = text, first.object.Metadata.Role, zoneOf(first.line), groupOf(first.line)
	errors := Point(math.NaN())
	for _, v := range b.inside {
		if v.state != "" {
			b.States[v.state]++
		}
		if v.object.Metadata.Role != b.Role {
			b.Role = ""
		}
		if zoneOf(v.line) != b.Zone {
			b.Zone = ""
		}
		if groupOf(v.line) != b.Group {
			b.Group = ""
		}
		if known(v.minute) {
			b.Requests, errors = plus(b.Requests, v.minute.Requests), plus(errors, v.minute.Requests*v.minute.ErrorRatio)
		}
	}
	if b.Requests > 0 {
		b.ErrorRatio = errors / b.Requests
	}
	if b.State != StateServing {
		b.Why = fmt.Sprintf("%d of %d are %s", b.States[b.State], b.Folds, b.State)
	}
}

// known says whether anything is known of a last minute.
func known(t Traffic) bool { return !math.IsNaN(float64(t.Requests)) }

// edges adds what leads between nodes that are there.
func (g *Graph) edges(all []*bundle, at map[*vertex]*bundle) {
	edges := map[[2]*bundle]*GraphEdge{}
	ins, outs, nodes := map[string]int{}, map[string]int{}, map[string]*GraphNode{}
	for i := range g.Nodes {
		nodes[g.Nodes[i].ID] = &g.Nodes[i]
	}
	for _, b := range all {
		for _, v := range b.inside {
			for _, a := range v.out {
				to := at[a.to]
				if to == nil || b == to {
					continue
				}
				e := edges[[2]*bundle{b, to}]
				if e == nil {
					e = &GraphEdge{From: b.ID, To: to.ID}
					edges[[2]*bundle{b, to}] = e
					if !v.hung {
						ins[to.ID]++
					}
					outs[b.ID]++
				}
				if a.zone != "" {
					e.Zones = appendNew(e.Zones, a.zone)
				}
			}
		}
	}
	for _, e := range edges {
		slices.Sort(e.Zones)
		e.Requests, e.ErrorRatio = Point(math.NaN()), Point(math.NaN())
		of := nodes[e.To]
		if ins[e.To] != 1 {
			of = nodes[e.From]
		}
		if ins[e.To] == 1 || outs[e.From] == 1 {
			e.Requests, e.ErrorRatio = of.Requests, of.ErrorRatio
		}
		g.Edges = append(g.Edges, *e)
	}
	slices.SortFunc(g.Edges, func(a, b GraphEdge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
}
