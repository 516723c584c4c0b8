package server

import (
	"fmt"
	"slices"
	"testing"

	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
)

// twoZones is a site with a pool a zone, and a backend of its own for one more pool.
func twoZones() *ir.Node {
	server := []ir.Server{{Name: "s1"}, {Name: "s2"}}
	return &ir.Node{
		Addresses: []ir.Address{{Name: "v1"}, {Name: "v2"}},
		Sites: []ir.Site{
			{Name: "moved", Addresses: []string{"v1"}, Listeners: []ir.Listener{{Port: 80, RedirectTo: 443}}},
			{Name: "www", Addresses: []string{"v1", "v2"}, Backends: []ir.Backend{{Name: "api", Pool: "api"}, {Name: "default", Slots: []string{"web1", "web2", ""}}}},
		},
		Pools: []ir.Pool{{Name: "api", Servers: server}, {Name: "web1", Servers: server}, {Name: "web2", Servers: server}},
	}
}

func TestWhatIsNotServedIsNamed(t *testing.T) {
	all := func(states ...link.Health) map[string]link.ServerHealth {
		out := map[string]link.ServerHealth{}
		for i, s := range states {
			out[fmt.Sprintf("s%d", i+1)] = link.ServerHealth{State: s}
		}
		return out
	}
	up, down := all(link.Up, link.Down), all(link.Down, link.Drain)
	held := func(reason string) link.Deviation {
		return link.Deviation{State: link.Quarantined, Reason: reason, Message: "no"}
	}
	for _, c := range []struct {
		name       string
		servers    map[string]map[string]link.ServerHealth
		deviations map[string]link.Deviation
		change     func(*ir.Node)
		state      link.RunState
		want       []api.Outage
	}{
		{name: "all is well", servers: map[string]map[string]link.ServerHealth{"api": all(link.NoCheck), "web1": up, "web2": up}},
		{
			name: "a zone stands in", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": up, "web2": down},
			want: []api.Outage{{Object: "Pool/web2", Reason: "NoServerUp", Message: "no server is up: 1 down, 1 drained; other pools stand in for it"}},
		},
		{
			name: "a backend is gone", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": down, "web2": down},
			want: []api.Outage{{Object: "Site/www", Reason: "NoServerUp", Message: "backend default: pool web1: no server is up: 1 down, 1 drained; pool web2: no server is up: 1 down, 1 drained"}},
		},
		{
			name: "the site is gone", servers: map[string]map[string]link.ServerHealth{"api": all(link.Maint, link.StartingUp), "web1": all(link.Down, link.Down), "web2": all(link.StartingUp, link.StartingUp)},
			want: []api.Outage{{Object: "Site/www", Down: true, Reason: "NoServerUp", Message: "pool api: no server is up: 1 in maintenance, 1 not admitted yet; pool web1: no server is up: 2 down; pool web2: no server was admitted yet: the first check of 2 servers is awaited"}},
		},
		{
			name: "the fallback serves", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": all(link.Down), "web2": all(link.Down), "last": all(link.NoCheck)},
			change: func(n *ir.Node) {
				n.Sites[1].Backends, n.Sites[1].Routing = n.Sites[1].Backends[1:], &ir.Routing{Fallback: "last"}
				n.Pools = slices.Insert(n.Pools, 1, ir.Pool{Name: "last", Servers: n.Pools[0].Servers})
			},
			want: []api.Outage{{Object: "Site/www", Reason: "NoServerUp", Message: "backend default: pool web1: no server is up: 1 down; pool web2: no server is up: 1 down; pool last, the site's fallback, serves in its place"}},
		},
		{
			name: "nothing is admitted yet", servers: map[string]map[string]link.ServerHealth{"api": all(link.StartingUp), "web1": all(link.StartingUp), "web2": all(link.StartingUp)},
			want: []api.Outage{{Object: "Site/www", Down: true, Reason: "NotAdmitted", Message: "pool api: no server was admitted yet: the first check of 1 server is awaited; pool web1: no server was admitted yet: the first check of 1 server is awaited; pool web2: no server was admitted yet: the first check of 1 server is awaited"}},
		},
		{
			name: "a pool without servers", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": up}, change: func(n *ir.Node) { n.Pools[2].Servers = nil },
			want: []api.Outage{{Object: "Pool/web2", Reason: "NoServerUp", Message: "no server is in it; other pools stand in for it"}},
		},
		{
			name: "nobody has looked", servers: map[string]map[string]link.ServerHealth{"web1": up, "web2": up},
			want: []api.Outage{{Object: "Site/www", Reason: "NotSeen", Message: "backend api: pool api: its servers have not been looked at yet"}},
		},
		{name: "on its way", state: link.Applying, servers: map[string]map[string]link.ServerHealth{"web1": up, "web2": up}},
		{
			name: "a server that has left does not serve", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": up, "web2": {"s1": {State: link.Down}, "old": {State: link.Up}}},
			want: []api.Outage{{Object: "Pool/web2", Reason: "NoServerUp", Message: "no server is up: 1 down; other pools stand in for it"}},
		},
		{
			name: "an address is not bound", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": up, "web2": up}, deviations: map[string]link.Deviation{"address/v2": held(link.CannotBind)},
			want: []api.Outage{{Object: "Site/www", Reason: "NotBound", Message: "IPAddress/v2 is not bound: no"}},
		},
		{
			name: "no address is bound", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": up, "web2": up},
			deviations: map[string]link.Deviation{"address/v1": held(link.CannotBind), "address/v2": held(link.CannotBind)},
			want: []api.Outage{
				{Object: "Site/moved", Down: true, Reason: "NotBound", Message: "IPAddress/v1 is not bound: no"},
				{Object: "Site/www", Down: true, Reason: "NotBound", Message: "IPAddress/v1 is not bound: no"},
				{Object: "Site/www", Down: true, Reason: "NotBound", Message: "IPAddress/v2 is not bound: no"},
			},
		},
		{
			name: "refused at first", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": up},
			deviations: map[string]link.Deviation{"site/moved": held(link.RefusedAtFirst), "pool/web2": held(link.RefusedAtFirst)},
			want: []api.Outage{
				{Object: "Site/moved", Down: true, Reason: "Quarantined", Message: "no"},
				{Object: "Pool/web2", Reason: "Quarantined", Message: "no; other pools stand in for it"},
			},
		},
		{
			name: "a last good form serves", servers: map[string]map[string]link.ServerHealth{"api": up, "web1": up, "web2": up},
			deviations: map[string]link.Deviation{"site/www": held(link.Refused), "pool/web2": held(link.Refused)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			node := twoZones()
			if c.change != nil {
				c.change(node)
			}
			if c.state == "" {
				c.state = link.Converged
			}
			got := outagesOf(&groupState{node: *node}, link.Report{State: c.state, Servers: c.servers, Resources: link.ResourceReport{Deviations: c.deviations}}, nil)
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
				t.Errorf("said\n%+v, want\n%+v", got, c.want)
			}
		})
	}
}
