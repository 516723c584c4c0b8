package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/api"
	"weir/internal/weirtest"
)

// TestPoolTryAndChecks: a pool's check is run by each load balancer's own HAProxy before the pool is saved, through the
// control plane that the agents are not connected to, while traffic goes on as before; and when a server goes and comes
// back both control planes tell when, where and what the check said.
func TestPoolTryAndChecks(t *testing.T) {
	t.Parallel()
	all := weirtest.HAProxies(t)
	one, two := newCluster(t)
	origin := one.origin(200, "web1")
	one.apply(one.oneZone())
	agents := []*runningAgent{
		one.join("lb1", "edge", "az1", all[0], ""),
		one.join("lb2", "edge", "az1", all[1], fmt.Sprintf(`,"localRanges":{"%s/28":"%s/28"}`, one.at(16), one.at(32))),
	}
	two.converged(1)
	at := one.at(17).String() + ":8080"
	one.serves(at, "www.example.com", "/")
	clients := one.send(at, "www.example.com")
	clients.more(10)
	try := func(w *world, lb, check string) map[string]api.Tried {
		t.Helper()
		pool := fmt.Sprintf("kind: Pool\nmetadata: {name: coming, role: web}\nspec:\n  selector: {role: web}\n  port: http\n  members: [{name: gone, address: %s, port: 9000}]\n  healthCheck: %s\n", one.at(201), check)
		var answer api.TryAnswer
		if _, err := w.call("POST", "/api/v1/pools/try?loadBalancer="+lb, pool, &answer); err != nil {
			t.Fatal(err)
		}
		results := map[string]api.Tried{}
		for _, r := range answer.Tried {
			if r.LoadBalancer != lb || r.Address == "" || r.Port != 9000 {
				t.Errorf("%+v", r)
			}
			results[r.Server] = r
		}
		return results
	}
	weirtest.Eventually(t, waitLong, func() error { // until both control planes have what the agents reported
		_, err := two.call("POST", "/api/v1/pools/try", "kind: Pool\nmetadata: {name: coming, role: web}\nspec: {selector: {role: web}, port: http, healthCheck: {path: /ping}}\n", nil)
		return err
	})
	for i, lb := range []string{"lb1", "lb2"} {
		w := []*world{one, two}[i]
		got := try(w, lb, "{path: /ping, expect: \"200-399\"}")
		if r := got["web1"]; !r.Passed || r.Status != "L7OK" || r.Code != 200 {
			t.Errorf("%s: web1: %+v", lb, r)
		}
		if r := got["gone"]; r.Passed || r.Status != "L4CON" || !strings.Contains(strings.ToLower(r.Said), "refused") {
			t.Errorf("%s: gone: %+v", lb, r)
		}
		got = try(two, lb, "{type: tcp}")
		if r := got["web1"]; !r.Passed || r.Status != "L4OK" {
			t.Errorf("%s: web1 over tcp: %+v", lb, r)
		}
		if _, err := os.Stat(filepath.Join(agents[i].dir, "try")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a folder is left: %v", lb, err)
		}
	}
	clients.more(10)
	clients.end()
	if n := one.reloads(); n > 0 {
		t.Errorf("%d reloads", n)
	}
	origin.SetHealthy(false)
	one.health("web", "web1", "down")
	origin.SetHealthy(true)
	one.health("web", "web1", "up")
	for _, w := range []*world{one, two} {
		weirtest.Eventually(t, waitLong, func() error {
			var log api.ServerChecks
			if _, err := w.call("GET", "/api/v1/servers/web1/checks", "", &log); err != nil {
				return err
			}
			seen := map[string]bool{}
			for _, e := range log.Events {
				if e.Pool != "web" || e.Time.IsZero() || e.To == "down" && e.Said == "" {
					return fmt.Errorf("%+v", e)
				}
				seen[e.LoadBalancer+" "+e.To] = true
			}
			for _, want := range []string{"lb1 down", "lb1 up", "lb2 down", "lb2 up"} {
				if !seen[want] {
					return fmt.Errorf("no %s in %+v", want, log.Events)
				}
			}
			return nil
		})
	}
}
