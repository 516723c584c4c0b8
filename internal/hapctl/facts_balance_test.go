package hapctl

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// A server of weight 0 gets no new traffic and nbsrv does not count it; its status does not tell,
// as it does when a server is drained by «set server state».
func TestFactWeightZero(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		l.config("frontend f from base\n bind ADDR:8080\n http-request return status 200 hdr x-origin %[nbsrv(b)] content-type text/plain string x\n" +
			"backend b from base\n server s1 " + l.origin(2).Addr + "\n server s2 " + l.origin(3).Addr + "\n")
		l.start()
		nbsrv := func(want string) {
			t.Helper()
			if _, n, err := l.get("x"); n != want || err != nil {
				t.Errorf("nbsrv = %s %v, want %s", n, err, want)
			}
		}
		nbsrv("2")
		l.do("set weight b/s1 0")
		nbsrv("1")
		if s := l.server("b", "s1"); s.Weight != 0 || s.Admin != 0 || s.Op != haproxy.OpRunning || !s.Drain() || s.Up() {
			t.Errorf("state = %+v", s)
		}
		if r := l.stat("b", "s1"); r.Status != "no check" || r.Weight != 0 {
			t.Errorf("statistics of weight 0 = %+v", r)
		}
		if r := l.stat("b", "s2"); r.Status != "no check" || r.Weight != 1 {
			t.Errorf("statistics = %+v", r)
		}
		l.do("set server b/s2 state drain")
		nbsrv("0")
		if r := l.stat("b", "s2"); r.Status != "DRAIN" || r.Weight != 1 {
			t.Errorf("statistics of a drained one = %+v", r)
		}
	})
}

// Consistent hashing goes by the server's id, which depends on the order of adding; with hash-key addr-port
// the same keys go to the same servers whatever order and kind of server.
func TestFactHashKey(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		var origins []*weirtest.Origin
		for i := range 4 {
			origins = append(origins, l.origin(2+i))
		}
		back := func(servers string) string {
			return "frontend f from base\n bind ADDR:8080\n default_backend b\nbackend b from base\n balance hash req.hdr(host)\n hash-type consistent\n" + servers
		}
		line := func(i int, options string) string {
			return fmt.Sprintf(" server s%d %s weight 10 %s\n", i, origins[i].Addr, options)
		}
		keys := func() (to []string) {
			for k := range 60 {
				_, name, err := l.get(fmt.Sprintf("key%d", k))
				if err != nil {
					t.Fatal(err)
				}
				to = append(to, name)
			}
			return to
		}
		moved := func(a, b []string) (n int) {
			for i := range a {
				if a[i] != b[i] {
					n++
				}
			}
			return n
		}
		measure := func(options string) int {
			l.config(back(""))
			if l.proc == nil {
				l.start()
			} else {
				l.reload()
			}
			for i := range 4 {
				l.do(fmt.Sprintf("add server b/s%d %s weight 10 %s", i, origins[i].Addr, options), fmt.Sprintf("enable server b/s%d", i))
			}
			before := keys()
			l.config(back(line(3, options) + line(1, options) + line(0, options) + line(2, options)))
			l.reload()
			return moved(before, keys())
		}
		if n := measure(""); n == 0 {
			t.Error("by id no key moved")
		}
		if n := measure("hash-key addr-port"); n != 0 {
			t.Errorf("by address %d of 60 keys moved", n)
		}
		// An id of one's own is kept and seen.
		l.do("add server b/own 127.0.0.1:9 id 4711 hash-key addr-port")
		if s := l.server("b", "own"); s.ID != 4711 {
			t.Errorf("own id: %+v", s)
		}
		if text := l.refused("add server b/twin 127.0.0.1:9 id 4711"); !strings.Contains(text, "custom id 4711 already used") {
			t.Errorf("the same id again: %q", text)
		}
	})
}
