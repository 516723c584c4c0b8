package agent

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestAThousandReconcilesLeaveNothingOpen counts goroutines and open files of the agent, and open files of HAProxy. It
// runs beside no other test, whose own would be among them.
func TestAThousandReconcilesLeaveNothingOpen(t *testing.T) {
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			a := newAgentBed(t, h)
			a.site("one", 40, 41)
			servers := a.node.Pools[0].Servers
			// change is one that takes no reload.
			change := func(n int) {
				pool, site := &a.node.Pools[0], &a.node.Sites[0]
				switch n % 3 {
				case 0:
					pool.Servers = append([]ir.Server(nil), servers[:1+n%2]...)
				case 1:
					pool.Servers = append([]ir.Server(nil), pool.Servers...)
					pool.Servers[0].Weight = 1 + n%200
				case 2:
					site.Hostnames = []string{"one.example", fmt.Sprintf("n%d.example", n%7)}
				}
				a.wish()
			}
			for n := range 12 {
				change(n)
			}
			before := leftOpen(t, a)
			for n := range 300 {
				change(n)
			}
			for range 700 {
				a.wish() // nothing is to be done
			}
			a.serves("one")
			if a.engine.reloads.Count != 0 {
				t.Errorf("%d reloads", a.engine.reloads.Count)
			}
			// Checks of the origins and requests come and go.
			const slack = 8
			weirtest.Eventually(t, longWait, func() error {
				after := leftOpen(t, a)
				for what, n := range after {
					if n > before[what]+slack {
						return fmt.Errorf("%s: %d, and %d before", what, n, before[what])
					}
				}
				return nil
			})
		})
	}
}

// leftOpen counts what could be left behind.
func leftOpen(t *testing.T, a *agentBed) map[string]int {
	t.Helper()
	worker, err := a.engine.process.Client().Pid(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{"goroutines": runtime.NumGoroutine()}
	for what, pid := range map[string]int{"files of the agent": os.Getpid(), "files of HAProxy's master": a.engine.process.Pid(), "files of HAProxy's worker": worker} {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		count[what] = len(entries)
	}
	return count
}
