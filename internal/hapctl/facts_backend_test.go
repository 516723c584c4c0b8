package hapctl

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// byMap routes by a map of hosts; what finds no backend gets 299 from the rule after, or 418 from the default.
const byMap = `defaults p from base
  balance roundrobin
defaults bare
  timeout connect 1s
  timeout server 1s
frontend f from base
  bind ADDR:8080
  http-request set-var(txn.be) req.hdr(host),map_str(opt@maps/hosts)
  use_backend %[var(txn.be)] if { var(txn.be) -m found }
  use_backend next if { var(txn.be) -m found }
  default_backend fallback
backend next from base
  http-request return status 299
backend fallback from base
  http-request return status 418
`

// each34 is for what only newer HAProxys have; older ones must say that they don't know it.
func each34(t *testing.T, config string, f func(t *testing.T, l *lab)) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, config)
		if h.Version == "3.2" {
			_, err := l.c.Do(bounded(t), command(t, "add backend d from p"))
			if !errors.Is(err, ErrUnknownCommand) {
				t.Errorf("3.2: %v", err)
			}
			return
		}
		f(t, l)
	})
}

// The whole life of a backend at run time, in the order that loses no request.
func TestFactDynamicBackend(t *testing.T) {
	t.Parallel()
	each34(t, byMap, func(t *testing.T, l *lab) {
		o := l.origin(2)
		l.do("add backend d from p", "add server d/s1 "+o.Addr, "enable server d/s1", "add map maps/hosts h d")
		if r := l.stat("d", "BACKEND"); r.Status != "UP" || !r.Unpublished {
			t.Errorf("new: %+v", r)
		}
		if b, err := l.c.Backends(bounded(t)); err != nil || !slices.Contains(b, "d") {
			t.Errorf("backends = %v, %v", b, err)
		}
		l.wantStatus("h", 299)
		l.do("publish backend d")
		if r := l.stat("d", "BACKEND"); r.Unpublished {
			t.Errorf("published: %+v", r)
		}
		if status, name, err := l.get("h"); status != http.StatusOK || name != o.Name || err != nil {
			t.Errorf("published: %d %s %v", status, name, err)
		}
		l.do("publish backend d") // twice does no harm
		for text, part := range map[string]string{
			l.refused("del backend d"):                 "published",
			l.refused("add backend d from p"):          "already used",
			l.refused("add backend e from nope"):       "Cannot find default proxy 'nope'",
			l.refused("add backend e from bare"):       "Mode is required",
			l.refused("wait 10ms be-removable nobody"): "No such backend",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("refused with %q, want %q in it", text, part)
			}
		}
		l.do("add backend e from bare mode tcp")
		l.do("del map maps/hosts h", "unpublish backend d", "disable server d/s1", "wait 5s srv-removable d/s1")
		if text := l.refused("del backend d"); text == "" {
			t.Error("with a server it was deleted")
		}
		l.do("del server d/s1", "wait 5s be-removable d", "del backend d")
		if b, err := l.c.Backends(bounded(t)); err != nil || slices.Contains(b, "d") {
			t.Errorf("backends = %v, %v", b, err)
		}
	})
}

// An unpublished backend is passed over and later rules are asked; a name that no backend has goes to the
// default backend at once.
func TestFactUnpublishedAndUnknown(t *testing.T) {
	t.Parallel()
	each34(t, byMap, func(t *testing.T, l *lab) {
		l.do("add backend d from p", "add map maps/hosts unpublished d", "add map maps/hosts unknown nobody")
		l.wantStatus("unpublished", 299)
		l.wantStatus("unknown", 418)
		l.wantStatus("nothing", 418)
	})
}

// The same in every version: an unknown name goes to the default backend; without one it is 503.
func TestFactUnknownBackend(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, byMap)
		l.do("add map maps/hosts unknown nobody", "add map maps/hosts known next")
		l.wantStatus("unknown", 418)
		l.wantStatus("known", 299)
		l.config(strings.ReplaceAll(byMap, "  default_backend fallback\n", ""))
		l.reload()
		l.do("add map maps/hosts unknown nobody")
		l.wantStatus("unknown", http.StatusServiceUnavailable)
	})
}

// nbsrv takes a computed name, sees backends that were added at run time, counts unpublished ones too, and
// gives nothing for a name that nobody has.
func TestFactNbsrvOnComputedName(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		l.config("defaults p from base\nfrontend f from base\n bind ADDR:8080\n http-request set-var(txn.b) req.hdr(host)\n" +
			" http-request set-var(txn.n) var(txn.b),concat(.az1),nbsrv\n" +
			" http-request set-var(txn.n) str(none) if !{ var(txn.n) -m found }\n" +
			" http-request return status 200 hdr x-origin %[var(txn.n)] content-type text/plain string x\n" +
			"backend web.az1 from base\n server s1 " + l.origin(2).Addr + "\n server s2 " + l.refusing(9) + " check inter 20ms fall 1\n")
		l.start()
		nbsrv := func(name, want string) error {
			_, n, err := l.get(name)
			if err == nil && n != want {
				err = errors.New("nbsrv of " + name + ".az1 is " + n + ", want " + want)
			}
			return err
		}
		l.eventually(func() error { return nbsrv("web", "1") })
		if err := nbsrv("nobody", "none"); err != nil {
			t.Error(err)
		}
		if h.Version == "3.2" {
			return
		}
		l.do("add backend dyn.az1 from p")
		if err := nbsrv("dyn", "0"); err != nil {
			t.Error(err)
		}
		l.do("add server dyn.az1/s1 "+l.origin(3).Addr, "enable server dyn.az1/s1")
		if err := nbsrv("dyn", "1"); err != nil {
			t.Errorf("unpublished: %v", err)
		}
	})
}

// A healthcheck section reads path and host from maps by the backend's name, and a change of a map counts at
// the next check.
func TestFactHealthcheckByMap(t *testing.T) {
	t.Parallel()
	const config = `healthcheck hc
  type httpchk
  http-check connect
  http-check send meth HEAD ver HTTP/1.1 uri-lf "%[be_name,map_str(opt@maps/path,/)]" hdr Host "%[be_name,map_str(opt@maps/host,localhost)]"
  http-check expect rstatus ^2
`
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, byMap+config)
		if h.Version == "3.2" {
			var check *CheckError
			err := Check(bounded(t), h.Path, l.dir, "haproxy.cfg")
			if !errors.As(err, &check) || !strings.Contains(err.Error(), "healthcheck") {
				t.Errorf("3.2: %v", err)
			}
			return
		}
		l.start()
		o := l.origin(2)
		o.SetHealthy(false)
		o.SetStatus("/ping", 200)
		l.do("add backend d from p", "add map maps/path d /bad", "add map maps/host d www.example.com",
			"add server d/s1 "+o.Addr+" check inter 20ms rise 1 fall 1 init-state down healthcheck hc",
			"enable health d/s1", "enable server d/s1")
		seen := func(path string) error {
			for _, r := range o.Requests(path) {
				if r.Method == http.MethodHead && r.Host == "www.example.com" {
					return nil
				}
			}
			return errors.New("no check of " + path)
		}
		l.eventually(func() error { return seen("/bad") })
		if l.server("d", "s1").Up() {
			t.Error("up by a bad check")
		}
		l.do("set map maps/path d /ping")
		l.eventually(func() error { return seen("/ping") })
		l.eventuallyUp("d", "s1", true)
	})
}

// A server's timeout comes from a map by the backend's name, in a defaults section.
func TestFactTimeoutByMap(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		o := l.origin(2)
		o.SetDelay(time.Hour)
		l.config("defaults p from base\n http-request set-timeout server be_name,map_str_int(opt@maps/t,3600000)\n" +
			"frontend f from base\n bind ADDR:8080\n default_backend b\nbackend b from p\n server s " + o.Addr + "\n")
		l.start()
		l.do("add map maps/t b 50")
		l.wantStatus("x", http.StatusGatewayTimeout)
	})
}
