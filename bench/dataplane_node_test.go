package bench

import (
	"fmt"
	"net/netip"

	"weir"
	"weir/internal/ir"
)

const (
	weirPort        = 8080
	handwrittenPort = 8081
	leanPort        = 8082
	sites           = 50
)

var zones = []string{"az1", "az2", "az3"}

// place is where things are in a test's own /24.
type place struct{ prefix netip.Prefix }

func (p place) at(host byte) netip.Addr {
	b := p.prefix.Addr().As4()
	b[3] = host
	return netip.AddrFrom4(b)
}

func (p place) vip(zone int) netip.Addr { return p.at(byte(17 + zone)) }

// members are the two servers of any pool: what is measured is the way to them.
func (p place) members() []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(p.at(33), 9000), netip.AddrPortFrom(p.at(34), 9000)}
}

// backendsOf gives the names of a site's backends.
func backendsOf(site string) []string {
	if site == "www" {
		return []string{"api", "default", "static"}
	}
	return []string{"default"}
}

func siteNames() []string {
	var list []string
	for i := 1; i < sites; i++ {
		list = append(list, fmt.Sprintf("site-%02d", i))
	}
	return append(list, "www")
}

func hostOf(site string) string { return site + ".shop.example" }

// node is three zones with an address each and fifty sites on all of them, one of which has two prefixes.
func (p place) node() ir.Node {
	tuning := weir.Tuning{Ports: []weir.BoundPort{{Port: weirPort, Mode: weir.PortHTTP}}, Threads: 1}
	tuning.Normalize()
	n := ir.Node{
		Self:   ir.Self{Name: "lb-az1-1", Zone: "az1", State: weir.Active},
		Group:  ir.Group{Name: "edge", Ranges: []netip.Prefix{netip.PrefixFrom(p.at(16), 29)}, Zones: zones},
		Tuning: ir.Tuning{Tuning: tuning},
	}
	var addresses []string
	for i, zone := range zones {
		addresses = append(addresses, "vip-"+zone)
		n.Addresses = append(n.Addresses, ir.Address{Name: "vip-" + zone, Address: p.vip(i), HomeZone: zone})
	}
	for _, name := range siteNames() {
		s := ir.Site{
			Name: name, Mode: "http", Hostnames: []string{hostOf(name)}, Addresses: addresses,
			Listeners: []ir.Listener{{Port: weirPort, Mode: weir.PortHTTP}},
		}
		for _, b := range backendsOf(name) {
			backend := ir.Backend{Name: b}
			for _, zone := range zones {
				pool := p.pool(name, b, zone)
				n.Pools = append(n.Pools, pool)
				backend.Slots = append(backend.Slots, pool.Name)
			}
			s.Backends = append(s.Backends, backend)
			if b != "default" {
				s.Routes = append(s.Routes, weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: "/" + b + "/"}}, Backend: b})
			}
		}
		n.Sites = append(n.Sites, s)
	}
	return n
}

func (p place) pool(site, backend, zone string) ir.Pool {
	pool := ir.Pool{
		Name: site + "-" + backend + "-" + zone, Mode: "http", Balance: "roundrobin",
		Check: weir.HealthCheck{
			Type: "http", Method: "GET", Path: "/ping", Host: "check.example", Expect: "200-299",
			Interval: weir.Duration(2e9), Rise: 2, Fall: 3,
		},
	}
	for i, address := range p.members() {
		name := fmt.Sprintf("%s-%d", pool.Name, i+1)
		pool.Servers = append(pool.Servers, ir.Server{Name: name, Address: address, Weight: 100, Owner: "Server/" + name})
	}
	return pool
}
