package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
)

var bigFigures = []string{
	"big_change_p50_ms", "big_change_p99_ms", "big_weight_p50_ms", "big_weight_p99_ms", "big_add_p50_ms", "big_add_p99_ms",
	"agent_rss_mib", "agent_idle_cpu_cores", "haproxy_idle_cpu_cores",
	"coldstart_big_ratio", "coldstart_big_agent_ms", "coldstart_big_haproxy_ms",
}

// One load balancer that holds a hundred sites of ten pools of ten servers. Every server is checked, every ten
// seconds: a thousand checks a second.
const (
	bigSites   = 100
	poolsOfOne = 10 // site
	bigServers = 10 // of a pool
	bigCheck   = "10s"
	// Rounds of a weight by its Server, one by an Override, and a server added and taken away again.
	bigRounds  = 100
	bigStarts  = 9
	idleFor    = 30 * time.Second
	firstOfBig = 100 // last part of the address of each pool's first server
	joiningBig = 200 // and of the server that is added
)

// bigWorld is the load balancer with the rest of its world.
type bigWorld struct {
	*fleet
	client *hapctl.Client
	rss    float64 // most that was seen, MiB
}

// measureBig follows single changes from the call of the API until HAProxy shows them at its run-time socket, then
// lets everything rest and looks at what that costs the agent, then starts all anew.
func measureBig(t *testing.T) []figure {
	w := startBig(t)
	weights, adds := w.changes()
	all := slices.Concat(weights, adds)
	idle, proxy := w.idle()
	t.Logf("change %.4g %.4g, weight %.4g %.4g, add %.4g %.4g ms, agent %.4g MiB, idle %.4g and %.4g cores",
		median(all), percentile(all, 99), median(weights), percentile(weights, 99), median(adds), percentile(adds, 99), w.rss, idle, proxy)
	agent, alone := w.coldStarts()
	t.Logf("cold starts of the agent %.0f ms, of HAProxy alone %.0f ms", agent, alone)
	return []figure{
		{bigFigures[0], median(all), "ms"},
		{bigFigures[1], percentile(all, 99), "ms"},
		{bigFigures[2], median(weights), "ms"},
		{bigFigures[3], percentile(weights, 99), "ms"},
		{bigFigures[4], median(adds), "ms"},
		{bigFigures[5], percentile(adds, 99), "ms"},
		{bigFigures[6], w.rss, "MiB"},
		{bigFigures[7], idle, "cores"},
		{bigFigures[8], proxy, "cores"},
		{bigFigures[9], median(agent) / median(alone), "ratio"},
		{bigFigures[10], median(agent), "ms"},
		{bigFigures[11], median(alone), "ms"},
	}
}

func startBig(t *testing.T) *bigWorld {
	t.Helper()
	w := &bigWorld{fleet: startControlPlane(t, newLoop(t), 1)}
	w.origins(t)
	for _, part := range w.objects() {
		w.must(http.MethodPost, "apply?reason=bench", part)
	}
	w.startLoadBalancer(0)
	w.eventually("the load balancer is read back", 60*time.Second, w.converged)
	w.client = hapctl.NewClient(filepath.Join(w.folder(), haproxy.AdminSocket))
	t.Cleanup(w.client.Close)
	w.eventually("every server has been checked", 60*time.Second, func() error {
		states, err := w.client.ServersState(t.Context(), "")
		if err != nil {
			return err
		}
		up := 0
		for _, s := range states {
			if s.Up() {
				up++
			}
		}
		if want := bigSites * poolsOfOne * bigServers; up < want {
			return fmt.Errorf("%d of %d are up", up, want)
		}
		return nil
	})
	w.rest(5 * time.Second)
	return w
}

// folder is HAProxy's.
func (w *bigWorld) folder() string { return filepath.Join(w.dir, fleetName(0), "haproxy") }

// origins answer checks and requests beside everything else.
func (w *bigWorld) origins(t *testing.T) {
	l := newLoop(t)
	for i := range bigServers {
		l.origin(t, w.originAddr(firstOfBig+i), originAnswer(firstOfBig+i))
	}
	l.origin(t, w.originAddr(joiningBig), originAnswer(joiningBig))
	l.turnBeside(t)
}

func bigPool(n int) string { return fmt.Sprintf("p%03d", n) }

func bigServer(pool, n int) string { return fmt.Sprintf("%s-%d", bigPool(pool), n) }

// objects are all that the load balancer must do, in several changes.
func (w *bigWorld) objects() []string {
	var parts []string
	var b strings.Builder
	cut := func() { parts, b = append(parts, b.String()), strings.Builder{} }
	b.WriteString("kind: IPAddress\nmetadata: {name: www-az1, role: web}\nspec: {address: 203.0.113.1, homeZone: az1, groups: [edge]}\n")
	for site := range bigSites {
		var backends, routes []string
		for i := range poolsOfOne {
			pool := bigPool(site*poolsOfOne + i)
			fmt.Fprintf(&b, "---\nkind: Pool\nmetadata: {name: %s, role: web}\nspec: {selector: {role: web, clusters: [%[1]s]}, port: http, healthCheck: {path: /ping, interval: %s}}\n", pool, bigCheck)
			name := "default"
			if i > 0 {
				name = fmt.Sprintf("b%d", i)
				routes = append(routes, fmt.Sprintf("{match: {path: {prefix: /%s}}, backend: %[1]s}", name))
			}
			backends = append(backends, name+": "+pool)
		}
		fmt.Fprintf(&b, "---\nkind: Site\nmetadata: {name: site%02d, role: web}\nspec: {hostnames: [site%02[1]d.bench.example], addresses: [www-az1], listeners: [{port: 80}], backends: {%s}, routes: [%s]}\n",
			site, strings.Join(backends, ", "), strings.Join(routes, ", "))
	}
	cut()
	for pool := range bigSites * poolsOfOne {
		for i := range bigServers {
			b.WriteString("---\n" + w.serverObject(pool, i, firstOfBig+i, 100) + "\n")
		}
		if pool%100 == 99 {
			cut()
		}
	}
	return parts
}

// serverObject declares a server of a pool, as JSON.
func (w *bigWorld) serverObject(pool, n, host, weight int) string {
	return fmt.Sprintf(`{"kind":"Server","metadata":{"name":%q,"role":"web"},"spec":{"address":%q,"zone":"az1","clusters":[%q],"ports":{"http":%d},"weight":%d}}`,
		bigServer(pool, n), w.where.at(byte(host)), bigPool(pool), originPort, weight)
}

// changes gives how many milliseconds each change took, from the call to HAProxy's having it.
func (w *bigWorld) changes() (weights, adds []float64) {
	for i := range bigRounds {
		pool, n := i*7919%(bigSites*poolsOfOne), i%bigServers
		name := bigServer(pool, n)
		weights = append(weights,
			w.until(http.MethodPut, "servers/"+name, w.serverObject(pool, n, firstOfBig+n, 50), pool, weighs(name, 50)),
			w.until(http.MethodPut, "overrides/bench", fmt.Sprintf(`{"kind":"Override","metadata":{"name":"bench","role":"web"},"spec":{"server":%q,"weight":%d,"reason":"bench","expiresAt":%q}}`,
				name, 20, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), pool, weighs(name, 20)))
		joins := bigServer(pool, bigServers)
		adds = append(adds, w.until(http.MethodPut, "servers/"+joins, w.serverObject(pool, bigServers, joiningBig, 100), pool, weighs(joins, 100)))
		w.until(http.MethodDelete, "servers/"+joins, "", pool, func(states []haproxy.ServerState) bool { return len(states) == bigServers })
		w.rss = max(w.rss, w.resident())
	}
	return weights, adds
}

// weighs says that a server is there, takes traffic, and has a weight.
func weighs(server string, weight int) func([]haproxy.ServerState) bool {
	return func(states []haproxy.ServerState) bool {
		return slices.ContainsFunc(states, func(s haproxy.ServerState) bool {
			return haproxy.BaseName(s.Server) == server && s.Weight == weight && !s.Maint()
		})
	}
}

// until changes something and gives the milliseconds from the call until HAProxy has it.
func (w *bigWorld) until(method, path, body string, pool int, there func([]haproxy.ServerState) bool) float64 {
	w.t.Helper()
	backend := w.backend(pool)
	called := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := w.call(method, path, body)
		called <- err
	}()
	for {
		states, err := w.client.ServersState(w.t.Context(), backend)
		if err != nil {
			w.t.Fatal(err)
		}
		now := time.Now()
		if there(states) {
			if err := <-called; err != nil {
				w.t.Fatal(err)
			}
			w.rest(30 * time.Millisecond)
			return float64(now.Sub(began).Microseconds()) / 1000
		}
		if now.Sub(began) > 20*time.Second {
			w.t.Fatalf("after %s %s HAProxy does not have it: %+v", method, path, states)
		}
		w.rest(500 * time.Microsecond)
	}
}

// backend gives a pool's name in HAProxy.
func (w *bigWorld) backend(pool int) string {
	w.t.Helper()
	names, err := w.client.Backends(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(names, func(n string) bool { return haproxy.BaseName(n) == bigPool(pool) })
	if i < 0 {
		w.t.Fatalf("HAProxy has no pool %s", bigPool(pool))
	}
	return names[i]
}

// resident is what the agent has in memory, in MiB.
func (w *bigWorld) resident() float64 {
	w.t.Helper()
	return w.residentOf(fleetName(0))
}

// residentOf gives the memory of a process of a fleet, in MiB.
func (f *fleet) residentOf(name string) float64 {
	f.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.processes[name].Pid()))
	if err != nil {
		f.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		f.t.Fatal(err)
	}
	return kib / 1024
}

// idle gives the processors that agent and HAProxy use while nothing happens but checks.
func (w *bigWorld) idle() (agent, proxy float64) {
	w.t.Helper()
	w.rest(10 * time.Second)
	info, err := w.client.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	pids := []int{w.processes[fleetName(0)].Pid(), info.Pid}
	used := func(pid int) time.Duration {
		spent, err := cpuTime(pid)
		if err != nil {
			w.t.Fatal(err)
		}
		return spent
	}
	began, before := time.Now(), []time.Duration{used(pids[0]), used(pids[1])}
	for time.Since(began) < idleFor {
		w.rest(time.Second)
		w.rss = max(w.rss, w.resident())
	}
	took := time.Since(began)
	return float64(used(pids[0])-before[0]) / float64(took), float64(used(pids[1])-before[1]) / float64(took)
}

// coldStarts gives the milliseconds from the start of a process until HAProxy answers a request from a server: of
// the agent with everything on disk, and of HAProxy alone with the files that the agent left, by turns.
func (w *bigWorld) coldStarts() (agent, alone []float64) {
	w.t.Helper()
	name := fleetName(0)
	stop := func(p string) {
		if err := w.processes[p].Stop(); err != nil && p == name {
			w.t.Fatal(err)
		}
		w.eventually("the port is closed", 20*time.Second, func() error {
			if c, err := net.Dial("tcp", w.fleetVIP(0).String()); err == nil {
				return errors.Join(errors.New("somebody listens still"), c.Close())
			}
			return nil
		})
	}
	w.client.Close()
	stop(name)
	for range bigStarts {
		began := time.Now()
		w.run(name, w.agentArgs(name)...)
		agent = append(agent, w.answered(began))
		w.eventually("the load balancer is read back", 20*time.Second, w.converged)
		w.rest(2 * time.Second)
		if log, err := os.ReadFile(filepath.Join(w.dir, name+".log")); err == nil && !strings.Contains(string(log), "at rest") {
			w.t.Logf("a start from the journal:\n%s", lastLines(filepath.Join(w.dir, name+".log"), 40))
		}
		stop(name)
		began = time.Now()
		w.runIn(w.folder(), "haproxy", w.haproxy(), "-W", "-f", haproxy.ConfigFile, "-S", "unix@"+haproxy.MasterSocket+",mode,600")
		alone = append(alone, w.answered(began))
		w.rest(time.Second)
		stop("haproxy")
	}
	return agent, alone
}

// answered asks until a server's answer comes, and gives the milliseconds since began.
func (w *bigWorld) answered(began time.Time) float64 {
	w.t.Helper()
	for {
		err := w.ask()
		if err == nil {
			return float64(time.Since(began).Microseconds()) / 1000
		}
		if time.Since(began) > 60*time.Second {
			w.t.Fatalf("after %s there is no answer: %v", time.Since(began), err)
		}
		w.rest(time.Millisecond)
	}
}

func (w *bigWorld) ask() error {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", w.fleetVIP(0).String())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: site42.bench.example\r\n\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "HTTP/1.1 200 ") {
		err = fmt.Errorf("the answer is %q", line)
	}
	return err
}
