package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// TestBooking walks what the account of Booking's load balancing tells, with deploy/examples/booking: three zones with a
// load balancer of one group in each, and one of another group.
func TestBooking(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	e := newExample(t, "booking", "10.8.0.", nil)
	weirtest.NewTCPOrigin(t, e.at(121).String()+":2222", "SSH-2.0-code\r\n")
	names := []string{"zone1", "zone2", "zone3"}
	for i, zone := range names {
		e.balancer("blue"+zone, "blue", zone, h, "203.0.113.64/28", 16*(i+1))
	}
	e.balancerAt("white", "white", "zone1", h, map[string]string{"203.0.113.64/28": e.at(64).String() + "/28", "203.0.113.80/28": e.at(80).String() + "/28"}, map[int]int{80: 8080, 443: 8443, 22: 2200})
	e.converged(e.revision)
	// blue counts the reloads of that group.
	blue := func() (n int) {
		for _, g := range e.status().Groups {
			for _, lb := range g.LoadBalancers {
				if g.Name == "blue" {
					n += lb.Reloads.Count
				}
			}
		}
		return n
	}
	roots, reloads := e.trusts("balancer"), blue()
	const host = "www.booking.example"
	// at is where the load balancer of one zone has the address of another; white is that of no zone.
	at := func(balancer, home int) string { return fmt.Sprintf("%s:8080", e.at(16*balancer+home)) }
	ask := func(where, path, cookie string) visited {
		v := visit{at: where, host: host, path: path}
		if cookie != "" {
			v.header = map[string]string{"Cookie": cookie}
		}
		return e.visit(v)
	}
	zoneOf := func(v visited) string {
		server, _, _ := strings.Cut(v.origin, "/")
		if parts := strings.Split(server, "-"); v.status == 200 && len(parts) == 3 {
			return parts[1]
		}
		return v.String()
	}
	// clients counts who serves new ones.
	clients := func(where string, n int) map[string]int {
		seen := map[string]int{}
		for range n {
			seen[zoneOf(ask(where, "/", ""))]++
		}
		return seen
	}
	only := func(where, zone string) error {
		if seen := clients(where, 40); seen[zone] != 40 {
			return fmt.Errorf("of 40 clients: %v, want all in %s", seen, zone)
		}
		return nil
	}
	halves := func(where string) error {
		seen := clients(where, 600)
		if two, three := seen["zone2"], seen["zone3"]; two+three != 600 || two < 240 || three < 240 {
			return fmt.Errorf("of 600 clients: %v, want half in zone2 and half in zone3", seen)
		}
		return nil
	}
	eventually := func(check func() error) error {
		weirtest.Eventually(t, waitLong, check)
		return nil
	}
	token := ""
	kept := map[string]string{} // cookies of clients, by their zone

	walk(t, []row{
		{"a server that the inventory has is off until it is known to be well", func() error {
			if err := ask(at(1, 1), "/", "").is(503, ""); err != nil {
				return err
			}
			if n := e.origins["web-zone1-1/http"].Hits("/"); n != 0 {
				return fmt.Errorf("it was asked %d times", n)
			}
			return nil
		}},
		{"what says that it is well takes traffic by itself, in the pools that it matches", func() error {
			token = e.tokenOf(fmt.Sprintf(`{"kind":"Token","metadata":{"name":"hotels"},"spec":{"subject":"registration","registration":{"role":"hotels","names":["web-*","search-*"],"networks":[%q]}}}`, e.prefix))
			for _, o := range e.objects {
				if s, ok := o.Spec.(*weir.Server); ok {
					e.registers(token, o.Metadata.Name, s.Address.String())
				}
			}
			e.well()
			// Each load balancer finds by checks of its own that they are up.
			return eventually(func() error { return only(at(1, 1), "zone1") })
		}},
		{"traffic of a zone is served in that zone", func() error {
			for i, zone := range names {
				_ = eventually(func() error { return only(at(i+1, i+1), zone) })
			}
			return nil
		}},
		{"a new server that matches is in the pool without anybody putting it there", func() error {
			e.answer(netip.AddrPortFrom(e.at(130), 8080), "web-zone1-3/http")
			e.apply(fmt.Sprintf("kind: Server\nmetadata: {name: web-zone1-3, role: hotels, managedBy: inventory}\nspec: {address: %s, zone: zone1, clusters: [web], ports: {http: 8080}}\n", e.at(130)))
			e.registers(token, "web-zone1-3", e.at(130).String())
			return eventually(func() error {
				if seen := clients(at(1, 1), 30); e.origins["web-zone1-3/http"].Hits("/") == 0 {
					return fmt.Errorf("it is asked nothing: %v", seen)
				}
				return nil
			})
		}},
		{"one of another cluster is not", func() error {
			if n := e.origins["search-zone1-1/http"].Hits("/"); n != 0 {
				return fmt.Errorf("it was asked %d times", n)
			}
			return nil
		}},
		{"one whose own check fails is switched off, though the load balancers see nothing", func() error {
			o := e.origins["web-zone1-3/http"]
			o.SetStatus("/app", 500)
			return eventually(func() error {
				before := o.Hits("/")
				if err := only(at(1, 1), "zone1"); err != nil {
					return err
				}
				if n := o.Hits("/") - before; n != 0 {
					return fmt.Errorf("it was asked %d times more", n)
				}
				return nil
			})
		}},
		{"paths lead to other pools, of the zone too", func() error { return ask(at(2, 2), "/searchresults?city=x", "").is(200, "search-zone2-1/") }},
		{"business logic does what it does for the site that names it", func() error {
			for name, want := range map[string]string{host: "search-zone1", "extranet.booking.example": "web-zone1"} {
				v := e.visit(visit{at: at(1, 1), host: name, path: "/list", header: map[string]string{"X-Affiliate": "7"}})
				if err := v.is(200, want); err != nil {
					return fmt.Errorf("%s: %v", name, err)
				}
				seen := e.origins[v.origin].Requests("/list")
				if got := seen[len(seen)-1].Header.Get("X-Site"); !strings.HasPrefix(name, map[string]string{"hotels": "www", "extranet": "extranet"}[got]) || got == "" {
					return fmt.Errorf("%s: the server is told of site %q", name, got)
				}
			}
			return nil
		}},
		{"and nothing to who does not ask for it", func() error { return ask(at(1, 1), "/list", "").is(200, "web-zone1") }},
		{"TLS 1.2 and newer", func() error {
			client := tlsClient{w: e.world, roots: roots, sni: host}
			for version, want := range map[uint16]bool{0x0301: false, 0x0302: false, 0x0303: true, 0x0304: true} {
				if agreed, _ := client.agreesTo(fmt.Sprintf("%s:8443", e.at(17)), version); agreed != want {
					return fmt.Errorf("version %#04x is agreed to: %t", version, agreed)
				}
			}
			return nil
		}},
		{"HTTP/2 for clients that speak it", func() error {
			return protocol(e.visit(visit{at: fmt.Sprintf("%s:8443", e.at(17)), host: host, roots: roots, h2: true}), "HTTP/2.0")
		}},
		{"SSH, of another role", func() error {
			line, err := greeting(fmt.Sprintf("%s:2200", e.at(81)), nil)
			if line != "SSH-2.0-code" {
				return fmt.Errorf("%q %v", line, err)
			}
			return nil
		}},
		{"a group knows nothing of the addresses of another", func() error {
			if v := ask(fmt.Sprintf("%s:8080", e.at(65)), "/", ""); v.status != 0 {
				return fmt.Errorf("%v", v)
			}
			return nil
		}},
		{"an address is in two groups while its site moves", func() error {
			address := "kind: IPAddress\nmetadata: {name: hotels-zone1, role: hotels}\nspec: {address: 203.0.113.65, homeZone: zone1, groups: [%s]}\n"
			e.converged(e.apply(fmt.Sprintf(address, "blue, white")))
			err := eventually(func() error { return only(fmt.Sprintf("%s:8080", e.at(65)), "zone1") })
			if err == nil {
				err = only(at(1, 1), "zone1")
			}
			e.converged(e.apply(fmt.Sprintf(address, "blue")))
			return err
		}},
		{"people change what is their role's", func() error { return e.by("dana", "hotels", http.StatusOK) }},
		{"and nothing else", func() error { return e.by("dana", "code", http.StatusForbidden) }},
		{"clients stick to their zone, wherever they come in", func() error {
			for i, zone := range names {
				v := ask(at(i+1, i+1), "/", "")
				kept[zone], _, _ = strings.Cut(v.header.Get("Set-Cookie"), ";")
			}
			for zone, cookie := range kept {
				for i := range names {
					if got := zoneOf(ask(at(i+1, i+1), "/", cookie)); got != zone {
						return fmt.Errorf("a client of %s is served by %s", zone, got)
					}
				}
			}
			return nil
		}},
		{"load balancers of zone 1 fail: those of zone 2 lead its traffic home", func() error { return only(at(2, 1), "zone1") }},
		{"failover by one object: zone 1 is left, for the others by halves", func() error {
			e.converged(e.apply(fmt.Sprintf("kind: ZoneShift\nmetadata: {name: out, role: hotels}\nspec: {sites: [hotels], zone: zone1, reason: bad rollout, expiresAt: %s}\n", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))))
			return halves(at(1, 1))
		}},
		{"clients that had to leave stay where they went", func() error {
			v := ask(at(1, 1), "/", kept["zone1"])
			went := zoneOf(v)
			cookie, _, _ := strings.Cut(v.header.Get("Set-Cookie"), ";")
			for range 10 {
				if got := zoneOf(ask(at(1, 1), "/", cookie)); got != went || got == "zone1" {
					return fmt.Errorf("a client that went to %s is served by %s", went, got)
				}
			}
			return nil
		}},
		{"and back by its end", func() error {
			if _, err := e.call("DELETE", "/api/v1/zoneshifts/out", "", nil); err != nil {
				return err
			}
			return eventually(func() error { return only(at(1, 1), "zone1") })
		}},
		{"all that was changed was changed at run time, but for a text that is new to a group", func() error {
			if n := blue(); n != reloads {
				return fmt.Errorf("%d reloads", n-reloads)
			}
			return nil
		}},
		{"servers of zone 1 fail: no client is shown an error", func() error {
			tr := e.send(at(1, 1), host)
			tr.more(20)
			for name, o := range e.origins {
				if strings.Contains(name, "zone1") {
					o.Stop()
				}
			}
			tr.more(50)
			tr.flawless()
			return nil
		}},
		{"its load balancers spread its traffic over the others evenly", func() error { return halves(at(1, 1)) }},
		{"whose own stays as it was", func() error {
			if err := only(at(2, 2), "zone2"); err != nil {
				return err
			}
			return only(at(3, 3), "zone3")
		}},
		{"both fail: zone 2's load balancers spread it over both", func() error { return halves(at(2, 1)) }},
		{"zone 1's load balancer itself is gone, and nobody else notices", func() error {
			a := e.agents["bluezone1"]
			a.stop()
			e.killHAProxy(a)
			return halves(at(3, 1))
		}},
		{"never fail: servers that fail their checks and answer are better than an error", func() error {
			for name, o := range e.origins {
				if strings.Contains(name, "zone2") || strings.Contains(name, "zone3") {
					o.SetStatus("/healthz", 503)
				}
			}
			return eventually(func() error {
				if seen := clients(at(2, 2), 20); seen["zone2"] == 20 {
					return fmt.Errorf("the checks have seen nothing yet: %v", seen)
				} else if seen["zone2"]+seen["zone3"] != 20 {
					t.Errorf("all are down by their checks: %v", seen)
				}
				return nil
			})
		}},
	})
}
