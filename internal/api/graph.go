package api

import (
	"slices"
	"strings"

	"weir"
)

// flowKinds are the kinds of the graph in the order in which traffic flows; hungKinds hang on sites and pools.
var (
	flowKinds = []string{"LoadBalancer", "LoadBalancerGroup", "IPAddress", "Site", "Pool", "Partner", "Server"}
	hungKinds = []string{"Issuer", "Certificate", "Route", "Split", "RateLimit", "Logic", "Map", "AccessList", "ErrorPage"}
)

// vertex is an object in the graph, arc one that leads from one to another as traffic flows, or from what hangs on it.
type vertex struct {
	*line
	kind, id string
	in, out  []*arc
	hung     bool
	// keys are what it is folded into, one for each of folds; empty where it stays by itself.
	keys []string
}

type arc struct {
	from, to *vertex
	zone     string // of a site's pool
}

// web is all objects that have to do with traffic, with what leads where.
type web struct {
	vertices []*vertex // by kind in the order above, then by name
	byID     map[weir.Ref]*vertex
}

// graph gives the picture's web.
func (p *picture) graph() (w *web) {
	p.work(func() {
		if p.web == nil {
			p.web = p.woven()
		}
		w = p.web
	})
	return w
}

func (p *picture) woven() *web {
	w := &web{byID: map[weir.Ref]*vertex{}}
	for _, kind := range slices.Concat(flowKinds, hungKinds) {
		for _, l := range p.sheet(kind).lines {
			v := &vertex{line: l, kind: kind, id: l.object.Ref().String(), hung: slices.Contains(hungKinds, kind)}
			w.vertices = append(w.vertices, v)
			w.byID[l.object.Ref()] = v
		}
	}
	for _, v := range w.vertices {
		p.weave(w, v)
	}
	same := map[string]string{}
	for _, v := range w.vertices {
		v.keys = make([]string, len(folds))
		for i, fold := range folds {
			text := fold(v)
			if text == "" {
				continue
			}
			id := v.kind + ":" + strings.TrimSpace(text)
			if same[id] == "" {
				same[id] = id
			}
			v.keys[i] = same[id]
		}
	}
	return w
}

// weave adds what leads from and to an object by its own fields.
func (p *picture) weave(w *web, v *vertex) {
	switch spec := v.object.Spec.(type) {
	case *weir.LoadBalancer:
		w.join(v, w.byID[weir.Ref{Kind: "LoadBalancerGroup", Name: spec.Group}], "")
	case *weir.Server:
		for _, pool := range p.index().pools[v.object.Metadata.Name] {
			w.join(w.byID[weir.Ref{Kind: "Pool", Name: pool}], v, "")
		}
		return
	case *weir.Site:
		for _, b := range spec.Backends {
			for zone, pool := range b.Pools() {
				w.join(v, w.byID[weir.Ref{Kind: "Pool", Name: pool}], zone)
			}
		}
		for partner := range p.called(spec) {
			w.join(v, w.byID[weir.Ref{Kind: "Partner", Name: partner}], "")
		}
	}
	for _, r := range v.object.References() {
		to := w.byID[r.Ref]
		switch {
		case to == nil:
		case v.kind == "Site" && to.kind == "Pool" && !strings.HasPrefix(r.Path, "spec.backends"):
			w.join(v, to, "") // the fallback
		case v.kind == "IPAddress" && to.kind == "LoadBalancerGroup", v.kind == "Site" && to.kind == "IPAddress":
			w.join(to, v, "")
		case v.hung && (to.kind == "Site" || to.kind == "Pool"):
			w.join(v, to, "")
		case to.hung:
			w.join(to, v, "")
		}
	}
}

// called gives the partners that rules let applications call by a site.
func (p *picture) called(site *weir.Site) map[string]bool {
	all := map[string]bool{}
	if site.Egress == nil {
		return all
	}
	for o := range p.view.All("EgressClient") {
		if !slices.Contains(site.Egress.Environments, o.Spec.(*weir.EgressClient).Environment) {
			continue
		}
		for ref := range p.view.ReferrersOf("EgressRule", o.Ref()) {
			if rule := weir.Find[weir.EgressRule](p.view, ref.Kind, ref.Name); rule != nil {
				all[rule.Partner] = true
			}
		}
	}
	return all
}

// join adds an arc, once for each pair and zone.
func (w *web) join(from, to *vertex, zone string) {
	if from == nil || to == nil || slices.ContainsFunc(from.out, func(a *arc) bool { return a.to == to && a.zone == zone }) {
		return
	}
	a := &arc{from, to, zone}
	from.out, to.in = append(from.out, a), append(to.in, a)
}

// path gives what traffic comes through on its way to vertices, and goes to from there.
func path(focus []*vertex, may func(*vertex) bool) map[*vertex]bool {
	all := map[*vertex]bool{}
	walk := func(next func(*vertex) []*vertex) {
		seen := map[*vertex]bool{}
		queue := slices.Clone(focus)
		for len(queue) > 0 {
			v := queue[0]
			queue = queue[1:]
			if seen[v] || !may(v) {
				continue
			}
			seen[v], all[v] = true, true
			queue = append(queue, next(v)...)
		}
	}
	walk(func(v *vertex) (list []*vertex) {
		for _, a := range v.out {
			list = append(list, a.to)
		}
		return list
	})
	walk(func(v *vertex) (list []*vertex) {
		for _, a := range v.in {
			list = append(list, a.from)
		}
		return list
	})
	hung := slices.Collect(func(yield func(*vertex) bool) {
		for v := range all { // what hangs on a pool or a site of the path
			for _, a := range v.in {
				if a.from.hung && may(a.from) && !yield(a.from) {
					return
				}
			}
		}
	})
	for _, v := range hung {
		all[v] = true
	}
	return all
}
