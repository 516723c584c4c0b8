package server

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
	"weir/internal/compile"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/plan"
)

// newest is the version that plans are made for where no agent has told one.
var newest = haproxy.Version{Major: 3, Minor: 4}

// Plan says what a change would do, load balancer by load balancer. It is made of the same functions as what
// the agents execute.
func (f *fleet) Plan(_ context.Context, before, after *weir.Set, written []weir.Ref) (api.PlanAnswer, error) {
	answer := api.PlanAnswer{LoadBalancers: []api.LoadBalancerPlan{}, Waves: f.planWaves(before, after, written)}
	certificates := f.newCertificatePlan(before, after)
	touches, losses := compile.Touches(before, after, written), map[string]compile.Loss{}
	var sites []string
	for _, t := range touches {
		sites = append(sites, t.Site)
	}
	for _, group := range compile.Groups(before, after, written) {
		old, _ := compile.Group(before, group)
		next, problems := compile.Group(after, group)
		answer.Problems = append(answer.Problems, problems...)
		certificates.group(group, &old, &next)
		maps.Copy(losses, compile.Losses(&old, &next, sites, f.clock()))
		p := planner{fleet: f, before: before, after: after, old: old, next: next, known: map[string]plan.Plan{}}
		for o := range after.All("LoadBalancer") {
			if lb := o.Spec.(*weir.LoadBalancer); lb.Group == group {
				if one, ok := p.loadBalancer(o.Metadata.Name, lb); ok {
					answer.LoadBalancers = append(answer.LoadBalancers, one)
				}
			}
		}
	}
	answer.Certificates = certificates.tell(written)
	if len(answer.LoadBalancers) > 0 {
		answer.Impact = impactOf(touches, losses)
	}
	slices.SortFunc(answer.Problems, func(a, b weir.Problem) int {
		return strings.Compare(a.Object+"\x00"+a.Path, b.Object+"\x00"+b.Path)
	})
	answer.Problems = slices.CompactFunc(answer.Problems, func(a, b weir.Problem) bool {
		return a.Object == b.Object && a.Path == b.Path && a.Message == b.Message
	})
	return answer, nil
}

// planner plans for the load balancers of one group, once for those that are alike.
type planner struct {
	*fleet
	before, after *weir.Set
	old, next     ir.Node
	known         map[string]plan.Plan
}

func (p *planner) loadBalancer(name string, lb *weir.LoadBalancer) (api.LoadBalancerPlan, bool) {
	was, existed := compile.Self(p.before, name)
	self, _ := compile.Self(p.after, name)
	if !existed || was.State == weir.Maintenance && self.State == weir.Maintenance {
		// A load balancer that is new starts with all there is; one in maintenance is left alone.
		return api.LoadBalancerPlan{}, false
	}
	return p.between(name, lb, was, self)
}

// between plans for one load balancer whose self is another afterwards; ok is false when there is nothing to do.
func (p *planner) between(name string, lb *weir.LoadBalancer, was, self ir.Self) (out api.LoadBalancerPlan, ok bool) {
	version, told := p.versionOf(name)
	spare := p.spareOf(name)
	key := likeness(was) + likeness(self) + version.String() + strings.Join(spare, "\n")
	one, ok := p.known[key]
	if !ok {
		one = p.diff(version, was, self, spare)
		p.known[key] = one
	}
	if one.Empty() {
		return api.LoadBalancerPlan{}, false
	}
	out = api.LoadBalancerPlan{Name: name, Group: lb.Group, Zone: lb.Zone, Version: told, Sentences: plan.Summary(one)}
	for _, op := range one.Ops {
		out.Commands = append(out.Commands, op.String())
	}
	out.Reload = reasonsOf(one.Reload)
	return out, true
}

func reasonsOf(list []plan.Reason) []api.ReloadReason {
	var out []api.ReloadReason
	for _, r := range list {
		out = append(out, api.ReloadReason{Object: r.Owner, Text: r.Text})
	}
	return out
}

func (p *planner) diff(version haproxy.Version, was, self ir.Self, spare []string) plan.Plan {
	now := p.clock()
	old, next := p.old, p.next
	old.Self, next.Self = was, self
	old, _ = old.At(now)
	next, _ = next.At(now)
	want := haproxy.Render(next, envOf(next, version))
	return plan.Diff(plan.WithSpare(haproxy.Render(old, envOf(old, version)), want, spare), want)
}

// envOf is what an agent that runs as root adds to a node; the log's place, which no plan is about, is left out.
func envOf(n ir.Node, version haproxy.Version) haproxy.Env {
	n.Tuning.Normalize()
	return haproxy.Env{Version: version, User: n.Tuning.User, Group: n.Tuning.Group}
}

// likeness is equal for load balancers that get the same plan.
func likeness(s ir.Self) string {
	s.Name, s.Zone, s.State = "", "", ""
	raw, err := json.Marshal(s)
	if err != nil {
		return s.Name
	}
	return string(raw)
}

// versionOf gives the HAProxy that an agent has told of, and as it told it.
func (f *fleet) versionOf(name string) (haproxy.Version, string) {
	if rep, ok := f.hub.Reports().Get(name); ok && rep.HAProxy != "" {
		if v, err := haproxy.ParseVersion(rep.HAProxy); err == nil {
			return v, rep.HAProxy
		}
	}
	return newest, ""
}

// spareOf gives what the HAProxy of a load balancer has beyond what is wanted, as its agent has told.
func (f *fleet) spareOf(name string) []string {
	rep, _ := f.hub.Reports().Get(name)
	return rep.Spare
}

// Render gives the files that a load balancer is to have, without keys.
func (f *fleet) Render(_ context.Context, name string) (map[string]string, error) {
	node, _, err := compile.Node(f.setFor(f.store.View(), name), name)
	if err != nil {
		return nil, err
	}
	node.Challenges = f.challenges.of(&node)
	node, _ = node.At(f.clock())
	version, _ := f.versionOf(name)
	files := map[string]string{}
	for _, file := range haproxy.Render(node, envOf(node, version)).Files() {
		files[file.Path] = file.Content
	}
	return files, nil
}
