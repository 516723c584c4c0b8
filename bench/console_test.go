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

var consoleFigures = []string{
	"console_home_ms", "console_transfer_kb", "console_map_ms", "console_pool_ms", "console_search_ms", "console_20_open_cpu_cores", "console_hour_growth_mib",
}

// The fleet that the console shows: each load balancer has a fifth of the sites.
const (
	consoleGroups        = 5
	consoleLoadBalancers = 50
	consoleSites         = 1_000
	consoleServers       = 10_000
	consoleChangeEvery   = 200 * time.Millisecond
)

// measureConsole looks at the console in a browser: how soon pages of a browser that knows nothing can be used, what
// the first one transfers, what twenty open ones cost the control plane, and what an hour of them leaves in a tab.
func measureConsole(t *testing.T) []figure {
	f := &fleet{t: t, loop: newLoop(t), where: place{weirtest.Prefix(t)}, dir: crowdDir(t), processes: map[string]*weirtest.Process{}}
	f.build()
	f.startServer()
	f.client.Timeout = 5 * time.Minute
	f.fillConsole()
	c := f.startCrowdOf(consoleLoadBalancers, func(i int) (name, group, zone string) {
		return fmt.Sprintf("lb-%02d", i), fmt.Sprintf("g%d", i%consoleGroups), fmt.Sprintf("az%d", i%2+1)
	}, "WEIR_BENCH_REPORT=1")
	c.await("all agents have everything", 2*time.Minute, func() bool { return len(c.haves) == consoleLoadBalancers })
	f.size = consoleLoadBalancers / consoleGroups
	f.eventually("all load balancers are read back", time.Minute, f.converged)
	f.rest(5 * time.Second)

	seen := f.browse()
	t.Logf("seen: %v", seen)
	figures := make([]figure, 0, len(consoleFigures))
	for _, name := range consoleFigures {
		value, ok := seen[name]
		if !ok {
			t.Errorf("the browser did not say %s", name)
		}
		unit := name[strings.LastIndexByte(name, '_')+1:]
		figures = append(figures, figure{name, value, map[string]string{"ms": "ms", "kb": "kB", "cores": "cores", "mib": "MiB"}[unit]})
	}
	return figures
}

// fillConsole makes the objects.
func (f *fleet) fillConsole() {
	f.t.Helper()
	docs := []string{
		"kind: Zone\nmetadata: {name: az1}", "kind: Zone\nmetadata: {name: az2}",
		"kind: Role\nmetadata: {name: web}\nspec: {contact: bench}",
	}
	for g := range consoleGroups {
		docs = append(docs,
			fmt.Sprintf("kind: LoadBalancerGroup\nmetadata: {name: g%d}\nspec: {ranges: [172.16.%d.0/28]}", g, g),
			fmt.Sprintf("kind: IPAddress\nmetadata: {name: g%d, role: web}\nspec: {address: 172.16.%d.1, homeZone: az1, groups: [g%d]}", g, g, g))
	}
	for n := range consoleServers {
		docs = append(docs, f.consoleServer(n, 100))
	}
	for p := range consoleSites {
		docs = append(docs,
			fmt.Sprintf("kind: Pool\nmetadata: {name: p%04d, role: web}\nspec: {selector: {role: web, clusters: [p%04d]}, port: http, healthCheck: {path: /ping}}", p, p),
			fmt.Sprintf("kind: Site\nmetadata: {name: p%04d, role: web}\nspec: {hostnames: [p%04d.example.com], addresses: [g%d], listeners: [{port: 80}], backends: {default: p%04d}}", p, p, p%consoleGroups, p))
	}
	for len(docs) > 0 {
		n := min(applyInOne, len(docs))
		f.must(http.MethodPost, "apply?reason=bench", "# YAML, whatever comes first\n"+strings.Join(docs[:n], "\n---\n"))
		docs = docs[n:]
	}
}

func (f *fleet) consoleServer(n, weight int) string {
	const each = consoleServers / consoleSites
	return fmt.Sprintf(`{"kind":"Server","metadata":{"name":%q,"role":"web"},"spec":{"address":"10.1.%d.%d","zone":"az1","clusters":["p%04d"],"ports":{"http":8080},"weight":%d}}`,
		crowdServerName(n), n>>8, n&255, n/each, weight)
}

// browse runs web/browser/measure.ts and gives what it says, with the processors of the control plane while many pages
// are open. Servers change meanwhile, and while an hour passes.
func (f *fleet) browse() map[string]float64 {
	f.t.Helper()
	root := weirtest.Root(f.t)
	world, err := json.Marshal(map[string]any{"url": f.url, "control": "", "results": filepath.Join(root, "web", "results"), "tokens": map[string]string{"admin": f.token}})
	if err != nil {
		f.t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	run := weirtest.CommandFunc(f.t, func(c *exec.Cmd) {
		c.Dir, c.Stdout, c.Stderr = filepath.Join(root, "web"), in, os.Stderr
		c.Env = append(os.Environ(), "WEIR_MEASURE=1", "WEIR_WORLD="+string(world), "NO_COLOR=1")
	}, "node", "node_modules/vitest/vitest.mjs", "run", "--config", "browser/vitest.config.ts")
	_ = in.Close()

	seen := map[string]float64{}
	var began time.Time
	var before time.Duration
	used := func() time.Duration {
		spent, err := cpuTime(f.processes["server"].Pid())
		if err != nil {
			f.t.Fatal(err)
		}
		return spent
	}
	quiet := func() {}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "weir-result "); ok && strings.Contains(text, `"passed":false`) {
			f.t.Errorf("in the browser: %s", text)
		}
		words := strings.Fields(lines.Text())
		if len(words) < 3 || words[0] != "weir-says" {
			continue
		}
		switch words[1] + " " + words[2] {
		case "stage open":
			quiet = f.changing()
			began, before = time.Now(), used()
		case "stage closed":
			seen["console_20_open_cpu_cores"] = (used() - before).Seconds() / time.Since(began).Seconds()
			quiet()
		case "stage hour":
			quiet = f.changing()
		case "stage over":
			quiet()
		default:
			value, err := strconv.ParseFloat(words[len(words)-1], 64)
			if err != nil || len(words) != 4 {
				f.t.Errorf("the browser said %q", lines.Text())
			}
			seen[words[2]] = value
		}
	}
	if err := run.Wait(); err != nil {
		f.t.Errorf("the browser: %v", err)
	}
	return seen
}

// changing gives servers other weights at a steady rate until the function that it gives is called.
func (f *fleet) changing() (quiet func()) {
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(consoleChangeEvery)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			n := i * 7919 % consoleServers
			if _, err := f.call(http.MethodPut, "servers/"+crowdServerName(n), f.consoleServer(n, 1+i%200)); err != nil {
				f.t.Errorf("change a server: %v", err)
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stop)
		done.Wait()
	})
}
