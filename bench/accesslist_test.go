package bench

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var accessListFigures = []string{"accesslist_100k_ms", "accesslist_entry_ms", "accesslist_failed_requests"}

const (
	listEntries   = 100_000
	listRounds    = 5
	listBalancers = 2
	listProbes    = 4   // at each load balancer, of clients that no list holds
	listRefused   = 403 // what clients of the list are answered, in the place of an origin
)

// exchanged is what holds 100,000 clients whom a site refuses, and is exchanged under load.
type exchanged struct {
	at   string                         // of the API
	list func(list, swapped int) string // see accessList
	more []string                       // applied with it
	uses string                         // of the site
}

var (
	exchangedList = exchanged{"accesslists/refused", accessList, nil, "routes: [{match: {accessList: refused}, action: {deny: 403}}]"}
	// Logic looks clients up in a Map: the same comes and goes, at a map of its own.
	exchangedMap = exchanged{"maps/refused", clientMap, []string{`{"kind":"Logic","metadata":{"name":"refuse","role":"web"},"spec":{"text":"http-request set-var-fmt(txn.client) /%[src]\nhttp-request deny deny_status 403 if { var(txn.client),map(refused) -m found }"}}`}, "logic: [refuse]"}
)

// listWorld is two load balancers that have traffic, and clients that one of two lists holds each.
type listWorld struct {
	*watchers
	of      exchanged
	failed  int
	clients [2]*watchers // at each load balancer, by the list that holds them
}

// measureAccessList replaces all of an AccessList of 100,000 networks by others, again and again, while clients ask. It gives
// the milliseconds from the call of the API until the clients of the new list are refused over all load balancers and those
// of the old one are not, the same for one entry that comes and goes, and how many requests of others have failed.
func measureAccessList(t *testing.T) []figure {
	w := startLists(t, exchangedList)
	all, one := w.rounds()
	return []figure{
		{accessListFigures[0], median(all), "ms"},
		{accessListFigures[1], median(one), "ms"},
		{accessListFigures[2], float64(w.failed), "requests"},
	}
}

var mapFigures = []string{"map_100k_ms", "map_failed_requests"}

// measureMap does the same with a Map that logic looks clients up in.
func measureMap(t *testing.T) []figure {
	w := startLists(t, exchangedMap)
	all, _ := w.rounds()
	return []figure{{mapFigures[0], median(all), "ms"}, {mapFigures[1], float64(w.failed), "requests"}}
}

// rounds replaces all entries, and single ones, and gives the milliseconds that each took.
func (w *listWorld) rounds() (all, one []float64) {
	t := w.fleet.t
	reloads := w.fleet.reloads()
	for round := range listRounds {
		all = append(all, w.put((round+1)%2, w.of.list((round+1)%2, 0)))
		one = append(one, w.put(round%2, w.of.list((round+1)%2, 1)), w.put((round+1)%2, w.of.list((round+1)%2, 0)))
	}
	if n := w.fleet.reloads() - reloads; n > 0 {
		t.Errorf("%d reloads", n)
	}
	t.Logf("replacing took %.4g ms, one entry %.4g ms; the control plane has %.4g MiB, an agent %.4g MiB", all, one, w.fleet.residentOf("server"), w.fleet.residentOf(fleetName(0)))
	return all, one
}

// listClient is the address of the clients that one of the two lists holds.
func listClient(list int) netip.Addr { return netip.AddrFrom4([4]byte{127, 254, byte(list), 9}) }

// accessList is one of two lists that have no network in common; with more, the client of the other is in it instead of
// its own.
func accessList(list, swapped int) string {
	var b strings.Builder
	b.WriteString(`{"kind":"AccessList","metadata":{"name":"refused","role":"web"},"spec":{"networks":[`)
	for i := range listEntries - 1 {
		fmt.Fprintf(&b, `"%d.%d.%d.%d/32",`, 11+list*40+i>>16, i>>8&0xff, i&0xff, 7)
	}
	fmt.Fprintf(&b, `"%s/32"]}}`, listClient((list+swapped)%2))
	return b.String()
}

// clientMap is the same as a Map.
func clientMap(list, swapped int) string {
	var b strings.Builder
	b.WriteString(`{"kind":"Map","metadata":{"name":"refused","role":"web"},"spec":{"match":"exact","entries":[`)
	for i := range listEntries - 1 {
		fmt.Fprintf(&b, `{"key":"/%d.%d.%d.7","value":"refused"},`, 11+list*40+i>>16, i>>8&0xff, i&0xff)
	}
	fmt.Fprintf(&b, `{"key":"/%s","value":"refused"}]}}`, listClient((list+swapped)%2))
	return b.String()
}

func startLists(t *testing.T, of exchanged) *listWorld {
	t.Helper()
	l := newLoop(t)
	f := startControlPlane(t, l, listBalancers)
	for _, n := range []int{firstOrigin, secondOrigin} {
		l.origin(t, f.originAddr(n), originAnswer(n))
	}
	for _, o := range append([]string{of.list(0, 0)}, of.more...) {
		f.must(http.MethodPost, "apply?reason=bench", o)
	}
	f.must(http.MethodPost, "apply?reason=bench", strings.Replace(f.site(), "backends: {default: web}", "backends: {default: web}, "+of.uses, 1))
	for lb := range listBalancers {
		f.startLoadBalancer(lb)
	}
	f.eventually("the load balancers are read back", 30*time.Second, f.converged)
	f.rest(2 * time.Second) // until the checks have let the servers in
	w := &listWorld{watchers: &watchers{fleet: f}, of: of}
	dial := func(lb int, from netip.Addr) *probe {
		p := &probe{loop: l, name: fleetName(lb), addr: f.fleetVIP(lb), failed: &w.failed, from: from}
		if err := p.dial(); err != nil {
			t.Fatal(err)
		}
		w.probes = append(w.probes, p)
		return p
	}
	for lb := range listBalancers {
		for range listProbes {
			dial(lb, netip.Addr{})
		}
		for list := range w.clients {
			if w.clients[list] == nil {
				w.clients[list] = &watchers{fleet: f}
			}
			p := dial(lb, listClient(list))
			p.refusal = listRefused
			w.clients[list].probes = append(w.clients[list].probes, p)
		}
	}
	w.until(0)
	w.failed = 0
	return w
}

// until waits until one of the two clients is refused everywhere and the other nowhere, and gives when that began.
func (w *listWorld) until(refused int) (since time.Time) {
	f := w.fleet
	f.t.Helper()
	for list, c := range w.clients {
		for _, p := range c.probes {
			p.begin(func(origin int) bool { return (origin == listRefused) == (list == refused) }, inARow)
		}
	}
	for end := time.Now().Add(20 * time.Second); ; w.turn() {
		done := true
		for _, c := range w.clients {
			for _, p := range c.probes {
				done = done && p.done()
			}
		}
		if done {
			break
		}
		if time.Now().After(end) {
			f.t.Fatal("the clients of the list are not refused, or others are")
		}
	}
	for _, c := range w.clients {
		for _, p := range c.probes {
			if p.since.After(since) {
				since = p.since
			}
		}
	}
	return since
}

// put replaces the list and gives the milliseconds until it holds everywhere.
func (w *listWorld) put(refused int, list string) float64 {
	f := w.fleet
	f.t.Helper()
	done := make(chan error, 1)
	begun := time.Now()
	go func() {
		_, err := f.call(http.MethodPut, w.of.at, list)
		done <- err
	}()
	since := w.until(refused)
	for answered := false; !answered; w.turn() {
		select {
		case err := <-done:
			if err != nil {
				f.t.Fatal(err)
			}
			answered = true
		default:
		}
	}
	f.eventually("the list is read back", 20*time.Second, f.converged)
	w.turnFor(200 * time.Millisecond)
	return float64(since.Sub(begun).Microseconds()) / 1000
}
