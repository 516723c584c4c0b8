package hapctl

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	"weir/internal/weirtest"
)

// What dst and src are under expect-proxy: in «tcp-request connection» rules those of the real connection, in
// session and http rules those that the PROXY header tells. fc_dst and fc_src stay the real ones.
func TestFactExpectProxyChangesDst(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, `frontend f from base
  bind ADDR:8080
  tcp-request connection set-var(sess.cdst) dst
  tcp-request connection set-var(sess.csrc) src
  tcp-request connection expect-proxy layer4 if { dst,map_ip(opt@maps/proxied) -m found }
  tcp-request connection set-var(sess.adst) dst
  tcp-request session set-var(sess.sdst) dst
  tcp-request session set-var(sess.sfdst) fc_dst
  http-request return status 200 hdr conn "%[var(sess.cdst)] %[var(sess.csrc)]" hdr after %[var(sess.adst)] hdr sess "%[var(sess.sdst)] %[var(sess.sfdst)]" hdr http "%[dst] %[src] %[fc_dst] %[fc_src] %[dst_port]"
`)
		ask := func(prefix string) http.Header {
			t.Helper()
			c, err := net.Dial("tcp", l.addr+":8080")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "%sGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", prefix)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.Header
		}
		plain := ask("")
		if got := plain.Get("http"); got == "" {
			t.Errorf("plain: %v", plain)
		}
		l.do("add map maps/proxied " + l.addr + " 1")
		header := ask("PROXY TCP4 192.0.2.7 203.0.113.9 1111 2222\r\n")
		for name, want := range map[string]string{
			"conn":  l.addr + " 127.0.0.1",
			"after": l.addr,
			"sess":  "203.0.113.9 " + l.addr,
			"http":  "203.0.113.9 192.0.2.7 " + l.addr + " 127.0.0.1 2222",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}
