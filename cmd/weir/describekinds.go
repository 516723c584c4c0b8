package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
)

// special shows what only some kinds have.
func (d *description) special() error {
	switch spec := d.object.Spec.(type) {
	case *weir.Pool:
		return d.health()
	case *weir.Server:
		d.registered(spec.Registration)
		d.pools()
		d.checks()
		d.overrides()
	case *weir.Site:
		d.shifts(spec)
		d.routes(spec)
		d.counts()
	case *weir.Split:
		d.split(spec)
		d.legsOut(spec)
	case *weir.Partner:
		d.partner(spec)
	case *weir.RateLimit:
		d.limited()
	case *weir.Route:
		d.route(spec)
	case *weir.Schedule:
		d.schedule(spec)
	case *weir.Logic:
		d.logic(spec)
	case *weir.AccessList:
		d.accessList(spec)
	case *weir.Certificate:
		d.certificate(spec)
	case *weir.Token:
		d.letIn(spec.Registration)
	case *weir.Issuer:
		d.issuer()
	case *weir.DiscoverySource:
		d.source()
	case *weir.LoadBalancer:
		d.loadBalancer()
	case *weir.LoadBalancerGroup:
		d.group()
	}
	return nil
}

// healthTable has a row for each server and a column for each load balancer; those that agree share one.
func healthTable(servers []api.ServerHealth, d *description) *table {
	var lbs []string
	for _, s := range servers {
		for _, v := range s.Views {
			if !slices.Contains(lbs, v.LoadBalancer) {
				lbs = append(lbs, v.LoadBalancer)
			}
		}
	}
	slices.Sort(lbs)
	t := &table{columns: []column{{title: "SERVER"}, {title: "UP"}}}
	wide := d.width > 0 && 30+14*len(lbs) > d.width || len(lbs) > 12
	if !wide {
		for _, lb := range lbs {
			t.columns = append(t.columns, column{title: lb})
		}
	}
	t.columns = append(t.columns, column{title: "LAST CHECK", shrinks: true})
	moved := d.client.moves(d.ctx, func(o *weir.Override) bool { return o.Pool == "" || o.Pool == d.object.Metadata.Name })
	byHand := slices.ContainsFunc(servers, func(s api.ServerHealth) bool { return len(moved.of(d.object.Metadata.Name, s.Server)) > 0 })
	if byHand {
		t.columns = slices.Insert(t.columns, 2, column{title: "BY HAND"})
	}
	for _, s := range servers {
		row := healthRow(s, lbs, wide, d)
		if byHand {
			row = slices.Insert(row, 2, moved.cell(d.object.Metadata.Name, s.Server))
			if moved.state(d.object.Metadata.Name, s.Server) != "" {
				row[1].tone = warning
			}
		}
		t.add(row)
	}
	return t
}

func healthRow(s api.ServerHealth, lbs []string, wide bool, d *description) []cell {
	up := cell{fmt.Sprintf("%d/%d", s.Up, s.Of), good}
	switch {
	case s.Up == 0:
		up.tone = bad
	case s.Up < s.Of:
		up.tone = warning
	}
	row := []cell{{text: s.Server}, up}
	check := ""
	var others []string
	views := map[string]api.ServerView{}
	for _, v := range s.Views {
		views[v.LoadBalancer] = v
		if v.State != "up" {
			others = append(others, v.LoadBalancer+": "+v.State+since(v, d))
		}
		if check == "" || v.State != "up" {
			check = v.Check
		}
	}
	if wide {
		text := strings.Join(others, ", ")
		if text != "" && check != "" {
			text += "; "
		}
		return append(row, cell{text: text + check})
	}
	for _, lb := range lbs {
		v, ok := views[lb]
		if !ok {
			row = append(row, cell{})
			continue
		}
		row = append(row, cell{v.State + since(v, d), stateTone(v.State)})
	}
	return append(row, cell{check, faint})
}

func since(v api.ServerView, d *description) string {
	if v.Since.IsZero() {
		return ""
	}
	return " " + span(d.client.now().Sub(v.Since))
}

func stateTone(state string) tone {
	switch state {
	case "up":
		return good
	case "down":
		return bad
	}
	return warning
}

// pools lists the pools that a server is in, and what it is there.
func (d *description) pools() {
	pools := new(api.ServerPools)
	if d.client.get(d.ctx, "servers/"+url.PathEscape(d.object.Metadata.Name)+"/pools", nil, pools) != nil {
		return
	}
	d.section("In pools")
	if len(pools.Pools) == 0 {
		d.printf("  %s\n", d.warning("none: no pool's selector matches"))
		return
	}
	d.indented(poolsTable(pools))
}

// overrides lists what was done to a server by hand.
func (d *description) overrides() {
	list, err := d.client.overridesOf(d.ctx, d.object.Metadata.Name)
	if err != nil || len(list) == 0 {
		return
	}
	kind, _ := weir.KindByName("Override")
	d.section("Moved by hand")
	d.indented(newTableOf(d.ctx, d.client, kind, list))
}

// counts shows what the access logs counted for a site.
func (d *description) counts() {
	counts := new(api.SiteCounts)
	if d.client.get(d.ctx, "sites/"+d.object.Metadata.Name+"/counts", nil, counts) != nil || counts.Requests == 0 {
		return
	}
	d.section("Traffic since the agents began")
	d.printf("  %s requests: %s\n", large(counts.Requests), d.shares(counts.Statuses, counts.Requests))
	d.printf("  latency %.1f ms at the median, %.1f ms p90, %.1f ms p99\n", counts.Latency.P50, counts.Latency.P90, counts.Latency.P99)
	if zones := d.shares(counts.Zones, counts.Requests); zones != "" {
		d.line(d.wrapped("  ", "zones: "+zones))
	}
	if pools := d.shares(counts.Pools, counts.Requests); pools != "" {
		d.line(d.wrapped("  ", "pools: "+pools))
	}
	d.limitsAndSplits(counts)
}

func (d *description) shares(counts map[string]uint64, of uint64) string {
	var parts []string
	for _, name := range sortedNames(counts) {
		if name != "" && counts[name] > 0 {
			parts = append(parts, fmt.Sprintf("%s %s (%s)", clean(name), large(counts[name]), share(counts[name], of)))
		}
	}
	return strings.Join(parts, ", ")
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// loadBalancer shows how one is.
func (d *description) loadBalancer() {
	fleet, err := d.client.fleet(d.ctx)
	if err != nil {
		return
	}
	for i := range fleet.Groups {
		g := &fleet.Groups[i]
		for j := range g.LoadBalancers {
			if lb := &g.LoadBalancers[j]; lb.Name == d.object.Metadata.Name {
				d.section("As its agent reports")
				d.loadBalancerState(lb, g.Wanted)
			}
		}
	}
}

func (d *description) loadBalancerState(lb *api.LoadBalancerStatus, wanted int64) {
	now := d.client.now()
	if lb.Ready && lb.Reachable {
		d.printf("  %s revision %d, heard %s\n", d.good("converged:"), lb.Revision, ago(lb.LastSeen, now))
	} else {
		d.line(d.wrapped("  ", d.bad("not converged:")+" "+oneLine(whyNot(lb, wanted, now))))
	}
	d.printf("  HAProxy %s, agent %s\n", clean(lb.HAProxy), clean(lb.Agent))
	d.printf("  %d programmed, %d pending, %d quarantined\n", lb.Programmed, lb.Pending, lb.Quarantined)
	printMachine(d.screen, lb, now)
	reloads := "no reload since the agent began"
	if lb.Reloads.Count > 0 {
		reloads = fmt.Sprintf("%s since the agent began, the last %s: %s", count(lb.Reloads.Count, "reload", "reloads"), ago(lb.Reloads.Last, now), reasonsText(lb.Reloads.Reasons))
	}
	d.line(d.wrapped("  ", reloads))
}

func (d *description) group() {
	fleet, err := d.client.fleet(d.ctx)
	if err != nil {
		return
	}
	for i := range fleet.Groups {
		if g := &fleet.Groups[i]; g.Name == d.object.Metadata.Name {
			d.section("As the agents report")
			printGroup(d.screen, g, d.client.now())
		}
	}
}
