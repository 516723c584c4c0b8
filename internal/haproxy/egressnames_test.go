package haproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
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

// TestFactNamesOfCalls: a load balancer asks the name servers of its Tuning for the name of a call's service, in the family
// that is preferred first, and in none but that name; which name that is is a map's, and so without a reload. What it knows
// holds for ten seconds, and a name without addresses is told by itself.
func TestFactNamesOfCalls(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		six := weirtest.NewOrigin(t, "[::1]:0")
		six.Name = "six"
		sixPort := netip.MustParseAddrPort(six.Addr).Port()
		zone := weirtest.KnotZone{Name: "example.test."}
		k := weirtest.StartKnot(t, zone)
		named := func(n *ir.Node, service, name, prefer string, port uint16) {
			e := &ir.Endpoint{Partner: "example", Environment: "prod", Service: service, Host: name, Name: name, Prefer: prefer}
			p := ir.Pool{Name: e.Pool(), Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Endpoint: e}
			if prefer != "" {
				p.Servers = []ir.Server{{Name: "name", Address: netip.AddrPortFrom(netip.IPv4Unspecified(), port), Weight: 100, Owner: "Partner/example"}}
			}
			n.Pools = append(n.Pools, p)
		}
		var at func(host byte) string
		g := startGate(t, h, func(n *ir.Node) {
			base := n.Group.Ranges[0].Addr().As4()
			address := func(host byte) netip.Addr { base[3] = host; return netip.AddrFrom4(base) }
			at = func(host byte) string { return address(host).String() }
			zone.Records = []string{"one A " + at(33), "two A " + at(35), "both A " + at(33), "both AAAA ::1", "six AAAA ::1"}
			k.Change(zone)
			calling(address, weir.EgressRule{Clients: []string{"myback-prod"}, SLAs: []string{"high"}})(n)
			n.Tuning.Nameservers = []string{k.Addr}
			named(n, "one", "one.example.test", weir.PreferIPv4, 9000)
			named(n, "two", "two.example.test", weir.PreferIPv6, 9000)
			named(n, "four", "both.example.test", weir.PreferIPv4, 9000)
			named(n, "six", "both.example.test", weir.PreferIPv6, sixPort)
			named(n, "only", "six.example.test", weir.PreferIPv4, sixPort)
			named(n, "none", "none.example.test", weir.PreferIPv4, 9000)
			named(n, "later", "later.example.test", "", 0)
			slices.SortFunc(n.Pools, func(a, b ir.Pool) int { return strings.Compare(a.Name, b.Name) })
		})
		call := func(service string, status int, says string) {
			t.Helper()
			if got, all := g.ask(50, "egress.inside", "/myback/prod/example/prod/"+service+"/high/x"); got != status || !strings.Contains(all, says) {
				t.Errorf("%s: %d, want %d with %q\n%s", service, got, status, says, all)
			}
		}
		call("one", 200, "api ")
		call("two", 200, "web1 ")
		call("four", 200, "api ")
		call("six", 200, "six ")
		call("only", 200, "six ")
		call("none", 503, "example/prod/none has no address: the DNS knows none of none.example.test")
		call("later", 503, "example/prod/later has no address: the DNS knows none of later.example.test")
		call("www", 200, "api ")
		// One connection of a client calls one after the other.
		conn := g.dial(50, 8080)
		answers := bufio.NewReader(conn)
		for _, want := range []string{"one api", "two web1", "one api", "only six", "www api"} {
			service, name, _ := strings.Cut(want, " ")
			_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
			fmt.Fprintf(conn, "GET /myback/prod/example/prod/%s/high/x HTTP/1.1\r\nHost: egress.inside\r\n\r\n", service)
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(answer.Body); answer.StatusCode != 200 || !strings.HasPrefix(string(body), name) {
				t.Errorf("%s over one connection: %d %s", service, answer.StatusCode, body)
			}
		}
		// Another name, at once and by a map alone.
		g.change(func(n *ir.Node) {
			n.Pools = slices.Clone(n.Pools)
			for i := range n.Pools {
				if e := n.Pools[i].Endpoint; e != nil && e.Service == "one" {
					now := *e
					now.Name = "two.example.test"
					n.Pools[i].Endpoint = &now
				}
			}
		})
		call("one", 200, "web1 ")
		// A name that comes, changes and goes.
		zone.Records = []string{"one A " + at(35), "none A " + at(33)}
		k.Change(zone)
		wait := func(service string, status int, says string) {
			t.Helper()
			weirtest.Eventually(t, weirtest.Patience, func() error {
				if got, all := g.ask(50, "egress.inside", "/myback/prod/example/prod/"+service+"/high/x"); got != status || !strings.Contains(all, says) {
					return fmt.Errorf("%s: %d, want %d with %q\n%s", service, got, status, says, all)
				}
				return nil
			})
		}
		wait("none", 200, "api ")
		wait("two", 503, "has no address")
		k.Stop()
		wait("none", 503, "has no address")
		if text, _ := g.config.Text(); strings.Contains(text, "parse-resolv-conf") || strings.Count(text, "\nresolvers ") != 1 {
			t.Errorf("other name servers are asked too:\n%s", text)
		}
		if without := haproxy.Render(ir.Node{}, haproxy.Env{Version: g.version}); strings.Contains(sectionsOf(without), "resolvers") {
			t.Error("a group without a way out has resolvers")
		}
	})
}
