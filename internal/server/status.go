package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
)

// heardWithin is how long an agent may be silent and still counts as reachable: it tells its counters about
// every second.
const heardWithin = 15 * time.Second

// Fleet gives the state of every group and load balancer, and what they do not serve.
func (f *fleet) Fleet() api.FleetStatus {
	status, groups := f.standing()
	m := f.moment()
	for i := range status.Groups {
		g := &status.Groups[i]
		g.NotServing = m.notServing(groups[g.Name])
	}
	status.Strangers = f.strangers()
	status.NotIssued = f.notIssued()
	status.Sources = f.troubled()
	status.Partners = m.failingPartners()
	if f.restored != nil {
		status.Restored = f.restored()
	}
	return status
}

// standing is Fleet without a look at every site and server, for what asks often.
func (f *fleet) standing() (api.FleetStatus, map[string]*groupState) {
	f.mu.RLock()
	groups, revision, counted := maps.Clone(f.groups), f.revision, f.counted
	f.mu.RUnlock()
	status := api.FleetStatus{Version: f.version, Revision: revision, Groups: []api.GroupStatus{}, Servers: counted.told()}
	for _, name := range sortedNames(groups) {
		status.Groups = append(status.Groups, f.groupStatus(name, groups[name]))
	}
	return status, groups
}

func (f *fleet) groupStatus(name string, g *groupState) api.GroupStatus {
	out := api.GroupStatus{Name: name, Problems: g.problems, LoadBalancers: []api.LoadBalancerStatus{}}
	out.Waves = f.waveStatus(name, g)
	if f.tickets != nil {
		out.TicketKeys = f.tickets.status(name)
	}
	for _, self := range g.selves {
		wanted, _ := f.hub.Wanted(self.Name)
		out.Wanted = max(out.Wanted, wanted.Revision)
		lb := f.loadBalancerStatus(self, wanted)
		out.LoadBalancers = append(out.LoadBalancers, lb)
		if self.State != weir.Active {
			continue
		}
		out.Of++
		if lb.Ready {
			out.Ready++
		} else {
			out.Laggards = append(out.Laggards, self.Name)
		}
	}
	return out
}

func (f *fleet) loadBalancerStatus(self ir.Self, wanted link.Wanted) api.LoadBalancerStatus {
	out := api.LoadBalancerStatus{Name: self.Name, Zone: self.Zone, State: self.State, Run: "unknown"}
	rep, ok := f.hub.Reports().Get(self.Name)
	if !ok {
		return out
	}
	out.Run, out.Message, out.Revision, out.Seen, out.LastSeen = string(rep.State), rep.Message, rep.Revision, rep.Seen, rep.At
	out.Agent, out.HAProxy = rep.Agent, rep.HAProxy
	out.OtherHistory = !ours(rep, wanted)
	out.Reachable = f.clock().Sub(rep.At) < heardWithin
	out.Ready = f.has(rep, wanted)
	if ours(rep, wanted) && rep.Revision > f.store.Revision() && rep.Hash != wanted.Hash {
		out.Run = string(link.Failed)
		out.Message = fmt.Sprintf("it claims to have revision %d, which nobody has made yet, so nothing that it says of itself is believed; look what runs in its place", rep.Revision)
	}
	out.Reloads = api.ReloadsStatus{Count: rep.Reloads.Count, Last: rep.Reloads.Last}
	for _, text := range rep.Reloads.Reasons {
		out.Reloads.Reasons = append(out.Reloads.Reasons, api.ReloadReason{Text: text})
	}
	out.Drift = driftStatus(rep.Drift)
	out.Ended = api.EndedStatus{Count: rep.Ended.Count, Last: rep.Ended.Last, Why: rep.Ended.Why}
	for _, w := range rep.Warnings {
		out.Warnings = append(out.Warnings, api.Warning{Reason: w.Reason, Message: w.Message, Since: w.Since})
	}
	if off := clockOff(rep); off != "" {
		out.Warnings = append(out.Warnings, api.Warning{Reason: link.ClockOff, Message: off})
	}
	out.Programmed, out.Pending, out.Quarantined = rep.Resources.Programmed, rep.Resources.Pending, rep.Resources.Quarantined
	for _, id := range sortedNames(rep.Resources.Deviations) {
		d := rep.Resources.Deviations[id]
		out.Deviations = append(out.Deviations, api.Deviation{
			Object: ir.Owner(id), State: string(d.State), Reason: d.Reason, Message: d.Message, Since: d.Since,
		})
	}
	return out
}

// clockTolerance is how far an agent's clock may be from this one: a report may be on its way for some time.
const clockTolerance = 20 * time.Second

// clockOff says how far an agent's clock is from this one and what that means, "" when it is near enough.
func clockOff(rep link.Reported) string {
	off := rep.Now.Sub(rep.At)
	switch {
	case rep.Now.IsZero() || off.Abs() < clockTolerance:
		return ""
	case off > 0:
		return "its clock is " + off.Round(time.Second).String() + " ahead of the control plane's; overrides and failovers end too early there, and certificates that still hold may be refused: look at the time service of both machines"
	}
	return "its clock is " + (-off).Round(time.Second).String() + " behind the control plane's; overrides and failovers end too late there, and new certificates may be refused: look at the time service of both machines"
}

// has says that a report is of the content wanted, or of a newer one that there is.
func (f *fleet) has(rep link.Reported, wanted link.Wanted) bool {
	return rep.State == link.Converged && (rep.Hash == wanted.Hash || !wanted.Viewed && ours(rep, wanted) && rep.Revision >= wanted.Revision && wanted.Revision > 0 && rep.Revision <= f.store.Revision())
}

// ours tells that a report's revisions are of this history: after a restore agents come from another one.
func ours(rep link.Reported, wanted link.Wanted) bool {
	return rep.Epoch == wanted.Epoch || rep.Epoch == ""
}

// SiteCounts sums up what the access logs of all load balancers counted.
func (f *fleet) SiteCounts() map[string]api.SiteCounts {
	counts := f.counts()
	out := map[string]api.SiteCounts{}
	for _, series := range counts.BySite() {
		site := api.SiteCounts{Statuses: map[string]uint64{}, Pools: map[string]uint64{}, Zones: map[string]uint64{}}
		for class, c := range series.Classes {
			site.Requests += c.Requests
			site.BytesIn += c.BytesIn
			site.BytesOut += c.BytesOut
			if c.Requests > 0 {
				site.Statuses[accesslog.ClassName(class)] = c.Requests
			}
		}
		millis := func(q float64) float64 { return float64(series.Total.Quantile(q).Microseconds()) / 1000 }
		site.Latency = api.Latency{P50: millis(0.5), P90: millis(0.9), P99: millis(0.99)}
		out[series.Site] = site
	}
	for _, series := range counts.Series {
		site := out[series.Site]
		for _, c := range series.Classes {
			if c.Requests > 0 {
				site.Pools[series.Pool] += c.Requests
				site.Zones[series.Zone] += c.Requests
			}
		}
	}
	refused(out, &counts)
	return out
}

// refused adds what rate limits and splits did to the counts of sites.
func refused(sites map[string]api.SiteCounts, counts *accesslog.Counts) {
	for _, l := range counts.Limited {
		site := sites[l.Site]
		if site.RateLimits == nil {
			site.RateLimits = map[string]api.LimitCounts{}
		}
		site.RateLimits[l.RateLimit] = api.LimitCounts{Soft: l.Soft, Hard: l.Hard, ShadowSoft: l.ShadowSoft, ShadowHard: l.ShadowHard}
		sites[l.Site] = site
	}
	for _, d := range counts.Diverted {
		site := sites[d.Site]
		site.Splits = append(site.Splits, api.LegCounts{Split: d.Split, Backend: ir.CalledAs(d.Backend), Aborts: d.Aborts, Diverted: d.Diverts})
		sites[d.Site] = site
	}
}

func (f *fleet) counts() accesslog.Counts {
	var sum accesslog.Counts
	for _, rep := range f.hub.Reports().All() {
		if one, ok := countsOf(rep); ok {
			sum.Merge(one)
		}
	}
	return sum
}

// ServerHealth gives what the load balancers' checks see of a pool.
func (f *fleet) ServerHealth(pool string) []api.ServerHealth {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.serverHealth(pool)
}

// Node implements api.StatusSource.
func (f *fleet) Node(name string) (node ir.Node, up func(pool, server string) bool, ok bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, g := range f.groups {
		for _, self := range g.selves {
			if self.Name != name {
				continue
			}
			node = g.of(self).node
			node.Self = self
			if rep, heard := f.hub.Reports().Get(name); heard && len(rep.Servers) > 0 {
				up = func(pool, server string) bool {
					h := rep.Servers[pool][server].State
					return h == link.Up || h == link.NoCheck
				}
			}
			return node, up, true
		}
	}
	return node, nil, false
}

// serverHealth is ServerHealth for who has the lock. Only those are believed who have the pool: an agent that is not
// what it seems can say nothing of other groups' servers.
func (f *fleet) serverHealth(pool string) []api.ServerHealth {
	byServer := map[string]*api.ServerHealth{}
	all := f.hub.Reports().All()
	for _, lb := range f.with(weir.Ref{Kind: "Pool", Name: pool}) {
		for server, h := range all[lb].Servers[pool] {
			s := byServer[server]
			if s == nil {
				s = &api.ServerHealth{Server: server}
				byServer[server] = s
			}
			s.Of++
			if h.State == link.Up || h.State == link.NoCheck {
				s.Up++
			}
			s.Views = append(s.Views, api.ServerView{LoadBalancer: lb, State: string(h.State), Since: h.Since, Check: h.Check, Connections: h.Connections})
		}
	}
	var out []api.ServerHealth
	for _, name := range sortedNames(byServer) {
		out = append(out, *byServer[name])
	}
	return out
}

// with names the load balancers whose group has to do with an object, in order; f.mu is held.
func (f *fleet) with(ref weir.Ref) []string {
	var names []string
	for _, g := range f.groups {
		if !f.holds(g, ref) {
			continue
		}
		for _, self := range g.selves {
			names = append(names, self.Name)
		}
	}
	slices.Sort(names)
	return names
}

// believed gives what says whether a load balancer's group has to do with an object: of others it can say nothing.
func (f *fleet) believed(lb string) func(weir.Ref) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, g := range f.groups {
		if !slices.ContainsFunc(g.selves, func(s ir.Self) bool { return s.Name == lb }) {
			continue
		}
		return func(ref weir.Ref) bool {
			f.mu.RLock()
			defer f.mu.RUnlock()
			return f.holds(g, ref)
		}
	}
	return func(weir.Ref) bool { return false }
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
