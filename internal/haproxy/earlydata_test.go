package haproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/ir"
	"weir/internal/weirtest"
)

// withEarlyData lets one profile's site take it.
func withEarlyData(profile string) func(*ir.Node) {
	return func(n *ir.Node) {
		for _, s := range n.Sites {
			s.Listeners[0].TLS.EarlyData = s.Name == profile
		}
	}
}

// session makes a connection to get a ticket.
func (f fort) session(t *testing.T, profile string) *ticket {
	t.Helper()
	conn, err := dial13(f.at(), hostOf(profile), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.finish(); err != nil {
		t.Fatal(err)
	}
	by, err := conn.ticket()
	if err != nil {
		t.Fatal(err)
	}
	return by
}

func request(method, path, host string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Length: 0\r\n\r\n", method, path, host, fortPort)
}

// resume sends a request as early data and does not go on.
func (f fort) resume(t *testing.T, profile, host, method, path string) *tls13Conn {
	t.Helper()
	conn, err := dial13(f.at(), hostOf(profile), f.session(t, profile), request(method, path, host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestEarlyData: where it is asked for, a request that may be done twice is done before the client has proven that it is
// there now; every other request, and every request of other sites at the port, is done when it comes again after it.
func TestEarlyData(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, withEarlyData("modern"), nil)
		type try struct{ profile, host, method, again string }
		refused := map[try]*tls13Conn{}
		for _, c := range []try{
			{"modern", "modern", "POST", "200"},
			{"modern", "modern", "PUT", "200"},
			{"modern", "modern", "DELETE", "200"},
			{"modern", "modern", "PATCH", "200"},
			{"modern", "modern", "FROB", "200"},
			{"intermediate", "intermediate", "GET", "200"},
			{"legacy", "modern", "GET", "421"},
		} {
			refused[c] = f.resume(t, c.profile, hostOf(c.host), c.method, "/late")
			if !refused[c].early {
				t.Fatal("early data was not taken")
			}
		}
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			uri := "/early-" + method
			conn := f.resume(t, "modern", hostOf("modern"), method, uri)
			weirtest.Eventually(t, weirtest.Patience, func() error {
				if seen := f.origins[33].Requests(uri); len(seen) != 1 || seen[0].Header.Get("Early-Data") != "1" {
					return fmt.Errorf("%s: the origin does not see it, as one that came early: %v", method, seen)
				}
				return nil
			})
			// HAProxy sends no answer before the end of the handshake.
			if got := f.after(t, conn); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("%s: %q", method, got)
			}
		}
		// HAProxy, which has one thread here, has dealt with all that came before those.
		for c, conn := range refused {
			if got := f.after(t, conn); !strings.HasPrefix(got, "HTTP/1.1 425 ") || f.origins[33].Hits("/late") > 0 {
				t.Errorf("%+v, early: %q, and the origin saw %d", c, got, f.origins[33].Hits("/late"))
			}
		}
		for c, conn := range refused {
			if got := conn.ask(t, request(c.method, "/again", hostOf(c.host))); !strings.HasPrefix(got, "HTTP/1.1 "+c.again+" ") {
				t.Errorf("%+v, again: %q", c, got)
			}
		}
	})
}

// after ends a handshake and gives the answer to what came early.
func (f fort) after(t *testing.T, conn *tls13Conn) string {
	t.Helper()
	if err := conn.finish(); err != nil {
		t.Fatal(err)
	}
	got, err := conn.answer()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestNoEarlyDataUnlessAsked: no ticket allows it, and who sends some all the same is refused it.
func TestNoEarlyDataUnlessAsked(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, nil, nil)
		for _, profile := range []string{"modern", "intermediate", "legacy"} {
			if by := f.session(t, profile); by.mostEarly != 0 {
				t.Errorf("%s: a ticket for %d bytes of early data", profile, by.mostEarly)
			}
			conn := f.resume(t, profile, hostOf(profile), "GET", "/refused")
			if conn.early {
				t.Errorf("%s: early data was taken", profile)
			}
			if n := f.origins[33].Hits("/refused"); n > 0 {
				t.Errorf("%s: the origin saw it", profile)
			}
		}
	})
}
