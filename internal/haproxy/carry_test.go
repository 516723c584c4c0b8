package haproxy

import (
	"slices"
	"strings"
	"testing"
)

const dumpHead = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
`

func dumpLine(backend, server, address, op, admin, weight string) string {
	return "3 " + backend + " 11 " + server + " " + address + " " + op + " " + admin + " " + weight + " 100 5 6 3 3 6 0 0 1 - 8000 - 0 0 - - 0\n"
}

func TestCarryState(t *testing.T) {
	t.Parallel()
	server := func(name, address string, weight int) Server {
		return Server{Name: name, Address: address + ":8000", ID: 77, Weight: weight, Check: true}
	}
	dump := dumpHead +
		dumpLine("web.aaaa", "s1.aaaa", "10.0.0.1", "2", "0", "7") +
		dumpLine("web.aaaa", "s2.aaaa", "10.0.0.2", "0", "0", "100") +
		dumpLine("web.aaaa", "s3.aaaa", "10.0.0.3", "0", "1", "100") +
		dumpLine("old.aaaa", "s1.aaaa", "10.0.0.1", "2", "0", "100") +
		dumpLine("dead.aaaa", "s1.aaaa", "10.0.0.1", "0", "0", "100")
	for _, c := range []struct {
		name string
		want Backend
		// lines are backend, server, address, state, admin, weight of those that are expected, in order.
		lines []string
	}{
		{
			"the same servers keep their state and get the weight that is wanted",
			Backend{Name: "web.aaaa", Servers: []Server{server("s1.aaaa", "10.0.0.1", 50), server("s2.aaaa", "10.0.0.2", 100)}},
			[]string{"web.aaaa s1.aaaa 10.0.0.1 2 0 50", "web.aaaa s2.aaaa 10.0.0.2 0 0 100"},
		},
		{
			"another generation of a pool and a server made anew take it over",
			Backend{Name: "web.bbbb", Servers: []Server{server("s1.cccc", "10.0.0.1", 7), server("s2.cccc", "10.0.0.2", 7)}},
			[]string{"web.bbbb s1.cccc 10.0.0.1 2 0 7", "web.bbbb s2.cccc 10.0.0.2 0 0 7"},
		},
		{
			"who leaves maintenance, and who moves to another address, is checked first",
			Backend{Name: "web.aaaa", Servers: []Server{server("s1.aaaa", "10.0.0.1", 7), server("s3.aaaa", "10.0.0.3", 7), server("s2.bbbb", "10.0.0.9", 7)}},
			[]string{"web.aaaa s1.aaaa 10.0.0.1 2 0 7"},
		},
		{
			"a pool whose members are all new ones takes them for up, since it served",
			Backend{Name: "web.bbbb", Servers: []Server{server("s8.aaaa", "10.0.0.8", 7), server("s9.aaaa", "10.0.0.9", 7)}},
			[]string{"web.bbbb s8.aaaa 10.0.0.8 2 0 7", "web.bbbb s9.aaaa 10.0.0.9 2 0 7"},
		},
		{
			"a pool that did not serve takes nobody for up",
			Backend{Name: "dead.bbbb", Servers: []Server{server("s8.aaaa", "10.0.0.8", 7)}},
			nil,
		},
		{
			"a new pool takes nobody for up",
			Backend{Name: "new.bbbb", Servers: []Server{server("s1.aaaa", "10.0.0.1", 7)}},
			nil,
		},
		{
			"maintenance and servers without checks are as the file says",
			Backend{Name: "web.aaaa", Servers: []Server{
				{Name: "s1.aaaa", Address: "10.0.0.1:8000", Weight: 7, Check: true, Maintenance: true},
				{Name: "s2.aaaa", Address: "10.0.0.2:8000", Weight: 7},
			}},
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, err := CarryState(dump, Config{}, Config{Backends: []Backend{c.want}})
			if err != nil {
				t.Fatal(err)
			}
			states, err := ParseServersState(text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			var got []string
			for i, line := range strings.Split(strings.TrimSpace(text), "\n")[2:] {
				wanted := slices.ContainsFunc(c.want.Servers, func(s Server) bool { return s.Name == states[i].Server })
				if f := strings.Fields(line); wanted && states[i].Backend == c.want.Name {
					got = append(got, strings.Join([]string{f[1], f[3], f[4], f[5], f[6], f[7]}, " "))
				}
			}
			if strings.Join(got, "\n") != strings.Join(c.lines, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.lines, "\n"))
			}
			if !strings.Contains(text, dumpLine("old.aaaa", "s1.aaaa", "10.0.0.1", "2", "0", "100")) {
				t.Errorf("a line about another backend is gone:\n%s", text)
			}
		})
	}
}

func TestCarryStateOfRoutesThatChangeTheirPool(t *testing.T) {
	t.Parallel()
	dump := dumpHead + dumpLine("old.aaaa", "s1.aaaa", "10.0.0.1", "2", "0", "100") + dumpLine("dead.aaaa", "s1.aaaa", "10.0.0.1", "0", "0", "100")
	zones := func(pairs ...string) Config {
		m := Map{Path: mapZones}
		for i := 0; i < len(pairs); i += 2 {
			m.Entries = append(m.Entries, Entry{Key: pairs[i], Value: pairs[i+1]})
		}
		return Config{Maps: []Map{m}, Backends: []Backend{
			{Name: "new.aaaa", Servers: []Server{{Name: "s9.aaaa", Address: "10.0.0.9:80", Weight: 1, Check: true}}},
			{Name: "old.aaaa", Servers: []Server{{Name: "s1.aaaa", Address: "10.0.0.1:8000", Weight: 1, Check: true}}},
		}}
	}
	for _, c := range []struct {
		name       string
		have, want Config
		up         bool
	}{
		{"a pool takes over a route that served", zones("www/default", "old.aaaa:_"), zones("www/default", "new.aaaa:_"), true},
		{"a new route of a site that served", zones("www/default", "old.aaaa:_"), zones("www/api", "new.aaaa:_", "www/default", "old.aaaa:_"), true},
		{"another zone is up on the route", zones("www/default", "_:old.aaaa"), zones("www/default", "new.aaaa:old.aaaa"), false},
		{"a route that did not serve", zones("www/default", "dead.aaaa:_"), zones("www/default", "new.aaaa:_"), false},
		{"a new site", zones("www/default", "old.aaaa:_"), zones("w/default", "new.aaaa:_", "www/default", "old.aaaa:_"), false},
		{"nothing is known of routes", Config{}, zones("www/default", "new.aaaa:_"), false},
	} {
		text, err := CarryState(dump, c.have, c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text, " new.aaaa 0 s9.aaaa 10.0.0.9 2 0 1 "); got != c.up {
			t.Errorf("%s: taken for up %t, want %t:\n%s", c.name, got, c.up, text)
		}
	}
}

func TestCarryStateRefusesWhatIsNoDump(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "1\n", "2\n# be_name\n", dumpHead + "3 web\n"} {
		if got, err := CarryState(text, Config{}, Config{}); err == nil {
			t.Errorf("%q: got %q", text, got)
		}
	}
}
