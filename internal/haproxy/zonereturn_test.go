package haproxy_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestAZoneComesBackByAndBy: a zone that sent a request back gets nothing for a while after one of its servers is up
// again, then a share that grows, then all that is its own.
func TestAZoneComesBackByAndBy(t *testing.T) {
	const wait, ramp = 2 * time.Second, 8 * time.Second
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		started := time.Now()
		p := startProxy(t, h, func(n *ir.Node) {
			standIns(weirtestPrefixOf(n), n)
			n.Tuning.ZoneReturn = &weir.ZoneReturn{Wait: new(weir.Duration(wait)), Ramp: new(weir.Duration(ramp))}
		})
		ask := func() string {
			status, origin, _ := p.get(t, 17, "GET / HTTP/1.1\r\nHost: refused.example\r\nConnection: close\r\n\r\n")
			if status != 200 {
				t.Errorf("status %d", status)
			}
			return origin
		}
		time.Sleep(time.Until(started.Add(6 * time.Second))) // nothing is noted of the first five
		noted := time.Now()
		if origin := ask(); origin != "web2" {
			t.Fatalf("servers refuse: answer from %q", origin)
		}
		back := weirtest.NewOrigin(t, p.addr(60, 9000))
		back.Name = "back"
		var halves, returned [2]int
		for {
			since := time.Since(noted) - wait
			origin := ask()
			switch {
			case since < -time.Second: // HAProxy counts whole seconds
				if origin != "web2" {
					t.Fatalf("%s after its zone refused: answer from %q", since+wait, origin)
				}
			case since > ramp+time.Second:
				for n := range 50 {
					if origin := ask(); origin != "back" {
						t.Fatalf("request %d after the ramp: answer from %q", n, origin)
					}
				}
				if early, late := returned[0]*100/halves[0], returned[1]*100/halves[1]; early >= late-20 || early == 0 || late == 100 {
					t.Errorf("%d%% in the first half of the ramp, %d%% in the second", early, late)
				}
				return
			case since > 0 && since < ramp:
				half := int(2 * since / ramp)
				halves[half]++
				if origin == "back" {
					returned[half]++
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// TestTCPClientsKeepTheirZone: by a hash of their addresses, where the address that they come to is of no zone. When a
// zone's server goes, its clients alone move, and they come back with it.
func TestTCPClientsKeepTheirZone(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) {
			prefix := weirtestPrefixOf(n)
			standIns(prefix, n)
			n.Tuning.ZoneReturn = &weir.ZoneReturn{Wait: new(weir.Duration), Ramp: new(weir.Duration)}
			n.Group.Zones = append(n.Group.Zones, "az3")
			at := prefix.Addr().As4()
			for i, name := range []string{"one", "two", "three"} {
				at[3] = byte(70 + i)
				server := ir.Server{Name: name, Address: netip.AddrPortFrom(netip.AddrFrom4(at), 9000), Weight: 1}
				check := weir.HealthCheck{Type: "tcp", Interval: weir.Duration(100 * time.Millisecond), Rise: 1, Fall: 1}
				n.Pools = append(n.Pools, ir.Pool{Name: "tcp-" + name, Mode: "tcp", Balance: "roundrobin", Check: check, Servers: []ir.Server{server}})
			}
			slices.SortFunc(n.Pools, func(a, b ir.Pool) int { return strings.Compare(a.Name, b.Name) })
			i := slices.IndexFunc(n.Sites, func(s ir.Site) bool { return s.Name == "tcp" })
			n.Sites[i].Routing = &ir.Routing{NoHome: true}
			n.Sites[i].Backends[0].Slots = []string{"tcp-one", "tcp-two", "tcp-three"}
		})
		var origins []*weirtest.TCPOrigin
		for i := range byte(3) {
			origins = append(origins, weirtest.NewTCPOrigin(t, p.addr(70+i, 9000), fmt.Sprintf("%d\n", i)))
		}
		at := p.prefix.Addr().As4()
		// served gives for each of 60 clients who answers it, twice over, when only those zones are there.
		served := func(zones string) (by [60]string) {
			weirtest.Eventually(t, weirtest.Patience, func() error {
				before, all := by, map[string]bool{}
				for client := range by {
					dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(at[0], at[1], at[2], byte(150+client))}, Timeout: weirtest.Patience}
					conn, err := dialer.Dial("tcp", p.addr(17, 4000))
					if err != nil {
						return err
					}
					_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
					said, _ := io.ReadAll(io.LimitReader(conn, 1))
					conn.Close()
					by[client], all[string(said)] = string(said), true
				}
				if got := strings.Join(slices.Sorted(maps.Keys(all)), ""); got != zones || by != before {
					return fmt.Errorf("answers from %q, not %q, or not from the same twice", got, zones)
				}
				return nil
			})
			return by
		}
		before := served("012")
		origins[0].Stop()
		moved := map[string]bool{}
		for client, by := range served("12") {
			if before[client] == "0" {
				moved[by] = true
			} else if by != before[client] {
				t.Errorf("client %d went from zone %s to %s, which is not the one that went", client, before[client], by)
			}
		}
		if len(moved) != 2 {
			t.Errorf("the clients of the zone that went are all in %v", moved)
		}
		origins[0].Restart(t)
		if after := served("012"); after != before {
			t.Errorf("the zone is back, and clients are elsewhere:\n%q\n%q", before, after)
		}
	})
}
