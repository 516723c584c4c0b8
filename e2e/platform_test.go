package e2e

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// TestContainerPlatform walks what the account of Criteo's load balancing as a service tells, with
// deploy/examples/platform: two load balancers, and instances that come and go with a list.
func TestContainerPlatform(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	const few, many, fewer = 4, late, 30
	e := newExample(t, "platform", "10.9.0.", nil)
	for n := range many {
		e.answer(e.instanceAt(n), "dummy-app/"+instance(n))
	}
	for i := range 3 {
		e.answer(netip.AddrPortFrom(e.at(101+i), 8500), fmt.Sprintf("agents/%d", i))
	}
	e.scheduler(map[int]int{0: 10}, to(few)...)
	// A load balancer that read a certificate from its file resumes no sessions of one that it came to at run time
	// (TestFactSessionsOfCertificates), so both come when the certificates are there.
	for _, o := range e.objects {
		if o.Kind == "Certificate" {
			e.says("certificates/"+o.Metadata.Name, "Issued", "True")
		}
	}
	one, two := e.balancer("lb1", "lbaas", "par", h, "203.0.113.128/28", 16), e.balancer("lb2", "lbaas", "par", h, "203.0.113.128/28", 32)
	e.well()
	roots := e.trusts("lbaas")
	const app, images = "dummy-app.platform.example", "images.platform.example"
	at := map[*runningAgent]string{one: e.at(17).String(), two: e.at(33).String()}
	asked := 0
	ask := func(a *runningAgent, host, path string) visited {
		asked++
		return e.visit(visit{at: at[a] + ":8080", host: host, path: path})
	}
	// from gives who answers so many new clients.
	from := func(a *runningAgent, clients int) (map[string]int, error) {
		seen := map[string]int{}
		for range clients {
			v := ask(a, app, "/")
			if v.status != 200 {
				return nil, fmt.Errorf("%v", v)
			}
			_, name, _ := strings.Cut(v.origin, "/")
			seen[name]++
		}
		return seen, nil
	}
	all := func(n int) error {
		var last error
		weirtest.Eventually(t, waitLong, func() error {
			for _, a := range []*runningAgent{one, two} {
				seen, err := from(a, 2*n)
				if err != nil {
					last = err // nobody may be shown an error meanwhile
					return nil
				}
				if len(seen) != n {
					return fmt.Errorf("%s: %d instances answer, want %d", a.name, len(seen), n)
				}
			}
			return nil
		})
		return last
	}
	places := func(a *runningAgent) map[string]string {
		list := map[string]string{}
		for i := range 60 {
			path := fmt.Sprintf("/picture/%d.webp", i)
			list[path] = ask(a, images, path).origin
		}
		return list
	}
	reloads, weight := e.reloads(), e.members(two, "dummy-app")[instance(0)].UserWeight
	heavier := map[int]int{0: 30}
	unmoved := map[string]string{}

	walk(t, []row{
		{"instances that the scheduler has started take traffic by themselves", func() error { return all(few) }},
		{"they have their real names in HAProxy", func() error {
			if got := e.members(one, "dummy-app"); len(got) != few || got[instance(3)].Service == "" {
				return fmt.Errorf("%v", slices.Collect(maps.Keys(got)))
			}
			return nil
		}},
		{"each takes 200 connections at most", func() error {
			if got := e.members(one, "dummy-app")[instance(3)].SessionLimit; got != 200 {
				return fmt.Errorf("%d", got)
			}
			return nil
		}},
		{"they are checked by the agent of their machine", func() error {
			seen := e.origins["agents/1"].Requests("/v1/agent/health/service/name/dummy-app")
			if len(seen) == 0 || seen[0].Method != "GET" || !strings.HasSuffix(seen[0].URI, "?format=text") {
				return fmt.Errorf("%+v", seen)
			}
			return nil
		}},
		{"a morning: ten times as many, and no request fails", func() error {
			clients := e.send(at[one]+":8080", app)
			e.scheduler(heavier, to(many)...)
			if err := all(many); err != nil {
				return err
			}
			clients.more(20)
			clients.flawless()
			return nil
		}},
		{"a weight has changed at run time, from 10 to 30", func() error {
			if got := e.members(two, "dummy-app")[instance(0)].UserWeight; weight != 10 || got != 30 {
				return fmt.Errorf("from %d to %d", weight, got)
			}
			return nil
		}},
		{"an instance that has just come gets nothing before a good check", func() error {
			e.origins["agents/2"].SetStatus("", 503)
			e.answer(e.instanceAt(many), "dummy-app/"+instance(many))
			e.scheduler(heavier, to(many+1)...)
			weirtest.Eventually(t, waitLong, func() error {
				if row, ok := e.members(one, "dummy-app")[instance(many)]; !ok || !strings.HasPrefix(row.Status, "DOWN") {
					return fmt.Errorf("%+v", row)
				}
				return nil
			})
			if _, err := from(one, 100); err != nil {
				return err
			}
			if n := e.origins["dummy-app/"+instance(many)].Hits("/"); n != 0 {
				return fmt.Errorf("it was asked %d times", n)
			}
			e.origins["agents/2"].SetHealthy(true)
			return all(many + 1)
		}},
		{"an evening: fewer, which are drained and deleted", func() error {
			clients := e.send(at[two]+":8080", app)
			e.scheduler(heavier, to(fewer)...) // less than 30 % go
			if err := all(fewer); err != nil {
				return err
			}
			weirtest.Eventually(t, waitLong, func() error {
				if n := len(e.members(two, "dummy-app")); n != fewer {
					return fmt.Errorf("HAProxy has %d still", n)
				}
				return nil
			})
			clients.more(20)
			clients.flawless()
			return nil
		}},
		{"a list that is suddenly empty takes nobody out", func() error {
			e.scheduler(nil)
			e.source("instances", func(s *weir.SourceStatus) bool { return s.Doubt != nil })
			return all(fewer)
		}},
		{"a path is asked of the same cache, at every load balancer", func() error {
			unmoved = places(one)
			if other := places(two); !maps.Equal(unmoved, other) {
				return fmt.Errorf("%v and %v", unmoved, other)
			}
			if n := len(slices.Compact(slices.Sorted(maps.Values(unmoved)))); n != 4 {
				return fmt.Errorf("%d caches are asked", n)
			}
			return nil
		}},
		{"when a cache goes the paths of the others stay", func() error {
			e.origins["images/cache2"].SetHealthy(false)
			e.health("images", "cache2", "down")
			for path, cache := range places(one) {
				if was := unmoved[path]; was != cache && was != "images/cache2" || cache == "images/cache2" {
					return fmt.Errorf("%s was at %s, and is at %s", path, was, cache)
				}
			}
			return nil
		}},
		{"and when it is back all is as before", func() error {
			e.origins["images/cache2"].SetHealthy(true)
			e.health("images", "cache2", "up")
			if now := places(one); !maps.Equal(now, unmoved) {
				return fmt.Errorf("%v, was %v", now, unmoved)
			}
			return nil
		}},
		{"clients are shown the kind of certificate that they can do", func() error {
			for kind, suites := range map[string][]uint16{"RSA": onlyRSA, "ECDSA": onlyECDSA} {
				client := tlsClient{w: e.world, roots: roots, sni: app, ciphers: suites}
				if agreed, got := client.agreesTo(at[one]+":8443", tls.VersionTLS12); !agreed || got != kind {
					return fmt.Errorf("of %s: %t with %s", kind, agreed, got)
				}
			}
			return nil
		}},
		{"the certificate of the name goes before the wildcard", func() error {
			v := e.visit(visit{at: at[one] + ":8443", host: images, roots: roots})
			if v.leaf == nil || fmt.Sprint(v.leaf.DNSNames) != "["+images+"]" {
				return fmt.Errorf("%v", v)
			}
			return nil
		}},
		{"strict SNI: nobody is shown a certificate of another name", func() error {
			if _, err := (tlsClient{w: e.world, roots: roots, sni: "elsewhere.example"}).shake(at[one] + ":8443"); err == nil {
				return fmt.Errorf("a handshake for another name")
			}
			return nil
		}},
		{"HTTP/2 by ALPN", func() error {
			return protocol(e.visit(visit{at: at[two] + ":8443", host: app, roots: roots, h2: true}), "HTTP/2.0")
		}},
		{"a certificate is good for three months, and another one comes without a reload", func() error {
			shown := func() visited { return e.visit(visit{at: at[two] + ":8443", host: images, roots: roots}) }
			before := shown().leaf
			if days := before.NotAfter.Sub(before.NotBefore).Hours() / 24; days < 89 || days > 92 {
				return fmt.Errorf("it is good for %.0f days", days)
			}
			e.apply(fmt.Sprintf("kind: Certificate\nmetadata: {name: images, role: apps}\nspec: {issuer: lbaas, names: [%s], keyType: ecdsa-256, duration: 2160h, renewAt: %s}\n", images, time.Now().UTC().Format(time.RFC3339)))
			weirtest.Eventually(t, waitLong, func() error {
				if v := shown(); v.leaf == nil || v.leaf.Equal(before) {
					return fmt.Errorf("the old one is shown: %v", v)
				}
				return nil
			})
			return nil
		}},
		{"a TLS session goes on at another load balancer", func() error { return e.resumes(app, at[one], at[two]) }},
		{"its keys are changed without a reload, and old sessions are worth nothing then", func() error {
			v := weirtest.NewVisitor(tls.VersionTLS13, app, e.authority("lbaas"))
			if _, err := v.Visit(t.Context(), at[one]+":8443"); err != nil {
				return err
			}
			const keys = "/api/v1/loadbalancergroups/lbaas/ticketkeys"
			var before, now ticketStatus
			if _, err := e.call("GET", keys, "", &before); err != nil {
				return err
			}
			if _, err := e.call("POST", keys+"?reason=test", "", nil); err != nil {
				return err
			}
			weirtest.Eventually(t, waitLong, func() error {
				if _, err := e.call("GET", keys, "", &now); err != nil || now.Generation < before.Generation+3 || now.Has != now.Of {
					return fmt.Errorf("%+v, was %+v: %v", now, before, err)
				}
				return nil
			})
			if resumed, err := v.Visit(t.Context(), at[two]+":8443"); err != nil || resumed {
				return fmt.Errorf("an old session goes on: %t %v", resumed, err)
			}
			return e.resumes(app, at[one], at[two])
		}},
		{"nothing of all that was a reload", func() error {
			if n := e.reloads(); n != reloads {
				return fmt.Errorf("%d reloads", n-reloads)
			}
			return nil
		}},
		{"nor set a counter back", func() error {
			weirtest.Eventually(t, waitLong, func() error {
				if n := e.requests("dummy-app") + e.requests("images"); n < asked {
					return fmt.Errorf("%d of %d requests are counted", n, asked)
				}
				return nil
			})
			return nil
		}},
		{"what was changed at run time is in the files too: HAProxy is killed, and is as it was", func() error {
			e.killHAProxy(two)
			e.serves(at[two]+":8080", app, "/")
			if got := e.members(two, "dummy-app"); len(got) != fewer || got[instance(0)].UserWeight != 30 {
				return fmt.Errorf("%d instances, the weight is %d", len(got), got[instance(0)].UserWeight)
			}
			return nil
		}},
		{"a load balancer is gone, and sessions go on at the other", func() error {
			v := weirtest.NewVisitor(tls.VersionTLS13, app, e.authority("lbaas"))
			if _, err := v.Visit(t.Context(), at[one]+":8443"); err != nil {
				return err
			}
			one.stop()
			e.killHAProxy(one)
			if resumed, err := v.Visit(t.Context(), at[two]+":8443"); err != nil || !resumed {
				return fmt.Errorf("the session goes on: %t %v", resumed, err)
			}
			return nil
		}},
	})
}
