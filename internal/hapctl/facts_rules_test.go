package hapctl

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// said gives the body of the answer to a path at port 8080 of the lab.
func (l *lab) said(path string) string {
	l.Helper()
	request, err := http.NewRequestWithContext(bounded(l.T), http.MethodGet, "http://"+l.addr+":8080"+path, nil)
	if err != nil {
		l.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		l.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		l.Fatal(err)
	}
	return string(body)
}

// The keys of map_int may be ranges, and the values of map_regm name groups of the expression that matched.
func TestFactKindsOfMaps(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, `frontend f from base
  bind ADDR:8080
  http-request return status 200 content-type text/plain lf-string "%[path,field(3,/),map_int(opt@maps/numbers.map,none)]" if { path_beg /number/ }
  http-request return status 200 content-type text/plain lf-string "%[path,map_regm(opt@maps/groups.map,none)]"
`)
		l.file("maps/numbers.map", "400:499 client\n500:599 server\n418 teapot\n")
		l.file("maps/groups.map", `^/a/([a-z]+)/(.*)$ \2-\1`+"\n")
		l.start()
		for path, want := range map[string]string{
			"/number/399": "none", "/number/400": "client", "/number/499": "client", "/number/500": "server", "/number/600": "none",
			"/a/b/c": "c-b", "/x/b/c": "none",
		} {
			if got := l.said(path); got != want {
				t.Errorf("%s: %q, not %q", path, got, want)
			}
		}
		l.do("add map maps/numbers.map 600:699 more")
		if got := l.said("/number/650"); got != "more" {
			t.Errorf("a range that came at run time: %q", got)
		}
	})
}

// `observe layer4` takes a server out that refuses, and none that takes a request and hangs up.
func TestFactHangUpsAreNotObserved(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, `global
  max-spread-checks 100
frontend f from base
  bind ADDR:8080
  use_backend %[req.hdr(host)]
backend hangs from base
  server s ADDR:8001 check inter 1h observe layer4 error-limit 1 on-error mark-down
backend refuses from base
  server s ADDR:8002 check inter 1h observe layer4 error-limit 1 on-error mark-down
`)
		hanging, err := net.Listen("tcp", l.addr+":8001")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { hanging.Close() })
		go func() {
			for {
				c, err := hanging.Accept()
				if err != nil {
					return
				}
				go func() {
					_, _ = c.Read(make([]byte, 1000))
					c.Close()
				}()
			}
		}()
		origin := weirtest.NewTCPOrigin(t, l.addr+":8002", "")
		l.start()
		for _, backend := range []string{"hangs", "refuses"} { // checked once, and not again
			l.eventually(func() error {
				if s, err := l.findServer(backend, "s"); err != nil || s.CheckResult != 3 {
					return fmt.Errorf("%+v %v", s, err)
				}
				return nil
			})
		}
		for range 5 {
			l.wantStatus("hangs", 502)
		}
		if s := l.server("hangs", "s"); !s.Up() {
			t.Errorf("who hangs up: %+v", s)
		}
		origin.Stop()
		l.wantStatus("refuses", 503)
		l.eventuallyUp("refuses", "s", false)
	})
}

// When HAProxy starts, first checks are spread over the shortest interval of all servers that is a second or more, and those of
// a server with a longer one over that: a server with an interval below a second waits with the slowest.
func TestFactFirstChecksAreSpread(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		start := func(interval string) *lab {
			l := newLab(t, h, `backend slow from base
  server s1 ADDR:8002 check inter 1h
  server s2 ADDR:8002 check inter 1h
backend fast from base
  server f1 ADDR:8002 check inter `+interval+`
  server f2 ADDR:8002 check inter `+interval+`
`)
			weirtest.NewTCPOrigin(t, l.addr+":8002", "")
			l.start()
			return l
		}
		both := func(l *lab, backend, a, b string) bool {
			return l.server(backend, a).CheckResult == 3 && l.server(backend, b).CheckResult == 3
		}
		below, l := start("900ms"), start("1s")
		l.eventually(func() error {
			if !both(l, "fast", "f1", "f2") {
				return errors.New("they are not checked")
			}
			return nil
		})
		if both(l, "slow", "s1", "s2") {
			t.Error("both that are checked every hour are checked at once")
		}
		if both(below, "fast", "f1", "f2") {
			t.Error("below a second both are checked at once, beside servers that are checked every hour")
		}
	})
}

// The name of an abstract socket fills the address with zeros to its end, where other programs' names end by themselves;
// abnsz is as those are.
func TestFactAbstractSockets(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		name := "weir-test-" + strings.ReplaceAll(l.addr, ".", "-")
		filled := "@" + name + strings.Repeat("\x00", 107-len(name))
		l.config(strings.ReplaceAll(`frontend f from base
  bind abns@NAME-in
  http-request return status 200
frontend z from base
  bind abnsz@NAME-inz
  http-request return status 200
frontend out from base
  bind ADDR:8080
  use_backend %[req.hdr(host)]
backend filled from base
  server s abns@NAME-out
backend plain from base
  server s abnsz@NAME-out
`, "NAME", name))
		l.start()
		padded := func(suffix string) string { return (filled[:1+len(name)] + suffix + filled[1+len(name):])[:108] }
		for socket, works := range map[string]bool{"@" + name + "-in": false, padded("-in"): true, "@" + name + "-inz": true, padded("-inz"): false} {
			c, err := net.Dial("unix", socket)
			if err == nil {
				c.Close()
			}
			if (err == nil) != works {
				t.Errorf("%q: %v", socket, err)
			}
		}
		for host, socket := range map[string]string{"filled": padded("-out"), "plain": "@" + name + "-out"} {
			listener, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) })) // ends with its listener
			for other, want := range map[string]int{"filled": 503, "plain": 503, host: 418} {
				l.wantStatus(other, want)
			}
			listener.Close()
		}
	})
}
