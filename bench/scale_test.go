package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
)

var scaleFigures = []string{
	"scaleup_seconds", "scaleup_reloads", "scaleup_failed_requests", "scaleup_vs_raw_ratio", "scaleup_programmed_ms", "scaleup_raw_ms",
}

// One pool that grows at once, as Criteo's did on Black Friday, while every load balancer has traffic.
const (
	scaleFrom, scaleTo = 115, 600
	scaleRounds        = 7
	scalePorts         = 20000 // of the origins, counted from here
	scaleHost          = 240   // last part of their address
)

// scaleWorld is the six load balancers, the traffic over each, and their run-time sockets.
type scaleWorld struct {
	*watchers
	clients []*hapctl.Client
	backend []string
	failed  int // requests
}

// measureScale puts servers into a pool in one apply and follows them until every HAProxy gives all of them
// traffic. Then it sends the commands that the plan named to the same HAProxies by hand.
func measureScale(t *testing.T) []figure {
	w := startScale(t)
	reloads := w.fleet.reloads()
	var joined, programmed []float64
	for range scaleRounds {
		all, last := w.grow()
		joined, programmed = append(joined, all), append(programmed, last)
		w.everyServerAnswers()
		w.shrink()
	}
	commands := w.planned()
	reloads, failed := w.fleet.reloads()-reloads, w.failed
	w.leaveAlone()
	var raw []float64
	for range scaleRounds {
		raw = append(raw, w.feed(commands))
		w.takeAway(commands)
	}
	t.Logf("all take traffic after %.3g s, commands done after %.4g ms, by hand %.4g ms", joined, programmed, raw)
	return []figure{
		{scaleFigures[0], slices.Max(joined), "s"},
		{scaleFigures[1], float64(reloads), "reloads"},
		{scaleFigures[2], float64(failed), "requests"},
		{scaleFigures[3], median(programmed) / median(raw), "ratio"},
		{scaleFigures[4], median(programmed), "ms"},
		{scaleFigures[5], median(raw), "ms"},
	}
}

func startScale(t *testing.T) *scaleWorld {
	t.Helper()
	l := newLoop(t)
	f := startFleet(t, l)
	w := &scaleWorld{watchers: &watchers{fleet: f}}
	for n := range scaleTo {
		l.origin(t, w.origin(n), originAnswer(n))
	}
	f.must(http.MethodPost, "apply?reason=bench", w.scaleSite())
	f.must(http.MethodPost, "apply?reason=bench", w.servers(0, scaleFrom))
	f.eventually("the site is on all load balancers", 20*time.Second, f.converged)
	for lb := range fleetSize {
		w.probes = append(w.probes, &probe{loop: l, name: fleetName(lb), addr: f.fleetVIP(lb), failed: &w.failed})
		client := hapctl.NewClient(w.socket(lb))
		t.Cleanup(client.Close)
		w.clients = append(w.clients, client)
		names, err := client.Backends(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(names, func(n string) bool { return haproxy.BaseName(n) == "web" })
		w.backend = append(w.backend, names[i])
	}
	f.eventually("the first servers take traffic", 20*time.Second, func() error { return w.inTurn(scaleFrom) })
	for _, p := range w.probes {
		if err := p.dial(); err != nil {
			t.Fatal(err)
		}
	}
	w.pause(2 * time.Second)
	return w
}

func (w *scaleWorld) socket(lb int) string {
	return filepath.Join(w.fleet.dir, fleetName(lb), "haproxy", haproxy.AdminSocket)
}

func (w *scaleWorld) origin(n int) netip.AddrPort {
	return netip.AddrPortFrom(w.fleet.where.at(scaleHost), uint16(scalePorts+n))
}

// scaleSite is the site of the other figures with checks as people have them by default.
func (w *scaleWorld) scaleSite() string {
	return strings.Replace(w.fleet.siteAlone(), ", interval: 200ms", "", 1)
}

// servers is a list of them as a program sends it.
func (w *scaleWorld) servers(from, to int) string {
	var b strings.Builder
	for n := from; n < to; n++ {
		at := w.origin(n)
		fmt.Fprintf(&b, `,{"kind":"Server","metadata":{"name":"s%03d","role":"web"},"spec":{"address":%q,"zone":"az1","ports":{"http":%d}}}`, n, at.Addr(), at.Port())
	}
	return `{"kind":"List","items":[` + b.String()[1:] + "]}"
}

// inTurn says which load balancer does not give so many servers traffic.
func (w *scaleWorld) inTurn(want int) error {
	for lb, client := range w.clients {
		if have, err := w.active(client, lb); err != nil || have != want {
			return errors.Join(err, fmt.Errorf("%s gives traffic to %d servers of %d", fleetName(lb), have, want))
		}
	}
	return nil
}

// active is how many servers HAProxy has in its turn: those that checks have let in.
func (w *scaleWorld) active(client *hapctl.Client, lb int) (int, error) {
	cmd, err := hapctl.NewCommand("show", "stat", w.backend[lb], "2", "-1")
	if err != nil {
		return 0, err
	}
	answer, err := client.Do(w.fleet.t.Context(), cmd)
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(answer.Text), "\n")
	at := slices.Index(strings.Split(strings.TrimPrefix(lines[0], "# "), ","), "act")
	return strconv.Atoi(strings.Split(lines[len(lines)-1], ",")[at])
}

// grow applies the servers that are missing. It gives the seconds from the call until all take traffic on all load
// balancers, and the milliseconds until the last agent had read back that they are there.
func (w *scaleWorld) grow() (seconds, programmed float64) {
	f := w.fleet
	f.t.Helper()
	before := w.reconciled()
	body := w.servers(scaleFrom, scaleTo)
	called := make(chan error, 1)
	begin := time.Now()
	go func() {
		_, err := f.call(http.MethodPost, "apply?reason=bench&brief=true", body)
		called <- err
	}()
	look := begin
	for pending := true; pending || w.inTurn(scaleTo) != nil; {
		for look = look.Add(10 * time.Millisecond); time.Now().Before(look); {
			w.turn()
		}
		select {
		case err := <-called:
			if pending = false; err != nil {
				f.t.Fatal(err)
			}
		default:
		}
		if time.Since(begin) > 20*time.Second {
			f.t.Fatal(w.inTurn(scaleTo))
		}
	}
	seconds = time.Since(begin).Seconds()
	w.pause(500 * time.Millisecond) // until the agents have told
	for lb, lines := range w.reconciled() {
		last := time.Time{}
		for _, line := range lines[len(before[lb]):] {
			if line.operations > 0 {
				last = line.at
			}
		}
		if last.IsZero() {
			f.t.Fatalf("%s does not tell of any operation", fleetName(lb))
		}
		programmed = max(programmed, float64(last.Sub(begin).Microseconds())/1000)
	}
	return seconds, programmed
}

// shrink takes the newest change back.
func (w *scaleWorld) shrink() {
	f := w.fleet
	var status struct{ Revision int64 }
	if err := json.Unmarshal(f.must(http.MethodGet, "status", ""), &status); err != nil {
		f.t.Fatal(err)
	}
	f.must(http.MethodPost, fmt.Sprintf("changes/%d/undo?reason=bench", status.Revision), "")
	f.eventually("the servers are gone", 60*time.Second, func() error { return errors.Join(f.converged(), w.inTurn(scaleFrom)) })
	w.pause(time.Second)
}

// everyServerAnswers goes on until each load balancer has had an answer from every server.
func (w *scaleWorld) everyServerAnswers() {
	w.fleet.t.Helper()
	seen := make([]map[int]bool, len(w.probes))
	for lb, p := range w.probes {
		seen[lb] = map[int]bool{}
		p.begin(func(origin int) bool { seen[lb][origin] = true; return false }, 1)
	}
	missing := func() bool {
		return slices.ContainsFunc(seen, func(m map[int]bool) bool { return len(m) < scaleTo })
	}
	for end := time.Now().Add(60 * time.Second); missing(); w.turn() {
		if time.Now().After(end) {
			w.fleet.t.Fatalf("requests over %s met %d servers of %d", fleetName(0), len(seen[0]), scaleTo)
		}
	}
}

// reconcile is a line of an agent's log.
type reconcile struct {
	at         time.Time
	operations int
}

var reconcileLine = regexp.MustCompile(`(?m)^time=(\S+) level=INFO msg=reconcile .* operations=(\d+) `)

func (w *scaleWorld) reconciled() (list [][]reconcile) {
	w.fleet.t.Helper()
	for lb := range fleetSize {
		raw, err := os.ReadFile(filepath.Join(w.fleet.dir, fleetName(lb)+".log"))
		if err != nil {
			w.fleet.t.Fatal(err)
		}
		lines := []reconcile{}
		for _, m := range reconcileLine.FindAllStringSubmatch(string(raw), -1) {
			at, err := time.Parse(time.RFC3339Nano, m[1])
			if err != nil {
				w.fleet.t.Fatal(err)
			}
			n, _ := strconv.Atoi(m[2])
			lines = append(lines, reconcile{at, n})
		}
		list = append(list, lines)
	}
	return list
}

// planned gives the commands that growing would be on each load balancer.
func (w *scaleWorld) planned() [][]string {
	f := w.fleet
	f.t.Helper()
	var answer struct {
		Plan struct {
			LoadBalancers []struct {
				Name     string
				Commands []string
			}
		}
	}
	if err := json.Unmarshal(f.must(http.MethodPost, "plan", w.servers(scaleFrom, scaleTo)), &answer); err != nil {
		f.t.Fatal(err)
	}
	commands := make([][]string, fleetSize)
	for lb := range commands {
		for _, p := range answer.Plan.LoadBalancers {
			if p.Name == fleetName(lb) {
				commands[lb] = p.Commands
			}
		}
		if len(commands[lb]) < scaleTo-scaleFrom {
			f.t.Fatalf("the plan has %d commands for %s", len(commands[lb]), fleetName(lb))
		}
	}
	return commands
}

// leaveAlone puts the load balancers in Maintenance, where agents look at nothing; the HAProxies go on.
func (w *scaleWorld) leaveAlone() {
	f := w.fleet
	for lb := range fleetSize {
		var object map[string]any
		if err := json.Unmarshal(f.must(http.MethodGet, "loadbalancers/"+fleetName(lb), ""), &object); err != nil {
			f.t.Fatal(err)
		}
		delete(object, "status")
		object["spec"].(map[string]any)["state"] = "Maintenance"
		raw, err := json.Marshal(object)
		if err != nil {
			f.t.Fatal(err)
		}
		f.must(http.MethodPut, "loadbalancers/"+fleetName(lb), string(raw))
	}
	w.pause(2 * time.Second)
}

// feed sends commands to all HAProxies side by side, over one connection each, as fast as they are taken, and gives
// the milliseconds from the first byte to the last answer. Traffic goes on meanwhile.
func (w *scaleWorld) feed(commands [][]string) float64 {
	f := w.fleet
	f.t.Helper()
	var begin time.Time
	type end struct {
		at  time.Time
		err error
	}
	ends := make(chan end, fleetSize)
	ready, start := make(chan error, fleetSize), make(chan struct{})
	for lb := range fleetSize {
		go func() {
			conn, err := net.Dial("unix", w.socket(lb))
			if err == nil {
				defer func() { _ = conn.Close() }()
				_, err = conn.Write([]byte("prompt i\n"))
			}
			ready <- err
			<-start
			go func() { _, _ = conn.Write([]byte(strings.Join(commands[lb], "\n") + "\necho that-is-all\n")) }()
			in := bufio.NewScanner(conn)
			for in.Scan() {
				if strings.Contains(in.Text(), "that-is-all") {
					ends <- end{at: time.Now()}
					return
				}
			}
			ends <- end{err: errors.Join(errors.New("the answers ended too early"), in.Err())}
		}()
	}
	for range fleetSize {
		if err := <-ready; err != nil {
			f.t.Fatal(err)
		}
	}
	begin = time.Now()
	close(start)
	last := begin
	for left := fleetSize; left > 0; {
		w.turn()
		select {
		case e := <-ends:
			if left--; e.err != nil {
				f.t.Fatal(e.err)
			}
			last = e.at
		default:
		}
	}
	return float64(last.Sub(begin).Microseconds()) / 1000
}

// takeAway undoes what feed did, once the servers have been let in, which shows that the commands were taken.
func (w *scaleWorld) takeAway(commands [][]string) {
	f := w.fleet
	f.t.Helper()
	f.eventuallyTurning(w.watchers, "the servers that were fed take traffic", 20*time.Second, func() error { return w.inTurn(scaleTo) })
	away := make([][]string, fleetSize)
	for lb, list := range commands {
		for _, c := range list {
			if words := strings.Fields(c); words[0] == "add" && words[1] == "server" {
				away[lb] = append(away[lb], "disable server "+words[2], "wait 5s srv-removable "+words[2], "del server "+words[2])
			}
		}
	}
	w.feed(away)
	f.eventuallyTurning(w.watchers, "they are gone", 20*time.Second, func() error { return w.inTurn(scaleFrom) })
	w.pause(500 * time.Millisecond)
}

// eventuallyTurning is eventually with traffic.
func (f *fleet) eventuallyTurning(w *watchers, what string, most time.Duration, try func() error) {
	f.t.Helper()
	for end := time.Now().Add(most); ; {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("wait until %s: %v", what, err)
		}
		for next := time.Now().Add(20 * time.Millisecond); time.Now().Before(next); {
			w.turn()
		}
	}
}
