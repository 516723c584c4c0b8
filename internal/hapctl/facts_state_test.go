package hapctl

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// A server-state file keeps at reload what checks and people decided: DOWN, weight, drain, maintenance.
func TestFactStateFileAtReload(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		servers := oneBackend + "  server dead " + l.refusing(9) + " check inter 20ms fall 1\n"
		for i, name := range []string{"drained", "off", "light"} {
			servers += fmt.Sprintf("  server %s %s\n", name, l.origin(2+i).Addr)
		}
		l.config(servers)
		l.start()
		l.eventuallyUp("b", "dead", false)
		l.do("set server b/drained state drain", "disable server b/off", "set weight b/light 30")
		if err := l.c.DumpServersState(bounded(t), filepath.Join(l.dir, "state")); err != nil {
			t.Fatal(err)
		}
		// From here on nothing is checked for an hour, so that what is seen is from the file.
		l.config(strings.ReplaceAll(servers, "inter 20ms fall 1", "inter 1h fall 3"))
		l.reload()
		if s := l.server("b", "dead"); s.Up() || s.Op != haproxy.OpStopped {
			t.Errorf("dead: %+v", s)
		}
		if s := l.server("b", "drained"); !s.Drain() || s.Admin&haproxy.AdminForcedDrain == 0 {
			t.Errorf("drained: %+v", s)
		}
		if s := l.server("b", "off"); !s.Maint() {
			t.Errorf("off: %+v", s)
		}
		if s := l.server("b", "light"); s.Weight != 30 || s.InitialWeight != 1 {
			t.Errorf("light: %+v", s)
		}
		// A weight that was changed in the file wins.
		l.config(strings.ReplaceAll(servers, "server light", "server light weight 9")[:0] +
			strings.Replace(servers, l.at(4)+":8000", l.at(4)+":8000 weight 9", 1))
		l.reload()
		if s := l.server("b", "light"); s.Weight != 9 || s.InitialWeight != 9 {
			t.Errorf("light with another weight in the file: %+v", s)
		}
	})
}

// Without a server-state file a reload has every server up again, also a dead one, until its checks fail.
func TestFactReloadWithoutStateFile(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		servers := oneBackend + "  server dead " + l.refusing(9) + " check inter 20ms fall 1\n"
		l.config(servers)
		l.start()
		l.eventuallyUp("b", "dead", false)
		// Now it accepts and says nothing, so that the first check takes its time.
		ln, err := net.Listen("tcp", l.refusing(9))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		l.config(strings.ReplaceAll(servers, "inter 20ms", "inter 1h") + "  option httpchk\n  timeout check 1h\n")
		l.reload()
		if s := l.server("b", "dead"); !s.Up() {
			t.Errorf("%+v", s)
		}
	})
}

// At start, what the state file says of a server counts, not its init-state: init-state is for those that
// are not in the file.
func TestFactStateFileOverInitState(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		o := l.origin(2)
		checked := func(how string) string {
			return oneBackend + "  server known " + o.Addr + " check " + how + "\n"
		}
		l.config(checked("inter 20ms rise 1 fall 1000")) // a machine that is busy for 20 ms is no server that is down
		l.start()
		l.eventuallyUp("b", "known", true)
		if err := l.c.DumpServersState(bounded(t), filepath.Join(l.dir, "state")); err != nil {
			t.Fatal(err)
		}
		// Now it is gone, and the next check is an hour away or does not suffice.
		o.Stop()
		later := "inter 1h rise 3 fall 3 init-state down"
		l.config(checked(later) + "  server new " + l.refusing(9) + " check " + later + "\n")
		restart := func() {
			t.Helper()
			if err := l.proc.Stop(bounded(t)); err != nil {
				t.Fatal(err)
			}
			l.start()
		}
		restart()
		known, fresh := l.server("b", "known"), l.server("b", "new")
		t.Logf("%s: state file says up, init-state down: up %v", h.Version, known.Up())
		if !known.Up() || fresh.Up() {
			t.Errorf("up in the file: %+v; not in the file: %+v", known, fresh)
		}
		// The other way round: down in the file, up by init-state.
		l.config(checked("inter 20ms rise 1 fall 1"))
		restart()
		l.eventuallyUp("b", "known", false)
		if err := l.c.DumpServersState(bounded(t), filepath.Join(l.dir, "state")); err != nil {
			t.Fatal(err)
		}
		o.Restart(t)
		l.config(checked("inter 1h rise 3 fall 3 init-state up"))
		restart()
		if s := l.server("b", "known"); s.Up() {
			t.Errorf("down in the file, init-state up: %+v", s)
		}
	})
}
