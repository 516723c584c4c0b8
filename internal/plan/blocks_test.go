package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// What only some groups have comes and goes as one reason, whatever other rules look at it, and is run time in between.
func TestReasonsOfBlocks(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	schedule := func(n *ir.Node) {
		n.Schedules = []ir.Schedule{{Name: "night", Until: at}}
		n.Sites[0].Maintenance = &weir.SiteMaintenance{Status: 503, RetryAfter: weir.Duration(time.Minute), Schedule: "night"}
	}
	split := func(n *ir.Node) {
		n.Splits = []ir.Split{{Name: "new", Split: weir.Split{Site: "www", Backend: "default", Legs: []weir.SplitLeg{{Backend: "default", Weight: 1}, {Backend: "new", Weight: 1}}}}}
	}
	abort := func(n *ir.Node) {
		split(n)
		n.Splits[0].Abort = &weir.SplitAbort{Errors: 5, Window: weir.Duration(time.Minute), Requests: 5}
	}
	limit := func(n *ir.Node) {
		l := ir.RateLimit{Name: "edge", RateLimit: weir.RateLimit{Count: "requests", Period: weir.Duration(time.Minute), Hard: &weir.HardLimit{Above: 5}}}
		l.Normalize()
		n.Limits, n.Sites[0].RateLimits = []ir.RateLimit{l}, []string{"edge"}
	}
	out := func(n *ir.Node) {
		n.Sites = append(n.Sites, ir.Site{Name: "zout", Mode: "http", Hostnames: []string{"out.example"}, Addresses: []string{"vip"}, Listeners: []ir.Listener{{Port: 81, Mode: weir.PortHTTP}}, Egress: []string{"prod"}})
	}
	services := func(n *ir.Node) {
		for _, name := range []string{"a.prod.new", "a.prod.www"} {
			n.Pools = append(n.Pools, ir.Pool{Name: name, Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Endpoint: &ir.Endpoint{Partner: "a", Environment: "prod", Service: name[7:], Host: "a.example"}})
		}
		slices.SortFunc(n.Pools, func(a, b ir.Pool) int { return strings.Compare(a.Name, b.Name) })
	}
	calls := func(n *ir.Node) {
		n.Splits = append(n.Splits, ir.Split{Name: "out", Split: weir.Split{Site: "zout", Backend: "a.prod.www", Legs: []weir.SplitLeg{{Backend: "a.prod.www", Weight: 1}, {Backend: "a.prod.new", Weight: 1}}}})
	}
	closed := func(n *ir.Node) {
		n.Schedules = []ir.Schedule{{Name: "night", Until: at}}
		for i := range n.Pools {
			if e := n.Pools[i].Endpoint; e != nil {
				changed := *e
				changed.Closed = []weir.SiteMaintenance{{Status: 503, Schedule: "night"}}
				n.Pools[i].Endpoint = &changed
			}
		}
	}
	render := func(edits ...func(*ir.Node)) haproxy.Config {
		tuning := weir.Tuning{}
		tuning.Normalize()
		tuning.Ports = []weir.BoundPort{{Port: 81, Mode: weir.PortHTTP}}
		n := ir.Node{
			Group: ir.Group{Name: "edge", Ranges: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/30")}}, Tuning: ir.Tuning{Tuning: tuning},
			Addresses: []ir.Address{{Name: "vip", Address: netip.MustParseAddr("203.0.113.1")}},
			Pools:     []ir.Pool{{Name: "p", Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}}},
			Sites: []ir.Site{{
				Name: "www", Mode: "http", Hostnames: []string{"www.example"}, Addresses: []string{"vip"}, Listeners: []ir.Listener{{Port: 80, Mode: weir.PortHTTP}},
				Backends: []ir.Backend{{Name: "default", Pool: "p"}, {Name: "new", Pool: "p"}},
			}},
		}
		for _, edit := range edits {
			edit(&n)
		}
		return haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	}
	const (
		wayOut   = "services of partners may be called from now on: HAProxy learns new kinds of pools and checks only when it starts and the port has an egress site for the first time"
		noWayOut = "the port has no egress site any more"
		rules    = ": HAProxy reads its rules only when it starts"
		counts   = ": " + whyCounters
	)
	for _, c := range []struct {
		what         string
		with, as     []func(*ir.Node)
		first, again string
	}{
		{"a schedule", nil, []func(*ir.Node){schedule}, "the group goes by a Schedule for the first time", "the group goes by no Schedule any more"},
		{"a schedule, beside a limit and a split", []func(*ir.Node){limit, abort}, []func(*ir.Node){schedule}, "the group goes by a Schedule for the first time", "the group goes by no Schedule any more"},
		{"a limit", nil, []func(*ir.Node){limit}, firstLimits + counts, lastLimits + counts},
		{"a limit beside a schedule", []func(*ir.Node){schedule}, []func(*ir.Node){limit}, firstLimits + counts, lastLimits + counts},
		{"a split", nil, []func(*ir.Node){split}, "the group has a Split for the first time", "the group has no Split any more"},
		{"an abort", []func(*ir.Node){split}, []func(*ir.Node){abort}, firstAborts, lastAborts},
		{"an abort beside limits", []func(*ir.Node){split, limit}, []func(*ir.Node){abort}, firstAborts, lastAborts},
		{"a way out", nil, []func(*ir.Node){out}, wayOut, noWayOut},
		{"a way out beside a split", []func(*ir.Node){abort}, []func(*ir.Node){out}, wayOut, noWayOut},
		{"a service", []func(*ir.Node){out}, []func(*ir.Node){services}, "", ""},
		{"a split of calls", []func(*ir.Node){out}, []func(*ir.Node){calls}, "", ""},
		{"maintenance of a partner, by a schedule", []func(*ir.Node){out, services}, []func(*ir.Node){closed}, "", ""},
		{"both", nil, []func(*ir.Node){abort}, firstAborts + " and the group has a Split for the first time", lastAborts + " and the group has no Split any more"},
	} {
		before := render(c.with...)
		after := render(append(append([]func(*ir.Node){}, c.with...), c.as...)...)
		for want, got := range map[string][]Reason{c.first: Diff(before, after).Reload, c.again: Diff(after, before).Reload} {
			var said []string
			for _, r := range got {
				said = append(said, strings.TrimSuffix(r.Text, rules))
			}
			slices.Sort(said)
			if strings.Join(said, " and ") != want {
				t.Errorf("%s: %q, want %q", c.what, said, want)
			}

		}
	}
}
