package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// inside are headers of answers that the account captures and then takes away.
var inside = http.Header{
	"X-Page-View": {"1"}, "X-Route-Name": {"Questions/Show"}, "X-Account-Id": {"1234567"}, "X-Sql-Count": {"7"}, "X-Sql-Duration-Ms": {"12"},
	"X-Aspnet-Duration-Ms": {"33"}, "X-Application-Id": {"1"}, "X-Request-Guid": {"0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"}, "X-Redis-Count": {"2"},
	"X-Redis-Duration-Ms": {"1"}, "X-Http-Count": {"0"}, "X-Http-Duration-Ms": {"0"}, "X-Te-Count": {"3"}, "X-Te-Duration-Ms": {"4"}, "Server": {"IIS"},
}

// TestStackExchange walks what the account of Stack Exchange's tier one tells, with deploy/examples/stackexchange.
func TestStackExchange(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		// The page of statistics is at an address that is the test's alone.
		e := newExample(t, "stackexchange", "10.7.0.", func(w *world) map[string]string {
			return map[string]string{"address: 127.0.0.1": "address: " + w.at(2).String()}
		})
		for _, o := range e.origins {
			o.Header, o.Upgrade = inside, saysBack
		}
		lb := e.balancer("t1", "tier1", "ny", h, "203.0.113.32/28", 16)
		e.balancer("ws", "sockets", "ny", h, "203.0.113.48/28", 32)
		e.well()
		roots := e.trusts("tier1")
		sockets := visit{at: e.at(33).String() + ":8080", host: "sockets.stackexchange.example"}
		const so, others = "stackoverflow.example", "cooking.stackexchange.example"
		// at is one of the public addresses; proxied comes by a terminator in front, which names the client.
		at := func(last, port int) string { return fmt.Sprintf("%s:%d", e.at(last-16), port) }
		proxied := func(client string, last int, host string) visit {
			return visit{at: at(last, 8080), from: e.at(241).String(), client: client, host: host}
		}
		with := func(v visit, path string, header ...string) visited {
			v.path, v.header = path, map[string]string{}
			if len(header) > 0 {
				v.header[header[0]] = header[1]
			}
			return e.visit(v)
		}
		first := e.visit(proxied("198.51.100.1", 35, so))
		if err := first.of("so"); err != nil {
			t.Fatal(err)
		}
		soServer := first.origin
		abuse := map[string]int{} // how often somebody was refused, and in which way
		asked := 0
		spared := func(client string) error {
			for range asked {
				if v := e.visit(proxied(client, 35, so)); v.status != 200 {
					return fmt.Errorf("%v", v)
				}
			}
			return nil
		}

		walk(t, []row{
			{"TLS is ended in front, with the SAN certificate for the name", func() error {
				v := e.visit(visit{at: at(35, 8443), host: so, roots: roots})
				if err := v.of("so"); err != nil {
					return err
				}
				return v.leaf.VerifyHostname("meta.stackexchange.example")
			}},
			{"the misc certificate for the others", func() error {
				v := e.visit(visit{at: at(37, 8443), host: "stackauth.example", roots: roots})
				if err := v.of("stackauth"); err != nil {
					return err
				}
				if v.leaf.VerifyHostname(so) == nil {
					return fmt.Errorf("the certificate is for %v", v.leaf.DNSNames)
				}
				return nil
			}},
			{"what comes by TLS passes the same rules as what does not", func() error {
				return e.visit(visit{at: at(33, 8443), host: "meta.stackexchange.example", roots: roots, path: "/api/x"}).is(403, "")
			}},
			{"accept-proxy: the application is told of the client that the terminator names", func() error {
				v := with(proxied("198.51.100.2", 35, so), "/who")
				if err := v.of("so"); err != nil {
					return err
				}
				if got := e.origins[v.origin].Requests("/who")[0].Header.Get("X-Forwarded-For"); got != "198.51.100.2" {
					return fmt.Errorf("told of %q", got)
				}
				return nil
			}},
			{"nobody else may say who the client is", func() error {
				// In one piece: HAProxy answers the first line that is none of HTTP, and closes.
				line := e.rawly(e.at(100).String(), at(35, 8080), "PROXY TCP4 192.0.2.1 "+e.at(19).String()+" 40000 8080\r\nGET / HTTP/1.1\r\nHost: "+so+"\r\n\r\n")
				if !strings.Contains(line, " 400 ") {
					return fmt.Errorf("%q", line)
				}
				return nil
			}},
			{"a terminator that says nothing is not heard", func() error {
				v := proxied("", 35, so)
				if got := e.visit(v).refused(); !errors.Is(got, errClosed) {
					return fmt.Errorf("%v", got)
				}
				return nil
			}},
			{"plain http, without anybody in front", func() error { return e.visit(visit{at: at(35, 8080), host: so}).of("so") }},
			{"the host name decides: Stack Overflow", func() error { return e.visit(proxied("198.51.100.3", 35, so)).of("so") }},
			{"the host name decides: stackauth", func() error { return e.visit(proxied("198.51.100.3", 37, "stackauth.example")).of("stackauth") }},
			{"the host name decides: openid", func() error { return e.visit(proxied("198.51.100.3", 36, "openid.stackexchange.example")).of("openid") }},
			{"the host name decides: area51", func() error { return e.visit(proxied("198.51.100.3", 33, "area51.stackexchange.example")).of("area51") }},
			{"what matches nothing goes to the default backend", func() error { return e.visit(proxied("198.51.100.3", 33, "nobody.knows.example")).of("others") }},
			{"crawlers by their address have servers of their own", func() error {
				for _, client := range []string{"192.0.2.130", "192.0.2.9"} {
					if got := e.visit(proxied(client, 35, so)).origin; got != "ny-web10/so" && got != "ny-web11/so" {
						return fmt.Errorf("%s is served by %q", client, got)
					}
				}
				return nil
			}},
			{"crawlers by their user agent have them too", func() error {
				got := with(proxied("198.51.100.4", 35, so), "/", "User-Agent", "Mozilla/5.0 (compatible; Someobot/2.1)")
				if got.origin != "ny-web10/so" && got.origin != "ny-web11/so" {
					return fmt.Errorf("%v", got)
				}
				return nil
			}},
			{"readers are not among the crawlers' servers", func() error {
				for i := range 40 {
					if err := with(proxied(fmt.Sprintf("198.51.100.%d", 100+i), 35, so), "/", "User-Agent", "Mozilla/5.0 (X11)").is(200, "ny-web0"); err != nil {
						return err
					}
				}
				return nil
			}},
			{"a client of balance source keeps its server", func() error {
				for range 10 {
					if got := e.visit(proxied("198.51.100.1", 35, so)).origin; got != soServer {
						return fmt.Errorf("served by %s, and by %s before", got, soServer)
					}
				}
				return nil
			}},
			{"clients are spread over the nine servers", func() error {
				seen := map[string]bool{}
				for i := range 60 {
					seen[e.visit(proxied(fmt.Sprintf("198.51.100.%d", 150+i), 33, others)).origin] = true
				}
				if len(seen) < 5 {
					return fmt.Errorf("60 clients are served by %v alone", seen)
				}
				return nil
			}},
			{"kindle by a part of its user agent", func() error {
				return with(proxied("198.51.100.5", 33, others), "/", "User-Agent", "Mozilla/5.0 Silk/2.1 Silk-Accelerated=true").of("kindle")
			}},
			{"the internal API is there for its addresses", func() error { return with(proxied("192.0.2.200", 33, others), "/api/x").of("api") }},
			{"the internal API is there for nobody else", func() error { return with(proxied("198.51.100.6", 33, others), "/api/x").is(403, "") }},
			{"who may use the API may use nothing else", func() error { return with(proxied("192.0.2.200", 33, others), "/questions").is(403, "") }},
			{"an abuser is shown a page with 503", func() error {
				for asked < 500 && abuse["closed"] == 0 {
					asked++
					switch v := e.visit(proxied("198.51.100.66", 35, so)); {
					case v.status == 200:
					case v.status == 503 && strings.Contains(v.body, "asks too much"):
						abuse["page"]++
					case errors.Is(v.refused(), errClosed):
						abuse["closed"]++
					default:
						return fmt.Errorf("after %d: %v", asked, v)
					}
				}
				if abuse["page"] == 0 {
					return fmt.Errorf("after %d connections: %v", asked, abuse)
				}
				return nil
			}},
			{"a serious abuser is shown nothing", func() error {
				if abuse["closed"] == 0 {
					return fmt.Errorf("after %d connections: %v", asked, abuse)
				}
				return nil
			}},
			{"others are not held to what he has done", func() error { return e.visit(proxied("198.51.100.67", 35, so)).of("so") }},
			{"Google is never refused", func() error { return spared("192.0.2.10") }},
			{"nor who is on the white list", func() error { return spared("192.0.2.70") }},
			{"the sites of the default backend have a limit of their own, which Google is held to", func() error {
				for range 500 {
					switch err := e.visit(proxied("192.0.2.11", 33, others)).refused(); {
					case errors.Is(err, errClosed):
						return nil
					case err != nil:
						return err
					}
				}
				return errors.New("500 connections are taken")
			}},
			{"the page of statistics is for nobody without a password", func() error { return e.stats("", "", "").is(401, "") }},
			{"readers look at it", func() error {
				v := e.stats("reader", "look-only-example", "")
				if !strings.Contains(v.body, "ny-web01") || strings.Contains(v.body, "name=action") {
					return fmt.Errorf("%v", v)
				}
				return nil
			}},
			{"and move nothing", func() error {
				e.stats("reader", "look-only-example", "ny-service01")
				return e.visit(proxied("198.51.100.7", 37, "stackauth.example")).of("stackauth")
			}},
			{"admins are offered to act", func() error {
				if v := e.stats("operator", "operate-example", ""); !strings.Contains(v.body, "name=action") {
					return fmt.Errorf("%v", v)
				}
				return nil
			}},
			{"what is captured inside is stripped", func() error {
				v := e.visit(proxied("198.51.100.8", 35, so))
				for name := range inside {
					if got := v.header.Get(name); got != "" {
						return fmt.Errorf("the client sees %s: %s", name, got)
					}
				}
				return v.of("so")
			}},
			{"a server is checked by HEAD /ping", func() error {
				if seen := e.origins["ny-web01/so"].Requests("/ping"); len(seen) == 0 || seen[0].Method != "HEAD" || seen[0].Host != so {
					return fmt.Errorf("%+v", seen)
				}
				return nil
			}},
			{"the default is checked by HEAD /", func() error {
				seen := e.origins["ny-web01/others"].Requests("/")
				if !slices.ContainsFunc(seen, func(s weirtest.Seen) bool { return s.Method == "HEAD" }) {
					return fmt.Errorf("%+v", seen)
				}
				return nil
			}},
			{"a request to a server that has gone is given to another (redispatch)", func() error {
				e.origins[soServer].Stop()
				v := e.visit(proxied("198.51.100.1", 35, so))
				if v.origin == soServer {
					return fmt.Errorf("%v", v)
				}
				return v.of("so")
			}},
			{"websockets are carried by a tier of their own", func() error { return e.webSocket(sockets) }},
			{"from several addresses of the machine, for want of ports", func() error {
				e.sources("ws", e.at(150).String()+"/31", e.at(152).String()+"/32")
				seen := map[string]bool{}
				weirtest.Eventually(t, waitLong, func() error {
					if err := e.webSocket(sockets); err != nil {
						return err
					}
					for _, s := range e.origins["be-sockets/ny-web01-1"].Requests("/live") {
						host, _, _ := strings.Cut(s.RemoteAddr, ":")
						seen[host] = true
					}
					for host := range 3 {
						if !seen[e.at(150+host).String()] {
							return fmt.Errorf("connections come from %v", seen)
						}
					}
					return nil
				})
				return nil
			}},
			{"which goes on while tier one has nothing to serve with, and shows its page", func() error {
				for name, o := range e.origins {
					if strings.HasPrefix(name, "ny-service01/") {
						o.Stop()
					}
				}
				if v := e.visit(proxied("198.51.100.8", 37, "stackauth.example")); v.status != 503 || !strings.Contains(v.body, "back soon") {
					return fmt.Errorf("%v", v)
				}
				return e.webSocket(sockets)
			}},
			{"captured headers are in the log", func() error {
				lines := e.listens(lb)
				v := proxied("198.51.100.9", 33, others)
				v.path, v.header = "/captured", map[string]string{"Referer": "http://a.example/", "User-Agent": strings.Repeat("u", 200)}
				if err := e.visit(v).of("others"); err != nil {
					return err
				}
				line, err := lines("/captured")
				if err != nil {
					return err
				}
				for name, want := range map[string]string{"referer": "http://a.example/", "user-agent": strings.Repeat("u", 128), "host": others} {
					if line.Asked[name] != want {
						return fmt.Errorf("of the request %s: %q", name, line.Asked[name])
					}
				}
				for name, want := range map[string]string{"x-request-guid": inside.Get("X-Request-Guid"), "x-sql-count": "7", "x-route-name": "Questions/Show", "x-te-duration-ms": "4"} {
					if line.Given[name] != want {
						return fmt.Errorf("of the answer %s: %q", name, line.Given[name])
					}
				}
				return nil
			}},
		})
	})
}
