package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/explain"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// liveNode is a site with a pool that keeps clients at a server, in a zone that the site keeps them in.
func liveNode(prefix netip.Prefix) ir.Node {
	at := func(host byte) netip.Addr {
		b := prefix.Addr().As4()
		b[3] = host
		return netip.AddrFrom4(b)
	}
	tuning := weir.Tuning{Threads: 1}
	tuning.Normalize()
	spec := weir.Site{Routes: []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: "/old"}}, Action: &weir.RouteAction{Redirect: &weir.Redirect{Prefix: "/new"}}}}}
	spec.Normalize()
	return ir.Node{
		Self: ir.Self{Name: "lb1", Zone: "az1", State: weir.Active}, Tuning: ir.Tuning{Tuning: tuning},
		Group:     ir.Group{Name: "edge", Ranges: []netip.Prefix{netip.PrefixFrom(at(16), 30)}, Zones: []string{"az1"}},
		Addresses: []ir.Address{{Name: "vip", Address: at(17), HomeZone: "az1"}},
		Pools: []ir.Pool{{
			Name: "web", Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Cookie: "SRV",
			Servers: []ir.Server{{Name: "web-1", Address: netip.AddrPortFrom(at(33), 9000), Weight: 1}},
		}},
		Sites: []ir.Site{{
			Name: "www", Mode: "http", Hostnames: []string{"www.example"}, Addresses: []string{"vip"}, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}},
			Backends: []ir.Backend{{Name: "default", Slots: []string{"web"}}}, Routes: spec.Routes, Routing: &ir.Routing{KeepZone: weir.Duration(time.Hour)},
		}},
	}
}

// What comes back of a real HAProxy is held against what was explained, and what is otherwise is seen.
func TestExplainLive(t *testing.T) {
	h := weirtest.HAProxies(t)[0]
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	n := liveNode(weirtest.Prefix(t))
	weirtest.NewOrigin(t, n.Pools[0].Servers[0].Address.String())
	dir := weirtest.TempDir(t)
	for _, f := range append(haproxy.Render(n, haproxy.Env{Version: version}).Files(), haproxy.File{Path: haproxy.StateFile}, haproxy.File{Path: "run/x"}, haproxy.File{Path: haproxy.Jail + "/x"}) {
		path := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.Content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	weirtest.Command(t, "sh", "-c", "cd "+dir+" && exec "+h.Path+" -db -f haproxy.cfg")
	vip := n.Addresses[0].Address.String()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		conn, err := net.Dial("tcp", vip+":8080")
		if err == nil {
			conn.Close()
		}
		return err
	})
	ask := func(target string, change func(*explain.Verdict)) *liveAnswer {
		q := explain.Request{Port: 8080, Address: "vip", From: netip.MustParseAddr("127.0.0.1"), Method: "GET", Host: "www.example:8080", Target: target, At: time.Now()}
		verdict := explain.Explain(n, q, explain.View{}).Answer
		if change != nil {
			change(&verdict)
		}
		f := liveFlags{within: weirtest.Patience}
		asked := &api.ExplainedRequest{URL: "http://www.example:8080" + target, Method: "GET", Headers: []string{"X-A: 1"}, IP: vip, Port: 8080}
		conn, _, err := f.dial(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		live, err := f.send(conn, asked)
		if err != nil {
			t.Fatal(err)
		}
		live.hold(&verdict)
		return live
	}
	for _, c := range []struct {
		target        string
		change        func(*explain.Verdict)
		seen, differs string
	}{
		{"/x", nil, "[the zone az1 the server web-1]", "[]"},
		{"/old/x?q", nil, "[the status 302 the location /new/x?q]", "[]"},
		{"/x", func(v *explain.Verdict) { v.Zones[0].Zone, v.Zones[0].Servers = "az2", []string{"web-2"} }, "[]", "az2, what came is az1"},
		{"/x", func(v *explain.Verdict) { v.Outcome, v.Status = explain.Refused, 403 }, "none", "explained was 403, what came is 200"},
		{"/x", func(v *explain.Verdict) { v.Outcome = explain.Closed }, "[]", "explained was closed"},
	} {
		live := ask(c.target, c.change)
		if got := fmt.Sprint(live.Seen); c.seen != "none" && got != c.seen || !strings.Contains(fmt.Sprint(live.Differs), c.differs) {
			t.Errorf("%s: %s, want %s; %v, want %s", c.target, got, c.seen, live.Differs, c.differs)
		}
	}
}
