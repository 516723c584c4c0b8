package haproxy_test

import (
	"bufio"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// schedules are what a test's node has; sites go by those that exist.
func schedules(at time.Time) []ir.Schedule {
	return []ir.Schedule{
		{Name: "always", Until: at.Add(time.Hour)},
		{Name: "late", From: at},
		{Name: "over", Until: at.Add(-time.Hour)},
		{Name: "soon", From: at, Until: at.Add(time.Hour)},
	}
}

// TestSchedules: a route, a site's maintenance, the levels of a rate limit and a shift out of a zone begin at the second
// that a Schedule says, each load balancer by its own clock: nothing but a HAProxy with its files is there. What changes of
// schedules, and of what goes by them, is run time.
func TestSchedules(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		begin := time.Now().Truncate(time.Second).Add(time.Hour)
		site := func(n *ir.Node, name string, edit func(*ir.Site)) {
			s := ir.Site{
				Name: name, Mode: "http", Hostnames: []string{name + ".example"}, Addresses: []string{"vip1"}, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}},
				Backends: []ir.Backend{{Name: "api", Pool: "api"}, {Name: "default", Pool: "web1"}},
			}
			edit(&s)
			n.Sites = append(n.Sites, s)
		}
		on := func(schedule string, m weir.RouteMatch) weir.RouteMatch { m.Schedule = schedule; return m }
		g := startGate(t, h, func(n *ir.Node) {
			n.Schedules = schedules(begin)
			site(n, "switch", func(s *ir.Site) {
				s.Routes = []weir.SiteRoute{
					{Match: prefix("/p"), Backend: "default"},
					{Match: on("soon", prefix("/p")), Backend: "api"},
					answers(410, on("over", prefix("/"))),
					answers(429, on("always", prefix("/always"))),
					{Match: weir.RouteMatch{Schedule: "late"}, Backend: "api"},
				}
			})
			site(n, "closes", func(s *ir.Site) {
				s.Maintenance = &weir.SiteMaintenance{Status: 503, RetryAfter: weir.Duration(time.Minute), Schedule: "soon"}
			})
			site(n, "closed", func(s *ir.Site) {
				s.Maintenance = &weir.SiteMaintenance{Status: 503, RetryAfter: weir.Duration(time.Minute), Schedule: "always"}
			})
			site(n, "opened", func(s *ir.Site) {
				s.Maintenance = &weir.SiteMaintenance{Status: 503, RetryAfter: weir.Duration(time.Minute), Schedule: "over"}
			})
			l := limit("edge", weir.CountRequests, 1000, 2000)
			l.Schedules = []weir.RateLimitSchedule{{Schedule: "over", Hard: &weir.LimitLevel{}}, {Schedule: "soon", Soft: &weir.LimitLevel{Above: 0}}}
			n.Limits = []ir.RateLimit{l}
			site(n, "limits", func(s *ir.Site) { s.RateLimits = []string{"edge"} })
			site(n, "shifts", func(s *ir.Site) { s.Backends = []ir.Backend{{Name: "default", Slots: []string{"web1", "web2"}}} })
			site(n, "shifted", func(s *ir.Site) { s.Backends = []ir.Backend{{Name: "default", Slots: []string{"web1", "web2"}}} })
			n.Shifts = []ir.Shift{
				{Name: "now", Sites: []string{"shifted"}, Zone: "az1", ExpiresAt: begin.Add(time.Hour)},
				{Name: "soon", Sites: []string{"shifts"}, Zone: "az1", From: begin, ExpiresAt: begin.Add(time.Hour)},
			}
			for i := range n.Sites {
				if n.Sites[i].Name == "db" {
					n.Sites[i].Backends = []ir.Backend{{Name: "default", Slots: []string{"db", "db2"}}}
				}
			}
			n.Shifts[1].Sites = []string{"db", "shifts"}
			other := n.Pools[1]
			other.Name, other.Servers = "db2", []ir.Server{{Name: "s", Address: netip.MustParseAddrPort(weirtest.NewTCPOrigin(t, at(other.Servers[0].Address.Addr(), 37)+":9000", "other\n").Addr), Weight: 100, Owner: "Server/s"}}
			n.Pools = append(n.Pools[:2:2], append([]ir.Pool{other}, n.Pools[2:]...)...)
		})
		ask := func(host, path string) string {
			status, answer := g.ask(17, host+".example", path)
			origin := ""
			if _, rest, ok := strings.Cut(answer, "x-origin: "); ok {
				origin, _, _ = strings.Cut(rest, "\r\n")
			}
			return strings.TrimSpace(fmt.Sprintf("%d %s", status, origin))
		}
		tcp := func() string {
			conn := g.dial(17, 3890)
			_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
			got, _ := bufio.NewReader(conn).ReadString('\n')
			return strings.TrimSpace(got)
		}
		for _, c := range []struct{ host, path, want string }{
			{"switch", "/always", "429"}, {"closed", "/", "503"}, {"opened", "/", "200 web1"}, {"shifted", "/", "200 web2"}, {"www", "/", "200 web1"},
		} {
			if got := ask(c.host, c.path); got != c.want {
				t.Errorf("%s%s: %q, want %q", c.host, c.path, got, c.want)
			}
		}
		cases := []struct {
			what, before, after string
			ask                 func() string
		}{
			{"route", "200 web1", "200 api", func() string { return ask("switch", "/p/x") }},
			{"route without a path", "200 web1", "200 api", func() string { return ask("switch", "/else") }},
			{"maintenance", "200 web1", "503", func() string { return ask("closes", "/") }},
			{"limit", "200 web1", "429", func() string { return ask("limits", "/") }},
			{"shift", "200 web1", "200 web2", func() string { return ask("shifts", "/") }},
			{"shift of a tcp site", "hello", "other", tcp},
		}
		// What is an hour away is moved to the next seconds.
		begin = time.Now().Truncate(time.Second).Add(3 * time.Second)
		g.change(func(n *ir.Node) {
			n.Schedules = schedules(begin)
			n.Shifts = []ir.Shift{n.Shifts[0], {Name: "soon", Sites: []string{"db", "shifts"}, Zone: "az1", From: begin, ExpiresAt: begin.Add(time.Hour)}}
		})
		early := 0
		for time.Now().Before(begin) {
			for _, c := range cases {
				if got := c.ask(); got != c.before && time.Now().Before(begin) {
					t.Fatalf("%s, before it begins: %q, want %q", c.what, got, c.before)
				}
				early++
			}
		}
		if early < len(cases) {
			t.Fatal("no question before it begins: the machine is too slow for this test")
		}
		for _, c := range cases {
			if got := c.ask(); got != c.after {
				t.Errorf("%s, as soon as it has begun: %q, want %q", c.what, got, c.after)
			}
		}
		g.change(func(n *ir.Node) {
			n.Schedules = schedules(begin)
			n.Schedules[3].From = begin.Add(time.Hour)
			n.Schedules[3].Until = begin.Add(2 * time.Hour)
			n.Shifts = []ir.Shift{n.Shifts[0], {Name: "soon", Sites: []string{"db", "shifts"}, Zone: "az1", From: begin.Add(-2 * time.Hour), ExpiresAt: begin.Add(-time.Hour)}}
		})
		for _, c := range cases {
			want := c.before
			if c.what == "route without a path" {
				want = c.after // it goes by another schedule
			}
			if got := c.ask(); got != want {
				t.Errorf("%s, of a schedule that was moved: %q, want %q", c.what, got, want)
			}
		}
		for i := range g.node.Sites {
			if s := &g.node.Sites[i]; s.Name == "opened" {
				g.change(func(*ir.Node) { s.Maintenance.Schedule = "late" })
			}
		}
		if got := ask("opened", "/"); got != "503" {
			t.Errorf("closed by another schedule: %q", got)
		}
	})
}

func at(a netip.Addr, host byte) string {
	b := a.As4()
	b[3] = host
	return netip.AddrFrom4(b).String()
}
