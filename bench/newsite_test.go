package bench

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

var newSiteFigures = []string{"newsite_p50_ms", "newsite_p99_ms", "newsite_reloads"}

const (
	newSites       = 60
	newSitesBeside = 100 // sites that are there before
	newSiteProbes  = 4   // of the site that has traffic, each asking every probePace
	// The two servers of a new site's two pools, by the last part of their addresses.
	newDefault, newAPI = 203, 204
)

// newSiteWorld is one load balancer that has traffic.
type newSiteWorld struct {
	*watchers
	failed int // requests of the site that was there
}

// measureNewSite makes sites with routes, two pools and a server in each, one after the other, each by one call, on a load
// balancer that has others and traffic for one of them. It gives the milliseconds from the API's answer until both pools
// answer the new site's clients, from then on always. Of so few the 99th percentile is the worst.
func measureNewSite(t *testing.T) []figure {
	w := startNewSite(t)
	reloads := w.fleet.reloads()
	var took []float64
	for n := range newSites {
		took = append(took, w.add(n))
		w.turnFor(100 * time.Millisecond)
	}
	if w.failed > 0 {
		t.Errorf("%d requests of the site that was there have failed", w.failed)
	}
	t.Logf("new sites took %.4g ms", took)
	w.turnFor(time.Second) // until a reload would have been told
	return []figure{
		{newSiteFigures[0], median(took), "ms"},
		{newSiteFigures[1], percentile(took, 99), "ms"},
		{newSiteFigures[2], float64(w.fleet.reloads() - reloads), "reloads"},
	}
}

func startNewSite(t *testing.T) *newSiteWorld {
	t.Helper()
	l := newLoop(t)
	f := startControlPlane(t, l, 1)
	for _, n := range []int{firstOrigin, secondOrigin, newDefault, newAPI} {
		l.origin(t, f.originAddr(n), originAnswer(n))
	}
	var b strings.Builder
	// Servers of the site that has traffic are told apart from others by their cluster.
	b.WriteString(strings.Replace(f.siteAlone(), "selector: {role: web}", "selector: {role: web, clusters: [www]}", 1))
	for i, host := range []int{firstOrigin, secondOrigin} {
		b.WriteString(f.newServer(fmt.Sprintf("www-%d", i), "www", host))
	}
	for n := range newSitesBeside {
		b.WriteString(f.newSite(fmt.Sprintf("old%03d", n)))
	}
	f.must(http.MethodPost, "apply?reason=bench", b.String())
	f.startLoadBalancer(0)
	f.eventually("the load balancer is read back", 30*time.Second, f.converged)
	f.rest(2 * time.Second) // until the checks have let the servers in
	w := &newSiteWorld{watchers: &watchers{fleet: f}}
	for range newSiteProbes {
		p := &probe{loop: l, name: fleetName(0), addr: f.fleetVIP(0), failed: &w.failed}
		if err := p.dial(); err != nil {
			t.Fatal(err)
		}
		w.probes = append(w.probes, p)
	}
	w.turnFor(time.Second)
	if w.failed > 0 {
		t.Fatalf("%d requests fail before anything has changed", w.failed)
	}
	return w
}

func (f *fleet) newServer(name, cluster string, host int) string {
	return fmt.Sprintf("---\nkind: Server\nmetadata: {name: %s, role: web}\nspec: {address: %s, zone: az1, clusters: [%s], ports: {http: %d}}\n",
		name, f.where.at(byte(host)), cluster, originPort)
}

// newSite is a site with everything that it needs, but for its address: two pools, which are checked as pools are by
// default, and routes to one of them, to a redirect, and by a method.
func (f *fleet) newSite(name string) string {
	var b strings.Builder
	for pool, host := range map[string]int{name + "-default": newDefault, name + "-api": newAPI} {
		b.WriteString(f.newServer(pool, pool, host))
		fmt.Fprintf(&b, "---\nkind: Pool\nmetadata: {name: %s, role: web}\nspec: {selector: {role: web, clusters: [%[1]s]}, port: http, healthCheck: {path: /ping}}\n", pool)
	}
	fmt.Fprintf(&b, `---
kind: Site
metadata: {name: %[1]s, role: web}
spec:
  hostnames: [%[1]s.bench.example]
  addresses: [www-az1]
  listeners: [{port: 80}]
  backends: {default: %[1]s-default, api: %[1]s-api}
  routes:
    - {match: {path: {prefix: /api}}, backend: api}
    - {match: {path: {exact: /old}}, action: {redirect: {path: /new}}}
    - {match: {path: {prefix: /upload}, method: POST}, backend: api}
`, name)
	return b.String()
}

// add makes a site and gives the milliseconds from the API's answer until its clients are served for good.
func (w *newSiteWorld) add(n int) float64 {
	f := w.fleet
	f.t.Helper()
	name, early := fmt.Sprintf("new%03d", n), 0
	all := &watchers{fleet: f, probes: slices.Clone(w.probes)}
	for _, path := range []string{"/", "/api/carts"} {
		p := &probe{loop: f.loop, name: fleetName(0), addr: f.fleetVIP(0), failed: &early}
		p.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s.bench.example\r\n\r\n", path, name)
		if err := p.dial(); err != nil {
			f.t.Fatal(err)
		}
		defer func() { f.loop.drop(p.fd) }()
		all.probes = append(all.probes, p)
	}
	return all.change(http.MethodPost, "apply?reason=bench&brief=true", f.newSite(name), func(int) bool { return true }, inARow)
}

// turnFor is a pause with traffic.
func (w *watchers) turnFor(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		w.turn()
	}
}
