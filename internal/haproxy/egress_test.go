package haproxy_test

import (
	"fmt"
	"io"
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

// calling makes a node a way out for prod: myback at .50 and .52, other at .51 and .52, and of example the services www at
// .33, files at .35 behind a path, mail at .36, and own at .37, where a test has what it likes.
func calling(g func(host byte) netip.Addr, rules ...weir.EgressRule) func(*ir.Node) {
	return func(n *ir.Node) {
		site := n.Sites[0]
		n.Sites = append(n.Sites, ir.Site{
			Name: "out", Mode: "http", Hostnames: []string{"egress.inside"}, Addresses: site.Addresses, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}}, Egress: []string{"prod"},
		})
		client := func(name, environment string, hosts ...byte) {
			c := ir.EgressClient{Name: name + "-" + environment, EgressClient: weir.EgressClient{Application: name, Environment: environment}}
			for _, h := range hosts {
				c.Sources = append(c.Sources, netip.PrefixFrom(g(h), 32))
			}
			n.Clients = append(n.Clients, c)
		}
		client("myback", "prod", 50, 52)
		client("other", "prod", 51, 52)
		endpoint := func(service string, host byte, edit func(*ir.Endpoint)) {
			e := &ir.Endpoint{Partner: "example", Environment: "prod", Service: service, Host: service + ".example.com"}
			if edit != nil {
				edit(e)
			}
			n.Pools = append(n.Pools, ir.Pool{
				Name: e.Pool(), Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Endpoint: e,
				Servers: []ir.Server{{Name: "s", Address: netip.AddrPortFrom(g(host), 9000), Weight: 100, Owner: "Partner/example"}},
			})
		}
		endpoint("files", 35, func(e *ir.Endpoint) { e.Path, e.InFlight = "/v2/x", 1 })
		endpoint("mail", 36, nil)
		endpoint("own", 37, nil)
		endpoint("www", 33, nil)
		slices.SortFunc(n.Pools, func(a, b ir.Pool) int { return strings.Compare(a.Name, b.Name) })
		for _, name := range []string{"high", "low"} {
			l := ir.SLA{Name: name, SLA: weir.SLA{Server: weir.Duration(10 * time.Second)}}
			if name == "low" {
				l.Server, l.InFlight = weir.Duration(300*time.Millisecond), 1
			}
			l.Normalize()
			n.SLAs = append(n.SLAs, l)
		}
		for i, r := range rules {
			r.Partner = "example"
			n.Rules = append(n.Rules, ir.EgressRule{Name: string(rune('a' + i)), EgressRule: r})
		}
	}
}

// hostsOf gives the addresses of the test's own network.
func hostsOf(n *ir.Node) func(host byte) netip.Addr {
	base := n.Group.Ranges[0].Addr().As4()
	return func(host byte) netip.Addr { base[3] = host; return netip.AddrFrom4(base) }
}

func TestCallsToPartners(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startGate(t, h, func(n *ir.Node) {
			calling(hostsOf(n),
				weir.EgressRule{Clients: []string{"myback-prod"}, Services: []string{"www"}, SLAs: []string{"high", "low"}},
				weir.EgressRule{Clients: []string{"other-prod"}, Services: []string{"www"}, SLAs: []string{"high"}, Methods: []string{"GET"}, Paths: []string{"/api", "/open/"}},
				weir.EgressRule{Clients: []string{"other-prod"}, Services: []string{"www"}, SLAs: []string{"high"}, Methods: []string{"POST", "PUT"}, Paths: []string{"/api/in"}},
				weir.EgressRule{Clients: []string{"myback-prod"}, Services: []string{"files"}, SLAs: []string{"high"}},
			)(n)
		})
		const www = "/myback/prod/example/prod/www/high"
		for _, test := range []struct {
			from   byte
			path   string
			status int
			says   string
		}{
			{50, www + "/hello", 200, "api "},
			{52, www, 200, "api "},
			{52, "/other/prod/example/prod/www/high/api/x", 200, "api "},
			{51, "/other/prod/example/prod/www/high/api/in/x", 200, "api "},
			{50, "/nobody/prod/example/prod/www/high/", 403, "no EgressClient is called nobody"},
			{50, "/myback/test/example/prod/www/high/", 403, "no EgressClient myback of environment test may call here"},
			{51, www + "/", 403, "EgressClient/myback-prod does not call from "},
			{53, www + "/", 403, "does not call from"},
			{50, "/myback/prod/example/prod/mail/high/", 403, "no EgressRule lets EgressClient/myback-prod call example/prod/mail at level high"},
			{50, "/myback/prod/example/test/www/high/", 403, "no EgressRule lets"},
			{50, "/myback/prod/example/prod/www/best/", 403, "at level best"},
			{51, "/other/prod/example/prod/www/high/apix", 403, "EgressRule/b lets nothing through at this path"},
			{51, "/other/prod/example/prod/www/high/", 403, "lets nothing through at this path"},
			{50, "/", 400, "six plain words"},
			{50, "/myback/prod/example/prod/www", 400, "six plain words"},
			{50, "//myback/prod/example/prod/www/high/", 400, "six plain words"},
			{50, "/myback//prod/example/prod/www/high/", 400, "six plain words"},
			{50, "/my%62ack/prod/example/prod/www/high/", 400, "six plain words"},
			{50, "/MyBack/prod/example/prod/www/high/", 400, "six plain words"},
			{50, www + ";x/", 400, "six plain words"},
			{50, "/myback/prod/example/prod/www/../high/", 400, "six plain words"},
			{50, www + "/..", 400, "lead elsewhere"},
			{50, www + "/a/../b", 400, "lead elsewhere"},
			{50, www + "/a/./b", 400, "lead elsewhere"},
			{50, www + "/%2e%2E/b", 400, "lead elsewhere"},
			{50, www + "/.%2e/b", 400, "lead elsewhere"},
			{50, www + "/a%2F..%2fb", 400, "lead elsewhere"},
			{50, www + "/..;v=1/b", 400, "lead elsewhere"},
			{50, www + "/%252e%252e/b", 400, "lead elsewhere"},
			{50, www + `/..\b`, 400, "lead elsewhere"},
			{50, www + "/..%5Cb", 400, "lead elsewhere"},
			{50, www + "/%25%32%65%252E/b", 400, "lead elsewhere"},
			{50, www + "/a%25%32%46..%255c", 400, "lead elsewhere"},
			{50, www + "/a/..%00/b", 400, "lead elsewhere"},
			{50, www + "/a/..%3Fb", 400, "lead elsewhere"},
			{50, www + "/a/..%23b", 400, "lead elsewhere"},
			{50, www + "/a/..%20/b", 400, "lead elsewhere"},
			{50, www + "/a/%c0%ae%C0%AE/b", 400, "lead elsewhere"},
			{50, www + "/a%c0%af..%25c1%259c", 400, "lead elsewhere"},
			{50, www + "/a/%u002e%u002E%u002f", 400, "lead elsewhere"},
			{50, www + "/%" + strings.Repeat("25", 7000) + "/../b", 400, "lead elsewhere"}, // PCRE has a stack that ends
			{50, www + "/.../.well-known/a..b", 200, "api "},
			{50, www + "/.%C0/..%C3%A9/%252e%252ex", 200, "api "},
			{51, "/other/prod/example/prod/www/high/api/%69n", 400, "must be written without"},
			{51, "/other/prod/example/prod/www/high/api//in", 400, "must be written without"},
			{51, "/other/prod/example/prod/www/high/api/%C3%A9%2Fx", 200, "api "},
			{51, "POST /other/prod/example/prod/www/high/api/in/x", 200, "api "},
			{51, "POST /other/prod/example/prod/www/high/api/inx", 403, "EgressRule/b lets no POST through here"},
			{51, "DELETE /other/prod/example/prod/www/high/api/in", 403, "lets no DELETE through here"},
			{51, "HEAD /other/prod/example/prod/www/high/open", 403, ""},
			{51, "get /other/prod/example/prod/www/high/open", 403, "lets no get through here"},
			{51, "GET|X-HTTP-Method-Override: DELETE /other/prod/example/prod/www/high/open", 403, "goes by methods, and a header asks for another one than GET"},
			{51, "GET|x_http_method: DELETE /other/prod/example/prod/www/high/open", 403, "goes by methods"},
			{50, "GET|X-HTTP-Method-Override: DELETE " + www, 200, "api "},
		} {
			method, path := "GET", test.path
			if i := strings.LastIndexByte(test.path, ' '); i >= 0 {
				method, path = test.path[:i], test.path[i+1:]
			}
			method, header, _ := strings.Cut(method, "|")
			if header != "" {
				header += "\r\n"
			}
			conn := g.dial(test.from, 8080)
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: egress.inside\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", method, path, header)
			answer, _ := io.ReadAll(conn)
			all := string(answer)
			status := statusOf(all)
			if status != test.status || !strings.Contains(all, test.says) {
				t.Errorf(".%d calls %s: %d, want %d with %q\n%s", test.from, test.path, status, test.status, test.says, all)
			}
		}
		if seen := g.origins[36].Requests(""); len(seen) > 0 {
			t.Errorf("a service that nobody may call was called: %+v", seen)
		}
		// What is written after the level arrives as it is.
		for _, rest := range []string{"", "/", "/a%2Fb//c/..d;x?q=1&r=%20&s=..%2F..", "/%C3%A9/~?%", "/x?a=/../b"} {
			before := len(g.origins[33].Requests(""))
			if status, all := g.ask(50, "egress.inside", www+rest, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: a", "Via: 1.1 x", "Forwarded: for=1", "Proxy-Authorization: b", "X-Own: kept"); status != 200 {
				t.Errorf("%q: %s", rest, all)
				continue
			}
			seen := g.origins[33].Requests("")[before:]
			want := rest
			if !strings.HasPrefix(rest, "/") {
				want = "/" + rest
			}
			if len(seen) != 1 || seen[0].URI != want || seen[0].Host != "www.example.com" || seen[0].Header.Get("X-Own") != "kept" {
				t.Errorf("%q arrived as %+v", rest, seen)
				continue
			}
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via", "Forwarded", "Proxy-Authorization"} {
				if v := seen[0].Header.Get(name); v != "" {
					t.Errorf("the partner saw %s: %s", name, v)
				}
			}
		}
		g.ask(50, "egress.inside", "/myback/prod/example/prod/files/high/f?q=1")
		if seen := g.origins[35].Requests(""); len(seen) != 1 || seen[0].URI != "/v2/x/f?q=1" || seen[0].Host != "files.example.com" {
			t.Errorf("behind a path: %+v", seen)
		}
	})
}

// How long a call may take, how many there may be, and what is made again is what its level and the service say, whatever
// becomes of other calls; answers name who is at fault.
func TestCallsAtLevels(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startGate(t, h, func(n *ir.Node) {
			calling(hostsOf(n),
				weir.EgressRule{Clients: []string{"myback-prod"}, SLAs: []string{"high", "low", "again", "anything"}},
			)(n)
			for name, methods := range map[string]string{"again": weir.RetryIdempotent, "anything": weir.RetryAll} {
				l := ir.SLA{Name: name, SLA: weir.SLA{Retries: &weir.SLARetries{Methods: methods}}}
				l.Normalize()
				n.SLAs = append(n.SLAs, l)
			}
		})
		call := func(method, service, level string) (int, string) {
			t.Helper()
			conn := g.dial(50, 8080)
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(conn, "%s /myback/prod/example/prod/%s/%s/x HTTP/1.1\r\nHost: egress.inside\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, service, level)
			answer, _ := io.ReadAll(conn)
			return statusOf(string(answer)), string(answer)
		}
		want := func(method, service, level string, status int, says string) {
			t.Helper()
			if got, all := call(method, service, level); got != status || !strings.Contains(all, says) {
				t.Errorf("%s %s at %s: %d, want %d with %q\n%s", method, service, level, got, status, says, all)
			}
		}
		www, files := g.origins[33], g.origins[35]

		www.SetStatus("", 503)
		for _, test := range []struct {
			method, level string
			attempts      int
		}{{"GET", "high", 1}, {"GET", "again", 4}, {"PUT", "again", 4}, {"POST", "again", 1}, {"POST", "anything", 4}} {
			before := len(www.Requests(""))
			want(test.method, "www", test.level, 503, "")
			if n := len(www.Requests("")) - before; n != test.attempts {
				t.Errorf("%s at %s was asked %d times, want %d", test.method, test.level, n, test.attempts)
			}
		}
		www.SetStatus("", 200)

		www.SetDelay(2 * time.Second)
		want("GET", "www", "low", 504, "example/prod/www did not answer in time")
		files.SetDelay(2 * time.Second)
		done := make(chan int)
		for _, service := range []string{"www", "files"} {
			go func() {
				status, _ := call("GET", service, "high")
				done <- status
			}()
		}
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if len(files.Requests("")) == 0 {
				return fmt.Errorf("not under way")
			}
			return nil
		})
		want("GET", "files", "again", 503, "1 calls to example/prod/files are under way")
		want("GET", "mail", "high", 200, "") // others feel nothing
		for range 2 {
			if status := <-done; status != 200 {
				t.Errorf("a slow call: %d", status)
			}
		}
		files.SetDelay(0)
		want("GET", "files", "again", 200, "")

		low := func(room int) {
			g.change(func(n *ir.Node) {
				n.SLAs = slices.Clone(n.SLAs)
				for i := range n.SLAs {
					if n.SLAs[i].Name == "low" {
						n.SLAs[i].Server, n.SLAs[i].InFlight = weir.Duration(20*time.Second), room
					}
				}
			})
		}
		low(1)
		before := len(www.Requests(""))
		go func() {
			status, _ := call("GET", "www", "low")
			done <- status
		}()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if len(www.Requests("")) == before {
				return fmt.Errorf("not under way")
			}
			return nil
		})
		want("GET", "www", "low", 503, "1 calls to example/prod/www at level low are under way")
		if status := <-done; status != 200 {
			t.Errorf("a slow call: %d", status)
		}

		www.Stop()
		want("GET", "www", "high", 503, "example/prod/www can not be reached")
	})
}

func statusOf(answer string) (status int) {
	_, rest, _ := strings.Cut(answer, " ")
	_, _ = fmt.Sscanf(rest, "%d", &status)
	return status
}

// Requests that two servers may read in two ways, and other ways into a tunnel, reach no partner.
func TestCallsThatTrick(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startGate(t, h, func(n *ir.Node) {
			calling(hostsOf(n),
				weir.EgressRule{Clients: []string{"myback-prod"}, Services: []string{"www"}, SLAs: []string{"high"}, Methods: []string{"GET", "POST"}})(n)
		})
		const path, host = "/myback/prod/example/prod/www/high/x", "Host: egress.inside\r\n"
		const hidden = "GET /hidden HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
		const smuggled = "0\r\n\r\n" + hidden
		ask := func(raw string) string {
			t.Helper()
			conn := g.dial(50, 8080)
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(conn, raw)
			if !strings.Contains(raw, "Connection: close") {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			answer, _ := io.ReadAll(conn)
			return string(answer)
		}
		length := fmt.Sprintf("Content-Length: %d\r\n", len(smuggled))
		for name, test := range map[string]struct {
			raw  string
			want int // of the first answer, 0 for none
		}{
			"both lengths, CL.TE":         {"POST " + path + " HTTP/1.1\r\n" + host + length + "Transfer-Encoding: chunked\r\n\r\n" + smuggled, -1},
			"both lengths, TE.CL":         {"POST " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + smuggled, -1},
			"two lengths":                 {"POST " + path + " HTTP/1.1\r\n" + host + "Content-Length: 0\r\n" + length + "\r\n" + smuggled, 400},
			"an unknown coding":           {"POST " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n" + smuggled, 400},
			"chunked twice":               {"POST " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled, 400},
			"a space before the colon":    {"POST " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n" + smuggled, 400},
			"a folded header":             {"POST " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding:\r\n chunked\r\n\r\n" + smuggled, -1},
			"chunked in HTTP/1.0":         {"POST " + path + " HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + smuggled, -1},
			"a line feed in the path":     {"GET " + path + "\n HTTP/1.1\r\n" + host + "\r\n", 400},
			"a control byte in the path":  {"GET " + path + "\x01 HTTP/1.1\r\n" + host + "\r\n", 400},
			"two hosts":                   {"GET " + path + " HTTP/1.1\r\n" + host + "Host: two.example\r\n\r\n", 400},
			"another authority":           {"GET http://two.example" + path + " HTTP/1.1\r\n" + host + "\r\n", 400},
			"a tunnel":                    {"CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n", 405},
			"everything":                  {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", 400},
			"a body's length that is odd": {"POST " + path + " HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nhello", 400},
			"the whole URL":               {"GET http://egress.inside" + path + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", 200},
		} {
			answer := ask(test.raw)
			if got := statusOf(answer); test.want >= 0 && got != test.want {
				t.Errorf("%s: %d, want %d\n%s", name, got, test.want, answer)
			}
		}
		for _, seen := range g.origins[33].Requests("") {
			if seen.Path == "/hidden" || seen.Host != "www.example.com" || seen.URI != "/x" {
				t.Errorf("the partner saw %+v", seen)
			}
		}
	})
}
