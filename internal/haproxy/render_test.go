package haproxy_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// testNode has a site with prefixes, one with every kind of route, a tcp and a passthrough site; prefix is a
// /24 of loopback that its addresses and servers are in.
func testNode(prefix netip.Prefix) ir.Node {
	at := func(host byte) netip.Addr {
		b := prefix.Addr().As4()
		b[3] = host
		return netip.AddrFrom4(b)
	}
	servers := func(hosts ...byte) []ir.Server {
		var list []ir.Server
		for _, h := range hosts {
			list = append(list, ir.Server{Name: "s" + string(rune('0'+h%10)), Address: netip.AddrPortFrom(at(h), 9000), Weight: 100, Owner: "Server/s"})
		}
		return list
	}
	tcp := weir.HealthCheck{Type: "tcp", Interval: weir.Duration(100e6), Rise: 1, Fall: 1}
	http := weir.HealthCheck{Type: "http", Method: "GET", Path: "/ping", Host: "check.example", Expect: "200-299", Interval: weir.Duration(100e6), Rise: 1, Fall: 1}
	tuning := weir.Tuning{
		Ports: []weir.BoundPort{{Port: 8080, Mode: weir.PortHTTP}}, Threads: 1,
		// A zone that was asked before its servers were up would get less for a while.
		ZoneReturn: &weir.ZoneReturn{Wait: new(weir.Duration(0)), Ramp: new(weir.Duration(0))},
	}
	tuning.Normalize()
	return ir.Node{
		Self:   ir.Self{Name: "lb1", Zone: "az1", State: weir.Active},
		Group:  ir.Group{Name: "edge", Ranges: []netip.Prefix{netip.PrefixFrom(at(16), 30)}, Zones: []string{"az1", "az2"}},
		Tuning: ir.Tuning{Tuning: tuning},
		Addresses: []ir.Address{
			{Name: "vip1", Address: at(17), HomeZone: "az1"}, {Name: "vip2", Address: at(18), HomeZone: "az2"},
		},
		Sites: []ir.Site{
			{Name: "db", Mode: "tcp", Addresses: []string{"vip1"}, Listeners: []ir.Listener{{Port: 3890, Mode: weir.PortTCP}}, Backends: []ir.Backend{{Name: "default", Pool: "db"}}},
			{
				Name: "rich", Mode: "http", Hostnames: []string{"*.rich.example", "rich.example"}, Addresses: []string{"vip1"}, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}},
				Backends: []ir.Backend{{Name: "api", Pool: "api"}, {Name: "default", Pool: "web1"}},
				Routes: []weir.SiteRoute{
					{Match: weir.RouteMatch{Path: &weir.PathMatch{Exact: "/one"}}, Backend: "api"},
					{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: "/r[0-9]+"}}, Backend: "api"},
					{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: "/deep/"}}, Backend: "api"},
					{Match: weir.RouteMatch{Map: "legacy"}},
				},
			},
			{Name: "sni", Mode: "tls-passthrough", Hostnames: []string{"sni.example"}, Addresses: []string{"vip1"}, Listeners: []ir.Listener{{Port: 8444, Mode: weir.PortTLSPassthrough}}, Backends: []ir.Backend{{Name: "default", Pool: "db"}}},
			{
				Name: "www", Mode: "http", Hostnames: []string{"www.example"}, Addresses: []string{"vip1", "vip2"}, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}},
				Backends:   []ir.Backend{{Name: "api", Pool: "api"}, {Name: "default", Slots: []string{"web1", "web2"}}},
				Routes:     []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: "/api"}}, Backend: "api"}},
				ErrorPages: map[weir.Status3]string{503: "sorry"},
			},
		},
		Maps:  []ir.Map{{Name: "legacy", Match: "prefix", Entries: []weir.MapEntry{{Key: "/old", Value: "api"}}}},
		Pages: []ir.Page{{Name: "sorry", ContentType: "application/json", Body: `{"sorry":"503"}`}},
		Pools: []ir.Pool{
			{Name: "api", Mode: "http", Balance: "leastconn", Check: http, Servers: servers(33), ServerTimeout: weir.Duration(5e9)},
			{Name: "db", Mode: "tcp", Balance: "roundrobin", Check: tcp, Servers: servers(34)},
			{Name: "web1", Mode: "http", Balance: "roundrobin", Check: http, Servers: servers(35), Cookie: "SRV"},
			{Name: "web2", Mode: "http", Balance: "uri", Check: tcp, Servers: servers(36), NoQueue: true},
		},
	}
}

func writeFiles(t *testing.T, dir string, c haproxy.Config) {
	t.Helper()
	for _, sub := range []string{"maps", "certs", "run", haproxy.Jail} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range c.Files() {
		if err := os.WriteFile(filepath.Join(dir, f.Path), []byte(f.Content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, cert := range c.Certs {
		if !cert.Authority {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, cert.Path), []byte(cert.Chain.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRenderPassesHAProxy(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		version, err := haproxy.ParseVersion(h.Version)
		if err != nil {
			t.Fatal(err)
		}
		c := haproxy.Render(testNode(weirtest.Prefix(t)), haproxy.Env{Version: version})
		dir := weirtest.TempDir(t)
		writeFiles(t, dir, c)
		text, owners := c.Text()
		check := weirtest.Command(t, "sh", "-c", "cd "+dir+" && "+h.Path+" -c -dW -f haproxy.cfg")
		if err := check.Wait(); err != nil {
			t.Errorf("%v\n%s\n%s", err, check.Output(), text)
		}
		if len(owners) == 0 {
			t.Error("no owners")
		}
	})
}

// TestAllOfItPassesHAProxy: agents take a warning for a refusal, so that what is rarely asked for may cause none either.
func TestAllOfItPassesHAProxy(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		version, err := haproxy.ParseVersion(h.Version)
		if err != nil {
			t.Fatal(err)
		}
		n := testNode(weirtest.Prefix(t))
		n.Tuning.ZoneReturn, n.Tuning.FastOpen = nil, true
		n.Tuning.Stats = &weir.StatsPage{Address: n.Pools[0].Servers[0].Address.Addr(), Port: 8404, Users: []weir.StatsUser{{Name: "ann", PasswordHash: "$1$salt$qJH7.N4xYta3aEG/dfqo/0", Admin: true}}}
		www := &n.Sites[len(n.Sites)-1]
		www.Log = &weir.SiteLog{RequestHeaders: map[string]int{"User-Agent": 64}, ResponseHeaders: map[string]int{"X-Id": 20}, Strip: []string{"X-Sql"}}
		www.Routing = &ir.Routing{KeepZone: weir.Duration(3600e9), Fallback: "api"}
		www.Maintenance = &weir.SiteMaintenance{Status: 503, Schedule: "night"}
		n.Schedules = []ir.Schedule{{Name: "night", Until: time.Unix(2e9, 0)}}
		n.Splits = []ir.Split{{Name: "new", Split: weir.Split{
			Site: "www", Backend: "default", Legs: []weir.SplitLeg{{Backend: "default", Weight: 1}, {Backend: "api", Weight: 1}},
			Abort: &weir.SplitAbort{Errors: 5, Window: weir.Duration(time.Minute), Requests: 5},
		}}}
		env := haproxy.Env{Version: version, Log: haproxy.Log{Target: "log 127.0.0.1:5140 format raw local0", HTTPFormat: "%b", TCPFormat: "%b", ErrorFormat: "%f", HTTPSFormat: "%b %[var(txn.first)] %Th", TLSFormat: "%b %Th"}}
		dir := weirtest.TempDir(t)
		writeFiles(t, dir, haproxy.Render(n, env))
		check := weirtest.Command(t, "sh", "-c", "cd "+dir+" && "+h.Path+" -c -dW -f haproxy.cfg")
		// A busy machine takes long for a password, which hapctl lets pass too.
		if err := check.Wait(); err != nil && (strings.Contains(check.Output(), "will still be processed before") || !strings.Contains(check.Output(), "the hash algorithm used for this password takes")) {
			t.Errorf("%v\n%s", err, check.Output())
		}
	})
}

func TestPortThatCannotBeBoundHasNoCertificateList(t *testing.T) {
	n := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	n.Tuning.Ports = append(n.Tuning.Ports, weir.BoundPort{Port: 8443, Mode: weir.PortHTTPS})
	env := haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}, Unbindable: map[netip.AddrPort]bool{}}
	if c := haproxy.Render(n, env); len(c.CrtLists) != 1 {
		t.Fatalf("lists %v", c.CrtLists)
	}
	for host := range 4 {
		env.Unbindable[netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, 9, byte(16 + host)}), 8443)] = true
	}
	// HAProxy would never have it, so that there would be a reload after the other.
	if c := haproxy.Render(n, env); len(c.CrtLists) != 0 {
		t.Errorf("without a frontend there is %v", c.CrtLists)
	}
}
