package agent

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// Who looks closely only at what has changed sees what one who looks at everything sees.
func TestSightOfManyServers(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		for i := range 12 {
			b.site(fmt.Sprintf("site%d", i), byte(100+3*i), byte(101+3*i), byte(102+3*i))
		}
		b.converge()
		client := b.process.Watch()
		rng := rand.New(rand.NewPCG(8, 8))
		close, whole := sight{whole: 1}, sight{whole: 1 << 20}
		alike := func(what string) {
			t.Helper()
			pause := time.NewTicker(25 * time.Millisecond)
			defer pause.Stop()
			var a, b map[string]map[string]link.Health
			// Fewer looks than bring every pool's turn: what is seen is seen by its pulse.
			for range inTurn - 5 {
				for _, s := range []*sight{&close, &whole} {
					if _, err := s.look(t.Context(), client, time.Now()); err != nil && !errors.Is(err, hapctl.ErrStaleWorker) {
						t.Fatal(err) // 3.2 has reloaded
					}
				}
				if a, b = statesOf(close), statesOf(whole); fmt.Sprint(a) == fmt.Sprint(b) && len(a) > 0 {
					close.turn = 0
					return
				}
				<-pause.C
			}
			t.Fatalf("after %s: seen\n%v\nwant\n%v", what, a, b)
		}
		alike("the start")
		for step := range 60 {
			pool := rng.IntN(len(b.node.Pools))
			p := &b.node.Pools[pool]
			backend := b.have.Backends[slices.IndexFunc(b.have.Backends, func(x haproxy.Backend) bool { return haproxy.BaseName(x.Name) == p.Name })]
			what := fmt.Sprint("step ", step)
			switch n := rng.IntN(6); {
			case n == 0 && len(p.Servers) > 1:
				what += ": a server goes"
				p.Servers = slices.Clone(p.Servers[1:])
				b.converge()
			case n == 1:
				what += ": a pool goes and comes"
				before := b.node
				b.node.Pools, b.node.Sites = slices.Delete(slices.Clone(before.Pools), pool, pool+1), slices.Delete(slices.Clone(before.Sites), pool, pool+1)
				b.converge()
				alike(what)
				b.node = before
				b.converge()
			case n == 2:
				what += ": disabled by hand"
				command(t, b.process.Client(), "disable", "server", backend.Name+"/"+backend.Servers[0].Name)
			case n == 3:
				what += ": enabled by hand"
				command(t, b.process.Client(), "enable", "server", backend.Name+"/"+backend.Servers[0].Name)
			case n == 4:
				what += ": no weight by hand"
				command(t, b.process.Client(), "set", "server", backend.Name+"/"+backend.Servers[0].Name, "weight", "0")
			default:
				what += ": weight by hand"
				command(t, b.process.Client(), "set", "server", backend.Name+"/"+backend.Servers[0].Name, "weight", "100")
			}
			alike(what)
		}
	})
}

func command(t *testing.T, c *hapctl.Client, words ...string) {
	t.Helper()
	cmd, err := hapctl.NewCommand(words...)
	if err == nil {
		_, err = c.Do(t.Context(), cmd)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func statesOf(s sight) map[string]map[string]link.Health {
	all := map[string]map[string]link.Health{}
	for pool, servers := range s.servers {
		all[pool] = map[string]link.Health{}
		for name, h := range servers {
			all[pool][name] = h.State
		}
	}
	return all
}

// What has not changed stays one in memory, so that nobody need look at it again.
func TestSightKeepsWhatIsTheSame(t *testing.T) {
	t.Parallel()
	since := time.Unix(1_000_000, 0)
	health := func(state link.Health, changed time.Time) map[string]map[string]link.ServerHealth {
		return map[string]map[string]link.ServerHealth{
			"web": {"a": {State: state, Since: changed}}, "api": {"a": {State: link.Up, Since: since}},
		}
	}
	var s sight
	if !s.take(health(link.Up, since)) {
		t.Error("the first look is no news")
	}
	first := s.servers
	if s.take(health(link.Up, since.Add(time.Second))) || !sameMap(first, s.servers) {
		t.Error("a second's rounding is taken for a change")
	}
	if !s.take(health(link.Down, since.Add(time.Minute))) || sameMap(first, s.servers) || !sameMap(first["api"], s.servers["api"]) || first["web"]["a"].State != link.Up {
		t.Errorf("a change of one pool makes of %v %v", first, s.servers)
	}
	if !s.take(map[string]map[string]link.ServerHealth{"api": s.servers["api"]}) || len(s.servers) != 1 {
		t.Error("a pool that goes is not seen")
	}
}
