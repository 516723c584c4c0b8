package haproxy_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestSitesInMaintenance: a closed site answers with its page and asks clients to come back, but for those excepted; its
// neighbours go on. It opens and closes at run time.
func TestSitesInMaintenance(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) {
			at := n.Pools[0].Servers[0].Address.Addr().As4()
			at[3] = 99
			n.Lists = append(n.Lists, ir.AccessList{Name: "staff", Networks: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(at), 32)}})
			for name, m := range map[string]*weir.SiteMaintenance{
				"paged": {Page: "sorry", Status: 503, RetryAfter: weir.Duration(90e9), Except: "staff"},
				"plain": {Status: 410, RetryAfter: weir.Duration(5e9)},
				"open":  nil,
			} {
				n.Sites = append(n.Sites, ir.Site{
					Name: name, Mode: "http", Hostnames: []string{name + ".example"}, Addresses: []string{"vip1"}, Maintenance: m,
					Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}}, Backends: []ir.Backend{{Name: "default", Pool: "web1"}},
				})
			}
		})
		check := func(host string, status int, origin string, holds ...string) {
			t.Helper()
			got, from, all := p.get(t, 17, fmt.Sprintf("GET /x HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host))
			if got != status || from != origin {
				t.Errorf("%s: status %d from %q, want %d from %q", host, got, from, status, origin)
			}
			for _, text := range holds {
				if !strings.Contains(strings.ToLower(all), strings.ToLower(text)) {
					t.Errorf("%s: no %q in\n%s", host, text, all)
				}
			}
		}
		check("paged.example", 503, "", "retry-after: 90", "content-type: application/json", `{"sorry":"503"}`, "cache-control: no-store")
		check("plain.example", 410, "", "retry-after: 5", "content-type: text/html", "back soon")
		check("open.example", 200, "web1")
		if status, origin := p.from(t, 99, "paged.example"); status != 200 || origin != "web1" {
			t.Errorf("staff: status %d from %q", status, origin)
		}
		if status, _ := p.from(t, 99, "plain.example"); status != 410 {
			t.Errorf("staff of another site: status %d", status)
		}
		for _, command := range []string{"del map maps/closed.map plain", "add map maps/closed.map open 404:7"} {
			p.command(t, command)
		}
		check("plain.example", 200, "web1")
		check("open.example.", 404, "", "retry-after: 7", "back soon") // the short way's own entries go when the planner closes a site
	})
}

// from asks for / of a host with an address of the test's own as the client.
func (p proxy) from(t *testing.T, client byte, host string) (status int, origin string) {
	t.Helper()
	source, err := net.ResolveTCPAddr("tcp", p.addr(client, 0))
	if err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{LocalAddr: source}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}, Timeout: weirtest.Patience}
	req, err := http.NewRequest("GET", "http://"+p.addr(17, 8080)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header.Get("X-Origin")
}
