package haproxy_test

import (
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestStatsPage: nobody without a password sees it, who may look sees it and moves nothing, an admin moves servers.
func TestStatsPage(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) {
			at := n.Pools[0].Servers[0].Address.Addr()
			n.Tuning.Stats = &weir.StatsPage{Address: netip.AddrPortFrom(at, 0).Addr(), Port: 8404, Users: []weir.StatsUser{
				{Name: "ann", PasswordHash: "$6$saltsaltsalt$mJ4dSl8R2U8pESZd8cn9JnwKqOiuTwFdmpwlgMMWvz1okGdsqoOJHnGX0SEh8qKX140AnzObT3CuERjXa3rxX0"},
				{Name: "bob", PasswordHash: "$6$saltsaltsalt2$z2cyJ.Kvw6MiktCVo41h/9R.3mhEJWFOY2OXfNJI4vY/WMYItySVNnRsWyEvH4wNwehgWSttx4CLnO/wMfEQ1/", Admin: true},
			}}
		})
		ask := func(method, user, password string, form url.Values) (int, string) {
			t.Helper()
			req, err := http.NewRequest(method, "http://"+p.addr(33, 8404)+"/", strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if user != "" {
				req.SetBasicAuth(user, password)
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: weirtest.Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return res.StatusCode, string(body)
		}
		state := func() (found haproxy.ServerState) {
			states, err := haproxy.ParseServersState(p.command(t, "show servers state"))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range states {
				if haproxy.BaseName(s.Backend) == "api" {
					found = s
				}
			}
			return found
		}
		s := state()
		drain := url.Values{"s": {s.Server}, "b": {s.Backend}, "action": {"drain"}}
		for _, c := range []struct {
			user, password        string
			status                int
			sees, offers, drained bool
		}{
			{"", "", 401, false, false, false},
			{"ann", "mover", 401, false, false, false},
			{"carl", "looker", 401, false, false, false},
			{"ann", "looker", 200, true, false, false},
			{"bob", "mover", 200, true, true, true},
		} {
			status, page := ask("GET", c.user, c.password, nil)
			if sees, offers := strings.Contains(page, "web1"), strings.Contains(page, "name=action"); status != c.status || sees != c.sees || offers != c.offers {
				t.Errorf("%q with %q: status %d, sees %v, is offered to act %v", c.user, c.password, status, sees, offers)
			}
			ask("POST", c.user, c.password, drain)
			if got := state().Admin&haproxy.AdminForcedDrain != 0; got != c.drained {
				t.Errorf("%q with %q: server drained: %v", c.user, c.password, got)
			}
		}
	})
}
