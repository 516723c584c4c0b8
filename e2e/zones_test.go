package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// zones is a group of three zones, with a load balancer and two servers in each, and addresses at home in each.
type zones struct {
	*world
	servers map[string][]*weirtest.Origin // by zone
}

var zoneNames = []string{"az1", "az2", "az3"}

// newZones makes them, with three sites: www as usual, two needs two servers in each zone, kept keeps clients in their
// zone, weighted has shares and no home.
func newZones(t *testing.T, h weirtest.HAProxy) *zones {
	t.Helper()
	z := &zones{world: newWorld(t), servers: map[string][]*weirtest.Origin{}}
	var text strings.Builder
	text.WriteString(`
kind: Role
metadata: {name: web}
---
kind: Tuning
metadata: {name: default}
spec: {ports: [{port: 8080, mode: http}, {port: 9000, mode: tcp}], zoneReturn: {wait: 1s, ramp: 1s}}
---
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [203.0.113.0/28], tuning: default}
`)
	for i, zone := range zoneNames {
		fmt.Fprintf(&text, `---
kind: Zone
metadata: {name: %[1]s}
---
kind: IPAddress
metadata: {name: www-%[1]s, role: web}
spec: {address: 203.0.113.%[2]d, homeZone: %[1]s, groups: [edge]}
---
kind: IPAddress
metadata: {name: tcp-%[1]s, role: web}
spec: {address: 203.0.113.%[3]d, homeZone: %[1]s, groups: [edge]}
---
kind: Pool
metadata: {name: web-%[1]s, role: web}
spec: {selector: {role: web, zone: %[1]s}, port: http, healthCheck: {path: /ping, interval: 100ms, rise: 1, fall: 1}}
---
kind: Pool
metadata: {name: tcp-%[1]s, role: web}
spec: {mode: tcp, selector: {role: web, zone: %[1]s}, port: http, healthCheck: {type: tcp, interval: 100ms, rise: 1, fall: 1}}
`, zone, i+1, i+5)
		for n := range 2 {
			host := 200 + 10*i + n
			z.servers[zone] = append(z.servers[zone], z.origin(host, fmt.Sprintf("%s-%d", zone, n)))
			fmt.Fprintf(&text, "---\nkind: Server\nmetadata: {name: %s-%d, role: web}\nspec: {address: %s, zone: %s, ports: {http: 9000}}\n", zone, n, z.at(host), zone)
		}
	}
	site := func(name, routing string) {
		fmt.Fprintf(&text, `---
kind: Site
metadata: {name: %s, role: web}
spec:
  hostnames: [%s.example.com]
  addresses: [www-az1, www-az2, www-az3]
  listeners: [{port: 8080}]
  backends: {default: {az1: web-az1, az2: web-az2, az3: web-az3}}
  routing: {%s}
`, name, name, routing)
	}
	site("www", "")
	site("two", "minHealthy: 2")
	site("kept", "keepZone: 1h")
	site("weighted", "homeZone: none, weights: {az1: 70, az2: 20, az3: 10}")
	text.WriteString(`---
kind: Site
metadata: {name: tcp, role: web}
spec: {mode: tcp, addresses: [tcp-az1, tcp-az2, tcp-az3], listeners: [{port: 9000}], backends: {default: {az1: tcp-az1, az2: tcp-az2, az3: tcp-az3}}}
`)
	z.apply(text.String())
	for i, zone := range zoneNames {
		z.join("lb-"+zone, "edge", zone, h, fmt.Sprintf(`,"localRanges":{"203.0.113.0/28":"%s/28"}`, z.at(16*(i+1))))
	}
	z.converged(1)
	z.settled()
	return z
}

// addr is where the load balancer of one zone answers at the address of another.
func (z *zones) addr(balancer, home int) string {
	return fmt.Sprintf("%s:8080", z.at(16*balancer+home))
}

// settled waits until all load balancers see the servers as they are: who answers its check is up, nobody else.
func (z *zones) settled() {
	z.t.Helper()
	for _, zone := range zoneNames {
		for n, o := range z.servers[zone] {
			state := "down"
			if status, _, err := z.get(o.Addr, "x", "/ping"); err == nil && status == 200 {
				state = "up"
			}
			z.health("web-"+zone, fmt.Sprintf("%s-%d", zone, n), state)
			if state == "up" {
				z.health("tcp-"+zone, fmt.Sprintf("%s-%d", zone, n), state)
			}
		}
	}
}

// asked is what came of many requests: how many each zone answered, and how many failed.
type asked struct {
	total  int
	zones  map[string]int
	failed []string
}

// ask sends requests over eight connections that are kept, none of them twice.
func (z *zones) ask(addr, host string, requests int) asked {
	got := asked{zones: map[string]int{}}
	var mu sync.Mutex
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(waitLong))
			}
			var reader *bufio.Reader
			if err == nil {
				reader = bufio.NewReader(conn)
			}
			for range requests / 8 {
				origin := ""
				if err == nil {
					origin, err = request(conn, reader, host)
				}
				mu.Lock()
				got.total++
				if err != nil {
					got.failed = append(got.failed, err.Error())
				} else {
					got.zones[origin[:3]]++
				}
				mu.Unlock()
			}
		})
	}
	done.Wait()
	return got
}

func request(conn net.Conn, reader *bufio.Reader, host string) (origin string, err error) {
	if _, err := fmt.Fprintf(conn, "GET /x HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return "", err
	}
	if origin = answer.Header.Get("X-Origin"); answer.StatusCode != 200 || len(origin) < 3 {
		return "", fmt.Errorf("%s from %q", answer.Status, origin)
	}
	return origin, nil
}

// shares holds what zones answered against what they should have, in per cent, within three points.
func (z *zones) shares(what string, got asked, want map[string]float64) {
	z.t.Helper()
	if len(got.failed) > 0 {
		z.t.Errorf("%s: %d of %d failed, the first: %s", what, len(got.failed), got.total, got.failed[0])
	}
	for _, zone := range zoneNames {
		if share := 100 * float64(got.zones[zone]) / float64(got.total); math.Abs(share-want[zone]) > 3 {
			z.t.Errorf("%s: %s answered %.1f %% of %d requests, want %.0f %%: %v", what, zone, share, got.total, want[zone], got.zones)
		}
	}
}

// stop ends a zone's servers, or starts them again.
func (z *zones) stop(zone string, servers ...int) {
	for _, n := range servers {
		z.servers[zone][n].Stop()
	}
}

func (z *zones) start(zone string, servers ...int) {
	z.t.Helper()
	for _, n := range servers {
		z.servers[zone][n].Restart(z.t)
	}
	z.settled()
	z.back(zone)
}

// back waits until a zone gets all of its own traffic again.
func (z *zones) back(zone string) {
	z.t.Helper()
	home := int(zone[2] - '0')
	weirtest.Eventually(z.t, waitLong, func() error {
		for balancer := 1; balancer <= 3; balancer++ {
			if got := z.ask(z.addr(balancer, home), "www.example.com", 40); got.zones[zone] != 40 {
				return fmt.Errorf("at load balancer %d: %+v", balancer, got)
			}
		}
		return nil
	})
}

// TestZones walks the table of which zone serves what, with load balancers and servers of three zones.
func TestZones(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		z := newZones(t, h)
		const many = 3000
		only := func(zone string) map[string]float64 { return map[string]float64{zone: 100} }
		others := map[string]float64{"az2": 50, "az3": 50}
		// Of balancer 2 are the rows in which those of zone 1 are down: the address of zone 1 is there then.
		for _, zone := range zoneNames {
			z.back(zone)
		}
		z.shares("all up", z.ask(z.addr(1, 1), "www.example.com", many), only("az1"))
		z.shares("all up, at zone 2", z.ask(z.addr(2, 1), "www.example.com", many), only("az1"))
		z.shares("shares", z.ask(z.addr(3, 3), "weighted.example.com", many), map[string]float64{"az1": 70, "az2": 20, "az3": 10})

		// One of the zone's servers is too few for one site.
		z.stop("az1", 0)
		z.settled()
		z.shares("below minHealthy", z.ask(z.addr(1, 1), "two.example.com", many), others)
		z.shares("one server of the zone", z.ask(z.addr(1, 1), "www.example.com", many/3), only("az1"))

		// The second one goes too, while clients ask, and no request may fail.
		tr := z.send(z.addr(1, 1), "www.example.com")
		tr.more(20)
		z.stop("az1", 1)
		tr.more(50)
		z.settled()
		z.shares("servers down", z.ask(z.addr(1, 1), "www.example.com", many), others)
		z.shares("servers down, at zone 2", z.ask(z.addr(2, 1), "www.example.com", many), others)
		z.shares("servers down, the address of zone 2", z.ask(z.addr(2, 2), "www.example.com", many/3), only("az2"))
		z.shares("servers down, shares", z.ask(z.addr(3, 3), "weighted.example.com", many), map[string]float64{"az2": 66.7, "az3": 33.3})
		z.start("az1", 0, 1)
		tr.flawless()

		// Shifted: by an object with an end, and clients that keep their zone go and stay where they went.
		jar := map[string]string{}
		for n := range 30 {
			jar[fmt.Sprint(n)] = z.visit(z.addr(1, 1), "", "az1")
		}
		until := time.Now().Add(time.Hour)
		reloads := z.reloads()
		z.converged(z.apply(shift(until)))
		z.shares("shifted", z.ask(z.addr(1, 1), "www.example.com", many), others)
		z.shares("shifted, at zone 2", z.ask(z.addr(2, 1), "www.example.com", many), others)
		z.shares("shifted, the address of zone 3", z.ask(z.addr(3, 3), "www.example.com", many/3), only("az3"))
		went := map[string]int{}
		for n, zone := range jar {
			jar[n] = z.visit(z.addr(1, 1), zone, "")
			went[jar[n]]++
		}
		if went["az1"] > 0 || went["az2"] == 0 || went["az3"] == 0 {
			t.Errorf("clients of a zone that was shifted went to %v", went)
		}
		for _, zone := range jar {
			z.visit(z.addr(1, 1), zone, zone)
		}
		// It ends by itself, without a control plane; the clients stay.
		z.converged(z.apply(shift(time.Now().Add(5 * time.Second))))
		z.stopServer()
		z.back("az1")
		for _, zone := range jar {
			z.visit(z.addr(1, 1), zone, zone)
		}
		z.startServer()
		if n := z.reloads() - reloads; n != 0 {
			t.Errorf("%d reloads", n)
		}

		// All fail their checks, and answer all the same: everything is tried.
		for _, zone := range zoneNames {
			for _, o := range z.servers[zone] {
				o.SetStatus("/ping", 503)
			}
		}
		z.settled()
		got := z.ask(z.addr(1, 1), "www.example.com", many/3)
		if len(got.failed) > 0 || len(got.zones) != 3 {
			t.Errorf("all are down by their checks: %+v", got)
		}
		// One of them alone is left.
		z.stop("az1", 0, 1)
		z.stop("az2", 0, 1)
		z.stop("az3", 0)
		if got := z.ask(z.addr(1, 1), "www.example.com", 80); len(got.failed) > 0 || got.zones["az3"] != 80 {
			t.Errorf("one server is left, and its check fails: %+v", got)
		}
	})
}

// shift takes all sites out of the first zone until a time.
func shift(until time.Time) string {
	return fmt.Sprintf("kind: ZoneShift\nmetadata: {name: out, role: web}\nspec: {role: web, zone: az1, reason: test, expiresAt: %s}\n", until.UTC().Format(time.RFC3339))
}

// visit asks the site that keeps zones with the cookie of one, none for "", and gives the zone that the client is in
// afterwards: by a new cookie, else as before. It must be want, if that is not "".
func (z *zones) visit(addr, zone, want string) string {
	z.t.Helper()
	r, err := http.NewRequestWithContext(z.t.Context(), "GET", "http://"+addr+"/", nil)
	if err != nil {
		z.t.Fatal(err)
	}
	r.Host = "kept.example.com"
	if zone != "" {
		r.AddCookie(&http.Cookie{Name: "WEIRZONE", Value: zone})
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: waitLong}
	answer, err := client.Do(r)
	if err != nil {
		z.t.Fatal(err)
	}
	answer.Body.Close()
	for _, c := range answer.Cookies() {
		if c.Name == "WEIRZONE" {
			zone = c.Value
			if c.MaxAge != 3600 || !c.HttpOnly || c.Path != "/" {
				z.t.Errorf("the cookie is %v", c)
			}
		}
	}
	origin := answer.Header.Get("X-Origin")
	if answer.StatusCode != 200 || !strings.HasPrefix(origin, zone) || zone == "" || answer.Header.Get("X-Weir-Zone") != "" {
		z.t.Errorf("%s from %q, the client is in %q, headers %v", answer.Status, origin, zone, answer.Header)
	}
	if want != "" && zone != want {
		z.t.Errorf("a client is in %s, want %s", zone, want)
	}
	return zone
}
