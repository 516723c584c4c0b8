package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/plan"
	"weir/internal/weirtest"
)

// A list of 100,000 networks is replaced by another while clients ask: nobody who is in both is let in, nobody who is in
// neither is refused, and afterwards the clients of the new one are refused and those of the old are not. One entry that
// changes is one command.
func TestAListIsReplacedUnderTraffic(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("www", 33)
		b.node.Sites[0].Routes = []weir.SiteRoute{{Match: weir.RouteMatch{AccessList: "refused"}, Action: &weir.RouteAction{Deny: 403}}}
		address := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 253, 0, last}) }
		const inOld, inNew, inBoth, inNeither = 1, 2, 3, 4
		list := func(first byte, clients ...byte) []ir.AccessList {
			networks := make([]netip.Prefix, 0, 100_000)
			for i := range 100_000 - len(clients) {
				networks = append(networks, netip.PrefixFrom(netip.AddrFrom4([4]byte{first + byte(i>>16), byte(i >> 8), byte(i), 1}), 32))
			}
			for _, c := range clients {
				networks = append(networks, netip.PrefixFrom(address(c), 32))
			}
			slices.SortFunc(networks, netip.Prefix.Compare)
			return []ir.AccessList{{Name: "refused", Networks: networks}}
		}
		b.node.Lists = list(20, inOld, inBoth)
		b.converge()
		b.serves("www") // this test's own address is in neither
		client := func(last byte) *http.Client {
			dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: address(last).AsSlice()}}
			transport := &http.Transport{DialContext: dialer.DialContext}
			t.Cleanup(transport.CloseIdleConnections)
			return &http.Client{Transport: transport, Timeout: 20 * time.Second}
		}
		ask := func(c *http.Client) (int, error) {
			request, err := http.NewRequest(http.MethodGet, "http://"+netip.AddrPortFrom(b.at(17), 8080).String()+"/", nil)
			if err != nil {
				return 0, err
			}
			request.Host = "www.example"
			answer, err := c.Do(request)
			if err != nil {
				return 0, err
			}
			defer answer.Body.Close()
			_, err = io.Copy(io.Discard, answer.Body)
			return answer.StatusCode, err
		}
		expect := func(want map[byte]int) {
			t.Helper()
			for last, status := range want {
				if got, err := ask(client(last)); err != nil || got != status {
					t.Errorf("client %d: %d %v, want %d", last, got, err, status)
				}
			}
		}
		expect(map[byte]int{inOld: 403, inNew: 200, inBoth: 403, inNeither: 200})
		ctx, stop := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		asked := make(chan int, 2)
		for last, want := range map[byte]int{inBoth: 403, inNeither: 200} {
			asking.Go(func() {
				c, n := client(last), 0
				defer func() { asked <- n }()
				for ; ctx.Err() == nil; n++ {
					if got, err := ask(c); err != nil || got != want {
						t.Errorf("client %d on the way: %d %v, want %d", last, got, err, want)
						return
					}
				}
			})
		}
		b.node.Lists = list(60, inNew, inBoth)
		out := b.converge()
		stop()
		asking.Wait()
		if n := <-asked + <-asked; n == 0 {
			t.Error("nobody asked meanwhile")
		}
		if out.Reloaded || len(out.Plan.Ops) != 1 || out.Plan.Ops[0].Kind != plan.MapSwap {
			t.Errorf("reloaded %v, %s", out.Reloaded, kindsOf(out.Plan.Ops))
		}
		expect(map[byte]int{inOld: 200, inNew: 403, inBoth: 403, inNeither: 200})
		b.node.Lists = list(60, inNew, inOld, inBoth)
		if out := b.converge(); out.Reloaded || len(out.Plan.Ops) != 2 {
			t.Errorf("one entry that comes, and one that goes: reloaded %v, %s", out.Reloaded, kindsOf(out.Plan.Ops))
		}
		expect(map[byte]int{inOld: 403, inNew: 403})
		b.settled()
	})
}

func kindsOf(ops []plan.Op) string {
	var kinds []string
	for _, op := range ops[:min(len(ops), 10)] {
		kinds = append(kinds, string(op.Kind)+" "+op.Path)
	}
	return fmt.Sprintf("%d operations: %v", len(ops), kinds)
}
