package haproxy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
)

// TestTryListensNowhere: of a node with everything nothing is left that listens, logs or leads elsewhere, and the server
// line and its check are those of the real configuration.
func TestTryListensNowhere(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.4", "3.2"} {
		v, err := ParseVersion(version)
		if err != nil {
			t.Fatal(err)
		}
		tuning := weir.Tuning{Ports: []weir.BoundPort{{Port: 80, Mode: weir.PortHTTP}}, Threads: 8}
		tuning.Normalize()
		check := weir.HealthCheck{Type: "http", Method: "GET", Path: "/ping", Host: "x", Expect: "200", Interval: weir.Duration(time.Hour), Rise: 2, Fall: 3}
		n := ir.Node{
			Self: ir.Self{Name: "lb1", Zone: "az1", State: weir.Active, Namespace: "inside"}, Group: ir.Group{Name: "edge", Zones: []string{"az1"}},
			Tuning: ir.Tuning{Tuning: tuning},
			Pools:  []ir.Pool{{Name: "web", Mode: "http", Balance: "roundrobin", Check: check, Servers: []ir.Server{{Name: "a", Weight: 100, Socket: "s", Owner: "Pool/web"}}}},
			Sites:  []ir.Site{{Name: "www", Mode: "http", Listeners: []ir.Listener{{Port: 80, Mode: weir.PortHTTP}}, Backends: []ir.Backend{{Name: "default", Pool: "web"}}}},
		}
		env := Env{Version: v, Log: Log{Target: "log 127.0.0.1:1 local0", HTTPFormat: "x", TCPFormat: "x", ErrorFormat: "x"}, Home: "/home", TicketKeys: "/keys"}
		served, tried := Render(n, env), Try(n, env)
		var text strings.Builder
		for _, s := range tried.Sections {
			text.WriteString(s.Kind + " " + s.Name + "\n")
			for _, l := range s.Lines {
				text.WriteString("    " + l.Text + "\n")
			}
		}
		for _, word := range []string{"frontend", "bind ", "log ", "use_backend", "listen", "peers", "/home", "ticket"} {
			if strings.Contains(text.String(), word) {
				t.Errorf("%s: there is %q in\n%s", version, word, text.String())
			}
		}
		for _, word := range []string{"nbthread 1\n", tryTogether, "stats socket"} {
			if !strings.Contains(text.String(), word) {
				t.Errorf("%s: there is no %q in\n%s", version, word, text.String())
			}
		}
		if len(tried.Backends) != 1 || len(tried.Backends[0].Servers) != 1 {
			t.Fatalf("%s: %+v", version, tried.Backends)
		}
		i := slices.IndexFunc(served.Backends, func(b Backend) bool { return b.Name == tried.Backends[0].Name })
		if i < 0 {
			t.Fatalf("%s: nobody serves %s", version, tried.Backends[0].Name)
		}
		a, b := served.Backends[i].Servers[0], tried.Backends[0].Servers[0]
		if a.Options != b.Options || a.Address != b.Address || !b.Check {
			t.Errorf("%s: tried %+v, served %+v", version, b, a)
		}
	}
}

// TestCheckResults reads what HAProxy says of checks, and refuses what is no such answer.
func TestCheckResults(t *testing.T) {
	t.Parallel()
	const head = "# pxname,svname,type,check_status,check_code,check_duration,last_chk,check_desc,\n"
	got, err := CheckResults(head +
		"web,FRONTEND,0,,,,,,\n" +
		"web,a,2,L7STS,503,12,\"Service, not \"\"there\"\"\",Layer7 wrong status,\n" +
		"web,b,2,* L4OK,,1,,Layer4 check passed,\n" +
		"web,c,2,* INI,,,,Initializing,\n" +
		"web,BACKEND,1,,,,,,\n")
	want := []CheckResult{
		{"web", "a", "L7STS", 503, 12, `answers 503: Service, not "there"`},
		{"web", "b", "L4OK", 0, 1, "takes connections"},
		{"web", "c", "", 0, 0, ""},
	}
	if err != nil || len(got) != len(want) {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	if got[0].Passed() || !got[1].Passed() || got[2].Passed() {
		t.Errorf("passed: %+v", got)
	}
	for _, text := range []string{"", "web,a\n", "# pxname,svname\nweb,a\n", head + "web,a,2\n", head + "web,\"a\n"} {
		if list, err := CheckResults(text); err == nil {
			t.Errorf("%q gives %+v", text, list)
		}
	}
}
