package bench

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"weir/internal/weirtest"
)

var autoscaleFigures = []string{
	"autoscale_p50_ms", "autoscale_p99_ms", "autoscale_failed_requests", "autoscale_reloads", "autoscale_served_unchecked",
}

// One pool that follows ZooKeeper: it grows fivefold at once and shrinks again, while two load balancers have traffic.
const (
	autoscaleLBs    = 2
	autoscaleFrom   = 115
	autoscaleTo     = 600
	autoscaleRounds = 3
	autoscaleProbes = 4 // at each load balancer, each asking every probePace
	// Every so manieth server that comes fails its checks for a while first, as one that is not up yet.
	lateEvery = 10
	lateBy    = time.Second
	// quiet is how long nobody may have asked a server any more for it to count as gone.
	autoscaleQuiet = 500 * time.Millisecond
)

// autoscaled is one server that comes and goes.
type autoscaled struct {
	good  bool      // it has answered a check well since it came
	ready time.Time // before that it answers checks badly
	// first and newest answer by each load balancer
	seen, last [autoscaleLBs]time.Time
}

type autoscaleWorld struct {
	*fleet
	probes    []*probe
	conn      *zk.Conn
	servers   []autoscaled
	failed    int
	unchecked int
}

// measureAutoscale follows each server from the change of its node in ZooKeeper until each load balancer has given it a first
// request, and after it has gone until it was given its last one; the figures are those of the worse of the two. A request's turn comes after as many others as there are
// servers, which is up to 300 ms of what is measured.
func measureAutoscale(t *testing.T) []figure {
	w := startAutoscale(t)
	reloads := w.reloads()
	var grown, shrunk []float64
	for range autoscaleRounds {
		grown = append(grown, w.grow()...)
		w.pause(2 * time.Second)
		shrunk = append(shrunk, w.shrink()...)
		w.pause(2 * time.Second)
	}
	t.Logf("growing %.4g %.4g ms, shrinking %.4g %.4g ms, of %d and %d changes", median(grown), percentile(grown, 99), median(shrunk), percentile(shrunk, 99), len(grown), len(shrunk))
	return []figure{
		{autoscaleFigures[0], max(median(grown), median(shrunk)), "ms"},
		{autoscaleFigures[1], max(percentile(grown, 99), percentile(shrunk, 99)), "ms"},
		{autoscaleFigures[2], float64(w.failed), "requests"},
		{autoscaleFigures[3], float64(w.reloads() - reloads), "reloads"},
		{autoscaleFigures[4], float64(w.unchecked), "requests"},
	}
}

func startAutoscale(t *testing.T) *autoscaleWorld {
	t.Helper()
	z := weirtest.StartZooKeeper(t)
	w := &autoscaleWorld{fleet: startControlPlane(t, newLoop(t), autoscaleLBs), servers: make([]autoscaled, autoscaleTo)}
	for n := range w.servers {
		w.loop.originOf(t, w.origin(n), func(head []byte) []byte { return w.answer(n, head) })
	}
	conn, _, err := zk.Connect([]string{z.Addr}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	w.conn = conn
	if _, err := conn.Create("/web", nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	for n := range autoscaleFrom {
		w.come(n)
	}
	w.must(http.MethodPost, "apply?reason=bench", w.siteAlone()+fmt.Sprintf(`---
kind: DiscoverySource
metadata: {name: zookeeper}
spec:
  zookeeper: {servers: [%q], path: /web}
  role: web
  server: {zone: az1, ports: {http: "${port}"}}
  floor: {percent: 90}
`, z.Addr))
	for lb := range autoscaleLBs {
		w.startLoadBalancer(lb)
	}
	w.eventually("the load balancers are read back", 60*time.Second, w.converged)
	for lb := range autoscaleLBs {
		for range autoscaleProbes {
			p := &probe{loop: w.loop, name: fleetName(lb), addr: w.fleetVIP(lb), failed: &w.failed}
			p.begin(func(origin int) bool { w.note(lb, origin); return false }, 1)
			w.probes = append(w.probes, p)
		}
	}
	w.eventually("the first servers take traffic", 30*time.Second, w.serving)
	w.failed = 0
	w.pause(2 * time.Second)
	if w.failed > 0 {
		t.Fatalf("%d requests fail before anything has changed", w.failed)
	}
	return w
}

type silent struct{}

func (silent) Printf(string, ...any) {}

func (w *autoscaleWorld) origin(n int) netip.AddrPort {
	return netip.AddrPortFrom(w.where.at(scaleHost), uint16(scalePorts+n))
}

var (
	badCheck  = []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	goodCheck = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
)

// answer is what server n answers, to checks and to clients.
func (w *autoscaleWorld) answer(n int, head []byte) []byte {
	s := &w.servers[n]
	if bytes.HasPrefix(head, []byte("HEAD /ping ")) {
		if time.Now().Before(s.ready) {
			return badCheck
		}
		s.good = true
		return goodCheck
	}
	if !s.good {
		w.unchecked++
	}
	return originAnswer(n)
}

func (w *autoscaleWorld) note(lb, n int) {
	s, now := &w.servers[n], time.Now()
	s.last[lb] = now
	if s.seen[lb].IsZero() {
		s.seen[lb] = now
	}
}

// turn asks and answers for a moment.
func (w *autoscaleWorld) turn() {
	now := time.Now()
	for _, p := range w.probes {
		if p.fd == 0 {
			if p.dial() != nil {
				continue
			}
		}
		if err := p.send(now); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.loop.turn(time.Millisecond); err != nil {
		w.t.Fatal(err)
	}
}

func (w *autoscaleWorld) pause(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		w.turn()
	}
}

// serving asks over all load balancers and says whether one has not met all servers of the beginning.
func (w *autoscaleWorld) serving() error {
	w.pause(200 * time.Millisecond)
	for n := range autoscaleFrom {
		for lb := range autoscaleLBs {
			if w.servers[n].seen[lb].IsZero() {
				return fmt.Errorf("%s has not asked server %d", fleetName(lb), n)
			}
		}
	}
	return nil
}

func node(n int) string { return fmt.Sprintf("/web/s%03d", n) }

// come makes the ephemeral node of a server.
func (w *autoscaleWorld) come(n int) {
	at := w.origin(n)
	if _, err := w.conn.Create(node(n), fmt.Appendf(nil, `{"host":%q,"port":%d}`, at.Addr().String(), at.Port()), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		w.t.Errorf("create %s: %v", node(n), err)
	}
}

// changing runs a change of every server that comes and goes beside the traffic, sixteen at a time, and gives when each began.
func (w *autoscaleWorld) changing(change func(n int)) []time.Time {
	began := make([]time.Time, autoscaleTo)
	done := make(chan struct{})
	go func() {
		defer close(done)
		next := make(chan int)
		ended := make(chan struct{})
		for range 16 {
			go func() {
				for n := range next {
					began[n] = time.Now()
					change(n)
				}
				ended <- struct{}{}
			}()
		}
		for n := autoscaleFrom; n < autoscaleTo; n++ {
			next <- n
		}
		close(next)
		for range 16 {
			<-ended
		}
	}()
	for {
		select {
		case <-done:
			return began
		default:
			w.turn()
		}
	}
}

// grow gives for each server and load balancer the milliseconds until its first request, but for those that were late.
func (w *autoscaleWorld) grow() (took []float64) {
	w.t.Helper()
	for n := autoscaleFrom; n < autoscaleTo; n++ {
		w.servers[n] = autoscaled{}
		if n%lateEvery == 0 {
			w.servers[n].ready = time.Now().Add(lateBy)
		}
	}
	began := w.changing(w.come)
	w.until("all servers take traffic", func(s *autoscaled) bool { return !slices.ContainsFunc(s.seen[:], time.Time.IsZero) })
	for n := autoscaleFrom; n < autoscaleTo; n++ {
		for _, seen := range w.servers[n].seen {
			if n%lateEvery != 0 {
				took = append(took, float64(seen.Sub(began[n]).Microseconds())/1000)
			}
		}
	}
	return took
}

// shrink gives for each server and load balancer the milliseconds until its last request.
func (w *autoscaleWorld) shrink() (took []float64) {
	w.t.Helper()
	began := w.changing(func(n int) {
		if err := w.conn.Delete(node(n), -1); err != nil {
			w.t.Errorf("delete %s: %v", node(n), err)
		}
	})
	w.until("nobody asks the servers that went", func(s *autoscaled) bool {
		return !slices.ContainsFunc(s.last[:], func(at time.Time) bool { return time.Since(at) < autoscaleQuiet })
	})
	for n := autoscaleFrom; n < autoscaleTo; n++ {
		for _, last := range w.servers[n].last {
			took = append(took, max(0, float64(last.Sub(began[n]).Microseconds())/1000))
		}
	}
	return took
}

func (w *autoscaleWorld) until(what string, holds func(*autoscaled) bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); slices.ContainsFunc(w.servers[autoscaleFrom:], func(s autoscaled) bool { return !holds(&s) }); {
		if time.Now().After(end) {
			w.t.Fatalf("wait until %s: it has not come to that", what)
		}
		w.pause(20 * time.Millisecond)
	}
}
