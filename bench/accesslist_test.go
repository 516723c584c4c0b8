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

// listWorld is two load balancers that have traffic, and clients that one of two lists holds each.
type listWorld struct {
	*watchers
	failed  int
	clients [2]*watchers // at each load balancer, by the list that holds them
}

// measureAccessList replaces all of an AccessList of 100,000 networks by others, again and again, while clients ask. It gives
// the milliseconds from the call of the API until the clients of the new list are refused over all load balancers and those
// of the old one are not, the same for one entry that comes and goes, and how many requests of others have failed.
func measureAccessList(t *testing.T) []figure {
	w := startLists(t)
	reloads := w.fleet.reloads()
	var all, one []float64
	for round := range listRounds {
		all = append(all, w.put((round+1)%2, accessList((round+1)%2, 0)))
		one = append(one, w.put(round%2, accessList((round+1)%2, 1)), w.put((round+1)%2, accessList((round+1)%2, 0)))
	}
	if n := w.fleet.reloads() - reloads; n > 0 {
		t.Errorf("%d reloads", n)
	}
	t.Logf("replacing took %.4g ms, one entry %.4g ms; the control plane has %.4g MiB, an agent %.4g MiB", all, one, w.fleet.residentOf("server"), w.fleet.residentOf(fleetName(0)))
	return []figure{
		{accessListFigures[0], median(all), "ms"},
		{accessListFigures[1], median(one), "ms"},
		{accessListFigures[2], float64(w.failed), "requests"},
	}
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

func startLists(t *testing.T) *listWorld {
	t.Helper()
	l := newLoop(t)
	f := startControlPlane(t, l, listBalancers)
	for _, n := range []int{firstOrigin, secondOrigin} {
		l.origin(t, f.originAddr(n), originAnswer(n))
	}
	f.must(http.MethodPost, "apply?reason=bench", accessList(0, 0))
	f.must(http.MethodPost, "apply?reason=bench", strings.Replace(f.site(), "backends: {default: web}", "backends: {default: web}, routes: [{match: {accessList: refused}, action: {deny: 403}}]", 1))
	for lb := range listBalancers {
		f.startLoadBalancer(lb)
	}
	f.eventually("the load balancers are read back", 30*time.Second, f.converged)
	f.rest(2 * time.Second) // until the checks have let the servers in
	w := &listWorld{watchers: &watchers{fleet: f}}
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
		_, err := f.call(http.MethodPut, "accesslists/refused", list)
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
