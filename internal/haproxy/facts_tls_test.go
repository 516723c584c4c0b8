package haproxy_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// A crt-list's allow-0rtt does nothing with OpenSSL (haproxy#1458); the bind line's is for all lines of its list.
func TestFactEarlyDataIsOfTheBindLine(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		lines := startFort(t, h, nil, func(c *haproxy.Config) {
			for i := range c.CrtLists[0].Entries {
				c.CrtLists[0].Entries[i].Options += " allow-0rtt"
			}
		})
		if by := lines.session(t, "modern"); by.mostEarly != 0 {
			t.Errorf("on the lines: a ticket for %d bytes", by.mostEarly)
		}
		bound := startFort(t, h, withEarlyData("modern"), nil)
		for _, profile := range []string{"modern", "intermediate", "legacy"} {
			if by := bound.session(t, profile); by.mostEarly == 0 {
				t.Errorf("on the bind line: a ticket for nothing at %s", profile)
			}
		}
	})
}

// A request of HTTP/1 that waits for the handshake is not looked at again when that is over.
func TestFactWaitForHandshakeNeverEnds(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, withEarlyData("modern"), func(c *haproxy.Config) {
			for _, s := range c.Sections {
				for i := range s.Lines {
					s.Lines[i].Text = strings.Replace(s.Lines[i].Text, "deny deny_status 425 if", "wait-for-handshake if", 1)
				}
			}
		})
		conn := f.resume(t, "modern", hostOf("modern"), "POST", "/waits")
		next := f.resume(t, "modern", hostOf("modern"), "GET", "/next")
		if got := f.after(t, next); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("a request that does not wait: %q", got)
		}
		if err := conn.finish(); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		got, err := conn.answer()
		if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() || f.origins[33].Hits("/waits") > 0 {
			t.Errorf("it ends now: %q, %v; early requests could wait instead of being refused", got, err)
		}
	})
}
