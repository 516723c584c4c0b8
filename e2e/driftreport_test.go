package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// reporting is a group of two load balancers that leaves alone what is done by hand, and looks as often as by default.
func reporting(t *testing.T, h weirtest.HAProxy) (w *world, one *runningAgent) {
	w = newWorld(t)
	w.origin(200, "web1")
	w.origin(201, "web2")
	w.apply(strings.Replace(w.twoServers(), "tuning: default}", "tuning: default, drift: report}", 1))
	one = w.join("lb1", "edge", "az1", h, "")
	w.join("lb2", "edge", "az1", h, fmt.Sprintf(`,"localRanges":{"%s/28":"%s/28"}`, w.at(16), w.at(32)))
	w.converged(1)
	w.health("web", "web1", "up")
	w.health("web", "web2", "up")
	return w, one
}

// memberName gives the full name of a server in HAProxy.
func (w *world) memberName(a *runningAgent, server string) string {
	w.t.Helper()
	states, err := members(w, w.socket(a))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range states {
		if strings.HasPrefix(s.Server, server+".") {
			return s.Backend + "/" + s.Server
		}
	}
	w.t.Fatalf("%s has no server %s", a.name, server)
	return ""
}

// undrifted waits until an object says nothing of other hands.
func (w *world) undrifted(address string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		if c, ok := w.conditions(address)["Drifted"]; ok && c.Status == "True" {
			return fmt.Errorf("%s: %+v", address, c)
		}
		return nil
	})
}

// as calls the API with a fresh token of a subject that has a right on the role web.
func (w *world) as(subject, right string, f func()) {
	w.t.Helper()
	w.apply(fmt.Sprintf("kind: Grant\nmetadata: {name: %s}\nspec: {subject: %s, role: web, right: %s}\n", subject, subject, right))
	var made struct{ Token string }
	if _, err := w.call("POST", "/api/v1/tokens", fmt.Sprintf(`{"kind":"Token","metadata":{"name":%q},"spec":{"subject":%q}}`, subject, subject), &made); err != nil {
		w.t.Fatal(err)
	}
	own := w.token
	w.token = made.Token
	f()
	w.token = own
}

// TestDriftIsLeftAndAdopted: a drain by hand stays, is told on the server, its pool and the load balancer, survives
// wishes for others and a restart of the agent, and is adopted by who has the right.
func TestDriftIsLeftAndAdopted(t *testing.T) {
	t.Parallel() // it mostly waits
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w, one := reporting(t, h)
		reloads := w.reloads()
		w.do(one, "set", "server", w.memberName(one, "web1"), "state", "drain")
		w.says("servers/web1", "Drifted", "True", "lb1: in pool web drained by hand since ")
		w.says("pools/web", "Drifted", "True", "lb1: server web1 drained by hand since ")
		w.says("loadbalancers/lb1", "Drifted", "True", "changed by hand since ", "State 1")
		first, second := w.at(17).String()+":8080", w.at(33).String()+":8080"
		w.onlyFrom(first, "www.example.com", "web2")
		w.onlyFrom(second, "www.example.com", "web1", "web2")

		w.converged(w.apply(fmt.Sprintf("kind: Server\nmetadata: {name: web2, role: web}\nspec: {address: %s, zone: az1, ports: {http: 9000}, weight: 50}\n", w.at(201))))
		one.stop()
		w.startAgent(one)
		w.converged(1)
		w.says("servers/web1", "Drifted", "True", "drained by hand")

		w.as("vic", "viewer", func() {
			if status, err := w.call("POST", "/api/v1/apply?reason=mine", override("state: drain, pool: web", time.Now().Add(time.Hour)), nil); status != http.StatusForbidden || !strings.Contains(fmt.Sprint(err), "operator") {
				t.Errorf("a viewer adopts: %d %v", status, err)
			}
			w.says("servers/web1", "Drifted", "True", "drained by hand")
		})
		w.as("olga", "operator", func() {
			w.apply(override("state: drain, pool: web", time.Now().Add(time.Hour)))
		})
		w.undrifted("servers/web1")
		w.undrifted("loadbalancers/lb1")
		w.onlyFrom(second, "www.example.com", "web2")
		if _, err := w.call("DELETE", "/api/v1/overrides/o?reason=done", "", nil); err != nil {
			t.Fatal(err)
		}
		w.onlyFrom(first, "www.example.com", "web1", "web2")
		w.undrifted("servers/web1")
		if w.reloads() > reloads { // an agent that starts anew counts anew
			t.Errorf("it took a reload: %+v", w.status())
		}
	})
}

// TestDriftIsToldWhenUndone: an operator who fights is told how often, and the metrics count.
func TestDriftIsToldWhenUndone(t *testing.T) {
	t.Parallel() // it mostly waits
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.apply(w.oneZone())
		a := w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		w.health("web", "web1", "up")
		name := w.memberName(a, "web1")
		for _, words := range []string{"undone at ", ", 2 times by now", ", 3 times by now"} {
			w.do(a, "set", "server", name, "weight", "7")
			w.says("servers/web1", "Drifted", "False", "weight 100 → 7", words)
		}
		w.says("loadbalancers/lb1", "Drifted", "False", "lb1: changes by hand undone since its agent began: 3, the last at ")
		cfg := filepath.Join(a.folder(), "haproxy.cfg")
		text, err := os.ReadFile(cfg)
		if err == nil {
			err = os.WriteFile(cfg, []byte("# mine\n"+string(text)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		weirtest.Eventually(t, waitLong, func() error {
			if have, err := os.ReadFile(cfg); err != nil || string(have) != string(text) {
				return fmt.Errorf("haproxy.cfg is not as it was: %v", err)
			}
			answer, err := http.Get("http://" + w.at(1).String() + ":7444/metrics")
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			raw, err := io.ReadAll(answer.Body)
			if want := `weir_loadbalancer_drift_undone_total{group="edge",loadbalancer="lb1",zone="az1"} 4`; err != nil || !strings.Contains(string(raw), want) {
				return fmt.Errorf("%s is not in the metrics: %v", want, err)
			}
			return nil
		})
	})
}
