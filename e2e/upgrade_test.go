package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestUpgradeInAnyOrder: server and agent are upgraded one after the other, in either order and back, while clients ask and
// things change; no request fails, and HAProxy has the same worker throughout.
func TestUpgradeInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"server agent", "agent server", "server agent agent server"} {
		t.Run(strings.ReplaceAll(order, " ", "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.version = "1"
			w.stopServer()
			w.startServer()
			w.origin(200, "web1")
			w.origin(201, "web2")
			w.apply(w.twoServers())
			a := &runningAgent{name: "lb1", dir: w.dir + "/lb1", haproxy: weirtest.HAProxies(t)[0]}
			u := w.newUnit(a.haproxy, "")
			a.edit = u.options // a HAProxy that does not end with the agent
			w.joinAs(a, "edge", "az1", "")
			w.converged(1)
			at := w.at(17).String() + ":8080"
			w.onlyFrom(at, "www.example.com", "web1", "web2")
			worker := u.worker(a)
			clients := w.send(at, "www.example.com")
			clients.more(50)
			version := map[string]string{"server": "1", "agent": "1"}
			for i, what := range strings.Fields(order) {
				version[what] = map[string]string{"1": "2", "2": "1"}[version[what]]
				w.version = version[what]
				if what == "server" {
					w.stopServer()
					w.startServer()
				} else {
					a.stop()
					w.startAgent(a)
				}
				weight := fmt.Sprintf("weight: %d", 10+i)
				w.converged(w.apply(override(weight, time.Now().Add(time.Hour))))
				clients.more(50)
			}
			clients.flawless()
			if now := u.worker(a); now != worker {
				t.Errorf("HAProxy has worker %d now, at first it had %d", now, worker)
			}
		})
	}
}
