package haproxy_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// hour is long enough that nothing is forgotten during a test.
const hour = weir.Duration(time.Hour)

func limit(name, count string, soft, hard int) ir.RateLimit {
	l := ir.RateLimit{Name: name, RateLimit: weir.RateLimit{Count: count, Period: hour}}
	if count == weir.CountConcurrent {
		l.Period = 0
	}
	if soft >= 0 {
		l.Soft = &weir.SoftLimit{Above: soft}
	}
	if hard >= 0 {
		l.Hard = &weir.HardLimit{Above: hard}
	}
	l.Normalize()
	return l
}

// limited gives a node's sites their limits, which are those of the node.
func limited(sites map[string][]string, limits ...ir.RateLimit) func(*ir.Node) {
	return func(n *ir.Node) {
		n.Limits = limits
		for i := range n.Sites {
			n.Sites[i].RateLimits = sites[n.Sites[i].Name]
		}
	}
}

// Requests by the client's address: fine, then a page, then nothing; levels, mode and whom it spares change while
// HAProxy runs, other clients and other sites feel nothing, and a reload forgets nothing.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := limit("edge", weir.CountRequests, 2, 4)
		g := startGate(t, h, func(n *ir.Node) {
			limited(map[string][]string{"www": {"edge"}, "rich": {"edge"}}, l)(n)
			n.Lists = []ir.AccessList{{Name: "staff", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
			n.Pages = append(n.Pages, ir.Page{Name: "busy", ContentType: "text/plain", Body: "easy now"})
		})
		limits := func(edit func(*weir.RateLimit)) {
			t.Helper()
			edit(&l.RateLimit)
			g.change(func(n *ir.Node) { n.Limits = []ir.RateLimit{l} })
		}
		g.want(50, "www.example", "/api", 200, 200, 429, 429, 0, 0)
		g.want(51, "www.example", "/api", 200, 200, 429)
		g.want(50, "rich.example", "/", 200, 200, 429) // each site for itself
		limits(func(l *weir.RateLimit) {
			l.Soft, l.Hard = &weir.SoftLimit{Above: 8, Status: 503, ErrorPage: "busy"}, nil
		})
		g.want(50, "www.example", "/", 200, 200, 503)
		if status, all := g.ask(50, "www.example", "/"); status != 503 || !strings.HasSuffix(all, "\r\n\r\neasy now") || !strings.Contains(strings.ToLower(all), "content-type: text/plain\r\n") {
			t.Errorf("the page of the limit: %s", all)
		}
		limits(func(l *weir.RateLimit) { l.Mode = weir.LimitShadow })
		g.want(50, "www.example", "/", 200, 200)
		limits(func(l *weir.RateLimit) { l.Mode = weir.LimitEnforce })
		g.want(50, "www.example", "/", 503)
		limits(func(l *weir.RateLimit) { l.Exempt = []string{"staff"} })
		g.want(50, "www.example", "/", 200)
		limits(func(l *weir.RateLimit) { l.Exempt = nil })
		g.want(50, "www.example", "/", 503)

		counted := func() string {
			rates := regexp.MustCompile(`http_req_rate\(\d+\)=\d+`).FindAllString(g.tell(haproxy.AdminSocket, "show table limits/3600s"), -1)
			return strings.Join(rates, " ")
		}
		before := counted()
		if !strings.Contains(before, "=14") {
			t.Errorf("counted %s", before)
		}
		g.tell("run/master.sock", "reload")
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if after := counted(); len(after) != len(before) {
				return fmt.Errorf("before the reload %s, after it %s", before, after)
			}
			return nil
		})
		g.want(50, "www.example", "/", 503)
		g.want(51, "www.example", "/", 200)
	})
}

// Clients are told apart by what the limit says: an address as far as its prefix, whoever a trusted proxy speaks for, a
// header, a cookie; without those by the address, so that leaving them out gains nothing and harms nobody else; or not
// at all, but by the path.
func TestRateLimitKeys(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		limits := map[string]weir.RateLimitKey{
			"www": {IPv4: 28, IPv6: 56}, "header": {Header: "X-Api-Key", IPv4: 32}, "cookie": {Cookie: "User", IPv4: 32}, "path": {Path: true},
		}
		g := startGate(t, h, func(n *ir.Node) {
			site := n.Sites[1]
			site.Routes = nil
			n.Sites = n.Sites[3:]
			for name, key := range limits {
				l := limit(name, weir.CountRequests, 1, -1)
				l.Key = &key
				l.Normalize()
				n.Limits = append(n.Limits, l)
				if name != "www" {
					site.Name, site.Hostnames = name, []string{name + ".example"}
					n.Sites = append(n.Sites, site)
				}
			}
			for i := range n.Sites {
				n.Sites[i].RateLimits = []string{n.Sites[i].Name}
			}
			n.Group.ForwardedFor = []netip.Prefix{netip.MustParsePrefix(g0(n, 200) + "/32")}
		})
		g.want(64, "www.example", "/", 200, 429)
		g.want(79, "www.example", "/", 429)
		g.want(80, "www.example", "/", 200, 429)
		for _, c := range []struct {
			client string
			want   int
		}{
			{"2001:db8:1:200::1", 200},
			{"2001:db8:1:2ff:1:2:3:4", 429},
			{"2001:db8:1:300::1", 200},
			{"198.51.100.1", 200},
			{"198.51.100.15", 429},
			{"198.51.100.16", 200},
			{"192.0.2.1, 198.51.100.2", 429},
			{"no address", 200},
			{"no address", 429},
		} {
			g.wantWith(200, "www.example", "/", []string{"X-Forwarded-For: " + c.client}, c.want)
		}
		g.wantWith(65, "www.example", "/", []string{"X-Forwarded-For: 203.0.113.9"}, 429) // nobody believes that

		key := func(v string) []string { return []string{"X-Api-Key: " + v} }
		g.wantWith(50, "header.example", "/", key("a"), 200, 429)
		g.wantWith(51, "header.example", "/", key("a"), 429)
		g.wantWith(51, "header.example", "/", key("b, c"), 200, 429)
		g.wantWith(51, "header.example", "/", key("c"), 200)
		g.wantWith(51, "header.example", "/", key(""), 200, 429)
		g.want(50, "header.example", "/", 200, 429)
		g.want(51, "header.example", "/", 429)

		cookie := func(v string) []string { return []string{"Cookie: x=y; User=" + v} }
		g.wantWith(50, "cookie.example", "/", cookie("a"), 200, 429)
		g.wantWith(51, "cookie.example", "/", cookie("a"), 429)
		g.wantWith(50, "cookie.example", "/", cookie("b"), 200)
		g.want(50, "cookie.example", "/", 200, 429)

		g.want(50, "path.example", "/login", 200)
		g.want(51, "path.example", "/login?x", 429)
		g.want(51, "path.example", "/logout", 200)
	})
}

// g0 gives an address of the node's own network.
func g0(n *ir.Node, host byte) string {
	b := n.Addresses[0].Address.As4()
	b[3] = host
	return netip.AddrFrom4(b).String()
}

// What is counted: errors of servers and none of Weir's own, connections each once per site, bytes either way, and what
// is under way at the same time; of a tcp site connections.
func TestRateLimitCounts(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		counts := map[string]ir.RateLimit{
			"errors": limit("errors", weir.CountErrors, 1, -1), "connections": limit("connections", weir.CountConnections, 1, 2),
			"out": limit("out", weir.CountBytesOut, 500, -1), "in": limit("in", weir.CountBytesIn, 3000, -1), "now": limit("now", weir.CountConcurrent, 1, -1),
			"at-once": limit("at-once", weir.CountConcurrent, -1, 1), "all": limit("all", weir.CountConnections, -1, 3), "shadow": limit("shadow", weir.CountRequests, 0, 1),
		}
		g := startGate(t, h, func(n *ir.Node) {
			site := n.Sites[1]
			site.Routes = nil
			n.Sites = n.Sites[:1]
			for name, l := range counts {
				if name == "shadow" {
					l.Mode = weir.LimitShadow
				}
				n.Limits = append(n.Limits, l)
				site.Name, site.Hostnames = name, []string{name + ".example"}
				site.RateLimits = []string{"shadow", name}
				n.Sites = append(n.Sites, site)
			}
			n.Sites[0].RateLimits = []string{"at-once", "all"}
		})
		origin := g.origins[35]
		origin.SetStatus("/missing", 404)
		origin.SetStatus("/broken", 500)
		g.want(50, "errors.example", "/missing", 404, 404)
		g.want(50, "errors.example", "/", 429, 429)
		g.want(51, "errors.example", "/broken", 500, 500, 500)
		g.want(51, "errors.example", "/missing", 404)
		g.want(51, "errors.example", "/", 200)

		const once = "GET / HTTP/1.1\r\nHost: connections.example\r\n\r\n"
		if status, all := askOver(t, g.dial(50, 8080), "connections.example", "/", "\r\n"+once+once+"GET / HTTP/1.1\r\nHost: connections.example", "Connection: close"); status != 200 || strings.Count(all, "HTTP/1.1 200") != 4 {
			t.Errorf("one connection: %s", all)
		}
		g.want(50, "connections.example", "/", 429, 0)
		g.want(51, "connections.example", "/", 200)

		g.want(50, "out.example", "/", 200, 200)
		answers := 2
		for status := 200; status == 200 && answers < 10; answers++ {
			status, _ = g.ask(50, "out.example", "/")
		}
		if answers == 10 {
			t.Error("bytes to the client are not limited")
		}
		g.want(51, "out.example", "/", 200)
		large := []string{"X-Large: " + strings.Repeat("x", 2000)}
		g.wantWith(50, "in.example", "/", large, 200, 200, 429)

		origin.SetDelay(time.Minute)
		held := g.dial(50, 8080)
		if _, err := io.WriteString(held, "GET /held HTTP/1.1\r\nHost: now.example\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if origin.Hits("/held") == 0 {
				return fmt.Errorf("the request has not come")
			}
			return nil
		})
		g.want(50, "now.example", "/", 429)
		origin.SetDelay(0)
		g.want(51, "now.example", "/", 200)
		origin.Stop() // HAProxy 3.2 goes on with the request when the client is gone
		_, _ = io.ReadAll(held)
		origin.Restart(t)
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if status, _ := g.ask(50, "now.example", "/"); status != 200 {
				return fmt.Errorf("%d when nothing is under way", status)
			}
			return nil
		})

		// The tcp site: one connection at once, and three in all. It is closed before the server says hello.
		open := func(from byte) (net.Conn, string) {
			conn := g.dial(from, 3890)
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			line := make([]byte, 6)
			n, _ := io.ReadFull(conn, line)
			return conn, string(line[:n])
		}
		first, hello := open(50)
		_, second := open(50)
		_, other := open(51)
		if hello != "hello\n" || second != "" || other != "hello\n" {
			t.Errorf("at once: %q, %q, and somebody else %q", hello, second, other)
		}
		first.Close()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if said := g.tell(haproxy.AdminSocket, "show table limits/1s"); strings.Count(said, "conn_cur=1") != 1 {
				return fmt.Errorf("%s", said)
			}
			return nil
		})
		third, hello := open(50)
		third.Close()
		if _, fourth := open(50); hello != "hello\n" || fourth != "" {
			t.Errorf("in all: %q, then %q", hello, fourth)
		}
	})
}

// A group that was told to be ready has the same text without limits, and with limits of every kind over every usual
// time; one that was not has no rule of theirs before the first.
func TestRateLimitsAreReadyFor(t *testing.T) {
	t.Parallel()
	env := haproxy.Env{Version: haproxy.Oldest}
	n := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	if text := sectionsOf(haproxy.Render(n, env)); strings.Contains(text, "txn.rl.") || strings.Contains(text, "peers ") {
		t.Errorf("rules without a limit:\n%s", text)
	}
	n.Tuning.RateLimits = &weir.RateLimitTables{}
	n.Tuning.Normalize()
	ready := sectionsOf(haproxy.Render(n, env))
	for _, count := range []string{weir.CountRequests, weir.CountErrors, weir.CountConnections, weir.CountBytesOut, weir.CountBytesIn, weir.CountConcurrent} {
		for _, period := range weir.UsualPeriods {
			l := limit("l", count, 1, 2)
			l.Period, l.Key.Path = period, count == weir.CountErrors
			limited(map[string][]string{"www": {"l"}}, l)(&n)
			if now := sectionsOf(haproxy.Render(n, env)); now != ready {
				t.Errorf("%s over %s is a reload", count, period)
			}
		}
	}
}

// The log says what was done by which limit, or would have been, and whose request it was.
func TestRateLimitsAreLogged(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		log, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		shadow := limit("shadow", weir.CountRequests, 0, 1)
		shadow.Mode = weir.LimitShadow
		g := startGate(t, h, limited(map[string][]string{"www": {"shadow", "edge"}}, limit("edge", weir.CountRequests, 2, 3), shadow), haproxy.Log{
			Target:     "log " + log.LocalAddr().String() + " format raw local0 info",
			HTTPFormat: "%ST %[var(txn.route)] %[var(txn.limited)]", TCPFormat: "tcp", ErrorFormat: "error",
		})
		g.want(50, "www.example", "/", 200, 200, 429, 0)
		_ = log.SetReadDeadline(time.Now().Add(20 * time.Second))
		var got []string
		for len(got) < 4 {
			line := make([]byte, 1000)
			n, _, err := log.ReadFrom(line)
			if err != nil {
				t.Fatalf("%v after %q", err, got)
			}
			if said := strings.TrimSpace(string(line[:n])); strings.Contains(said, "www") {
				got = append(got, strings.TrimSuffix(said, "}"))
			}
		}
		want := []string{"200 www/default soft:shadow,", "200 www/default hard:shadow,", "429 www/~429~edge hard:shadow,429:edge,", "-1 www hard:shadow,cut:edge,"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("logged %q", got)
		}
	})
}
