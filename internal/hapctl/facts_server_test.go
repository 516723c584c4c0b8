package hapctl

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// oneBackend has an empty backend to which servers are added.
const oneBackend = `frontend f from base
  bind ADDR:8080
  default_backend b
backend b from base
  balance roundrobin
`

// An added server is in maintenance; it needs «enable server» for traffic, and «enable health» for checks.
func TestFactAddedServerIsInMaintenance(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend)
		o := l.origin(2)
		l.do("add server b/s1 " + o.Addr + " check inter 50ms")
		if s := l.server("b", "s1"); s.Admin != haproxy.AdminForcedMaint || s.Checked() {
			t.Errorf("added: %+v", s)
		}
		l.wantStatus("x", http.StatusServiceUnavailable)
		l.do("enable server b/s1")
		if s := l.server("b", "s1"); s.Admin != 0 || s.Checked() || !s.Up() {
			t.Errorf("enabled: %+v", s)
		}
		l.wantStatus("x", http.StatusOK)
		o.Stop()
		if s := l.server("b", "s1"); !s.Up() {
			t.Errorf("without checks nothing tells that it is gone: %+v", s)
		}
		l.do("enable health b/s1")
		if s := l.server("b", "s1"); !s.Checked() {
			t.Errorf("checked: %+v", s)
		}
		l.eventuallyUp("b", "s1", false)
	})
}

// With init-state down a server gets nothing before its first good check, and one is enough whatever rise
// says; by default it is up at once, dead or not.
func TestFactInitStateDown(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend+"  option httpchk\n")
		o := l.origin(2)
		o.SetHealthy(false)
		l.do("add server b/bold "+o.Addr+" check inter 1h rise 5 fall 3", "enable health b/bold", "enable server b/bold")
		if s := l.server("b", "bold"); !s.Up() {
			t.Errorf("without init-state: %+v", s)
		}
		l.do("disable server b/bold")
		l.do("add server b/s1 "+o.Addr+" check inter 50ms rise 5 fall 3 init-state down", "enable health b/s1", "enable server b/s1")
		l.eventually(func() error {
			if o.Hits("/") == 0 {
				return fmt.Errorf("not checked")
			}
			return nil
		})
		if s := l.server("b", "s1"); s.Up() || s.Maint() {
			t.Errorf("before the first good check: %+v", s)
		}
		l.wantStatus("x", http.StatusServiceUnavailable)
		o.SetHealthy(true)
		l.eventuallyUp("b", "s1", true)
		l.wantStatus("x", http.StatusOK)
		if s := l.server("b", "s1"); s.CheckHealth < 5 {
			t.Errorf("health %d after good checks", s.CheckHealth)
		}
	})
}

// The first check of an added server comes a whole interval after it was added: fastinter in 3.4, downinter in
// 3.2, inter without them. One is enough, whatever rise says. When that interval ends before the checks are
// enabled, inter is waited once more: so the three commands belong into one batch.
func TestFactFirstCheckOfAddedServer(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend)
		o := l.origin(2)
		quick := map[string]string{"3.4": "fastinter 1s", "3.2": "downinter 1s"}[h.Version]
		useless := map[string]string{"3.2": "fastinter 1s", "3.4": "downinter 1s"}[h.Version]
		add := func(name, options string) Command {
			return command(t, "add server b/"+name+" "+o.Addr+" check inter 1h rise 5 init-state down "+options)
		}
		batch := func(name, options string) {
			t.Helper()
			_, err := l.c.DoAll(bounded(t), add(name, options), command(t, "enable server b/"+name), command(t, "enable health b/"+name))
			if err != nil {
				t.Fatal(err)
			}
		}
		batch("plain", "")
		batch("useless", useless)
		if _, err := l.c.Do(bounded(t), add("idle", quick)); err != nil {
			t.Fatal(err)
		}
		batch("quick", quick)
		l.eventuallyUp("b", "quick", true)
		// The interval of idle is over as well.
		l.do("enable server b/idle", "enable health b/idle")
		batch("again", quick)
		l.eventuallyUp("b", "again", true)
		for _, name := range []string{"plain", "useless", "idle"} {
			if s := l.server("b", name); s.Up() || s.CheckResult != 0 {
				t.Errorf("%s is checked an hour too early: %+v", name, s)
			}
		}
	})
}

// Checks run in maintenance, too, once they are enabled, and a good one of that time does not make the server
// up when it is enabled: another one must come. So «enable server» goes first; until a check is good, a server
// with init-state down stays down.
func TestFactEnableServerBeforeHealth(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend)
		o := l.origin(2)
		const options = " check inter 500ms rise 5 init-state down" // far longer than two commands take
		enable := func(what, name string) haproxy.ServerState {
			t.Helper()
			answers, err := l.c.DoAll(bounded(t), command(t, "enable "+what+" b/"+name), command(t, "show servers state b"))
			if err != nil {
				t.Fatal(err)
			}
			states, err := haproxy.ParseServersState(answers[1].Text)
			if err != nil {
				t.Fatal(err)
			}
			return states[len(states)-1]
		}
		l.do("add server b/late "+o.Addr+options, "enable health b/late")
		l.eventually(func() error {
			s, err := l.findServer("b", "late")
			if err == nil && (s.CheckResult != 3 || !s.Maint()) {
				err = fmt.Errorf("no good check in maintenance: %+v", s)
			}
			return err
		})
		if s := enable("server", "late"); s.Up() || s.CheckResult != 3 {
			t.Errorf("checked before it was enabled: %+v", s)
		}
		l.eventuallyUp("b", "late", true)
		l.do("add server b/early " + o.Addr + options)
		if s := enable("server", "early"); s.Up() || s.Maint() {
			t.Errorf("enabled, not checked: %+v", s)
		}
		enable("health", "early")
		l.eventuallyUp("b", "early", true)
	})
}

// «disabled» in the file sets a bit of its own, which stays when the server is enabled.
func TestFactAdminStateBits(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend+"  server on 127.0.0.1:9\n  server off 127.0.0.1:9 disabled\n")
		want := func(name string, bits haproxy.AdminState) {
			t.Helper()
			if s := l.server("b", name); s.Admin != bits {
				t.Errorf("%s: %#x, want %#x", name, s.Admin, bits)
			}
		}
		want("on", 0)
		want("off", haproxy.AdminForcedMaint|haproxy.AdminConfigMaint)
		l.do("disable server b/on", "enable server b/off")
		want("on", haproxy.AdminForcedMaint)
		want("off", haproxy.AdminConfigMaint)
		if s := l.server("b", "off"); s.Maint() || !s.Up() {
			t.Errorf("off, enabled: %+v", s)
		}
		l.do("set server b/on state drain")
		want("on", haproxy.AdminForcedDrain)
		l.do("set server b/on state ready")
		want("on", 0)
	})
}

// An idle connection may hold a server; «wait srv-removable» closes it. A request in flight holds it until it
// ends.
func TestFactWaitRemovableClosesIdle(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend)
		o := l.origin(2)
		l.do("add server b/s1 "+o.Addr, "enable server b/s1")
		// A client that stays holds the server's connection, which does nothing.
		client := &http.Client{Transport: &http.Transport{}, Timeout: patient}
		defer client.CloseIdleConnections()
		res, err := client.Get("http://" + l.addr + ":8080/")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if text := l.refused("del server b/s1"); !strings.Contains(text, "Only servers in maintenance mode can be deleted") {
			t.Errorf("enabled: %q", text)
		}
		l.do("disable server b/s1")
		// 3.4 refuses now and then to delete it at once, by its idle connection.
		l.do("wait 5s srv-removable b/s1", "del server b/s1")

		ln, err := net.Listen("tcp", l.at(3)+":8000")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		l.do("add server b/s2 "+ln.Addr().String(), "enable server b/s2")
		got := make(chan error, 1)
		go func() {
			_, _, err := l.get("x")
			got <- err
		}()
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		l.do("disable server b/s2")
		l.refused("wait 50ms srv-removable b/s2")
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		if err := <-got; err != nil {
			t.Errorf("the request in flight: %v", err)
		}
		l.do("wait 5s srv-removable b/s2", "del server b/s2")
	})
}

// An address is changed in place, the answer to which is a warning; where it can't be, the refusal is a
// warning as well and only its words tell.
func TestFactSetAddressAnswersWarnings(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend)
		l.do("add server b/s1 127.0.0.1:9", "add server b/named some.example:80", "add server b/socket abns@nobody")
		l.do("set server b/s1 addr 127.0.0.2 port 81")
		if s := l.server("b", "s1"); s.Address != "127.0.0.2" || s.Port != 81 {
			t.Errorf("%+v", s)
		}
		l.do("set server b/s1 addr 127.0.0.2 port 81")
		for _, name := range []string{"named", "socket"} {
			if text := l.refused("set server b/" + name + " addr 127.0.0.1"); !strings.Contains(text, "only supported through configuration file") {
				t.Errorf("%s: %q", name, text)
			}
			if s := l.server("b", name); s.Address != "-" {
				t.Errorf("%+v", s)
			}
		}
		// What has no «set server» at all is an error.
		if text := l.refused("set server b/s1 inter 3s"); !strings.Contains(text, "usage") {
			t.Errorf("%q", text)
		}
	})
}
