package bench

import (
	"fmt"
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

var sitesFigures = []string{"sites_10000_vs_1_ratio", "sites_100_vs_1_ratio", "site_vs_handwritten_ratio"}

const (
	sitesPort  = 8083 // of the first proxy; the others have the ports after it
	compareFor = 30 * time.Second
)

// measureSites compares the processor time that a request costs Weir's rules with 10,000 sites, with 100, and with one, and
// what it costs a configuration that was written by hand for the one. Each site has routes for two prefixes;
// all are asked alike. They share their pools: what differs is the way to these.
func measureSites(t *testing.T) []figure {
	where := place{weirtest.Prefix(t)}
	l := newLoop(t)
	for _, member := range where.members() {
		l.origin(t, member, answer())
	}
	var list []*contender
	var pids []int
	start := func(name string, files func(log haproxy.Log, port weir.Port) []haproxy.File) *contender {
		port := weir.Port(sitesPort + len(list))
		c := startContender(t, name, func(log haproxy.Log) []haproxy.File { return files(log, port) })
		c.addr = netip.AddrPortFrom(where.vip(0), uint16(port))
		list, pids = append(list, c), append(pids, c.process.Pid())
		return c
	}
	made := func(n int) *contender {
		var asks [][]byte
		c := start(fmt.Sprintf("weir with %d", n), func(log haproxy.Log, port weir.Port) []haproxy.File {
			node := where.alike(n, port)
			for _, s := range node.Sites {
				asks = append(asks, requests(s.Name)...)
			}
			return haproxy.Render(node, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}, Log: log}).Files()
		})
		c.asks = asks
		return c
	}
	one, hundred, many := made(1), made(100), made(10_000)
	written := start("handwritten", func(log haproxy.Log, port weir.Port) []haproxy.File {
		return where.handwritten(log, port, true, []string{"www"})
	})
	apart(t, pids...)
	compare(t, l, list, compareFor)
	t.Logf("microseconds a request: %.4g with 10,000 sites, %.4g with 100, %.4g with one, %.4g by hand",
		median(many.spent), median(hundred.spent), median(one.spent), median(written.spent))
	return []figure{
		{sitesFigures[0], many.against(one), "ratio"},
		{sitesFigures[1], hundred.against(one), "ratio"},
		{sitesFigures[2], one.against(written), "ratio"},
	}
}

// alike is a load balancer's node with so many sites that are as www is, at a port.
func (p place) alike(n int, port weir.Port) ir.Node {
	node := p.node()
	node.Self.Name = fmt.Sprintf("lb-az1-%d", n) // several with one name would want one socket
	node.Tuning.Ports = []weir.BoundPort{{Port: port, Mode: weir.PortHTTP}}
	www := node.Sites[slices.IndexFunc(node.Sites, func(s ir.Site) bool { return s.Name == "www" })]
	www.Listeners = []ir.Listener{{Port: port, Mode: weir.PortHTTP}}
	node.Pools = slices.DeleteFunc(node.Pools, func(p ir.Pool) bool { return !strings.HasPrefix(p.Name, "www-") })
	node.Sites = nil
	for i := 1; i < n; i++ {
		s := www
		s.Name = fmt.Sprintf("site-%05d", i)
		s.Hostnames = []string{hostOf(s.Name)}
		node.Sites = append(node.Sites, s)
	}
	node.Sites = append(node.Sites, www)
	return node
}
