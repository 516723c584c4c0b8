package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/plan"
)

// TestMain lets the test binary be a process of agents' ends, so that what they cost is not the control plane's.
func TestMain(m *testing.M) {
	if spec := os.Getenv("WEIR_BENCH_CROWD"); spec != "" {
		// Six hundred machines have memory to spare; one collector for all of them would be measured with the rest.
		debug.SetGCPercent(400)
		if err := runCrowd(spec); err != nil {
			fmt.Fprintln(os.Stderr, "crowd:", err)
			os.Exit(1)
		}
		return
	}
	if spec := os.Getenv("WEIR_BENCH_REGISTRANTS"); spec != "" {
		debug.SetGCPercent(400)
		if err := runRegistrants(spec); err != nil {
			fmt.Fprintln(os.Stderr, "registrants:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runCrowd joins and runs agents' ends as the lines of a file say: "name token folder", all at the URL given
// with the file as "url file". It writes lines for whoever measures: "have <i> <revision> <nanoseconds>" when an
// agent has a newer state, and "up <i> <nanoseconds>" when its stream begins.
func runCrowd(spec string) error {
	url, file, _ := strings.Cut(spec, " ")
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format, args...)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	members := make([]*link.Client, len(lines))
	for i, line := range lines {
		words := strings.Fields(line)
		o := link.Options{URLs: []string{url}, Dir: words[2]}
		if _, err := os.Stat(filepath.Join(words[2], "agent.crt")); err != nil {
			if err := os.MkdirAll(words[2], 0o700); err != nil {
				return err
			}
			if _, err := link.Enrol(context.Background(), o, link.Join{Token: words[1], Name: words[0], Agent: "bench", HAProxy: "none"}); err != nil {
				return fmt.Errorf("%s: %w", words[0], err)
			}
		}
		c, err := link.Open(o)
		if err != nil {
			return err
		}
		members[i] = c
	}
	say("joined\n")
	for i, c := range members {
		go func() {
			var p planner
			_ = c.Run(context.Background(), func(s link.State) {
				if os.Getenv("WEIR_BENCH_PLAN") != "" {
					if err := p.plan(s); err != nil {
						say("agent %d can't plan: %v\n", i, err)
						return
					}
				}
				say("have %d %d %d\n", i, s.Revision, time.Now().UnixNano())
				if os.Getenv("WEIR_BENCH_REPORT") != "" {
					c.Report(allWell(s))
				}
			})
		}()
	}
	since := make([]time.Time, len(members))
	for range time.Tick(10 * time.Millisecond) {
		for i, c := range members {
			if conn := c.Connection(); conn.Up && !conn.Since.Equal(since[i]) {
				since[i] = conn.Since
				say("up %d %d\n", i, conn.Since.UnixNano())
			}
		}
	}
	return nil
}

// allWell is what an agent says whose HAProxy has a state, with every server up.
func allWell(s link.State) link.Report {
	r := link.Report{Agent: "bench", HAProxy: "none", Epoch: s.Epoch, Revision: s.Revision, Hash: s.Hash, Seen: s.Revision, State: link.Converged, Servers: map[string]map[string]link.ServerHealth{}}
	node, err := ir.Assemble(s.Resources)
	if err != nil {
		r.State, r.Message = link.Failed, err.Error()
		return r
	}
	for _, p := range node.Pools {
		r.Servers[p.Name] = make(map[string]link.ServerHealth, len(p.Servers))
		for _, server := range p.Servers {
			r.Servers[p.Name][server.Name] = link.ServerHealth{State: link.Up}
		}
	}
	return r
}

// planner does what an agent does with a state before it gives HAProxy commands.
type planner struct {
	renderer haproxy.Renderer
	have     haproxy.Config
	known    bool
}

func (p *planner) plan(s link.State) error {
	node, err := ir.Assemble(s.Resources)
	if err != nil {
		return err
	}
	want := p.renderer.Render(node, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	if p.known {
		plan.Diff(p.have, want)
	}
	p.have, p.known = want, true
	return nil
}

// arrival is one line of a crowd.
type arrival struct {
	up       bool
	agent    int
	revision int64
	at       time.Time
}

func parseArrival(line string) (a arrival, ok bool) {
	words := strings.Fields(line)
	if len(words) < 3 || !slices.Contains([]string{"have", "up"}, words[0]) {
		return a, false
	}
	numbers := make([]int64, len(words)-1)
	for i, w := range words[1:] {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return a, false
		}
		numbers[i] = n
	}
	a = arrival{up: words[0] == "up", agent: int(numbers[0]), at: time.Unix(0, numbers[len(numbers)-1])}
	if !a.up {
		a.revision = numbers[1]
	}
	return a, true
}
