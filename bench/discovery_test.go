package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

var discoveryFigures = []string{"discovery_changes_per_second", "discovery_rss_mib", "resync_seconds"}

// A list of a hundred thousand servers in a file, in two thousand pools of twenty load balancers: two are real, of the others
// the agents' ends and their planning are.
const (
	discoveredServers = 100_000
	discoveredPools   = 2_000
	discoveryReal     = 2
	discoveryCrowd    = 18
	discoveryGroups   = discoveryCrowd + 1 // the real ones share theirs
	discoveryRounds   = 5
	changedAtOnce     = 4_000
)

type discoveryWorld struct {
	*fleet
	crowd   *crowd
	weights []int
}

// measureDiscovery has servers come by a file, changes thousands of them at a time, each time as soon as the store has the
// last, until every load balancer has all, and then kills the control plane, changes the list meanwhile, and starts it again.
func measureDiscovery(t *testing.T) []figure {
	w := startDiscovery(t)
	begin := time.Now()
	var last int64
	for round := range discoveryRounds {
		w.change(round)
		last = w.stored(round)
	}
	w.everywhere(last)
	rate := float64(discoveryRounds*changedAtOnce) / time.Since(begin).Seconds()
	rss := rssMiB(t, w.processes["server"].Pid())
	w.processes["server"].Kill()
	w.change(discoveryRounds)
	begin = time.Now()
	w.startServer()
	w.client.Timeout = time.Minute
	w.everywhere(w.stored(discoveryRounds))
	return []figure{
		{discoveryFigures[0], rate, "changes/s"},
		{discoveryFigures[1], rss, "MiB"},
		{discoveryFigures[2], time.Since(begin).Seconds(), "s"},
	}
}

func startDiscovery(t *testing.T) *discoveryWorld {
	t.Helper()
	f := &fleet{t: t, loop: newLoop(t), size: discoveryReal, where: place{weirtest.Prefix(t)}, dir: crowdDir(t), memory: weirtest.MemoryDir(t), processes: map[string]*weirtest.Process{}}
	w := &discoveryWorld{fleet: f, weights: make([]int, discoveredServers)}
	for n := range w.weights {
		w.weights[n] = 100
	}
	w.write()
	f.build()
	f.startServer()
	f.client.Timeout = time.Minute
	f.must(http.MethodPost, "apply?reason=bench", f.platform())
	begin := time.Now()
	for _, part := range w.objects() {
		f.must(http.MethodPost, "apply?reason=bench&brief=true", part)
	}
	f.eventually("all servers are discovered", 2*time.Minute, func() error { return w.has(discoveredServers-1, 100) })
	t.Logf("all servers are in the store after %.3g s", time.Since(begin).Seconds())
	for lb := range discoveryReal {
		f.startLoadBalancer(lb)
	}
	w.crowd = f.startCrowdOf(discoveryCrowd, func(i int) (name, group, zone string) {
		return fmt.Sprintf("crowd-%02d", i), discoveryGroup(i + 1), "az1"
	}, "WEIR_BENCH_PLAN=1")
	w.crowd.await("all agents have everything", time.Minute, func() bool { return len(w.crowd.haves) == discoveryCrowd })
	f.eventually("the load balancers are read back", time.Minute, w.real)
	f.rest(2 * time.Second)
	return w
}

func discoveryGroup(n int) string {
	if n == 0 {
		return "edge"
	}
	return fmt.Sprintf("g%02d", n)
}

// objects are groups, pools, sites, and the source.
func (w *discoveryWorld) objects() []string {
	var b strings.Builder
	for g := range discoveryGroups {
		address := "203.0.113.1"
		if g > 0 {
			address = fmt.Sprintf("172.16.%d.1", g)
			fmt.Fprintf(&b, "kind: LoadBalancerGroup\nmetadata: {name: %s}\nspec: {ranges: [172.16.%d.0/28]}\n---\n", discoveryGroup(g), g)
		}
		fmt.Fprintf(&b, "kind: IPAddress\nmetadata: {name: %s, role: web}\nspec: {address: %s, homeZone: az1, groups: [%[1]s]}\n---\n", discoveryGroup(g), address)
	}
	for p := range discoveredPools {
		fmt.Fprintf(&b, "kind: Pool\nmetadata: {name: p%04d, role: web}\nspec: {selector: {role: web, clusters: [p%04[1]d]}, port: http, healthCheck: {type: tcp, interval: 60s}}\n---\n", p)
		fmt.Fprintf(&b, "kind: Site\nmetadata: {name: p%04d, role: web}\nspec: {hostnames: [p%04[1]d.bench.example], addresses: [%s], listeners: [{port: 80}], backends: {default: p%04[1]d}}\n---\n", p, discoveryGroup(p%discoveryGroups))
	}
	return []string{b.String(), `kind: DiscoverySource
metadata: {name: list}
spec:
  file: {path: servers.json}
  role: web
  server: {name: "${label.id}", zone: az1, clusters: ["${label.pool}"], ports: {http: "${port}"}, weight: "${label.weight}"}
`}
}

// write puts the list in its place at once, as programs that write such lists do.
func (w *discoveryWorld) write() {
	w.t.Helper()
	var b strings.Builder
	b.Grow(12 << 20)
	b.WriteByte('[')
	for n, weight := range w.weights {
		if n > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `{"targets":["10.%d.%d.%d:8080"],"labels":{"id":"%s","pool":"p%04d","weight":"%d"}}`, 1+n>>16, n>>8&255, n&255, crowdServerName(n), n%discoveredPools, weight)
	}
	b.WriteByte(']')
	file := filepath.Join(w.lists(), "servers.json")
	err := os.WriteFile(file+".new", []byte(b.String()), 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *discoveryWorld) changed(round, i int) int {
	return (round*changedAtOnce + i) * 7919 % discoveredServers
}

// change gives thousands of servers another weight in the list.
func (w *discoveryWorld) change(round int) {
	for i := range changedAtOnce {
		w.weights[w.changed(round, i)] = 10 + round
	}
	w.write()
}

// has says whether a server has a weight.
func (w *discoveryWorld) has(n, weight int) error {
	_, err := w.revision(n, weight)
	return err
}

func (w *discoveryWorld) revision(n, weight int) (int64, error) {
	raw, err := w.call(http.MethodGet, "servers/"+crowdServerName(n), "")
	if err != nil {
		return 0, err
	}
	var o struct {
		Revision int64
		Spec     struct{ Weight int }
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return 0, err
	}
	if o.Spec.Weight != weight {
		return 0, fmt.Errorf("%s has weight %d, not %d", crowdServerName(n), o.Spec.Weight, weight)
	}
	return o.Revision, nil
}

// stored waits until all that a round changed is in the store, as far as one in fifty tells, and gives the newest revision.
func (w *discoveryWorld) stored(round int) (last int64) {
	w.t.Helper()
	w.eventually("the changes are in the store", time.Minute, func() error {
		last = 0
		for i := 0; i < changedAtOnce; i += 50 {
			revision, err := w.revision(w.changed(round, i), 10+round)
			if err != nil {
				return err
			}
			last = max(last, revision)
		}
		return nil
	})
	return last
}

// everywhere waits until every agent of the crowd has planned what a revision says, and both real load balancers have been
// read back to have it.
func (w *discoveryWorld) everywhere(last int64) {
	w.t.Helper()
	w.crowd.await("all agents have the changes", time.Minute, func() bool {
		for i := range discoveryCrowd {
			if w.crowd.haves[i] < last {
				w.crowd.lacking = fmt.Sprintf("; agent %d is at %d of %d", i, w.crowd.haves[i], last)
				return false
			}
		}
		return true
	})
	w.eventually("the load balancers are read back", time.Minute, w.real)
}

// real says whether the real load balancers have all that is wanted.
func (w *discoveryWorld) real() error {
	var status struct {
		Groups []struct {
			Name      string
			Ready, Of int
		}
	}
	if err := json.Unmarshal(w.must(http.MethodGet, "status", ""), &status); err != nil {
		return err
	}
	for _, g := range status.Groups {
		if g.Name == "edge" && g.Ready == discoveryReal && g.Of == discoveryReal {
			return nil
		}
	}
	return errors.New("they do not have everything")
}
