package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// outage is what status says of something that does not serve.
type outage struct {
	Object, Reason, Message string
	Down                    bool
	LoadBalancers           []string
}

func (w *world) outages() []outage {
	w.t.Helper()
	var f struct {
		Groups []struct{ NotServing []outage }
	}
	if _, err := w.call("GET", "/api/v1/status", "", &f); err != nil {
		w.t.Fatal(err)
	}
	var all []outage
	for _, g := range f.Groups {
		all = append(all, g.NotServing...)
	}
	return all
}

// lacks waits until status names one thing that does not serve, or nothing for "".
func (w *world) lacks(object, words string, lbs ...string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		all := w.outages()
		if object == "" && len(all) == 0 {
			return nil
		}
		if len(all) != 1 || all[0].Object != object || !strings.Contains(all[0].Message, words) || fmt.Sprint(all[0].LoadBalancers) != fmt.Sprint(lbs) {
			return fmt.Errorf("status says that these do not serve: %+v", all)
		}
		return nil
	})
}

// TestStatusNamesWhatDoesNotServe: a group that has all that is wanted is not thereby well.
func TestStatusNamesWhatDoesNotServe(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.apply(w.oneZone()) // nothing answers at the server's address
	w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	w.lacks("Site/www", "pool web: no server is up: 1 down", "lb1")
	w.origin(200, "web1")
	w.lacks("", "")
	w.apply("kind: Pool\nmetadata: {name: web, role: web}\nspec: {selector: {role: web, clusters: [none]}, port: http, healthCheck: {path: /ping, interval: 100ms, rise: 1}}\n")
	w.lacks("Site/www", "pool web: no server is in it", "lb1")
	w.apply(w.oneZone())
	w.lacks("", "")
	// Servers that are up do not make up for a site that HAProxy refuses.
	w.apply("kind: Site\nmetadata: {name: routed, role: web}\nspec: {hostnames: [routed.example.com], addresses: [www], listeners: [{port: 80}], routes: [{match: {path: {regex: '/x{3,1}'}}, backend: default}], backends: {default: web}}\n")
	w.lacks("Site/routed", "nothing stands in for it", "lb1")
	if c := w.conditions("sites/routed")["Serving"]; c.Status != "False" || c.Of != 0 {
		t.Errorf("a site that is refused: %+v", c)
	}
}

// TestServersTakenOutDoNotServe: who has drained the last server and waited is told at once that nothing serves, and
// after it is back that all does; HAProxy itself calls a server without weight up.
func TestServersTakenOutDoNotServe(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.apply(w.oneZone())
	w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	w.health("web", "web1", "up")
	wait := func(revision int64) {
		t.Helper()
		if _, err := w.call("GET", fmt.Sprintf("/api/v1/status?wait=%d", revision), "", nil); err != nil {
			t.Fatal(err)
		}
	}
	for state, words := range map[string]string{"drain": "1 drained", "maintenance": "1 in maintenance"} {
		wait(w.apply(override("state: "+state, time.Now().Add(time.Hour))))
		if all := w.outages(); len(all) != 1 || all[0].Object != "Site/www" || !all[0].Down || !strings.Contains(all[0].Message, "no server is up: "+words) {
			t.Errorf("%s: %+v", state, all)
		}
		if c := w.conditions("sites/www")["Serving"]; c.Status != "False" || !strings.Contains(c.Message, "1 drained or in maintenance") {
			t.Errorf("%s: the site's condition is %+v", state, c)
		}
		var back struct{ Revision int64 }
		if _, err := w.call("DELETE", "/api/v1/overrides/o?reason=done", "", &back); err != nil {
			t.Fatal(err)
		}
		wait(back.Revision)
		w.health("web", "web1", "up")
		w.lacks("", "")
	}
}

// TestHealthIsKnownAfterWaiting: whoever waited for a change and looks sees how the servers are that it made.
func TestHealthIsKnownAfterWaiting(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.origin(201, "web2")
	w.apply(w.oneZone())
	w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	revision := w.apply(w.twoServers())
	if _, err := w.call("GET", fmt.Sprintf("/api/v1/status?wait=%d", revision), "", nil); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Servers []struct {
			Server string
			Up, Of int
		}
	}
	if _, err := w.call("GET", "/api/v1/pools/web/health", "", &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Servers) != 2 || answer.Servers[1].Server != "web2" || answer.Servers[1].Up != 1 {
		t.Errorf("right after waiting: %+v", answer.Servers)
	}
	if all := w.outages(); len(all) > 0 {
		t.Errorf("right after waiting: %+v", all)
	}
}
