package haproxy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// Tests in this file are about roles that must not get at each other by the names and values they choose.

func mapNamed(t *testing.T, c haproxy.Config, path string) haproxy.Map {
	t.Helper()
	i := slices.IndexFunc(c.Maps, func(m haproxy.Map) bool { return m.Path == path })
	if i < 0 {
		t.Fatalf("there is no map %s", path)
	}
	return c.Maps[i]
}

func TestPoolsOfDifferentKindsNeverShareAProfile(t *testing.T) {
	n := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	base := n.Pools[0]
	base.Check, base.ServerTimeout = weir.HealthCheck{Type: "none"}, 0
	pool := func(name string, edit func(*ir.Pool)) ir.Pool {
		p := base
		p.Name, p.Balance = name, "header"
		edit(&p)
		return p
	}
	n.Pools = append(n.Pools,
		pool("a1", func(p *ir.Pool) { p.BalanceHeader = "X-t" }),
		pool("a2", func(p *ir.Pool) { p.BalanceHeader, p.ServerTimeout = "X", weir.Duration(time.Second) }),
		pool("a3", func(p *ir.Pool) { p.BalanceHeader = "t-X" }),
		pool("b1", func(p *ir.Pool) { p.BalanceHeader = "X-c-SRV" }),
		pool("b2", func(p *ir.Pool) { p.BalanceHeader, p.Cookie = "X", "SRV" }),
		pool("b3", func(p *ir.Pool) { p.BalanceHeader, p.Cookie = "X-c", "SRV" }),
		pool("b4", func(p *ir.Pool) { p.BalanceHeader, p.Cookie = "X", "c-SRV" }),
	)
	c := haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	seen := map[string]string{}
	for _, b := range c.Backends {
		if pool := haproxy.BaseName(b.Name); pool[0] == 'a' && len(pool) == 2 || pool[0] == 'b' {
			if other, ok := seen[b.Profile]; ok {
				t.Errorf("pools %s and %s share the profile %s", other, pool, b.Profile)
			}
			seen[b.Profile] = pool
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d pools looked at", len(seen))
	}
}

func TestManyListsOfOneNetworkFitAMapEntry(t *testing.T) {
	n := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	rich := &n.Sites[1]
	everybody := netip.MustParsePrefix("0.0.0.0/0")
	for i := range 400 {
		name := strings.Repeat("a", 58) + string(rune('a'+i/26)) + string(rune('a'+i%26))
		n.Lists = append(n.Lists, ir.AccessList{Name: name, Networks: []netip.Prefix{everybody}})
		rich.Routes = append(rich.Routes, weir.SiteRoute{Match: weir.RouteMatch{AccessList: name}, Backend: "api"})
	}
	c := haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	sets, routes := mapNamed(t, c, "maps/lists.map").Entries, mapNamed(t, c, "maps/listroutes.map").Entries
	if len(sets) != 1 || len(routes) != 1 || routes[0].Key != "rich|"+sets[0].Value {
		t.Errorf("sets %v, routes %v", sets, routes)
	}
	for _, m := range c.Maps {
		for _, e := range m.Entries {
			if len(e.Key)+len(e.Value) > 8000 {
				t.Errorf("%s has an entry of %d bytes", m.Path, len(e.Key)+len(e.Value))
			}
		}
	}
}

func TestConnectIsRefused(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, nil)
		for _, request := range []string{
			"CONNECT www.example:80 HTTP/1.1\r\nHost: www.example:80\r\nConnection: close\r\n\r\n",
			"CONNECT www.example:8080 HTTP/1.1\r\nHost: www.example:8080\r\nConnection: close\r\n\r\n",
		} {
			if status, origin, _ := p.get(t, 17, request); status != 405 || origin != "" {
				t.Errorf("%q: status %d from origin %q; a tunnel would carry requests that nobody looks at", request, status, origin)
			}
		}
	})
}

func TestSiteForEveryNameShowsNoCertificateForOthersNames(t *testing.T) {
	n := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	tls := func(certificate string) []ir.Listener {
		return []ir.Listener{{Port: 8443, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{Certificates: []string{certificate}}}}
	}
	n.Certificates = []ir.Certificate{
		{Name: "aaa", Chain: weir.NewChain("A"), Key: &weir.SealedRef{Generation: 1}, Names: []string{
			"*.deep.rich.example", "*.free.example", "*.rich.example", "a.rich.example", "free.example", "in jection.example [alpn h2]", "new\nline.example", "www.example",
		}},
		{Name: "bbb", Chain: weir.NewChain("B"), Key: &weir.SealedRef{Generation: 2}, Names: []string{"www.example"}},
		{Name: "web", Chain: weir.NewChain("W"), Key: &weir.SealedRef{Generation: 3}, Names: []string{"*.rich.example", "rich.example", "www.example"}},
	}
	n.Sites[1].Listeners, n.Sites[3].Listeners = tls("web"), tls("web")
	for _, name := range []string{"aaa", "bbb"} {
		every := n.Sites[1]
		every.Name, every.Hostnames, every.Addresses, every.Routes, every.Listeners = "every-"+name, []string{"*"}, []string{"vip2"}, nil, tls(name)
		n.Sites = append(n.Sites, every)
	}
	c := haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	var got []string
	for _, e := range c.CrtLists[0].Entries {
		got = append(got, e.File+" "+strings.Join(e.SNI, " "))
	}
	want := []string{
		haproxy.PlaceholderCert + " ",
		"certs/aaa.pem *.free.example free.example",
		"certs/web.pem *.rich.example rich.example",
		"certs/web.pem www.example",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestManyNamesOfASiteFitTheRunTimeSocket(t *testing.T) {
	n := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	n.Certificates = []ir.Certificate{{Name: "web", Chain: weir.NewChain("W"), Key: &weir.SealedRef{Generation: 3}}}
	www := &n.Sites[3]
	www.Listeners = []ir.Listener{{Port: 8443, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{Certificates: []string{"web"}}}}
	www.Hostnames = nil
	for i := range 1000 {
		www.Hostnames = append(www.Hostnames, strings.Repeat(string(rune('a'+i%26)), 1+i/26)+".example")
	}
	slices.Sort(www.Hostnames)
	c := haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	var names []string
	for _, e := range c.CrtLists[0].Entries {
		if len(e.Line()) > 8000 {
			t.Errorf("a line of %d bytes", len(e.Line()))
		}
		names = append(names, e.SNI...)
	}
	if !slices.Equal(names, www.Hostnames) {
		t.Errorf("%d of %d names are in the list", len(names), len(www.Hostnames))
	}
}
