package agent

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// visitors is a server that remembers from where requests came.
type visitors struct {
	mu   sync.Mutex
	from map[string]bool
}

func (v *visitors) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.from[host] = true
}

// take gives those since the last time, sorted.
func (v *visitors) take() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := slices.Sorted(maps.Keys(v.from))
	clear(v.from)
	return list
}

// Servers are reached from the addresses that the LoadBalancer names, members of one address from one after the other; that
// changes at run time, and an address that the machine lacks is left out and told of.
func TestSourceAddressesOfServers(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		server := netip.AddrPortFrom(b.at(60), 9000)
		l, err := net.Listen("tcp", server.String())
		if err != nil {
			t.Fatal(err)
		}
		seen := &visitors{from: map[string]bool{}}
		go http.Serve(l, seen) // ends with its listener
		t.Cleanup(func() { l.Close() })
		b.site("one")
		for _, name := range []string{"a", "b"} {
			b.node.Pools[0].Servers = append(b.node.Pools[0].Servers, ir.Server{Name: name, Address: server, Weight: 100, Owner: "Pool/one"})
		}
		b.node.Pools[0].Check = weir.HealthCheck{Type: "tcp", Interval: weir.Duration(100 * time.Millisecond), Rise: 1, Fall: 3}
		b.converge()
		b.settled()
		// come gives from where requests come once all servers are as they are wanted.
		come := func() []string {
			t.Helper()
			weirtest.Eventually(t, longWait, func() error {
				b.converge()
				if len(b.waiting) > 0 {
					return fmt.Errorf("awaited: %v", b.waiting)
				}
				return nil
			})
			b.settled()
			b.serves("one")
			seen.take()
			for range 6 {
				if status, err := b.get("one.example", "/"); status != 200 {
					t.Error(status, err)
				}
			}
			return seen.take()
		}
		comeFrom := func(want netip.Addr) {
			t.Helper()
			if got := come(); !slices.Equal(got, []string{want.String()}) {
				t.Errorf("requests came from %v, not %s", got, want)
			}
		}
		b.serves("one")
		seen.take()
		reloads := b.reloads.Count

		b.node.Self.Sources = []netip.Addr{b.at(50), b.at(51), b.at(52)}
		var two []netip.Addr
		for _, word := range come() {
			if a := netip.MustParseAddr(word); slices.Contains(b.node.Self.Sources, a) {
				two = append(two, a)
			}
		}
		if len(two) != 2 {
			t.Errorf("two members of one address are reached from %v", two)
		}

		lacked := netip.MustParseAddr("192.0.2.17")
		b.node.Self.Sources = []netip.Addr{b.at(55), lacked}
		comeFrom(b.at(55))
		said := resourceReport(link.State{Resources: b.node.Resources()}, b.engine, nil).Deviations["self"]
		if said.Reason != link.CannotBind || !strings.Contains(said.Message, fmt.Sprintf("do not come from %s (the machine does not have the address)", lacked)) {
			t.Errorf("told: %+v", said)
		}
		if b.retryBinds() {
			t.Error("an address that the machine lacks can be used")
		}

		b.node.Self.Sources = []netip.Addr{b.at(56)}
		comeFrom(b.at(56))
		if len(b.refusedBinds) != 0 {
			t.Errorf("left out: %v", b.refusedBinds)
		}
		if b.reloads.Count != reloads {
			t.Errorf("%d reloads", b.reloads.Count-reloads)
		}
	})
}
