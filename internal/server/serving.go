package server

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/link"
)

// notServing tells what a group's active load balancers are to serve and do not, each thing once with all that it
// is so on. Those that were not heard lately are not judged: that they are silent is told of them instead.
func (m *moment) notServing(g *groupState) []api.Outage {
	var all []api.Outage
	var heardOf []string
	known := map[outageKey]int{} // the places in all
	for _, self := range g.selves {
		t := m.of(self.Name)
		if self.State != weir.Active || !t.heard || !ours(t.Reported, t.wanted) || m.clock().Sub(t.At) >= heardWithin {
			continue
		}
		heardOf = append(heardOf, self.Name)
		for _, o := range m.outages(g, self) {
			key := outageKey{o.Object, o.Reason, o.Message, o.Down}
			i, told := known[key]
			if !told {
				i, all = len(all), append(all, o)
				known[key] = i
			}
			all[i].LoadBalancers = append(all[i].LoadBalancers, self.Name)
		}
	}
	if len(heardOf) > 0 {
		all = append(all, m.uncovered(g, heardOf)...)
		all = append(all, g.unspoken(heardOf)...)
		all = append(all, m.refusals.outages(&g.node, heardOf)...)
	}
	slices.SortStableFunc(all, func(a, b api.Outage) int {
		return cmp.Or(cmp.Compare(down(b), down(a)), strings.Compare(a.Object, b.Object))
	})
	return all
}

// outageKey is what outages have in common that are told as one.
type outageKey struct {
	object, reason, message string
	down                    bool
}

func down(o api.Outage) int {
	if o.Down {
		return 1
	}
	return 0
}

// outages holds what a load balancer of a group reported against what it is to serve.
func (m *moment) outages(g *groupState, self ir.Self) []api.Outage {
	t, state := m.of(self.Name), g.of(self)
	var serve []bool
	if state == g && len(t.Servers) > 0 && m.lately(t) && len(t.Resources.Deviations) == 0 {
		serve = m.serveEverywhere(g)
	}
	return outagesOf(state, t.Report, serve)
}

// serveEverywhere says of each pool of a group, in the order of its node, whether it is known to serve on all load
// balancers that have told of servers and have nothing against it.
func (m *moment) serveEverywhere(g *groupState) []bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := m.crew(g)
	if c.serve == nil {
		c.serve = make([]bool, len(g.node.Pools))
		for i := range g.node.Pools {
			p := &g.node.Pools[i]
			c.serve[i] = c.kept.pool(p.Name, p.Servers).everywhere(p.Servers, c.telling)
		}
	}
	return c.serve
}

// outagesOf holds what a load balancer reported against what it is to serve. Of the pools in serve, where that is given, it
// is known that they do.
func outagesOf(g *groupState, rep link.Report, serve []bool) []api.Outage {
	node := &g.node
	j := judge{report: rep, node: node}
	var out []api.Outage
	for i := range node.Pools {
		p := &node.Pools[i]
		var a *compile.Admission
		if i < len(g.admissions) {
			a = g.admissions[i]
		}
		if a == nil && serve != nil && serve[i] {
			continue
		}
		if v := j.pool(p, a); v.reason != "" {
			j.lose(p.Name, v)
		}
		if o, silent := silence(p, a); silent {
			out = append(out, o)
		}
	}
	for i := range node.Sites {
		if j.concerns(&node.Sites[i]) {
			out = append(out, j.site(&node.Sites[i])...)
		}
	}
	// A pool that others stand in for, once, however many sites lead to it.
	for _, name := range j.order {
		if v := j.lost[name]; v.spared {
			out = append(out, api.Outage{Object: "Pool/" + name, Reason: v.reason, Message: v.message + "; other pools stand in for it"})
		}
	}
	return out
}

// judge knows one load balancer's report.
type judge struct {
	report link.Report
	node   *ir.Node
	// lost are the pools that do not serve, order their names as the node has them.
	lost  map[string]poolView
	order []string
}

// poolView is what a load balancer makes of a pool; reason is empty while it serves.
type poolView struct {
	reason, message string
	// spared says that a backend lives though the pool does not.
	spared bool
}

func (j *judge) lose(pool string, v poolView) {
	if j.lost == nil {
		j.lost = map[string]poolView{}
	}
	j.lost[pool], j.order = v, append(j.order, pool)
}

// concerns says whether a site can have anything to tell of: where all is well most have not.
func (j *judge) concerns(s *ir.Site) bool {
	if len(j.report.Resources.Deviations) > 0 {
		return true
	}
	for i := 0; len(j.lost) > 0 && i < len(s.Backends); i++ {
		b := &s.Backends[i]
		if _, lost := j.lost[b.Pool]; lost {
			return true
		}
		for _, name := range b.Slots {
			if _, lost := j.lost[name]; lost {
				return true
			}
		}
	}
	return false
}

func (j *judge) pool(p *ir.Pool, a *compile.Admission) poolView {
	if d, ok := j.refused("pool/", p.Name); ok {
		return poolView{reason: api.NotServingQuarantined, message: d.Message}
	}
	if len(p.Servers) == 0 && a != nil && len(a.Others) > 0 {
		return poolView{reason: api.NotServingNotAdmitted, message: "no server is admitted: " + othersInWords(a, nil)}
	}
	if len(p.Servers) == 0 {
		return poolView{reason: api.NotServingDown, message: "no server is in it"}
	}
	// Those that the report has besides are on their way out, and no longer in the pool.
	seen, told := 0, j.report.Servers[p.Name]
	for i := range p.Servers {
		switch h, ok := told[p.Servers[i].Name]; {
		case !ok:
		case h.State == link.Up || h.State == link.NoCheck:
			return poolView{} // one is enough
		default:
			seen++
		}
	}
	if seen == 0 && j.report.State != link.Converged {
		return poolView{} // what is still on its way is told as that
	}
	if seen == 0 {
		return poolView{reason: api.NotServingUnseen, message: "its servers have not been looked at yet"}
	}
	states := map[link.Health]int{}
	for i := range p.Servers {
		if h, ok := told[p.Servers[i].Name]; ok {
			states[h.State]++
		}
	}
	if states[link.StartingUp] == seen {
		return poolView{reason: api.NotServingNotAdmitted, message: "no server was admitted yet: the first check of " + servers(seen) + " is awaited"}
	}
	return poolView{reason: api.NotServingDown, message: "no server is up: " + inWords(states)}
}

// refused gives HAProxy's objection to a resource that leaves nothing of it.
func (j *judge) refused(kind, name string) (link.Deviation, bool) {
	if len(j.report.Resources.Deviations) == 0 {
		return link.Deviation{}, false
	}
	d, ok := j.report.Resources.Deviations[kind+name]
	return d, ok && d.State == link.Quarantined && d.Reason == link.RefusedAtFirst
}

func servers(n int) string {
	if n == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", n)
}

// inWords counts servers by what keeps them from serving.
func inWords(states map[link.Health]int) string {
	var parts []string
	for _, s := range []struct {
		state link.Health
		word  string
	}{{link.Down, "down"}, {link.Drain, "drained"}, {link.Maint, "in maintenance"}, {link.StartingUp, "not admitted yet"}} {
		if n := states[s.state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s.word))
		}
	}
	return strings.Join(parts, ", ")
}

// site says what of a site is not served. A site that is down is told by that alone.
func (j *judge) site(s *ir.Site) []api.Outage {
	object := "Site/" + s.Name
	if d, ok := j.refused("site/", s.Name); ok {
		return []api.Outage{{Object: object, Down: true, Reason: api.NotServingQuarantined, Message: d.Message}}
	}
	out := j.addresses(s, object)
	if len(out) > 0 && out[0].Down {
		return out
	}
	backends, dead := j.backends(s, object)
	if dead {
		return backends
	}
	return append(out, backends...)
}

// addresses says which of a site's addresses nothing listens at.
func (j *judge) addresses(s *ir.Site, object string) []api.Outage {
	var out []api.Outage
	for _, name := range s.Addresses {
		if d, ok := j.report.Resources.Deviations["address/"+name]; ok && d.State == link.Quarantined && (d.Reason == link.CannotBind || d.Reason == link.RefusedAtFirst) {
			o := api.Outage{Object: object, Reason: api.NotServingNotBound, Message: "IPAddress/" + name + " is not bound: " + d.Message}
			if d.Reason == link.RefusedAtFirst {
				o.Reason, o.Message = api.NotServingQuarantined, "IPAddress/"+name+": "+d.Message
			}
			out = append(out, o)
		}
	}
	for i := range out {
		out[i].Down = len(out) == len(s.Addresses)
	}
	return out
}

// backends says which of a site's backends have no pool that serves, and whether all have none.
func (j *judge) backends(s *ir.Site, object string) (out []api.Outage, dead bool) {
	var causes []string
	said := map[string]bool{}
	alive, worst, instead := 0, "", ""
	if r := s.Routing; r != nil && r.Fallback != "" {
		if _, lost := j.lost[r.Fallback]; !lost && poolAt(j.node, r.Fallback) >= 0 {
			instead = "; pool " + r.Fallback + ", the site's fallback, serves in its place"
		}
	}
	for _, b := range s.Backends {
		var lost []string
		all := poolsOf(b)
		for _, name := range all {
			if v := j.lost[name]; v.reason != "" {
				lost = append(lost, name)
			}
		}
		if len(lost) < len(all) || len(all) == 0 {
			alive++
			for _, name := range lost {
				v := j.lost[name]
				v.spared = true
				j.lost[name] = v
			}
			continue
		}
		var texts []string
		reason := ""
		for _, name := range lost {
			v := j.lost[name]
			texts = append(texts, "pool "+name+": "+v.message)
			reason = worse(reason, v.reason)
			if !said[name] {
				said[name] = true
				causes = append(causes, "pool "+name+": "+v.message)
			}
		}
		worst = worse(worst, reason)
		out = append(out, api.Outage{Object: object, Reason: reason, Message: "backend " + b.Name + ": " + strings.Join(texts, "; ") + instead})
	}
	if alive > 0 || len(out) == 0 || instead != "" {
		return out, false
	}
	// What nobody has looked at yet is not said to be down.
	return []api.Outage{{Object: object, Down: worst != api.NotServingUnseen, Reason: worst, Message: strings.Join(causes, "; ")}}, true
}

func poolsOf(b ir.Backend) []string {
	if b.Pool != "" {
		return []string{b.Pool}
	}
	var list []string
	for _, name := range b.Slots {
		if name != "" && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// worse gives the reason that is told of two: the one that ends last by itself.
func worse(a, b string) string {
	order := []string{api.NotServingUnseen, api.NotServingNotAdmitted, api.NotServingDown, api.NotServingQuarantined}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}
