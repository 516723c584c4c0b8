package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// The faults that were seen live in the nearest other product, each as a test.

// TestPeerFault1: an added server gets traffic by itself, with its health check on.
func TestPeerFault1(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		second := w.origin(201, "web2")
		w.apply(w.oneZone())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		vip := w.at(17).String() + ":8080"
		w.serves(vip, "www.example.com", "/")
		w.health("web", "web1", "up") // where none is, servers are tried all the same
		reloads := w.reloads()
		w.converged(w.apply(fmt.Sprintf("kind: Server\nmetadata: {name: web2, role: web}\nspec: {address: %s, zone: az1, ports: {http: 9000}}", w.at(201))))
		weirtest.Eventually(t, waitLong, func() error {
			if _, origin, err := w.get(vip, "www.example.com", "/"); origin != "web2" {
				return fmt.Errorf("served by %q %v", origin, err)
			}
			return nil
		})
		if second.Hits("/ping") == 0 {
			t.Error("the new server gets traffic and no check")
		}
		// The check is on: when it fails, and it alone, traffic goes.
		second.SetStatus("/ping", 500)
		w.health("web", "web2", "down")
		for range 20 {
			if _, origin, err := w.get(vip, "www.example.com", "/"); origin != "web1" {
				t.Errorf("a server whose check fails was asked: %q %v", origin, err)
			}
		}
		second.SetStatus("/ping", 200)
		w.health("web", "web2", "up")
		if w.reloads() != reloads {
			t.Errorf("the server took a reload: %+v", w.status())
		}
	})
}

// health waits until all load balancers see a server so.
func (w *world) health(pool, server, state string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		var answer struct {
			Servers []struct {
				Server string
				Views  []struct{ LoadBalancer, State, Check string }
			}
		}
		if _, err := w.call("GET", "/api/v1/pools/"+pool+"/health", "", &answer); err != nil {
			return err
		}
		for _, s := range answer.Servers {
			if s.Server != server {
				continue
			}
			for _, v := range s.Views {
				if v.State != state {
					return fmt.Errorf("%s sees %s %s: %s", v.LoadBalancer, server, v.State, v.Check)
				}
			}
			return nil
		}
		return fmt.Errorf("nobody sees %s: %+v", server, answer)
	})
}

// TestPeerFault3: an edit of one object moves no rule of another. 100 probes of hosts and paths give the same
// before and after each of many edits of other objects.
func TestPeerFault3(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		for i, name := range []string{"default", "api", "exact", "old", "mapped", "listed"} {
			w.origin(200+i, name)
		}
		w.apply(w.oneZone() + w.manyRoutes())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		for _, pool := range []string{"r-default", "r-api", "r-exact", "r-old", "r-mapped", "r-listed"} {
			w.health(pool, "o", "up")
		}
		before := w.probes()
		different := map[string]bool{}
		for _, p := range before {
			different[p] = true
		}
		if len(different) < 6 {
			t.Fatalf("the probes tell too little apart: %v", different)
		}
		for _, edit := range unrelated {
			w.converged(w.apply(strings.ReplaceAll(edit, "ORIGIN", w.at(200).String())))
			after := w.probes()
			for name, was := range before {
				if after[name] != was {
					t.Errorf("after %q: %s is %s, was %s", strings.TrimSpace(edit)[:40], name, after[name], was)
				}
			}
		}
	})
}

// manyRoutes is a site with routes of all kinds, among them some that would match the same path.
func (w *world) manyRoutes() string {
	var b strings.Builder
	for i, name := range []string{"default", "api", "exact", "old", "mapped", "listed"} {
		fmt.Fprintf(&b, "---\nkind: Pool\nmetadata: {name: r-%s, role: web}\nspec: {members: [{name: o, address: %s, port: 9000}], healthCheck: {interval: 200ms, rise: 1}}\n", name, w.at(200+i))
	}
	b.WriteString(`---
kind: Map
metadata: {name: legacy, role: web}
spec: {match: regex, entries: [{key: '/m[0-9]+(/.*)?', value: mapped}, {key: '/api/.*', value: old}]}
---
kind: AccessList
metadata: {name: nobody, role: web}
spec: {networks: [10.99.0.0/16]}
---
kind: Site
metadata: {name: routes, role: web}
spec:
  hostnames: [routes.example.com, "*.routes.example.com"]
  addresses: [www]
  listeners: [{port: 8080}]
  backends: {default: r-default, api: r-api, exact: r-exact, old: r-old, mapped: r-mapped, listed: r-listed}
  routes:
  - {match: {accessList: nobody}, backend: listed}
  - {match: {path: {exact: /api/exact}}, backend: exact}
  - {match: {path: {prefix: /api}}, backend: api}
  - {match: {path: {prefix: /api/v1/deep}}, backend: old}
  - {match: {path: {regex: '/old-[a-z]+'}}, backend: old}
  - {match: {path: {regex: '/old-.*'}}, backend: exact}
  - {match: {map: legacy}}
---
kind: Site
metadata: {name: moved, role: web}
spec: {hostnames: [listed.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: r-listed}}
`)
	return b.String()
}

// unrelated are edits of other objects than the sites that are probed.
var unrelated = []string{
	"kind: Site\nmetadata: {name: a-first, role: web}\nspec: {hostnames: [a.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: web}, routes: [{match: {path: {regex: '/.*'}}, backend: default}]}",
	"kind: Site\nmetadata: {name: z-last, role: web}\nspec: {hostnames: ['*.example.com', '*'], addresses: [www], listeners: [{port: 8080}], backends: {default: web}, routes: [{match: {path: {prefix: /}}, backend: default}]}",
	"kind: Map\nmetadata: {name: a-map, role: web}\nspec: {match: regex, entries: [{key: '/.*', value: default}]}\n---\nkind: Site\nmetadata: {name: a-first, role: web}\nspec: {hostnames: [a.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: web}, routes: [{match: {map: a-map}}]}",
	"kind: AccessList\nmetadata: {name: all, role: web}\nspec: {networks: [0.0.0.0/0]}\n---\nkind: Site\nmetadata: {name: z-last, role: web}\nspec: {hostnames: ['*.example.com', '*'], addresses: [www], listeners: [{port: 8080}], backends: {default: web}, routes: [{match: {accessList: all}, backend: default}]}",
	"kind: Pool\nmetadata: {name: web, role: web}\nspec: {selector: {role: web}, port: http, balance: leastconn, persistence: {cookie: X}, healthCheck: {path: /ping}}",
	"kind: Server\nmetadata: {name: web9, role: web}\nspec: {address: ORIGIN, zone: az1, ports: {http: 9000}, weight: 3}",
	"kind: Zone\nmetadata: {name: az0}\n---\nkind: IPAddress\nmetadata: {name: www2, role: web}\nspec: {address: ORIGIN, homeZone: az0, groups: [other]}\n---\nkind: LoadBalancerGroup\nmetadata: {name: other}\nspec: {ranges: [ORIGIN/32]}",
	"kind: Tuning\nmetadata: {name: default}\nspec: {ports: [{port: 8080, mode: http}, {port: 8443, mode: https}, {port: 8081, mode: http}], timeouts: {client: 20s}}",
}

// probes asks for 100 hosts and paths and gives what came of each.
func (w *world) probes() map[string]string {
	w.t.Helper()
	results := map[string]string{}
	for _, host := range []string{"routes.example.com", "ROUTES.example.com.", "x.y.routes.example.com", "listed.example.com", "www.example.com"} {
		for _, path := range []string{
			"/", "/api", "/api/", "/api/exact", "/api/exact/", "/apis", "/api/v1", "/api/v1/deep", "/api/v1/deep/er", "/api/v1/deeper",
			"/old-x", "/old-x/", "/old-", "/old-X", "/m1", "/m1/x", "/m", "/mm1", "/API", "/x?/api",
		} {
			status, origin, err := w.get(w.at(17).String()+":8080", host, path)
			results[host+path] = fmt.Sprint(status, " ", origin, " ", err)
		}
	}
	return results
}

// TestPeerFault5: a reload that fails takes back nothing that was acknowledged before, run time and disk agree, what
// is wished meanwhile ships, and who is to blame is told.
func TestPeerFault5(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.apply(w.oneZone())
		a := w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		w.converged(w.weigh(17))
		worker := w.worker(a)
		// HAProxy's own check is content with more files than the system gives; its start is not.
		tuning := "kind: Tuning\nmetadata: {name: default}\nspec: {ports: [{port: 8080, mode: http}, {port: 8443, mode: https}], openFiles: %d}\n"
		w.converged(w.apply(fmt.Sprintf(tuning, 100_000_000)))
		w.says("tunings/default", "Quarantined", "True", "lb1", "FD limit")
		if now := w.worker(a); now != worker {
			t.Errorf("worker %d is now %d", worker, now)
		}
		w.weighs(a, 17)
		w.converged(w.weigh(18))
		w.weighs(a, 18)
		w.restartAll()
		w.converged(1)
		w.weighs(a, 18)
		w.converged(w.apply(fmt.Sprintf(tuning, 1024)))
		w.says("tunings/default", "Programmed", "True")
		w.weighs(a, 18)
	})
}

func (w *world) weigh(weight int) int64 {
	return w.apply(fmt.Sprintf("kind: Server\nmetadata: {name: web1, role: web}\nspec: {address: %s, zone: az1, ports: {http: 9000}, weight: %d}", w.at(200), weight))
}

// members gives the state of the servers that pools have, without Weir's own means.
func members(w *world, client *hapctl.Client) ([]haproxy.ServerState, error) {
	states, err := client.ServersState(w.t.Context(), "")
	return slices.DeleteFunc(states, func(s haproxy.ServerState) bool { return haproxy.Own(s.Server) }), err
}

// weighs checks the weight of web1 at run time and on disk.
func (w *world) weighs(a *runningAgent, weight int) {
	w.t.Helper()
	states, err := members(w, w.socket(a))
	if err != nil || len(states) != 1 || states[0].Weight != weight {
		w.t.Errorf("at run time: %+v %v, want weight %d", states, err, weight)
	}
	text, err := os.ReadFile(filepath.Join(a.folder(), "haproxy.cfg"))
	if err != nil || !strings.Contains(string(text), fmt.Sprintf(" weight %d ", weight)) {
		w.t.Errorf("on disk there is no weight %d: %v", weight, err)
	}
}
