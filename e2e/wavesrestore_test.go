package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestRestoreInTheMiddleOfAWave: a backup of the moment in which the canaries have a change, restored when all have it.
// The plan takes the change back from those whom the wave had not reached; nothing moves before it is accepted, and then
// the wave goes on where the backup was made, step by step.
func TestRestoreInTheMiddleOfAWave(t *testing.T) {
	t.Parallel()
	g := startWaves(newWorld(t), 4*time.Second)
	clients := g.send(g.at["b1"], "www.example.com")
	clients.more(20)
	g.apply(g.site("new.example.com", "}"))
	g.waves("going")
	g.steer("stop", "for the backup")
	s := g.waves("stopped")
	raw := g.backup()
	g.steer("go", "")
	g.courseOf("new.example.com")
	g.waves("idle")

	g.lose()
	g.restoreFrom(raw)
	g.startServer()
	p := g.planned(0)
	var back []string
	for _, lb := range p.Plan.LoadBalancers {
		back = append(back, lb.Name)
		if all := strings.Join(append(lb.Sentences, lb.Commands...), "\n"); !strings.Contains(all, "new.example.com") && !strings.Contains(all, "Site/www") {
			t.Errorf("the plan for %s does not take the change back: %s", lb.Name, all)
		}
	}
	slices.Sort(back)
	slices.Sort(p.Same)
	var canaries, others []string
	for _, name := range g.list {
		if slices.Contains(s.Canaries, name) {
			canaries = append(canaries, name)
		} else {
			others = append(others, name)
		}
	}
	if !slices.Equal(back, others) || !slices.Equal(p.Same, canaries) {
		t.Errorf("taken back from %v, the same at %v; canaries were %v", back, p.Same, canaries)
	}
	if have := g.having("new.example.com"); len(have) != len(g.list) {
		t.Errorf("before it is accepted only %v have it", have)
	}
	g.accept()
	if again := g.waves("stopped"); !slices.Equal(again.Canaries, s.Canaries) || again.Target != s.Target {
		t.Errorf("after the restore %+v, before %+v", again, s)
	}
	weirtest.Eventually(t, waitLong, func() error { return g.only("new.example.com", canaries) })
	g.steer("go", "")
	inOrder(t, g.courseOf("new.example.com"))
	if end := g.waves("idle"); !end.Last.Done {
		t.Errorf("the end: %+v", end)
	}
	clients.flawless()
}

// only says whether just these answer requests for a host.
func (g *wavesOf) only(host string, want []string) error {
	if have := g.having(host); !slices.Equal(have, want) {
		return fmt.Errorf("%s is served at %v, want %v", host, have, want)
	}
	return nil
}
