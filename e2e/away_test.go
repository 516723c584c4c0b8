package e2e

import (
	"fmt"
	"testing"
	"time"

	"weir/internal/agent"
	"weir/internal/weirtest"
)

// TestControlPlaneIsAwayForAnHour: the clocks are put forward by one. Meanwhile agents and HAProxies start again on
// what they have, serve, check, and end an override on time; when the control plane is back it is told of all that.
func TestControlPlaneIsAwayForAnHour(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	second := w.origin(201, "web2")
	w.apply(w.twoServers())
	a := &runningAgent{name: "lb1", dir: w.dir + "/lb1", haproxy: h, edit: func(o *agent.Options) { o.StopWithAgent = false }}
	w.leftServing(a)
	w.joinAs(a, "edge", "az1", "")
	w.converged(w.apply(override("state: drain", time.Now().Add(30*time.Minute))))
	w.health("web", "web2", "up")
	at := w.at(17).String() + ":8080"
	w.onlyFrom(at, "www.example.com", "web2")
	clients := w.send(at, "www.example.com")
	clients.more(20)

	w.stopServer()
	a.stop()
	w.startAgent(a)
	clients.more(20)
	later := func() time.Time { return time.Now().Add(time.Hour) }
	a.stop()
	a.edit = func(o *agent.Options) { o.StopWithAgent, o.Clock = false, later }
	w.startAgent(a)
	before := clients.count()
	w.onlyFrom(at, "www.example.com", "web1", "web2") // the override has ended
	clients.more(20)
	dead := time.Now()
	w.killHAProxy(a)
	w.serves(at, "www.example.com", "/")
	clients.failsOnly(dead, time.Now())
	w.onlyFrom(at, "www.example.com", "web1", "web2")
	second.Stop()
	w.onlyFrom(at, "www.example.com", "web1")
	asked := clients.count() - before

	w.clock = later
	w.startServer()
	w.converged(1)
	w.warned("")
	w.health("web", "web2", "down")
	weirtest.Eventually(t, waitLong, func() error {
		if n := w.status().Groups[0].LoadBalancers[0].Ended.Count; n != 1 {
			return fmt.Errorf("HAProxy ended once, and status says %d times", n)
		}
		if n := w.requests("www"); n < asked {
			return fmt.Errorf("the control plane has been told of %d requests of %d", n, asked)
		}
		return nil
	})
	w.converged(w.weigh(33))
	clients.more(20)
	clients.flawless()
}

// requests is how many of a site the control plane has been told of.
func (w *world) requests(site string) int {
	w.t.Helper()
	var answer struct {
		Sites map[string]struct{ Requests int }
	}
	if _, err := w.call("GET", "/api/v1/counts", "", &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.Sites[site].Requests
}
