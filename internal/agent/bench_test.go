package agent

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// BenchmarkConvergeWeight is what a load balancer of 100 pools with 20 servers each takes for one weight, from the
// resources to the reading back.
func BenchmarkConvergeWeight(b *testing.B) {
	for _, h := range weirtest.HAProxies(b) {
		b.Run(h.Version, func(b *testing.B) {
			version, err := haproxy.ParseVersion(h.Version)
			if err != nil {
				b.Fatal(err)
			}
			e := openEngine(b, h, version, weirtest.TempDir(b))
			node := largeNode(weirtest.Prefix(b), 100, 20)
			all := node.Resources()
			if _, err := e.converge(b.Context(), all); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = e.process.Stop(ctx)
			})
			n := 0
			for b.Loop() {
				n++
				node.Pools[n%100].Servers[n%20].Weight = 1 + n%200
				b.StopTimer()
				all = node.Resources()
				b.StartTimer()
				out, err := e.converge(b.Context(), all)
				if err != nil || out.Started || out.Reloaded {
					b.Fatalf("%v %v", out.Plan, err)
				}
			}
		})
	}
}

func largeNode(prefix netip.Prefix, pools, servers int) ir.Node {
	at := prefix.Addr().As4()
	host := func(n byte) netip.Addr { at[3] = n; return netip.AddrFrom4(at) }
	tuning := weir.Tuning{}
	tuning.Normalize()
	n := ir.Node{
		Self:      ir.Self{Name: "lb1", Zone: "az1", State: weir.Active},
		Group:     ir.Group{Name: "edge", Ranges: []netip.Prefix{netip.PrefixFrom(host(16), 30)}, Zones: []string{"az1"}},
		Tuning:    ir.Tuning{Tuning: tuning},
		Addresses: []ir.Address{{Name: "vip", Address: host(17), HomeZone: "az1"}},
	}
	for i := range pools {
		name := fmt.Sprintf("pool-%03d", i)
		p := ir.Pool{Name: name, Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}}
		for j := range servers {
			p.Servers = append(p.Servers, ir.Server{
				Name: fmt.Sprintf("server-%03d-%02d", i, j), Address: netip.AddrPortFrom(host(byte(40+j)), 8000), Weight: 100,
				Owner: fmt.Sprintf("Server/server-%03d-%02d", i, j),
			})
		}
		n.Pools = append(n.Pools, p)
		n.Sites = append(n.Sites, ir.Site{
			Name: name, Mode: "http", Hostnames: []string{name + ".example"}, Addresses: []string{"vip"},
			Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}}, Backends: []ir.Backend{{Name: "default", Pool: name}},
		})
	}
	return n
}
