package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weir"
	"weir/internal/drift"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// A weight by hand is seen by the health watch, which wakes the loop, and a drain makes HAProxy say so: neither waits
// for the next look at everything, which comes in an hour here.
func TestMovedServersAreLookedAt(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h, func(o *Options) { o.LookEvery = time.Hour })
		a.node.Group.Drift = weir.DriftReport
		a.site("one", 40)
		a.wish()
		a.serves("one")
		a.await(func(r link.Report) error { // the health watch has seen how it is
			if r.Servers["one"]["s40"].State != link.Up {
				return fmt.Errorf("seen are %+v", r.Servers)
			}
			return nil
		})
		client := hapctl.NewClient(filepath.Join(a.agent.opts.Dir, haproxyDir, "run", "admin.sock"))
		t.Cleanup(client.Close)
		seen := func(text string) {
			t.Helper()
			a.await(func(r link.Report) error {
				if r.Drift == nil || len(r.Drift.Now) == 0 || r.Drift.Now[len(r.Drift.Now)-1].Text != text {
					return fmt.Errorf("told is %+v, want %s", r.Drift, text)
				}
				return nil
			})
		}
		states, err := client.ServersState(t.Context(), "")
		states = slices.DeleteFunc(states, func(s haproxy.ServerState) bool { return haproxy.Own(s.Server) })
		if err != nil || len(states) != 1 {
			t.Fatalf("%+v, %v", states, err)
		}
		name := states[0].Backend + "/" + states[0].Server
		command(t, client, "set", "server", name, "weight", "7")
		seen("weight 100 → 7")
		before := a.agent.Counts().Notices
		command(t, client, "set", "server", name, "state", "drain")
		seen("drained by hand")
		a.await(func(link.Report) error {
			if n := a.agent.Counts().Notices; n == before {
				return fmt.Errorf("HAProxy has said nothing of the drain")
			}
			return nil
		})
		command(t, client, "set", "server", name, "state", "ready")
		command(t, client, "set", "server", name, "weight", "100")
		a.await(func(r link.Report) error {
			if r.Drift == nil || len(r.Drift.Now) > 0 {
				return fmt.Errorf("told is %+v", r.Drift)
			}
			return nil
		})
	})
}

// Who does again at once what was undone leaves HAProxy as the health watch saw it last, and is undone all the same:
// the next look at everything comes in an hour.
func TestWhatIsDoneAgainIsUndoneAgain(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h, func(o *Options) { o.LookEvery = time.Hour })
		a.site("one", 40)
		a.wish()
		a.serves("one")
		a.await(func(r link.Report) error { // the health watch has seen how it is
			if r.Servers["one"]["s40"].State != link.Up {
				return fmt.Errorf("seen are %+v", r.Servers)
			}
			return nil
		})
		client := hapctl.NewClient(filepath.Join(a.agent.opts.Dir, haproxyDir, "run", "admin.sock"))
		t.Cleanup(client.Close)
		states, err := client.ServersState(t.Context(), "")
		states = slices.DeleteFunc(states, func(s haproxy.ServerState) bool { return haproxy.Own(s.Server) })
		if err != nil || len(states) != 1 {
			t.Fatalf("%+v, %v", states, err)
		}
		for times := range uint64(4) {
			command(t, client, "set", "server", states[0].Backend+"/"+states[0].Server, "weight", "7")
			a.await(func(r link.Report) error {
				if r.Drift == nil || r.Drift.Undone != times+1 {
					return fmt.Errorf("told is %+v, want %d undone", r.Drift, times+1)
				}
				return nil
			})
		}
	})
}

func TestLooksAreRareWhereTheyCostMuch(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	for _, c := range []struct{ took, whole, part time.Duration }{
		{time.Millisecond, 2*time.Second - time.Millisecond, 50 * time.Millisecond},
		{5 * time.Millisecond, 2 * time.Second, 250 * time.Millisecond},
		{20 * time.Millisecond, 8 * time.Second, time.Second},
		{200 * time.Millisecond, time.Minute, 10 * time.Second},
		{2 * time.Second, 100 * time.Second, 100 * time.Second},
	} {
		l := newLooks(0)
		l.took(everything, c.took, now)
		if whole, part := l.whole.Sub(now), l.part.Sub(now); whole != c.whole || part != c.part {
			t.Errorf("after %s: all in %s, a part in %s", c.took, whole, part)
		}
		if wait := l.wait(now, true, time.Time{}); wait != min(c.part, lookEvery) {
			t.Errorf("after %s: what moved is looked at in %s", c.took, wait)
		}
		if still := l.still.Sub(now); still != lookEvery {
			t.Errorf("after %s: what does not move is looked at in %s", c.took, still)
		}
		l.took(allStill, 10*time.Millisecond, now)
		if still := l.still.Sub(now); still != 4*time.Second || l.whole.Sub(now) != c.whole {
			t.Errorf("after that: what does not move in %s, all in %s", still, l.whole.Sub(now))
		}
		if what := l.due(now.Add(4*time.Second), 0); what != allStill && c.whole > 4*time.Second {
			t.Errorf("after %s: due is %d", c.took, what)
		}
		if what := l.due(now, mostMoved+1); what != everything {
			t.Errorf("many moved: due is %d", what)
		}
	}
}

// What moves again and again, as while this agent works, is looked at all the same.
func TestOwnWorkPutsLooksOffOnlyOnce(t *testing.T) {
	t.Parallel()
	l, now := newLooks(0), time.Unix(1_000_000, 0)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	l.set(timer, now, l.wait(now, false, now))
	for range 100 {
		now = now.Add(50 * time.Millisecond)
		l.hasten(timer, now, l.wait(now, true, now))
	}
	if due := l.next.Sub(time.Unix(1_000_000, 0)); due != 50*time.Millisecond+lookAfter {
		t.Errorf("the first look comes after %s", due)
	}
}

// What is told stays small and says how much there is.
func TestManyChangesByHandAreCounted(t *testing.T) {
	t.Parallel()
	var items []drift.Item
	for i := range 10_000 {
		items = append(items, drift.Item{Place: drift.Place{Kind: drift.Weight, At: "web", Name: fmt.Sprint(i)}, Was: "100", Is: "7", Text: "weight 100 → 7"})
	}
	var h hands
	first, later := time.Unix(1_000_000, 0), time.Unix(1_000_060, 0)
	if fresh := h.take(items, first); len(fresh) != len(items) {
		t.Errorf("%d are new", len(fresh))
	}
	if fresh := h.take(items[1:], later); len(fresh) != 0 {
		t.Errorf("%d are new the second time", len(fresh))
	}
	r := h.tell(weir.DriftReport, later)
	if r.Total != 9999 || len(r.Now) != link.MaxDrift || !r.Now[0].Since.Equal(first) {
		t.Errorf("%d of %d are told, the first since %s", len(r.Now), r.Total, r.Now[0].Since)
	}
	for range 3 {
		h.take(items, first)
		h.settle(nil, true, later)
	}
	r = h.tell("", later)
	if r.Total != 0 || r.Undone != 30_000 || len(r.Past) != link.MaxPast || r.Past[len(r.Past)-1].Times != 3 || !r.Past[0].Undone.Equal(later) {
		t.Errorf("%+v", r)
	}
	if r = h.tell("", later.Add(pastFor)); len(r.Past) > 0 {
		t.Errorf("a day later %d are told", len(r.Past))
	}
	if r := new(hands).tell("", later); r != nil {
		t.Errorf("of nothing is told %+v", r)
	}
}

func TestEditsAreToldFromTouches(t *testing.T) {
	t.Parallel()
	f, err := openFolder(weirtest.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want string) {
		t.Helper()
		got := ""
		for _, e := range f.look(true) {
			got += fmt.Sprintf("%s:%d:%t ", e.name, e.line, e.gone)
		}
		if got != want {
			t.Errorf("edited are %q, want %q", got, want)
		}
	}
	for name, text := range map[string]string{"maps/a.map": "a 1\nb 2\n", "maps/empty.map": ""} {
		if err := f.print(name, []string{text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.write("certs/c.pem", []byte("secret"), durable); err != nil {
		t.Fatal(err)
	}
	is("")
	write("maps/a.map", "a 1\nb 2\n") // touched
	is("")
	write("maps/a.map", "a 1\nb 3\n")
	write("maps/empty.map", "x 1\n")
	write("certs/c.pem", "another")
	want := "certs/c.pem:0:false maps/a.map:2:false maps/empty.map:1:false "
	is(want)
	is(want)
	write("maps/a.map", "a 1\nb 2\n") // as it was
	if err := os.Remove(f.path("maps/empty.map")); err != nil {
		t.Fatal(err)
	}
	is("certs/c.pem:0:false maps/empty.map:0:true ")
	f.mistrust("maps/empty.map")
	if err := f.print("maps/empty.map", nil); err != nil {
		t.Fatal(err)
	}
	is("certs/c.pem:0:false ")
}
