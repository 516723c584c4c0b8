package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/plan"
)

// restorePlan says what every load balancer would do to get from what it has told that it has to what is wanted.
func (f *fleet) restorePlan(ctx context.Context) (api.RestorePlan, error) {
	view := f.store.View()
	out := api.RestorePlan{Plan: api.PlanAnswer{LoadBalancers: []api.LoadBalancerPlan{}}, Same: []string{}, Unknown: []api.RestoreUnknown{}}
	back := restoredCertificates{}
	type shown struct {
		group string
		set   *weir.Set
	}
	groups := map[shown]*restorePlanner{}
	for o := range view.All("LoadBalancer") {
		if err := ctx.Err(); err != nil {
			return out, &weir.Error{Kind: weir.Unavailable, Message: "plan the restore: it takes too long", Cause: err}
		}
		lb := o.Spec.(*weir.LoadBalancer)
		at := shown{lb.Group, f.setFor(view, o.Metadata.Name)}
		g := groups[at]
		if g == nil {
			next, problems := compile.Group(at.set, lb.Group)
			next.Challenges = f.challenges.of(&next)
			out.Plan.Problems = append(out.Plan.Problems, problems...)
			g = &restorePlanner{fleet: f, view: view, next: next, had: map[link.Hash]*planner{}, back: back}
			groups[at] = g
		}
		g.add(&out, o.Metadata.Name, lb)
	}
	out.Certificates = back.list(view)
	slices.SortFunc(out.Plan.LoadBalancers, func(a, b api.LoadBalancerPlan) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(out.Plan.Problems, func(a, b weir.Problem) int {
		return strings.Compare(a.Object+"\x00"+a.Path, b.Object+"\x00"+b.Path)
	})
	out.Plan.Problems = slices.CompactFunc(out.Plan.Problems, func(a, b weir.Problem) bool { return a == b })
	return out, nil
}

// restorePlanner plans for the load balancers of one group, once for those that are alike.
type restorePlanner struct {
	*fleet
	view *weir.Set
	next ir.Node
	had  map[link.Hash]*planner
	back restoredCertificates
}

func (g *restorePlanner) add(out *api.RestorePlan, name string, lb *weir.LoadBalancer) {
	unknown := func(why string) {
		out.Unknown = append(out.Unknown, api.RestoreUnknown{Name: name, Group: lb.Group, Zone: lb.Zone, Why: why})
	}
	told := g.hub.Told(name)
	if told.Why != "" {
		unknown(told.Why)
		return
	}
	had, err := ir.Assemble(told.Resources)
	if err != nil {
		unknown(fmt.Sprintf("what its agent tells can't be read: %s", err))
		return
	}
	p := g.had[told.Common]
	if p == nil {
		p = &planner{fleet: g.fleet, old: had, next: g.next, known: map[string]plan.Plan{}}
		g.had[told.Common] = p
		g.back.compare(had.Certificates, g.next.Certificates)
	}
	self, _ := compile.Self(g.view, name)
	if had.Self.State == weir.Maintenance && self.State == weir.Maintenance {
		out.Same = append(out.Same, name) // one in maintenance is left alone
		return
	}
	if one, ok := p.between(name, lb, had.Self, self); ok {
		out.Plan.LoadBalancers = append(out.Plan.LoadBalancers, one)
		return
	}
	out.Same = append(out.Same, name)
}

// strangers are the agents of load balancers that do not exist.
func (f *fleet) strangers() []api.Stranger {
	var list []api.Stranger
	for _, one := range f.hub.Strangers() {
		list = append(list, api.Stranger{Name: one.Name, Address: one.Address, First: one.First.UTC(), Last: one.Last.UTC()})
	}
	return list
}
