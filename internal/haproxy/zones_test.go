package haproxy_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// standIns are pools whose servers HAProxy takes to be up, as between two checks: away refuses, two of breaks hang up on
// every connection, and web1 and web2 answer. The sites are named by what serves in zones 1 and 2.
func standIns(p netip.Prefix, n *ir.Node) {
	at := p.Addr().As4()
	pool := func(name, mode string, hosts ...byte) {
		check := weir.HealthCheck{Type: "tcp", Interval: weir.Duration(900 * time.Millisecond), Rise: 1, Fall: 100}
		pool := ir.Pool{Name: name, Mode: mode, Balance: "roundrobin", Check: check, Unchecked: true}
		for i, host := range hosts {
			at[3] = host
			pool.Servers = append(pool.Servers, ir.Server{Name: fmt.Sprintf("%s-%d", name, i), Address: netip.AddrPortFrom(netip.AddrFrom4(at), 9000), Weight: 1})
		}
		n.Pools = append(n.Pools, pool)
	}
	site := func(name, mode string, routing *ir.Routing, slots ...string) {
		s := ir.Site{
			Name: name, Mode: mode, Addresses: []string{"vip1", "vip2"}, Backends: []ir.Backend{{Name: "default", Slots: slots}}, Routing: routing,
			Hostnames: []string{name + ".example"}, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}},
		}
		if mode == "tcp" {
			s.Hostnames, s.Listeners = nil, []ir.Listener{{Port: 4000, Mode: weir.PortTCP}}
		}
		n.Sites = append(n.Sites, s)
	}
	pool("away", "http", 60, 61, 62, 63, 64)
	pool("breaks", "http", 50, 51, 36)
	pool("lost", "http", 65, 66)
	pool("last", "http", 36)
	pool("tcp1", "tcp", 60, 61)
	pool("tcp2", "tcp", 34)
	site("refused", "http", nil, "away", "web2")
	site("reset", "http", nil, "breaks", "web2")
	site("nobody", "http", &ir.Routing{Fallback: "last"}, "away", "lost")
	site("gone", "http", nil, "away", "lost")
	site("tcp", "tcp", nil, "tcp1", "tcp2")
	site("two", "http", nil, "web1", "last")
	slices.SortFunc(n.Pools, func(a, b ir.Pool) int { return strings.Compare(a.Name, b.Name) })
}

// TestAZoneThatDiesBetweenChecks: none of the requests that may be sent again fails, neither to servers that refuse nor to
// those that hang up, and connections go where a server takes them.
func TestAZoneThatDiesBetweenChecks(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) { standIns(weirtestPrefixOf(n), n) })
		for host := range byte(2) {
			hangUp(t, p.addr(50+host, 9000))
		}
		ask := func(site, method string) (int, string) {
			status, origin, _ := p.get(t, 17, fmt.Sprintf("%s / HTTP/1.1\r\nHost: %s.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, site))
			return status, origin
		}
		for n := range 20 {
			if status, origin := ask("refused", "GET"); status != 200 || origin != "web2" {
				t.Errorf("GET %d: servers refuse: %d from %q", n, status, origin)
			}
			// Nothing of it was sent, so that this may go on too.
			if status, origin := ask("refused", "POST"); status != 200 || origin != "web2" {
				t.Errorf("POST %d: servers refuse: %d from %q", n, status, origin)
			}
			if status, origin := ask("reset", "GET"); status != 200 || origin != "web2" {
				t.Errorf("GET %d: servers hang up: %d from %q", n, status, origin)
			}
			if status, origin := ask("nobody", "GET"); status != 200 || origin != "web2" {
				t.Errorf("GET %d: the fallback: %d from %q", n, status, origin)
			}
			if status, _ := ask("gone", "GET"); status != 503 {
				t.Errorf("GET %d: no server anywhere: %d", n, status)
			}
			conn, err := net.Dial("tcp", p.addr(17, 4000))
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
			if got, err := io.ReadAll(io.LimitReader(conn, 6)); string(got) != "hello\n" {
				t.Errorf("connection %d: %q, %v", n, got, err)
			}
			conn.Close()
		}
		stat := p.command(t, "show stat")
		if !regexp.MustCompile(`(?m)^away\.\w+,_again\.\w+,0,0,0,\d+,,[1-9]`).MatchString(stat) {
			t.Errorf("nothing was sent back:\n%s", stat)
		}
	})
}

// TestAFallbackThatSendsBackIsAskedOnce: a pool that others stand in for elsewhere sends back what it can't take; as a
// site's fallback it is asked once more, and not again and again.
func TestAFallbackThatSendsBackIsAskedOnce(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) {
			standIns(weirtestPrefixOf(n), n)
			for i := range n.Sites {
				if n.Sites[i].Name == "gone" {
					n.Sites[i].Routing = &ir.Routing{Fallback: "lost"}
				}
			}
		})
		if status, _, all := p.get(t, 17, "GET / HTTP/1.1\r\nHost: gone.example\r\nConnection: close\r\n\r\n"); status != 503 {
			t.Errorf("%d\n%s", status, all)
		}
		passes := regexp.MustCompile(`(?m)^again-http,FRONTEND(?:,[^,]*){5},(\d+),`).FindStringSubmatch(p.command(t, "show stat"))
		if len(passes) != 2 || passes[1] == "0" || len(passes[1]) > 2 { // 7 servers, one after the other
			t.Errorf("sent back %v times", passes)
		}
	})
}

// weirtestPrefixOf gives the network that a test's node is in.
func weirtestPrefixOf(n *ir.Node) netip.Prefix {
	prefix, _ := n.Group.Ranges[0].Addr().Prefix(24)
	return prefix
}

// hangUp takes connections and ends them as soon as something comes.
func hangUp(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.(*net.TCPConn).SetLinger(0)
			}()
		}
	}()
}

// TestNobodyElseComesBack: an abstract socket has no permissions, and a PROXY header is believed: who does not know the
// secret gets nothing.
func TestNobodyElseComesBack(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) { standIns(weirtestPrefixOf(n), n) })
		text, err := os.ReadFile(filepath.Join(p.dir, haproxy.ConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`bind abns@(\S+)`).FindAllStringSubmatch(string(text), -1)
		if len(names) != 2 {
			t.Fatalf("%d abstract sockets", len(names))
		}
		// Version 2, PROXY, TCP over IPv4, 1.2.3.4:1 to 5.6.7.8:2, and as the route that of a site.
		for _, tlvs := range []string{"", "\xe0\x00\x00", "\xe0\x00\x24" + strings.Repeat("0", 36), "\xe1\x00\x0fwww/default\x00\x00\x00\x00"} {
			head := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00" + string(rune(12+len(tlvs))) + "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02" + tlvs
			for _, name := range names {
				conn, err := net.Dial("unix", "@"+name[1]+strings.Repeat("\x00", 107-len(name[1]))) // HAProxy's names fill all of the address
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
				_, _ = io.WriteString(conn, head+"GET / HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n")
				if got, err := io.ReadAll(conn); len(got) > 0 {
					t.Errorf("%s answers %q (%v) to a stranger", name[1], got, err)
				}
				conn.Close()
			}
		}
		if answer := p.command(t, "get var proc.again"); !regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4`).MatchString(answer) {
			t.Errorf("HAProxy knows itself by %q", answer)
		}
	})
}

// TestAThousandSitesAreTheRulesOfOne: what differs is in maps, lists and certificates.
func TestAThousandSitesAreTheRulesOfOne(t *testing.T) {
	for _, minor := range []int{2, 4} {
		prefix := netip.MustParsePrefix("127.9.9.0/24")
		one, many := testNode(prefix), testNode(prefix)
		standIns(prefix, &one)
		standIns(prefix, &many)
		for i := range 1000 {
			name := fmt.Sprintf("site-%d", i)
			s := ir.Site{
				Name: name, Mode: "http", Hostnames: []string{name + ".example", "*." + name + ".example"}, Addresses: []string{"vip1", "vip2"}[i%2:],
				Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}},
				Backends:  []ir.Backend{{Name: "api", Pool: "api"}, {Name: "default", Slots: []string{"web1", []string{"web2", "last"}[i%2]}}},
				Routes: []weir.SiteRoute{
					{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: fmt.Sprintf("/%d", i)}}, Backend: "api"},
					{Match: weir.RouteMatch{Path: &weir.PathMatch{Exact: fmt.Sprintf("/e%d", i)}}, Backend: "api"},
					{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: fmt.Sprintf("/r%d[a-z]*", i)}}, Backend: "api"},
				}[:i%4],
			}
			switch i % 5 {
			case 1:
				s.Routing = &ir.Routing{MinHealthy: i%7 + 1, KeepZone: weir.Duration(time.Hour)}
			case 2:
				s.Routing = &ir.Routing{NoHome: true, Weights: []int{i, 1000 - i}, Fallback: "last"}
			case 3:
				s.ErrorPages = map[weir.Status3]string{503: "sorry"}
			}
			many.Sites = append(many.Sites, s)
			many.Shifts = append(many.Shifts, ir.Shift{Name: name, Sites: []string{name}, Zone: "az1", ExpiresAt: time.Unix(int64(2e9+i), 0)})
		}
		slices.SortFunc(many.Sites, func(a, b ir.Site) int { return strings.Compare(a.Name, b.Name) })
		env := haproxy.Env{Version: haproxy.Version{Major: 3, Minor: minor}}
		a, b := haproxy.Render(one, env), haproxy.Render(many, env)
		if !reflect.DeepEqual(a.Sections, b.Sections) || !reflect.DeepEqual(a.Backends, b.Backends) {
			t.Errorf("3.%d: a thousand sites more change the text, or backends", minor)
		}
		if reflect.DeepEqual(a.Maps, b.Maps) {
			t.Errorf("3.%d: they are nowhere", minor)
		}
	}
}
