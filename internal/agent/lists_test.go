package agent

import (
	"context"
	"fmt"
	"io"
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
	"weir/internal/plan"
	"weir/internal/weirtest"
)

// A list of 100,000 networks is replaced by another while clients ask: nobody who is in both is let in, nobody who is in
// neither is refused, and afterwards the clients of the new one are refused and those of the old are not. One entry that
// changes is one command.
func TestAListIsReplacedUnderTraffic(t *testing.T) {
	t.Parallel()
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
		ask := func(c *http.Client) (int, error) { return b.answered(c, "/", "") }
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

// A Map of 100,000 entries, by which a site routes and which logic looks up, is replaced by another while clients ask:
// what both have is found at every request on the way, what neither has at none, and nothing is read anew.
func TestAMapIsReplacedUnderTraffic(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("www", 33)
		s := &b.node.Sites[0]
		s.Backends = append(s.Backends, ir.Backend{Name: "other", Pool: "none"})
		b.node.Pools = append(b.node.Pools, ir.Pool{Name: "none", Mode: "http", Balance: "roundrobin", NoQueue: true})
		slices.SortFunc(b.node.Pools, func(x, y ir.Pool) int { return strings.Compare(x.Name, y.Name) })
		s.Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Map: "moved"}}}
		s.Logic = []weir.LogicUse{{Name: "answers"}}
		b.node.Logics = []ir.Logic{{Name: "answers", Logic: weir.Logic{Text: "http-request return status 201 content-type text/plain lf-string %[req.hdr(x-key),map(moved)] if { req.hdr(x-key),map(moved) -m found }"}}}
		entries := func(first string, keys ...string) []ir.Map {
			list := make([]weir.MapEntry, 0, 100_000)
			for i := range 100_000 - len(keys) {
				list = append(list, weir.MapEntry{Key: fmt.Sprintf("/%s-%d", first, i), Value: "default"})
			}
			for _, k := range keys {
				list = append(list, weir.MapEntry{Key: k, Value: "other"})
			}
			return []ir.Map{{Name: "moved", Match: "exact", Entries: list}}
		}
		const inOld, inNew, inBoth, inNeither = "/of-the-old", "/of-the-new", "/of-both", "/of-neither"
		b.node.Maps = entries("a", inOld, inBoth)
		b.converge()
		b.serves("www")
		transport := &http.Transport{MaxIdleConnsPerHost: 8}
		t.Cleanup(transport.CloseIdleConnections)
		client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		routed := func(path string) (int, error) { return b.answered(client, path, "-") }
		looked := func(path string) (int, error) { return b.answered(client, "/", path) }
		expect := func(old, now int, oldLooked, nowLooked int) {
			t.Helper()
			for path, want := range map[string][2]int{inOld: {old, oldLooked}, inNew: {now, nowLooked}, inBoth: {503, 201}, inNeither: {200, 200}} {
				if got, err := routed(path); err != nil || got != want[0] {
					t.Errorf("%s is routed to %d %v, want %d", path, got, err, want[0])
				}
				if got, err := looked(path); err != nil || got != want[1] {
					t.Errorf("%s is looked up as %d %v, want %d", path, got, err, want[1])
				}
			}
		}
		expect(503, 200, 201, 200)
		ctx, stop := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		asked := make(chan int, 4)
		for _, is := range []struct {
			path string
			ask  func(string) (int, error)
			want int
		}{{inBoth, routed, 503}, {inNeither, routed, 200}, {inBoth, looked, 201}, {inNeither, looked, 200}} {
			asking.Go(func() {
				n := 0
				defer func() { asked <- n }()
				for ; ctx.Err() == nil; n++ {
					if got, err := is.ask(is.path); err != nil || got != is.want {
						t.Errorf("%s on the way: %d %v, want %d", is.path, got, err, is.want)
						return
					}
				}
			})
		}
		b.node.Maps = entries("b", inNew, inBoth)
		out := b.converge()
		stop()
		asking.Wait()
		for range cap(asked) {
			if <-asked == 0 {
				t.Error("nobody asked meanwhile")
			}
		}
		if out.Reloaded || len(out.Plan.Ops) != 2 || out.Plan.Ops[0].Kind != plan.MapSwap || out.Plan.Ops[1].Kind != plan.MapSwap {
			t.Errorf("reloaded %v, %s", out.Reloaded, kindsOf(out.Plan.Ops))
		}
		expect(200, 503, 200, 201)
		b.node.Maps[0].Entries = append(slices.Clone(b.node.Maps[0].Entries), weir.MapEntry{Key: inOld, Value: "other"})
		if out := b.converge(); out.Reloaded || len(out.Plan.Ops) != 2 {
			t.Errorf("one entry that comes: reloaded %v, %s", out.Reloaded, kindsOf(out.Plan.Ops))
		}
		expect(503, 503, 201, 201)
		b.settled()
	})
}

// answered asks the site www for a path and gives the status of the answer.
func (b *bed) answered(c *http.Client, path, key string) (int, error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+netip.AddrPortFrom(b.at(17), 8080).String()+path, nil)
	if err != nil {
		return 0, err
	}
	request.Host = "www.example"
	request.Header.Set("X-Key", key)
	answer, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

func kindsOf(ops []plan.Op) string {
	var kinds []string
	for _, op := range ops[:min(len(ops), 10)] {
		kinds = append(kinds, string(op.Kind)+" "+op.Path)
	}
	return fmt.Sprintf("%d operations: %v", len(ops), kinds)
}
