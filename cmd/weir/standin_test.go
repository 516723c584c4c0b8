package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/store"
)

// standIn says what is so in place of agents: every load balancer has everything, but for what a script said.
type standIn struct {
	store *store.Store

	mu          sync.Mutex
	moved       chan struct{} // closed and replaced whenever something is set
	lags        map[string]string
	silent      map[string]bool
	quarantined map[string]string
	reloads     map[string]api.ReloadsStatus
	warnings    map[string][]api.Warning
	ended       map[string]api.EndedStatus
	outages     []api.Outage
	drift       map[string]*api.DriftStatus
	restored    *api.Restored
	strangers   []api.Stranger
	unsettled   string // a group of which not all health is known
	waves       map[string]*api.WaveStatus
	ticketKeys  map[string]*api.TicketKeysStatus
	renewals    map[string]*weir.Renewal
	seen        map[string]*weir.SourceStatus // by object
	logging     []string                      // who has logged something
	checked     map[string]int                // how often the health of servers has changed
}

func newStandIn(st *store.Store) *standIn {
	return &standIn{
		store: st, moved: make(chan struct{}), lags: map[string]string{}, silent: map[string]bool{},
		quarantined: map[string]string{}, reloads: map[string]api.ReloadsStatus{},
		warnings: map[string][]api.Warning{}, ended: map[string]api.EndedStatus{}, drift: map[string]*api.DriftStatus{},
	}
}

func (s *standIn) set(f func(*standIn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
	close(s.moved)
	s.moved = make(chan struct{})
}

// Status implements api.StatusSource.
func (s *standIn) Status(o *weir.Object) *weir.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := theNow.Add(-90 * time.Minute)
	status := &weir.Status{Conditions: []weir.Condition{{Type: weir.Accepted, Status: "True", Reason: "Valid", Message: "it obeys the rules", Since: since}}}
	status.Certificate, status.Issuer, status.Source = s.certificate(o), s.issuer(o), s.seen[o.Ref().String()]
	switch o.Kind {
	case "Site", "Route", "Pool", "IPAddress", "Certificate", "ErrorPage", "Map", "AccessList", "RateLimit", "ZoneShift", "Schedule", "Split", "Logic":
	default:
		return status
	}
	total := s.store.View().Len("LoadBalancer")
	c := weir.Condition{Type: weir.Programmed, Status: "True", Reason: "ReadBack", Ready: total - len(s.lags), Of: total, Message: fmt.Sprintf("read back from %d of %d load balancers", total-len(s.lags), total), Since: since}
	if c.Ready < total {
		c.Status = "False"
	}
	status.Conditions = append(status.Conditions, c)
	if o.Kind == "Site" || o.Kind == "Pool" {
		status.Conditions = append(status.Conditions, weir.Condition{Type: weir.Serving, Status: "True", Reason: "Up", Message: "3 of 3 servers are up", Since: since})
	}
	if why, ok := s.quarantined[o.Ref().String()]; ok {
		status.Conditions = append(status.Conditions, weir.Condition{Type: weir.Quarantined, Status: "True", Reason: "Refused", Message: why, Since: since})
	}
	return status
}

// Fleet implements api.StatusSource.
func (s *standIn) Fleet() api.FleetStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	view := s.store.View()
	fleet := api.FleetStatus{Version: "test", Revision: view.Revision, Restored: s.restored, Strangers: s.strangers}
	for g := range view.All("LoadBalancerGroup") {
		group := api.GroupStatus{Name: g.Metadata.Name, Wanted: view.Revision, Waves: s.waves[g.Metadata.Name], TicketKeys: s.ticketKeys[g.Metadata.Name]}
		for o := range view.All("LoadBalancer") {
			if spec := o.Spec.(*weir.LoadBalancer); spec.Group == g.Metadata.Name {
				lb := s.loadBalancer(o.Metadata.Name, spec, view.Revision)
				group.LoadBalancers = append(group.LoadBalancers, lb)
				if spec.State != weir.Active {
					continue
				}
				group.Of++
				if lb.Ready {
					group.Ready++
				} else {
					group.Laggards = append(group.Laggards, lb.Name)
				}
			}
		}
		for _, o := range s.outages {
			o.LoadBalancers = slices.DeleteFunc(slices.Clone(o.LoadBalancers), func(name string) bool {
				return !slices.ContainsFunc(group.LoadBalancers, func(lb api.LoadBalancerStatus) bool { return lb.Name == name })
			})
			if len(o.LoadBalancers) > 0 {
				group.NotServing = append(group.NotServing, o)
			}
		}
		fleet.Groups = append(fleet.Groups, group)
	}
	for name, r := range s.renewals {
		if r.State == weir.RenewalFailing {
			fleet.NotIssued = append(fleet.NotIssued, weir.Problem{Object: "Certificate/" + name, Message: r.Error})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.seen)) {
		if why := s.seen[name].Error; why != "" {
			fleet.Sources = append(fleet.Sources, weir.Problem{Object: name, Message: why})
		}
	}
	slices.SortFunc(fleet.NotIssued, func(a, b weir.Problem) int { return cmp.Compare(a.Object, b.Object) })
	return fleet
}

func (s *standIn) loadBalancer(name string, spec *weir.LoadBalancer, revision int64) api.LoadBalancerStatus {
	lb := api.LoadBalancerStatus{
		Name: name, Zone: spec.Zone, State: spec.State, Run: "converged", Ready: true, Reachable: true, Revision: revision, Seen: revision,
		LastSeen: theNow.Add(-2 * time.Second), Agent: "test", HAProxy: "3.4.7", Reloads: s.reloads[name], Programmed: 12,
		Warnings: s.warnings[name], Ended: s.ended[name], Drift: s.drift[name],
	}
	if why, ok := s.lags[name]; ok {
		lb.Ready, lb.Run, lb.Message, lb.Revision, lb.Pending = false, "failed", why, revision-1, 1
		lb.Deviations = append(lb.Deviations, api.Deviation{Object: "Site/www", State: "pending", Message: why, Since: theNow.Add(-42 * time.Second)})
	}
	if s.silent[name] {
		lb.Ready, lb.Reachable, lb.LastSeen = false, false, theNow.Add(-5*time.Minute)
	}
	for object, why := range s.quarantined {
		lb.Quarantined++
		lb.Deviations = append(lb.Deviations, api.Deviation{Object: object, State: "quarantined", Message: why, Since: theNow.Add(-90 * time.Minute)})
	}
	slices.SortFunc(lb.Deviations, func(a, b api.Deviation) int { return cmp.Compare(a.Object, b.Object) })
	return lb
}

// Wait implements api.StatusSource.
func (s *standIn) Wait(ctx context.Context, revision int64) iter.Seq[api.Progress] {
	return func(yield func(api.Progress) bool) {
		for {
			s.mu.Lock()
			moved := s.moved
			unsettled := s.unsettled
			s.mu.Unlock()
			p := api.Progress{Revision: revision, Programmed: true, Done: unsettled == ""}
			for _, g := range s.Fleet().Groups {
				part := api.GroupProgress{Name: g.Name, Ready: g.Ready, Of: g.Of, Laggards: g.Laggards}
				if w := g.Waves; w != nil && w.State != api.WavesIdle {
					part.InWaves, part.Ready, part.Message = true, w.Has, w.Message
					part.Halted = w.State == "halted"
					p.Programmed, p.Done = false, part.Halted
				}
				if g.Name == unsettled {
					part.Message = "the checks are awaited"
				}
				if len(g.Laggards) > 0 {
					p.Programmed, p.Done = false, false
					s.mu.Lock()
					part.Message = g.Laggards[0] + " is silent"
					if why := s.lags[g.Laggards[0]]; why != "" {
						part.Message = g.Laggards[0] + " failed: " + why
					}
					s.mu.Unlock()
				}
				p.Groups = append(p.Groups, part)
			}
			if !yield(p) || p.Done {
				return
			}
			select {
			case <-moved:
			case <-ctx.Done():
				return
			}
		}
	}
}

// SteerWaves implements api.WaveSource: nothing but a stop can be done to a wave that goes.
func (s *standIn) SteerWaves(_ context.Context, group string, action api.WaveAction, by, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waves[group].State != "going" || action != api.WaveStop {
		return weir.Errorf(weir.Conflict, "nothing is on its way in group %s", group)
	}
	w := *s.waves[group]
	w.State, w.By, w.Why, w.Message = "stopped", by, reason, "change 4: stopped by "+by+" with 1 of 2 load balancers: "+reason
	s.waves[group] = &w
	return nil
}

// RenewTicketKeys implements api.TicketSource.
func (s *standIn) RenewTicketKeys(_ context.Context, group, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := *s.ticketKeys[group]
	if k.Generation == 0 {
		return weir.Errorf(weir.Conflict, "group %s has no ticket keys of its own yet", group)
	}
	k.Renewing, k.Message = 3, "3 more come"
	s.ticketKeys[group] = &k
	return nil
}

// SiteCounts implements api.StatusSource.
func (s *standIn) SiteCounts() map[string]api.SiteCounts {
	return map[string]api.SiteCounts{"www": {
		Requests: 1_234_567, Statuses: map[string]uint64{"2xx": 1_230_000, "4xx": 4_500, "5xx": 67},
		Zones: map[string]uint64{"az1": 617_283, "az2": 617_284}, Pools: map[string]uint64{"web-az1": 617_283, "web-az2": 617_284},
		Latency:    api.Latency{P50: 1.4, P90: 3.2, P99: 18.5},
		RateLimits: map[string]api.LimitCounts{"usual": {Soft: 12_345, ShadowHard: 3}},
		Splits:     []api.LegCounts{{Split: "canary", Backend: "api", Aborts: 1, Diverted: 310}},
	}}
}

// ServerHealth implements api.StatusSource.
func (s *standIn) ServerHealth(pool string) []api.ServerHealth {
	o := s.store.View().Get(weir.Ref{Kind: "Pool", Name: pool})
	if o == nil || o.Spec.(*weir.Pool).Selector == nil {
		return nil
	}
	var list []api.ServerHealth
	for server := range s.store.View().All("Server") {
		if !o.Spec.(*weir.Pool).Selects(o.Metadata.Role, server) {
			continue
		}
		h := api.ServerHealth{Server: server.Metadata.Name}
		for lb := range s.store.View().All("LoadBalancer") {
			v := api.ServerView{LoadBalancer: lb.Metadata.Name, State: "up", Since: theNow.Add(-26 * time.Hour), Check: "passes (L7OK)"}
			if server.Metadata.Name == "web-az1-2" && lb.Metadata.Name == "lb-az2-1" {
				v = api.ServerView{LoadBalancer: lb.Metadata.Name, State: "down", Since: theNow.Add(-3 * time.Minute), Check: "takes no connection in time (L4TOUT)"}
			} else {
				h.Up++
			}
			h.Of++
			h.Views = append(h.Views, v)
		}
		list = append(list, h)
	}
	return list
}

// Moment implements api.StatusSource.
func (s *standIn) Moment() api.Moment { return s }

// Seen implements api.Moment.
func (s *standIn) Seen(pool string) (list []api.SeenServer) {
	for _, h := range s.ServerHealth(pool) {
		one := api.SeenServer{Server: h.Server, Up: h.Up, Of: h.Of}
		for _, v := range h.Views {
			if v.State != "up" {
				one.State, one.Check, one.LoadBalancer, one.Since = v.State, v.Check, v.LoadBalancer, v.Since
			}
		}
		list = append(list, one)
	}
	return list
}

// Render implements api.StatusSource.
func (s *standIn) Render(_ context.Context, loadBalancer string) (map[string]string, error) {
	return map[string]string{"haproxy.cfg": "global\n  # " + loadBalancer + "\n", "maps/hosts-443.map": "www.example.com|www-az1 www\n"}, nil
}

// Node implements api.StatusSource.
func (s *standIn) Node(loadBalancer string) (ir.Node, func(pool, server string) bool, bool) {
	node, _, err := compile.Node(s.store.View(), loadBalancer)
	return node, func(_, server string) bool { return server != "web-az1-2" || loadBalancer != "lb-az2-1" }, err == nil
}

// standInPlanner plans what can be told from the objects alone: a Site on a port that no other has reloads.
type standInPlanner struct{}

// Plan implements api.Planner.
func (standInPlanner) Plan(_ context.Context, before, after *weir.Set, written []weir.Ref) (api.PlanAnswer, error) {
	var answer api.PlanAnswer
	if g := weir.Find[weir.LoadBalancerGroup](after, "LoadBalancerGroup", "edge"); g != nil && g.Waves != nil {
		answer.Waves = []string{"group edge goes in waves: lb-az1-1 first, then the rest (1); each is watched for 30s"}
	}
	for _, r := range written {
		if c := weir.Find[weir.Certificate](after, r.Kind, r.Name); c != nil && c.Issuer != "" {
			answer.Certificates = append(answer.Certificates, api.PlanNote{Object: r.String(), Text: "is ordered from Issuer/" + c.Issuer + ", because it is the first"})
		}
	}
	var reasons []api.ReloadReason
	var sentences, commands []string
	for _, r := range written {
		if p := newPort(before, after, r); p != "" {
			reasons = append(reasons, api.ReloadReason{Object: r.String(), Text: "port " + p + " is new to the group: HAProxy opens ports only when it starts"})
		}
		switch {
		case after.Get(r) == nil:
		case r.Kind == "ErrorPage" && len(after.Get(r).Spec.(*weir.ErrorPage).Body) > 100:
			answer.Problems = append(answer.Problems, weir.Problem{Object: r.String(), Path: "spec.body", Message: "does not fit the buffers of group edge; the last good form stays"})
		case r.Kind == "Pool" && before.Get(r) == nil:
			sentences = append(sentences, "adds pool "+r.Name, "adds 2 servers to pool "+r.Name)
			commands = append(commands, "add backend "+r.Name+" from p-http", "add server "+r.Name+"/s1 10.1.0.1:80 id 1", "enable health "+r.Name+"/s1", "add server "+r.Name+"/s2 10.1.0.2:80 id 2", "enable health "+r.Name+"/s2", "publish backend "+r.Name)
		case r.Kind == "Site" && before.Get(r) != nil:
			answer.Impact = append(answer.Impact, api.PlanImpact{Site: r.Name, Touches: "requests to /shop/", Spare: &api.PlanSpare{Without: "az1", Zone: "az2", Carries: 150}})
			fallthrough
		case r.Kind == "Pool" || r.Kind == "Site" || r.Kind == "Override" || r.Kind == "ZoneShift":
			sentences = append(sentences, "changes what belongs to "+r.String())
			commands = append(commands, "set map maps/sites.map "+r.Name+" x")
		}
	}
	for o := range after.All("LoadBalancer") {
		spec := o.Spec.(*weir.LoadBalancer)
		lb := api.LoadBalancerPlan{Name: o.Metadata.Name, Group: spec.Group, Zone: spec.Zone, Version: "3.4.7"}
		if spec.Group != "edge" || len(commands)+len(reasons) == 0 {
			continue
		}
		if lb.Reload = reasons; len(reasons) == 0 {
			lb.Sentences, lb.Commands = sentences, commands
		}
		answer.LoadBalancers = append(answer.LoadBalancers, lb)
	}
	return answer, nil
}

func newPort(before, after *weir.Set, r weir.Ref) string {
	site := weir.Find[weir.Site](after, r.Kind, r.Name)
	if site == nil {
		return ""
	}
	for _, l := range site.Listeners {
		known := false
		for o := range before.All("Site") {
			known = known || slices.ContainsFunc(o.Spec.(*weir.Site).Listeners, func(k weir.Listener) bool { return k.Port == l.Port })
		}
		if !known && before.Len("Site") > 0 {
			return l.Port.String()
		}
	}
	return ""
}
