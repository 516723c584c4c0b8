package e2e

import (
	"fmt"
	"testing"

	"weir/internal/weirtest"
)

// origin starts a named origin at one of the test's own addresses.
func (w *world) origin(host int, name string) *weirtest.Origin {
	w.t.Helper()
	o := weirtest.NewOrigin(w.t, w.at(host).String()+":9000")
	o.Name = name
	return o
}

// oneZone declares a zone, a group of the test's addresses 16 to 31 bound as they are, an address and a site
// with the server at 200.
func (w *world) oneZone() string {
	return fmt.Sprintf(`
kind: Zone
metadata: {name: az1}
---
kind: Role
metadata: {name: web}
---
kind: Tuning
metadata: {name: default}
spec: {ports: [{port: 8080, mode: http}, {port: 8443, mode: https}]}
---
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [%[1]s/28], tuning: default}
---
kind: IPAddress
metadata: {name: www, role: web}
spec: {address: %[2]s, homeZone: az1, groups: [edge]}
---
kind: Server
metadata: {name: web1, role: web}
spec: {address: %[3]s, zone: az1, ports: {http: 9000}}
---
kind: Pool
metadata: {name: web, role: web}
spec: {selector: {role: web}, port: http, healthCheck: {path: /ping, interval: 100ms, rise: 1}}
---
kind: Site
metadata: {name: www, role: web}
spec:
  hostnames: [www.example.com]
  addresses: [www]
  listeners: [{port: 8080}]
  backends: {default: web}
`, w.at(16), w.at(17), w.at(200))
}

func TestObjectsBecomeTraffic(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.apply(w.oneZone())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		vip := w.at(17).String() + ":8080"
		if from := w.serves(vip, "www.example.com", "/"); from != "web1" {
			t.Errorf("served by %q", from)
		}
		reloads := w.reloads()
		w.origin(201, "web2")
		w.converged(w.apply(fmt.Sprintf(`
kind: Server
metadata: {name: web2, role: web}
spec: {address: %s, zone: az1, ports: {http: 9000}}
---
kind: Server
metadata: {name: web1, role: web}
spec: {address: %s, zone: az1, ports: {http: 9000}, weight: 0}
`, w.at(201), w.at(200))))
		weirtest.Eventually(t, waitLong, func() error {
			if _, origin, err := w.get(vip, "www.example.com", "/"); origin != "web2" {
				return fmt.Errorf("served by %q: %v", origin, err)
			}
			return nil
		})
		if w.reloads() != reloads {
			t.Errorf("servers took a reload: %+v", w.status())
		}
		again := w.apply(w.oneZone())
		if third := w.apply(w.oneZone()); third != again {
			t.Errorf("applying again made revision %d after %d", third, again)
		}
		w.converged(again)
	})
}
