package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

var fanOutFigures = []string{
	"fanout_p50_ms", "fanout_p99_ms", "server_rss_mib", "server_cpu_cores", "restart_all_back_seconds", "restart_snapshots_sent",
}

// The fleet of the figures: groups of two load balancers, each with its share of all else.
const (
	crowdGroups       = 300
	crowdAgents       = 2 * crowdGroups
	crowdServers      = 100_000
	crowdCertificates = 5_000
	serversOfPool     = 20
	changesPerSecond  = 300
	fanOutSeconds     = 30
	poolsOfCrowd      = crowdServers / serversOfPool
	applyInOne        = 5_000
	crowdConcurrency  = 64
)

// measureFanOut runs a control plane with a large fleet's objects and the agents' ends of 600 load balancers in
// another process, changes servers' weights at a steady rate, and then kills the control plane and starts it
// again.
func measureFanOut(t *testing.T) []figure {
	f := &fleet{t: t, loop: newLoop(t), where: place{weirtest.Prefix(t)}, dir: crowdDir(t), processes: map[string]*weirtest.Process{}}
	f.build()
	f.startServer()
	f.client.Timeout = 5 * time.Minute
	begin := time.Now()
	f.fill()
	t.Logf("objects are in the store after %s", time.Since(begin).Round(time.Second))
	c := f.startCrowd()
	c.await("all agents have everything", 2*time.Minute, func() bool { return len(c.ups) == crowdAgents && len(c.haves) == crowdAgents })
	t.Logf("agents are there after %s", time.Since(begin).Round(time.Second))
	f.rest(5 * time.Second)
	took, cores := f.change(c)
	rss := rssMiB(t, f.processes["server"].Pid())
	back, snapshots := f.restart(c)
	return []figure{
		{fanOutFigures[0], median(took), "ms"},
		{fanOutFigures[1], percentile(took, 99), "ms"},
		{fanOutFigures[2], rss, "MiB"},
		{fanOutFigures[3], cores, "cores"},
		{fanOutFigures[4], back, "s"},
		{fanOutFigures[5], float64(snapshots), "snapshots"},
	}
}

// crowdDir is on a file system in memory, if there is one: 600 agents' journals are on 600 disks elsewhere.
func crowdDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "weir")
	if err != nil {
		return weirtest.TempDir(t)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func crowdGroupOf(pool int) int { return pool % crowdGroups }

func crowdServerName(n int) string { return fmt.Sprintf("s%06d", n) }

// crowdServer is the manifest of server n, which is in pool n/serversOfPool.
func crowdServer(n, weight int) string {
	return fmt.Sprintf(`{"kind":"Server","metadata":{"name":%q,"role":"web"},"spec":{"address":"10.%d.%d.%d","zone":"az1","clusters":["p%04d"],"ports":{"http":8080},"weight":%d}}`,
		crowdServerName(n), n>>16, n>>8&255, n&255, n/serversOfPool, weight)
}

// fill makes the objects of the fleet.
func (f *fleet) fill() {
	f.t.Helper()
	var docs []string
	flush := func() {
		f.t.Helper()
		if len(docs) == 0 {
			return
		}
		f.must(http.MethodPost, "apply?reason=bench", "# YAML, whatever comes first\n"+strings.Join(docs, "\n---\n"))
		docs = docs[:0]
	}
	add := func(format string, args ...any) {
		docs = append(docs, fmt.Sprintf(format, args...))
		if len(docs) >= applyInOne {
			flush()
		}
	}
	add("kind: Zone\nmetadata: {name: az1}\n---\nkind: Zone\nmetadata: {name: az2}\n---\nkind: Role\nmetadata: {name: web}\nspec: {contact: bench}")
	for g := range crowdGroups {
		add("kind: LoadBalancerGroup\nmetadata: {name: g%03d}\nspec: {ranges: [172.%d.%d.0/28]}", g, 16+g/256, g%256)
		add("kind: IPAddress\nmetadata: {name: g%03d, role: web}\nspec: {address: 172.%d.%d.1, homeZone: az1, groups: [g%03d]}", g, 16+g/256, g%256, g)
	}
	for n := range crowdServers {
		add("%s", crowdServer(n, 100))
	}
	for p := range poolsOfCrowd {
		add("kind: Pool\nmetadata: {name: p%04d, role: web}\nspec: {selector: {role: web, clusters: [p%04d]}, port: http, healthCheck: {path: /ping}}", p, p)
	}
	flush()
	certificates := benchCertificates(f.t, crowdCertificates)
	for p := range poolsOfCrowd {
		pair, err := json.Marshal(map[string]any{
			"kind": "Certificate", "metadata": map[string]string{"name": fmt.Sprintf("c%04d", p), "role": "web"},
			"spec": map[string]string{"chain": certificates[p].chain, "key": certificates[p].key},
		})
		if err != nil {
			f.t.Fatal(err)
		}
		add("%s", pair)
		add("kind: Site\nmetadata: {name: p%04d, role: web}\nspec: {hostnames: [p%04d.example.com], addresses: [g%03d], listeners: [{port: 443, tls: {certificates: [c%04d]}}], backends: {default: p%04d}}",
			p, p, crowdGroupOf(p), p, p)
	}
	flush()
}

// crowd is the process of agents' ends.
type crowd struct {
	f     *fleet
	mu    sync.Mutex
	ups   map[int]time.Time
	haves map[int]int64
	// seen are all arrivals of states since it was emptied last.
	seen []arrival
	wake chan struct{}
	// lacking says what is waited for.
	lacking string
}

func (f *fleet) startCrowd() *crowd {
	f.t.Helper()
	return f.startCrowdOf(crowdAgents, func(i int) (name, group, zone string) {
		return fmt.Sprintf("lb-%03d-%d", i/2, i%2), fmt.Sprintf("g%03d", i/2), fmt.Sprintf("az%d", i%2+1)
	})
}

// startCrowdOf joins so many agents' ends, each as who says it is, with env besides.
func (f *fleet) startCrowdOf(agents int, who func(i int) (name, group, zone string), env ...string) *crowd {
	f.t.Helper()
	var list strings.Builder
	for i := range agents {
		name, group, zone := who(i)
		answer := f.must(http.MethodPost, "tokens", fmt.Sprintf(
			`{"kind":"Token","metadata":{"name":"join-%[1]s"},"spec":{"subject":"agent:%[1]s","join":{"group":%[2]q,"zone":%[3]q,"loadBalancer":%[1]q}}}`, name, group, zone))
		var made struct{ Token string }
		if err := json.Unmarshal(answer, &made); err != nil {
			f.t.Fatal(err)
		}
		fmt.Fprintf(&list, "%s %s %s\n", name, made.Token, filepath.Join(f.dir, "agents", name))
	}
	file := filepath.Join(f.dir, "crowd")
	if err := os.WriteFile(file, []byte(list.String()), 0o600); err != nil {
		f.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		f.t.Fatal(err)
	}
	c := &crowd{f: f, ups: map[int]time.Time{}, haves: map[int]int64{}, wake: make(chan struct{}, 1)}
	go c.read(r)
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	f.processes["crowd"] = weirtest.CommandFunc(f.t, func(cmd *exec.Cmd) {
		cmd.Env = append(append(os.Environ(), "WEIR_BENCH_CROWD="+f.url+" "+file), env...)
		cmd.Stdout = w
	}, self)
	_ = w.Close()
	return c
}

func (c *crowd) read(r *os.File) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		a, ok := parseArrival(in.Text())
		if !ok {
			continue
		}
		c.mu.Lock()
		if a.up {
			c.ups[a.agent] = a.at
		} else {
			c.haves[a.agent] = max(c.haves[a.agent], a.revision)
			c.seen = append(c.seen, a)
		}
		c.mu.Unlock()
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// await waits until something holds of the crowd.
func (c *crowd) await(what string, most time.Duration, holds func() bool) {
	c.f.t.Helper()
	late := time.NewTimer(most)
	defer late.Stop()
	for {
		c.mu.Lock()
		done := holds()
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-c.wake:
		case <-time.After(100 * time.Millisecond):
		case <-c.f.processes["crowd"].Done():
			c.f.t.Fatalf("wait until %s: the agents' process ended: %s", what, c.f.processes["crowd"].Output())
		case <-late.C:
			c.f.t.Fatalf("wait until %s: %d streams, %d agents with a state%s", what, len(c.ups), len(c.haves), c.lacking)
		}
	}
}

// made is one accepted change.
type made struct {
	group    int
	revision int64
	begun    time.Time
}

// change puts servers at a steady rate and gives the milliseconds from each call to each agent that holds it, and
// the processors that the control plane used meanwhile.
func (f *fleet) change(c *crowd) (took []float64, cores float64) {
	f.t.Helper()
	c.mu.Lock()
	c.seen = nil
	c.mu.Unlock()
	pid := f.processes["server"].Pid()
	before, err := cpuTime(pid)
	if err != nil {
		f.t.Fatal(err)
	}
	const total = changesPerSecond * fanOutSeconds
	changes := make([]made, total)
	begin := time.Now()
	slots := make(chan struct{}, crowdConcurrency)
	var calls sync.WaitGroup
	var failed sync.Map
	for i := range total {
		<-time.After(time.Until(begin.Add(time.Duration(i) * time.Second / changesPerSecond)))
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			n := (i * 7919) % crowdServers
			m := made{group: crowdGroupOf(n / serversOfPool), begun: time.Now()}
			answer, err := f.call(http.MethodPut, "servers/"+crowdServerName(n), crowdServer(n, 1+i%200))
			var object struct{ Revision int64 }
			if err == nil {
				err = json.Unmarshal(answer, &object)
			}
			if m.revision = object.Revision; err != nil || m.revision == 0 {
				failed.Store(i, fmt.Sprintf("revision %d: %v", m.revision, err))
			}
			changes[i] = m
		})
	}
	calls.Wait()
	lasted := time.Since(begin)
	after, err := cpuTime(pid)
	if err != nil {
		f.t.Fatal(err)
	}
	failed.Range(func(k, v any) bool { f.t.Fatalf("change %v: %v", k, v); return false })
	c.await("all agents hold all changes", time.Minute, func() bool {
		for i, m := range changes {
			for _, agent := range []int{2 * m.group, 2*m.group + 1} {
				if c.haves[agent] < m.revision {
					c.lacking = fmt.Sprintf("; agent %d has revision %d and lacks change %d, revision %d", agent, c.haves[agent], i, m.revision)
					return false
				}
			}
		}
		return true
	})
	return c.delays(changes), (after - before).Seconds() / lasted.Seconds()
}

// delays finds for each change and each of its two agents the first state that holds it.
func (c *crowd) delays(changes []made) []float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	byAgent := map[int][]arrival{}
	for _, a := range c.seen {
		byAgent[a.agent] = append(byAgent[a.agent], a)
	}
	var took []float64
	for _, m := range changes {
		for _, agent := range []int{2 * m.group, 2*m.group + 1} {
			for _, a := range byAgent[agent] {
				if a.revision >= m.revision {
					took = append(took, a.at.Sub(m.begun).Seconds()*1000)
					break
				}
			}
		}
	}
	return took
}

// restart kills the control plane, starts it again, and gives the seconds until all agents have a stream again,
// and how many of them were sent everything.
func (f *fleet) restart(c *crowd) (seconds float64, snapshots int) {
	f.t.Helper()
	killed := time.Now()
	f.processes["server"].Kill()
	f.startServer()
	c.await("all agents are back", time.Minute, func() bool {
		for _, at := range c.ups {
			if at.Before(killed) {
				return false
			}
		}
		return len(c.ups) == crowdAgents
	})
	last := killed
	c.mu.Lock()
	for _, at := range c.ups {
		if at.After(last) {
			last = at
		}
	}
	c.mu.Unlock()
	raw, err := os.ReadFile(filepath.Join(f.dir, "server.log"))
	if err != nil {
		f.t.Fatal(err)
	}
	if n := strings.Count(string(raw), "agent's stream begins"); n < crowdAgents {
		f.t.Fatalf("the control plane tells of %d streams only", n)
	}
	return last.Sub(killed).Seconds(), strings.Count(string(raw), "resumed=false")
}

// rssMiB is what a process has in memory, in MiB.
func rssMiB(t *testing.T, pid int) float64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	t.Fatal("the kernel does not say how much memory the process has")
	return 0
}
