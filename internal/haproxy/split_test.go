package haproxy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// share counts which origins answer a number of requests, each with the headers that are made for it.
func (g *gate) share(host string, n int, headers func(i int) []string) map[string]int {
	g.t.Helper()
	got := map[string]int{}
	for i := range n {
		var with []string
		if headers != nil {
			with = headers(i)
		}
		got[g.origin(host, with...)]++
	}
	return got
}

// origin gives the name of the origin that answers a request, or the status where none does.
func (g *gate) origin(host string, headers ...string) string {
	g.t.Helper()
	status, answer := g.ask(17, host, "/x", headers...)
	if _, rest, ok := strings.Cut(answer, "x-origin: "); ok {
		name, _, _ := strings.Cut(rest, "\r\n")
		return name
	}
	return fmt.Sprint(status)
}

func near(t *testing.T, what string, got map[string]int, origin string, want, within int) {
	t.Helper()
	if n := got[origin]; n < want-within || n > want+within {
		t.Errorf("%s: %s answered %d times, want %d give or take %d: %v", what, origin, n, want, within, got)
	}
}

// TestSplit: shares as the weights say, none outside of the schedule, steps at their second; who has a cookie or comes from
// an address stays with a leg that grows. What changes of splits is run time.
func TestSplit(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		far := time.Now().Truncate(time.Second).Add(time.Hour)
		legs := func(weights ...int) (list []weir.SplitLeg) {
			for i, w := range weights {
				list = append(list, weir.SplitLeg{Backend: []string{"default", "canary", "third"}[i], Weight: w})
			}
			return list
		}
		split := func(site, sticky string, legs []weir.SplitLeg) ir.Split {
			return ir.Split{Name: site, Split: weir.Split{Site: site, Backend: "default", Sticky: sticky, Legs: legs}}
		}
		g := startGate(t, h, func(n *ir.Node) {
			for _, name := range []string{"alone", "canary", "cookie", "source", "stepped", "timed"} {
				n.Sites = append(n.Sites, ir.Site{
					Name: name, Mode: "http", Hostnames: []string{name + ".example"}, Addresses: []string{"vip1"}, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}},
					Backends: []ir.Backend{{Name: "canary", Pool: "web2"}, {Name: "default", Pool: "web1"}, {Name: "third", Pool: "api"}},
				})
			}
			n.Schedules = []ir.Schedule{{Name: "later", From: far}}
			stepped := split("stepped", weir.StickyNone, legs(1, 0))
			stepped.Steps = []weir.SplitStep{{At: far, Weights: map[string]int{"default": 0, "canary": 1}}}
			timed := split("timed", weir.StickyNone, legs(0, 1))
			timed.Schedule = "later"
			n.Splits = []ir.Split{
				split("canary", weir.StickyNone, legs(700, 200, 100)), split("cookie", weir.StickyCookie, legs(90, 10)), split("source", weir.StickySource, legs(50, 50)), stepped, timed,
			}
		})
		const n = 400
		got := g.share("canary.example", n, nil)
		near(t, "canary", got, "web1", n*7/10, 48) // five times the standard deviation
		near(t, "canary", got, "web2", n*2/10, 42)
		near(t, "canary", got, "api", n*1/10, 32)
		if got := g.share("alone.example", 10, nil); got["web1"] != 10 {
			t.Errorf("without a split: %v", got)
		}
		if got := g.share("timed.example", 10, nil); got["web1"] != 10 {
			t.Errorf("before its schedule: %v", got)
		}

		// A client gets a number once, and keeps its leg with it.
		_, answer := g.ask(17, "cookie.example", "/")
		if !strings.Contains(answer, "set-cookie: WEIRSPLIT=") || !strings.Contains(answer, "cache-control: private") {
			t.Errorf("a new client got\n%s", answer)
		}
		if _, answer = g.ask(17, "cookie.example", "/", "Cookie: WEIRSPLIT=77"); strings.Contains(answer, "WEIRSPLIT") {
			t.Errorf("a client that has a number got\n%s", answer)
		}
		legsOf := func(host string, headers func(i int) []string) (list []string) {
			for i := range 100 {
				list = append(list, g.origin(host, headers(i)...))
			}
			return list
		}
		numbered := func(i int) []string { return []string{fmt.Sprintf("Cookie: WEIRSPLIT=%d", i*7919)} }
		before := legsOf("cookie.example", numbered)
		if again := legsOf("cookie.example", numbered); strings.Join(before, " ") != strings.Join(again, " ") {
			t.Errorf("clients with a cookie move:\n%v\n%v", before, again)
		}
		if first := g.origin("source.example"); len(g.share("source.example", 20, nil)) != 1 {
			t.Errorf("a client of one address, first at %s, moves", first)
		}
		soon := time.Now().Truncate(time.Second).Add(3 * time.Second)
		g.change(func(n *ir.Node) {
			n.Splits[1].Legs = legs(50, 50)
			n.Splits[3].Steps = []weir.SplitStep{{At: soon, Weights: map[string]int{"default": 0, "canary": 1}}}
			n.Schedules = []ir.Schedule{{Name: "later", From: soon}}
			n.Splits = append([]ir.Split{}, n.Splits...)
		})
		after, joined := legsOf("cookie.example", numbered), 0
		for i := range before {
			if before[i] == "web2" && after[i] != "web2" {
				t.Errorf("client %d went back to %s when its leg's share grew", i, after[i])
			}
			if before[i] != after[i] {
				joined++
			}
		}
		if joined < 15 || joined > 65 {
			t.Errorf("%d of 100 clients joined a leg that grew by 40 %%", joined)
		}
		for _, host := range []string{"stepped.example", "timed.example"} {
			for time.Now().Before(soon) {
				if got := g.origin(host); got != "web1" && time.Now().Before(soon) {
					t.Fatalf("%s is at %s before its time", host, got)
				}
			}
			if got := g.share(host, 10, nil); got["web2"] != 10 {
				t.Errorf("%s, at its time: %v", host, got)
			}
		}
	})
}

func pidOf(info string) string {
	_, rest, _ := strings.Cut(info, "\nPid: ")
	pid, _, _ := strings.Cut(rest, "\n")
	return pid
}

// TestSplitAborts: a leg whose answers are errors gets nothing any more as soon as its answers say so, by HAProxy alone,
// also after a reload, and comes back when its split changes. A leg that is fine stays, and so does the first one.
func TestSplitAborts(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		split := func(site string, first, bad, good int) ir.Split {
			return ir.Split{Name: site, Split: weir.Split{
				Site: site, Backend: "default", Sticky: weir.StickyNone, Abort: &weir.SplitAbort{Errors: 50, Window: weir.Duration(10 * time.Minute), Requests: 5},
				Legs: []weir.SplitLeg{{Backend: "default", Weight: first}, {Backend: "bad", Weight: bad}, {Backend: "good", Weight: good}},
			}}
		}
		g := startGate(t, h, func(n *ir.Node) {
			for _, name := range []string{"first", "second", "third"} {
				n.Sites = append(n.Sites, ir.Site{
					Name: name, Mode: "http", Hostnames: []string{name + ".example"}, Addresses: []string{"vip1"}, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}},
					Backends: []ir.Backend{{Name: "bad", Pool: "web2"}, {Name: "default", Pool: "web1"}, {Name: "good", Pool: "api"}},
				})
			}
			closed := n.Pools[0]
			closed.Name, closed.Servers = "closed", []ir.Server{{Name: "s", Address: n.Pools[0].Servers[0].Address, Weight: 100, Owner: "Server/s", Maintenance: true}}
			n.Pools = append([]ir.Pool{n.Pools[0], closed}, n.Pools[1:]...)
			n.Sites[len(n.Sites)-2].Backends[0].Pool = "closed"
			n.Splits = []ir.Split{split("first", 0, 1, 0), split("second", 0, 1, 1), split("third", 1, 1, 0)}
			n.Splits[2].Abort = nil
			n.Logics = []ir.Logic{logicOf(t, "marks", "http-after-response set-header x-marked yes", nil)}
			use(n, "third", weir.LogicUse{Name: "marks"})
		})
		g.origins[36].SetStatus("/x", 500)
		one := func(host string) string {
			status, answer := g.ask(17, host, "/x")
			_, rest, _ := strings.Cut(answer, "x-origin: ")
			name, _, _ := strings.Cut(rest, "\r\n")
			if status != 200 {
				return fmt.Sprint(status)
			}
			return name
		}
		ask := func(host string, n int) (list []string) {
			for range n {
				list = append(list, one(host))
			}
			return list
		}
		if got, want := fmt.Sprint(ask("first.example", 8)), "[500 500 500 500 500 web1 web1 web1]"; got != want {
			t.Errorf("a leg that fails: %s, want %s", got, want)
		}
		// One without servers, which HAProxy answers for: half of the requests go to either leg until it has failed five times.
		got := map[string]int{}
		for range 200 {
			got[one("second.example")]++
		}
		if got["503"] != 5 || got["api"] < 60 || got["web1"] < 60 {
			t.Errorf("one of two legs that fails: %v", got)
		}
		if got := g.share("third.example", 100, nil); got["web2"] < 20 {
			t.Errorf("a split that takes none out: %v", got)
		}
		if _, answer := g.ask(17, "third.example", "/x"); !strings.Contains(answer, "x-marked: yes") {
			t.Errorf("the logic of another site was not asked:\n%s", answer)
		}
		before := g.tell(haproxy.AdminSocket, "show info")
		g.tell("run/master.sock", "reload")
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if pidOf(g.tell(haproxy.AdminSocket, "show info")) == pidOf(before) {
				return errors.New("still the worker of before")
			}
			return nil
		})
		if got := fmt.Sprint(ask("first.example", 3)); got != "[web1 web1 web1]" {
			t.Errorf("after a reload: %s", got)
		}
		g.change(func(n *ir.Node) {
			n.Splits = append([]ir.Split{}, n.Splits...)
			changed := *n.Splits[0].Abort
			changed.Requests = 6
			n.Splits[0].Abort = &changed
		})
		if got, want := fmt.Sprint(ask("first.example", 7)), "[500 500 500 500 500 500 web1]"; got != want {
			t.Errorf("of a split that has changed: %s, want %s", got, want)
		}
		if got := fmt.Sprint(ask("second.example", 30)); strings.Contains(got, "503") {
			t.Errorf("of one that has not: %s", got)
		}
	})
}
