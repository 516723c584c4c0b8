package bench

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var convergeFigures = []string{"converge_p50_ms", "converge_p99_ms", "join_p50_ms", "join_p99_ms"}

const (
	convergeSamples = 300
	joinSamples     = 200
	// The two servers that take turns, and the first of those that join, by the last part of their addresses.
	firstOrigin, secondOrigin, joiningOrigin = 201, 202, 210
	joiningOrigins                           = 30
	// inARow answers from the other server say that all traffic has moved.
	inARow = 5
)

// measureConverge follows changes from the API's answer to the requests: first a weight or a drain that takes
// all traffic from one server to another, then servers that join. What counts of each is the last of six load
// balancers.
func measureConverge(t *testing.T) []figure {
	l := newLoop(t)
	f := startFleet(t, l)
	for _, n := range []int{firstOrigin, secondOrigin} {
		l.origin(t, f.originAddr(n), originAnswer(n))
	}
	for n := joiningOrigin; n < joiningOrigin+joiningOrigins; n++ {
		l.origin(t, f.originAddr(n), originAnswer(n))
	}
	w := &watchers{fleet: f}
	for lb := range fleetSize {
		w.probes = append(w.probes, &probe{loop: l, name: fleetName(lb), addr: f.fleetVIP(lb)})
	}
	f.must(http.MethodPost, "apply?reason=bench", f.site())
	f.eventually("the site is on all load balancers", 20*time.Second, f.converged)
	f.rest(2 * time.Second) // until the checks have let the servers in
	for _, p := range w.probes {
		if err := p.dial(); err != nil {
			t.Fatal(err)
		}
	}
	moved := w.moves()
	joined := w.joins()
	return []figure{
		{convergeFigures[0], median(moved), "ms"},
		{convergeFigures[1], percentile(moved, 99), "ms"},
		{convergeFigures[2], median(joined), "ms"},
		{convergeFigures[3], percentile(joined, 99), "ms"},
	}
}

// percentile gives the smallest value that so many percent of the list do not exceed.
func percentile[T cmp.Ordered](list []T, percent int) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)*percent+99)/100-1]
}

// watchers are the probes of all load balancers.
type watchers struct {
	fleet  *fleet
	probes []*probe
}

// change calls the API and probes until every load balancer's requests follow, so many in a row. It gives the
// milliseconds between the API's answer and the first of them through the last load balancer.
func (w *watchers) change(method, path, body string, follows func(origin int) bool, enough int) float64 {
	f := w.fleet
	f.t.Helper()
	for _, p := range w.probes {
		p.begin(follows, enough)
	}
	type answer struct {
		at  time.Time
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		_, err := f.call(method, path, body)
		answered <- answer{time.Now(), err}
	}()
	var accepted time.Time
	for end := time.Now().Add(20 * time.Second); ; {
		w.turn()
		select {
		case a := <-answered:
			if a.err != nil {
				f.t.Fatal(a.err)
			}
			accepted = a.at
		default:
		}
		if !accepted.IsZero() && !slices.ContainsFunc(w.probes, func(p *probe) bool { return !p.done() }) {
			break
		}
		if time.Now().After(end) {
			f.t.Fatalf("after %s %s the traffic does not follow", method, path)
		}
	}
	last := accepted
	for _, p := range w.probes {
		if p.since.After(last) {
			last = p.since
		}
	}
	return float64(last.Sub(accepted).Microseconds()) / 1000
}

// turn sends what is due and takes what has come.
func (w *watchers) turn() {
	f, now := w.fleet, time.Now()
	for _, p := range w.probes {
		if err := p.send(now); err != nil {
			f.t.Fatalf("%s: %v", p.name, err)
		}
	}
	if err := f.loop.turn(time.Millisecond); err != nil {
		f.t.Fatal(err)
	}
}

// pause lets a change that traffic has followed come to its end, and ends at no particular beat of anything.
func (w *watchers) pause(least time.Duration) {
	w.fleet.rest(least + time.Duration(rand.Int64N(int64(20*time.Millisecond))))
}

// moves takes all traffic to and fro between two servers, by their weights in one change and by a drain.
func (w *watchers) moves() []float64 {
	var list []float64
	for i := range convergeSamples {
		from, to := firstOrigin, secondOrigin
		if i%2 == 1 {
			from, to = to, from
		}
		follows := func(origin int) bool { return origin == to }
		if i < convergeSamples/2 {
			list = append(list, w.change(http.MethodPost, "apply?reason=bench", w.fleet.server(from, 0)+w.fleet.server(to, 100), follows, inARow))
		} else {
			list = append(list, w.change(http.MethodPut, "overrides/turns", drain(from), follows, inARow))
		}
		w.pause(20 * time.Millisecond)
		if i == convergeSamples/2-1 { // from weights to drains
			w.fleet.must(http.MethodPost, "apply?reason=bench", w.fleet.server(firstOrigin, 100)+w.fleet.server(secondOrigin, 100))
			w.pause(time.Second)
		}
	}
	w.fleet.must(http.MethodDelete, "overrides/turns", "")
	return list
}

// drain takes a server out, and by the same object's earlier form the other one in.
func drain(server int) string {
	return fmt.Sprintf(`{"kind":"Override","metadata":{"name":"turns","role":"web"},"spec":{"server":"s%d","state":"drain","reason":"bench","expiresAt":%q}}`,
		server, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// joins adds servers to the two that serve, one at a time, and takes each out again.
func (w *watchers) joins() []float64 {
	var list []float64
	for i := range joinSamples {
		n, name := joiningOrigin+i%joiningOrigins, fmt.Sprintf("join-%d", i)
		body := fmt.Sprintf(`{"kind":"Server","metadata":{"name":%q,"role":"web"},"spec":{"address":%q,"zone":"az1","ports":{"http":%d}}}`,
			name, w.fleet.where.at(byte(n)), originPort)
		// The other two go on answering: that the new one answers at all is what counts.
		list = append(list, w.change(http.MethodPut, "servers/"+name, body, func(origin int) bool { return origin == n }, 1))
		w.fleet.must(http.MethodDelete, "servers/"+name, "")
		w.pause(60 * time.Millisecond)
	}
	return list
}

func (f *fleet) originAddr(n int) netip.AddrPort {
	return netip.AddrPortFrom(f.where.at(byte(n)), originPort)
}

// server declares the server at the address with this last part.
func (f *fleet) server(n, weight int) string {
	return fmt.Sprintf("---\nkind: Server\nmetadata: {name: s%d, role: web}\nspec: {address: %s, zone: az1, ports: {http: %d}, weight: %d}\n",
		n, f.where.at(byte(n)), originPort, weight)
}

// platform is what load balancers need to join.
func (f *fleet) platform() string {
	var b strings.Builder
	b.WriteString("kind: Role\nmetadata: {name: web}\n")
	for _, z := range zones {
		fmt.Fprintf(&b, "---\nkind: Zone\nmetadata: {name: %s}\n", z)
	}
	b.WriteString(`---
kind: Tuning
metadata: {name: default}
spec: {threads: 1, ports: [{port: 80, mode: http}]}
---
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [203.0.113.0/28], tuning: default}
`)
	return b.String()
}

// site is one site at an address in each zone, with one pool that is checked every 200 ms, and two servers.
func (f *fleet) site() string {
	return f.siteAlone() + f.server(firstOrigin, 100) + f.server(secondOrigin, 0)
}

// siteAlone is site without servers.
func (f *fleet) siteAlone() string {
	var b strings.Builder
	for i, z := range zones {
		fmt.Fprintf(&b, "---\nkind: IPAddress\nmetadata: {name: www-%s, role: web}\nspec: {address: 203.0.113.%d, homeZone: %s, groups: [edge]}\n", z, i+1, z)
	}
	b.WriteString(`---
kind: Pool
metadata: {name: web, role: web}
spec: {selector: {role: web}, port: http, healthCheck: {path: /ping, interval: 200ms}}
---
kind: Site
metadata: {name: www, role: web}
spec: {hostnames: [www.bench.example], addresses: [www-az1, www-az2, www-az3], listeners: [{port: 80}], backends: {default: web}}
`)
	return b.String()
}
