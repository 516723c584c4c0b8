package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestSNCF walks what the account of SNCF's edges tells, with deploy/examples/sncf: two edges, and two data centres
// behind them.
func TestSNCF(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	e := newExample(t, "sncf", "198.51.100.", func(w *world) map[string]string {
		return map[string]string{"192.0.2.110": w.at(111).String()}
	})
	six := sixes(t, 4)
	e.balancerAt("a", "edge-a", "host-a", h, map[string]string{"203.0.113.96/29": e.at(16).String() + "/29", "2001:db8:5::a/128": "::1/128"}, map[int]int{80: six[0], 443: six[1]})
	e.balancerAt("b", "edge-b", "host-b", h, map[string]string{"203.0.113.104/29": e.at(32).String() + "/29", "2001:db8:5::b/128": "::1/128"}, map[int]int{80: six[2], 443: six[3]})
	e.well()
	roots := e.trusts("cdn")
	reloads := e.reloads()
	edges := map[string]string{"a": fmt.Sprintf("%s:%d", e.at(17), six[1]), "b": fmt.Sprintf("%s:%d", e.at(33), six[3])}
	const www, timetable, mobile = "www.rail.example", "timetable.rail.example", "mobile.rail.example"
	ask := func(host, path, cookie string) visited {
		v := visit{at: edges["a"], host: host, path: path, roots: roots}
		if cookie != "" {
			v.header = map[string]string{"Cookie": cookie}
		}
		return e.visit(v)
	}
	// share gives how many per cent of a hundred clients without a cookie each data centre answers.
	share := func(edge, host string) (map[string]int, error) {
		seen := map[string]int{}
		for range 100 {
			v := e.visit(visit{at: edges[edge], host: host, path: "/buy", roots: roots})
			if v.status != 200 {
				return nil, fmt.Errorf("%v", v)
			}
			_, dc, _ := strings.Cut(v.origin, "/")
			seen[dc]++
		}
		return seen, nil
	}
	shares := func(edge, host string, first int) error {
		seen, err := share(edge, host)
		if err == nil && (seen["dc1"] < first-3 || seen["dc1"] > first+3) {
			err = fmt.Errorf("of 100 clients at edge %s: %v, want %d at dc1", edge, seen, first)
		}
		return err
	}
	// soon looks until the edges have what was just applied.
	soon := func(manifest string, check func() error) error {
		e.converged(e.apply(manifest))
		return check()
	}
	override := func(name, spec string) string {
		return fmt.Sprintf("kind: Override\nmetadata: {name: %s, role: travel}\nspec: {server: dc1, %s, reason: maintenance, expiresAt: %s}\n", name, spec, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
	stays := func(host string) error {
		for range 8 {
			first := ask(host, "/basket", "")
			cookies := first.header.Values("Set-Cookie")
			if len(cookies) != 1 || !strings.HasPrefix(cookies[0], "DC=") {
				return fmt.Errorf("cookies %v", cookies)
			}
			mine, _, _ := strings.Cut(cookies[0], ";")
			for range 5 {
				if err := ask(host, "/basket", mine).is(200, first.origin); err != nil {
					return fmt.Errorf("a client of %s: %v", first.origin, err)
				}
			}
		}
		return nil
	}
	checked := func(name, method, path, host string) error {
		for _, seen := range e.origins[name].Requests(path) {
			if seen.Method == method && seen.Host == host {
				return nil
			}
		}
		return fmt.Errorf("%s saw no %s %s of %s", name, method, path, host)
	}
	inFirst := func(f func(o *weirtest.Origin)) {
		for name, o := range e.origins {
			if strings.HasSuffix(name, "/dc1") {
				f(o)
			}
		}
	}

	walk(t, []row{
		{"an application says which percentage goes to each data centre: 70 and 30", func() error { return shares("a", www, 70) }},
		{"another application says another: 50 and 50", func() error { return shares("a", timetable, 50) }},
		{"it is so at every edge", func() error { return shares("b", www, 70) }},
		{"what is not stateless keeps its clients in their data centre by a cookie", func() error { return stays(www) }},
		{"the mobile application too", func() error { return stays(mobile) }},
		{"what is stateless sets no cookie", func() error {
			if got := ask(timetable, "/", "").header.Values("Set-Cookie"); got != nil {
				return fmt.Errorf("cookies %v", got)
			}
			return nil
		}},
		{"each application has a check of its own: the shop", func() error { return checked("rail-shop/dc1", "GET", "/shop/health", www) }},
		{"each application has a check of its own: the timetable", func() error { return checked("rail-timetable/dc2", "HEAD", "/trains/ping", timetable) }},
		{"each application has a check of its own: the mobile one", func() error { return checked("rail-mobile/dc1", "GET", "/status", mobile) }},
		{"media by their path, as their contributors say", func() error { return ask(www, "/medias/summer.mp4", "").is(200, "rail-media/media1") }},
		{"and nothing beside it", func() error { return ask(www, "/mediasummer", "").is(200, "rail-shop/") }},
		{"what is in the cloud by its path", func() error { return ask(www, "/guides/lille", "").is(200, "rail-cloud/") }},
		{"HTTP/2 where the site wants it", func() error {
			return protocol(e.visit(visit{at: edges["a"], host: www, roots: roots, h2: true}), "HTTP/2.0")
		}},
		{"and not where it does not", func() error {
			return protocol(e.visit(visit{at: edges["a"], host: timetable, roots: roots, h2: true}), "HTTP/1.1")
		}},
		{"IPv6 where the site wants it", func() error {
			return e.visit(visit{at: fmt.Sprintf("[::1]:%d", six[1]), host: www, roots: roots}).is(200, "rail-shop/")
		}},
		{"and not where it does not", func() error {
			return e.visit(visit{at: fmt.Sprintf("[::1]:%d", six[0]), host: timetable}).is(404, "")
		}},
		{"each name is shown its own certificate (SNI)", func() error {
			for _, host := range []string{www, timetable, mobile} {
				if leaf := ask(host, "/", "").leaf; leaf == nil || fmt.Sprint(leaf.DNSNames) != "["+host+"]" {
					return fmt.Errorf("%s is shown %v", host, leaf)
				}
			}
			return nil
		}},
		{"the percentages are changed without a reload, for one application", func() error {
			return soon(override("less", "pool: rail-shop, weight: 20"), func() error {
				if err := shares("b", mobile, 70); err != nil {
					return err
				}
				return shares("b", www, 40) // 20 to 30
			})
		}},
		{"maintenance takes a data centre out of all applications, but for clients that are there", func() error {
			mine := ""
			for mine == "" {
				if v := ask(mobile, "/basket", ""); v.origin == "rail-mobile/dc1" {
					mine, _, _ = strings.Cut(v.header.Get("Set-Cookie"), ";")
				}
			}
			return soon(override("less", "state: drain"), func() error {
				for _, host := range []string{www, timetable, mobile} {
					if err := shares("a", host, 0); err != nil {
						return err
					}
				}
				return ask(mobile, "/basket", mine).is(200, "rail-mobile/dc1")
			})
		}},
		{"and it comes back", func() error {
			if _, err := e.call("DELETE", "/api/v1/overrides/less", "", nil); err != nil {
				return err
			}
			weirtest.Eventually(t, waitLong, func() error { return shares("a", www, 70) })
			return nil
		}},
		{"an application that fails in a data centre is served from the other, also its clients of that", func() error {
			mine := ""
			for mine == "" {
				if v := ask(www, "/basket", ""); v.origin == "rail-shop/dc1" {
					mine, _, _ = strings.Cut(v.header.Get("Set-Cookie"), ";")
				}
			}
			e.origins["rail-shop/dc1"].SetStatus("/shop/health", 503)
			e.health("rail-shop", "dc1", "down")
			if err := shares("a", www, 0); err != nil {
				return err
			}
			return ask(www, "/basket", mine).is(200, "rail-shop/dc2")
		}},
		{"the others stay where they are", func() error { return shares("a", timetable, 50) }},
		{"when a data centre is lost all traffic goes to the other, and no request fails", func() error {
			var before []*traffic
			for _, host := range []string{www, timetable} {
				tr := e.send(fmt.Sprintf("%s:%d", e.at(17), six[0]), host)
				tr.more(10)
				before = append(before, tr)
			}
			inFirst(func(o *weirtest.Origin) { o.Stop() })
			for _, tr := range before {
				tr.more(20)
				tr.flawless()
			}
			for _, host := range []string{www, timetable, mobile} {
				if err := shares("a", host, 0); err != nil {
					return err
				}
			}
			return nil
		}},
		{"abnormal clients are counted and refused nothing", func() error {
			// Several at once, so that there are enough within the limit's period on a busy machine too.
			odd := make(chan error, 480)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range cap(odd) / 8 {
						if v := e.visit(visit{at: edges["b"], host: www, path: "/guides/x", roots: roots}); v.status != 200 {
							odd <- fmt.Errorf("%v", v)
						}
					}
				})
			}
			all.Wait()
			close(odd)
			if err := <-odd; err != nil {
				return err
			}
			e.metric(`weir_rate_limited_total{`, `loadbalancer="b"`, `site="rail-www"`, `rate_limit="rail-abnormal"`, `mode="shadow"`)
			return nil
		}},
		{"answers are counted by application and by class of status", func() error {
			e.metric(`weir_requests_total{`, `loadbalancer="a"`, `site="rail-timetable"`, `class="2xx"`)
			return nil
		}},
		{"nothing of it was a reload", func() error {
			if n := e.reloads(); n != reloads {
				return fmt.Errorf("%d reloads", n-reloads)
			}
			return nil
		}},
	})
}

func protocol(v visited, want string) error {
	if v.status != 200 || v.proto != want {
		return fmt.Errorf("%v by %s, want %s", v, v.proto, want)
	}
	return nil
}

// metric waits until the control plane shows a line with these words, and a number above none.
func (e *example) metric(words ...string) {
	e.t.Helper()
	weirtest.Eventually(e.t, waitLong, func() error {
		answer, err := http.Get("http://" + e.at(1).String() + ":7444/metrics")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
	lines:
		for line := range strings.Lines(string(text)) {
			for _, word := range words {
				if !strings.Contains(line, word) {
					continue lines
				}
			}
			if !strings.HasSuffix(line, " 0\n") {
				return nil
			}
		}
		return fmt.Errorf("no line of /metrics has all of %v", words)
	})
}
