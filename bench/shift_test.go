package bench

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var shiftFigures = []string{"shift_ms", "shift_failed_requests"}

const (
	shiftRounds = 15
	shiftProbes = 2   // at each load balancer, each asking every probePace
	shiftOrigin = 120 // last part of the address of the first zone's first server; those of the next zone are 20 further
	// shiftQuiet is how long nobody may have been answered by the zone any more for its traffic to count as gone.
	shiftQuiet = 300 * time.Millisecond
)

// shiftWorld is six load balancers of three zones, all asked for the address that is at home in the first.
type shiftWorld struct {
	*watchers
	failed int
	served int
	last   time.Time // newest answer of the first zone's servers
	home   []bool    // by probe: the newest answer was one of theirs
}

// measureShift takes a site out of a zone, again and again, and gives the milliseconds from the API's answer to the last
// answer of one of the zone's servers over any of six load balancers, and how many requests have failed in all of it.
func measureShift(t *testing.T) []figure {
	w := startShift(t)
	reloads := w.fleet.reloads()
	var took []float64
	for range shiftRounds {
		took = append(took, w.shift())
	}
	t.Logf("shifts took %.4g ms, beside %d requests, with %d reloads", took, w.served, w.fleet.reloads()-reloads)
	return []figure{
		{shiftFigures[0], median(took), "ms"},
		{shiftFigures[1], float64(w.failed), "requests"},
	}
}

func shiftHost(zone, n int) int { return shiftOrigin + 20*zone + n }

func startShift(t *testing.T) *shiftWorld {
	t.Helper()
	l := newLoop(t)
	f := startFleet(t, l)
	var b strings.Builder
	for zone, name := range zones {
		fmt.Fprintf(&b, `---
kind: IPAddress
metadata: {name: www-%[1]s, role: web}
spec: {address: 203.0.113.%[2]d, homeZone: %[1]s, groups: [edge]}
---
kind: Pool
metadata: {name: web-%[1]s, role: web}
spec: {selector: {role: web, zone: %[1]s}, port: http, healthCheck: {path: /ping, interval: 200ms}}
`, name, zone+1)
		for n := range 2 {
			host := shiftHost(zone, n)
			l.origin(t, f.originAddr(host), originAnswer(host))
			fmt.Fprintf(&b, "---\nkind: Server\nmetadata: {name: s%d, role: web}\nspec: {address: %s, zone: %s, ports: {http: %d}}\n", host, f.where.at(byte(host)), name, originPort)
		}
	}
	b.WriteString(`---
kind: Site
metadata: {name: www, role: web}
spec:
  hostnames: [www.bench.example]
  addresses: [www-az1, www-az2, www-az3]
  listeners: [{port: 80}]
  backends: {default: {az1: web-az1, az2: web-az2, az3: web-az3}}
`)
	f.must(http.MethodPost, "apply?reason=bench", b.String())
	f.eventually("the site is on all load balancers", 20*time.Second, f.converged)
	f.rest(2 * time.Second) // until the checks have let the servers in
	w := &shiftWorld{watchers: &watchers{fleet: f}, home: make([]bool, fleetSize*shiftProbes)}
	for i := range w.home {
		lb := i / shiftProbes
		p := &probe{loop: l, name: fleetName(lb), addr: netip.AddrPortFrom(f.where.at(byte(16*lb+17)), fleetPort), failed: &w.failed}
		p.begin(func(origin int) bool { w.note(i, origin); return false }, 1)
		if err := p.dial(); err != nil {
			t.Fatal(err)
		}
		w.probes = append(w.probes, p)
	}
	w.atHome()
	w.failed = 0
	return w
}

func (w *shiftWorld) note(probe, origin int) {
	w.served++
	if w.home[probe] = origin < shiftHost(1, 0); w.home[probe] {
		w.last = time.Now()
	}
}

// atHome asks until the first zone answers all over again.
func (w *shiftWorld) atHome() {
	w.fleet.t.Helper()
	w.until("the zone has its traffic", func() bool { return !slices.Contains(w.home, false) })
}

func (w *shiftWorld) until(what string, holds func() bool) {
	w.fleet.t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); w.turn() {
		if time.Now().After(end) {
			w.fleet.t.Fatalf("wait until %s: it has not come to that", what)
		}
	}
}

// called calls the API beside the traffic and gives when it answered.
func (w *shiftWorld) called(method, path, body string) time.Time {
	w.fleet.t.Helper()
	var err error
	var at time.Time
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err = w.fleet.call(method, path, body)
		at = time.Now()
	}()
	for {
		select {
		case <-done:
			if err != nil {
				w.fleet.t.Fatal(err)
			}
			return at
		default:
			w.turn()
		}
	}
}

// shift takes the site out of the first zone, gives the milliseconds until the zone's last answer, and takes it back.
func (w *shiftWorld) shift() float64 {
	w.fleet.t.Helper()
	accepted := w.called(http.MethodPut, "zoneshifts/out", fmt.Sprintf(
		`{"kind":"ZoneShift","metadata":{"name":"out","role":"web"},"spec":{"sites":["www"],"zone":"az1","reason":"bench","expiresAt":%q}}`,
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	w.until("the zone's servers have no traffic", func() bool {
		return time.Since(w.last) > shiftQuiet && !slices.Contains(w.home, true)
	})
	took := max(0, float64(w.last.Sub(accepted).Microseconds())/1000)
	w.called(http.MethodDelete, "zoneshifts/out", "")
	w.atHome()
	return took
}
