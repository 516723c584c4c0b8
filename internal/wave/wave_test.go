package wave

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	start    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	settings = Settings{Watch: 30 * time.Second, Patience: time.Minute}
)

// fleet is two zones; each has HAProxy 3.4 and 3.2, and az1 one more.
func fleet() []Seen {
	lb := func(name, zone, version string) Seen {
		return Seen{Name: name, Zone: zone, Version: version, Active: true, Has: true, Well: true}
	}
	return []Seen{lb("a1", "az1", "3.4.7"), lb("a2", "az1", "3.2.9"), lb("a3", "az1", "3.4.7"), lb("b1", "az2", "3.4.7"), lb("b2", "az2", "3.2.9")}
}

func reached(g Group, list []Seen) string {
	var names []string
	for _, lb := range list {
		if g.Wave.Reached(lb.Name, lb.Zone) {
			names = append(names, lb.Name)
		}
	}
	return strings.Join(names, " ")
}

// heard lets all load balancers have said something just now.
func heard(in Input) Input {
	for i := range in.LoadBalancers {
		in.LoadBalancers[i].Heard = in.Now
	}
	return in
}

// TestAChangeGoesStepByStep: canaries of each version, their zone, the rest, each watched.
func TestAChangeGoesStepByStep(t *testing.T) {
	t.Parallel()
	g, now, list := Group{Base: 40}, start, fleet()
	in := func() Input {
		return heard(Input{Now: now, Settings: settings, Newest: 42, Pending: true, LoadBalancers: list})
	}
	for i, step := range []struct {
		after time.Duration
		want  string
	}{{0, "a1 a2"}, {time.Second, "a1 a2"}, {29 * time.Second, "a1 a2"}, {time.Second, "a1 a2 a3"}, {0, "a1 a2 a3"}, {30 * time.Second, "a1 a2 a3 b1 b2"}, {0, "a1 a2 a3 b1 b2"}} {
		now = now.Add(step.after)
		if g = g.Next(in()); reached(g, list) != step.want {
			t.Fatalf("step %d: reached %q, want %q; %+v", i, reached(g, list), step.want, g.Wave)
		}
	}
	now = now.Add(30 * time.Second)
	if g = g.Next(in()); g.Base != 42 || g.Wave != nil || !g.Last.Done {
		t.Errorf("the end is %+v", g)
	}
}

// TestWhatAWaveDoes: what is seen in the middle of a wave, and what becomes of it.
func TestWhatAWaveDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*Group, *Input)
		want string // of outcome
		why  string
	}{
		"goes on watching":         {func(*Group, *Input) {}, "going a1 a2", ""},
		"trouble halts it":         {func(_ *Group, in *Input) { in.LoadBalancers[0].Trouble = "a1 refuses site/www" }, "halted", "a1 refuses site/www"},
		"trouble elsewhere":        {func(_ *Group, in *Input) { in.LoadBalancers[4].Trouble = "b2 is silent" }, "going a1 a2", ""},
		"more errors halt it":      {func(_ *Group, in *Input) { in.Rise = "Site/www answers 5xx" }, "halted", "Site/www answers 5xx"},
		"not there in time":        {func(_ *Group, in *Input) { in.LoadBalancers[1].Has, in.Now = false, start.Add(time.Minute) }, "halted", "a2 did not have it after 1m0s"},
		"not there yet":            {func(_ *Group, in *Input) { in.LoadBalancers[1].Has, in.Now = false, start.Add(time.Minute-1) }, "going a1 a2", ""},
		"undone":                   {func(_ *Group, in *Input) { in.Undone = 43 }, "over", "change 43 takes back what it brought"},
		"nothing left":             {func(_ *Group, in *Input) { in.Pending = false }, "over", "nothing is left to bring"},
		"a canary leaves":          {func(_ *Group, in *Input) { in.LoadBalancers[0].Active, in.LoadBalancers[0].Has = false, false }, "going a1 a2", ""},
		"a canary is deleted":      {func(_ *Group, in *Input) { in.LoadBalancers = in.LoadBalancers[1:] }, "going a2", ""},
		"stopped stays":            {func(g *Group, in *Input) { *g = g.Stop(start, "ann", "lunch"); in.Now = start.Add(time.Hour) }, "stopped a1 a2", "lunch"},
		"stopped, trouble":         {func(g *Group, in *Input) { *g = g.Stop(start, "ann", "lunch"); in.Rise = "more" }, "stopped a1 a2", "lunch"},
		"stopped and undone":       {func(g *Group, in *Input) { *g = g.Stop(start, "ann", ""); in.Undone = 43 }, "over", "change 43 takes back what it brought"},
		"sent back by a person":    {func(g *Group, in *Input) { *g = g.Back(start, "ann", "looks odd") }, "halted", "looks odd"},
		"halted and then undone":   {func(g *Group, in *Input) { *g = g.Back(start, "", "bad"); in.Pending = false }, "over", "nothing is left to bring"},
		"halted stays":             {func(g *Group, in *Input) { *g = g.Back(start, "", "bad"); in.Now = start.Add(time.Hour) }, "halted", "bad"},
		"go after a stop":          {func(g *Group, in *Input) { *g = g.Stop(start, "ann", "lunch").Go(in.Now) }, "going a1 a2", ""},
		"go after it has halted":   {func(g *Group, in *Input) { *g = g.Back(start, "", "bad").Go(in.Now); in.Newest = 45 }, "going a1 a2", ""},
		"everybody at once":        {func(g *Group, in *Input) { *g = g.Finish(in.Now, 42, "ann", "fire"); in.Pending = false }, "over", "fire"},
		"newer changes wait":       {func(_ *Group, in *Input) { in.Newest = 50; in.Now = start.Add(31 * time.Second) }, "going a1 a2", ""},
		"one that was unwell":      {func(_ *Group, in *Input) { in.LoadBalancers[3].Well, in.LoadBalancers[3].Has = false, false }, "going a1 a2", ""},
		"nobody counts any longer": {func(_ *Group, in *Input) { in.LoadBalancers = nil }, "over", "none of the load balancers that it has reached counts any longer"},
	} {
		in := Input{Now: start, Settings: settings, Newest: 42, Pending: true, LoadBalancers: fleet()}
		g := Group{Base: 40}.Next(in)
		in.Now = start.Add(time.Second)
		c.edit(&g, &in)
		g = g.Next(in)
		got, why := "over", ""
		if g.Wave != nil {
			got, why = strings.TrimSuffix(string(g.Wave.State)+" "+reached(g, in.LoadBalancers), ""), g.Wave.Why
			if g.Wave.State == Halted {
				got = "halted"
			}
		} else {
			why = g.Last.Why
		}
		if got != c.want || why != c.why {
			t.Errorf("%s: %q because %q, want %q because %q", name, got, why, c.want, c.why)
		}
	}
}

// TestWhoSaysNothingIsWaitedFor: a canary that has not been heard since it has the change says nothing for it.
func TestWhoSaysNothingIsWaitedFor(t *testing.T) {
	t.Parallel()
	in := heard(Input{Now: start, Settings: settings, Newest: 42, Pending: true, LoadBalancers: fleet()})
	g := Group{Base: 40}.Next(in).Next(in)
	for i := range 3 {
		in.Now = in.Now.Add(settings.Watch)
		if g = g.Next(in); g.Wave.Step != Canaries {
			t.Fatalf("after %d watches it goes on: %+v", i, g.Wave)
		}
	}
	in.LoadBalancers[0].Heard, in.LoadBalancers[1].Heard = in.Now, in.Now
	if g = g.Next(in); g.Wave.Step != InZone {
		t.Errorf("heard again, it stays: %+v", g.Wave)
	}
}

// TestWhoIsReachedFirst: canaries are active and well; without any active one there is nothing to be careful about.
func TestWhoIsReachedFirst(t *testing.T) {
	t.Parallel()
	in := func(edit func(*Seen)) Input {
		list := fleet()
		for i := range list {
			edit(&list[i])
		}
		return Input{Now: start, Settings: settings, Newest: 42, Pending: true, LoadBalancers: list}
	}
	one := Group{Base: 40}.Next(in(func(lb *Seen) { lb.Well = lb.Name >= "a3" }))
	if got := reached(one, fleet()); got != "a3 b2" || one.Wave.Zone != "az1" {
		t.Errorf("reached %q, zone %s", got, one.Wave.Zone)
	}
	if g := (Group{Base: 40}).Next(in(func(lb *Seen) { lb.Well = false })); g.Wave != nil || g.Base != 40 {
		t.Errorf("nobody is well: %+v", g)
	}
	if g := (Group{Base: 40}).Next(in(func(lb *Seen) { lb.Active = false })); g.Wave != nil || g.Base != 42 {
		t.Errorf("nobody counts: %+v", g)
	}
	// What is unwell comes in with its step and holds nothing up.
	g := Group{Base: 40}
	for i := range 5 {
		now := in(func(lb *Seen) { lb.Well = lb.Name != "a3"; lb.Has = lb.Well })
		now.Now = start.Add(time.Duration(i) * 31 * time.Second)
		g = g.Next(heard(now))
	}
	if got := reached(g, fleet()); got != "a1 a2 a3 b1 b2" || slices.Contains(g.Wave.Judged, "a3") {
		t.Errorf("reached %q, judged %v", got, g.Wave.Judged)
	}
}

// TestAnyCourse: whatever is seen, a wave never has more than its step, what halts leads back, and with load balancers
// that become well every wave ends.
func TestAnyCourse(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		g, now, newest := Group{Base: 1}, start, int64(2)
		list := fleet()
		check := func(was Group, in Input) {
			t.Helper()
			if !reflect.DeepEqual(g, was.Next(in)) {
				t.Fatalf("seed %d: the same input gives another answer", seed)
			}
			if w := g.Wave; w != nil {
				for _, lb := range list {
					may := w.State != Halted && (w.Step == Rest || slices.Contains(w.Canaries, lb.Name) || w.Step == InZone && lb.Zone == w.Zone)
					if w.Reached(lb.Name, lb.Zone) != may || len(w.Canaries) > 2 {
						t.Fatalf("seed %d: %s in step %s, %s: reached %v", seed, lb.Name, w.Step, w.State, !may)
					}
				}
				if w.Target > newest || w.Target <= g.Base {
					t.Fatalf("seed %d: target %d, base %d, newest %d", seed, w.Target, g.Base, newest)
				}
				if was.Wave != nil && was.Wave.Target == w.Target && was.Wave.Began.Equal(w.Began) && w.State == Going && len(w.Judged) < len(was.Wave.Judged) {
					t.Fatalf("seed %d: fewer are judged than before", seed)
				}
			}
			if g.Base < was.Base || g.Base != was.Base && was.Wave != nil && g.Base != was.Wave.Target {
				t.Fatalf("seed %d: base went from %d to %d with %+v", seed, was.Base, g.Base, was.Wave)
			}
			for _, lb := range list {
				if shows := g.Shows(lb.Name, lb.Zone); shows != g.Base && (g.Wave == nil || shows != g.Wave.Target) {
					t.Fatalf("seed %d: %s is to have %d", seed, lb.Name, shows)
				}
			}
		}
		for range 60 {
			now = now.Add(time.Duration(r.IntN(40)) * time.Second)
			newest += int64(r.IntN(2))
			for i := range list {
				lb := &list[i]
				lb.Has, lb.Well, lb.Active, lb.Trouble = r.IntN(4) > 0, r.IntN(4) > 0, r.IntN(9) > 0, ""
				if r.IntN(2) == 0 {
					lb.Heard = now
				}
				if r.IntN(40) == 0 {
					lb.Trouble = lb.Name + " is in trouble"
				}
			}
			in := Input{Now: now, Settings: settings, Newest: newest, Pending: newest > g.Base, LoadBalancers: list}
			if g.Wave != nil && r.IntN(30) == 0 {
				in.Undone = newest
			}
			was := g
			g = g.Next(in)
			check(was, in)
			switch r.IntN(20) {
			case 0:
				g = g.Stop(now, "ann", "")
			case 1:
				g = g.Back(now, "ann", "")
			case 2:
				g = g.Go(now)
			}
		}
		list = fleet()
		g = g.Go(now)
		for range 20 {
			now = now.Add(settings.Watch)
			in := heard(Input{Now: now, Settings: settings, Newest: newest, Pending: newest > g.Base, LoadBalancers: list})
			was := g
			g = g.Next(in)
			check(was, in)
		}
		if g.Wave != nil || g.Base != newest {
			t.Fatalf("seed %d: with all well it does not end: %+v", seed, g.Wave)
		}
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	well := Signs{Worker: 7, Reloads: 1, Down: map[string]Part{"web": {0, 4}}, Refused: map[string]string{"map/old": "bad"}}
	for name, c := range map[string]struct {
		edit   func(*Signs)
		others []Signs
		want   string
	}{
		"as before":             {func(*Signs) {}, nil, ""},
		"silent":                {func(s *Signs) { s.Silent = "15s" }, nil, "lb1 has not been heard for 15s"},
		"failing":               {func(s *Signs) { s.Failing = "disk full" }, nil, "lb1: disk full"},
		"reloaded":              {func(s *Signs) { s.Worker, s.Reloads = 8, 2 }, nil, ""},
		"killed":                {func(s *Signs) { s.Worker = 8 }, nil, "HAProxy of lb1 ended, or somebody started it anew"},
		"not known now":         {func(s *Signs) { s.Worker = 0 }, nil, ""},
		"refuses something":     {func(s *Signs) { s.Refused = map[string]string{"site/www": "unknown keyword"} }, nil, "lb1 refuses site/www: unknown keyword"},
		"a site is down":        {func(s *Signs) { s.Dead = map[string]string{"Site/www": "no server"} }, nil, "lb1 does not serve Site/www: no server"},
		"down elsewhere too":    {func(s *Signs) { s.Dead = map[string]string{"Site/www": "no server"} }, []Signs{{Dead: map[string]string{"Site/www": "x"}}}, ""},
		"half of a pool":        {func(s *Signs) { s.Down = map[string]Part{"web": {2, 4}} }, nil, ""},
		"most of a pool":        {func(s *Signs) { s.Down = map[string]Part{"web": {3, 4}} }, []Signs{{Down: map[string]Part{"web": {0, 4}}}}, "lb1 sees 3 of 4 servers of pool web down, 0 of 4 before"},
		"most of it elsewhere":  {func(s *Signs) { s.Down = map[string]Part{"web": {3, 4}} }, []Signs{{Down: map[string]Part{"web": {3, 4}}}}, ""},
		"fewer servers, all up": {func(s *Signs) { s.Down = map[string]Part{"web": {0, 1}} }, nil, ""},
		"a new pool, all down":  {func(s *Signs) { s.Down = map[string]Part{"new": {2, 2}} }, nil, ""},
		"a pool that is gone":   {func(s *Signs) { s.Down = nil }, nil, ""},
	} {
		now := Signs{Worker: 7, Reloads: 1, Down: map[string]Part{"web": {0, 4}}}
		c.edit(&now)
		if got := Trouble("lb1", well, now, c.others); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit                    int
		reached, others, earlier Requests
		bad                      bool
	}{
		"nothing":                       {1, Requests{}, Requests{}, Requests{}, false},
		"all fail":                      {1, Requests{20, 20}, Requests{20, 0}, Requests{}, true},
		"too few requests":              {1, Requests{9, 9}, Requests{20, 0}, Requests{}, false},
		"too few errors":                {1, Requests{20, 3}, Requests{20, 0}, Requests{}, false},
		"within the limit":              {1, Requests{1000, 10}, Requests{1000, 0}, Requests{}, false},
		"beyond the limit":              {1, Requests{1000, 11}, Requests{1000, 0}, Requests{}, true},
		"as much elsewhere":             {1, Requests{100, 50}, Requests{100, 50}, Requests{100, 0}, false},
		"as much before, none else":     {1, Requests{100, 50}, Requests{5, 0}, Requests{100, 50}, false},
		"more than before, none else":   {1, Requests{100, 50}, Requests{}, Requests{100, 20}, true},
		"neither elsewhere nor before":  {1, Requests{100, 50}, Requests{}, Requests{}, true},
		"a larger limit":                {60, Requests{100, 50}, Requests{}, Requests{}, false},
		"fewer errors than elsewhere":   {0, Requests{100, 5}, Requests{100, 50}, Requests{}, false},
		"none is allowed and none more": {0, Requests{1000, 0}, Requests{}, Requests{}, false},
	} {
		one := func(r Requests) map[string]Requests { return map[string]Requests{"www": r} }
		if got := Rise(c.limit, one(c.reached), one(c.others), one(c.earlier)); (got != "") != c.bad {
			t.Errorf("%s: %q", name, got)
		}
	}
	got := Rise(1, map[string]Requests{"a": {100, 10}, "b": {100, 90}}, map[string]Requests{"b": {200, 2}}, nil)
	if want := "Site/b answers 5xx to 90% of 100 requests where it is, and to 1% of 200 elsewhere"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := fmt.Sprint(Requests{5, 1}.Since(Requests{3, 1}), Requests{2, 1}.Since(Requests{3, 1})); got != "{2 0} {2 1}" {
		t.Error(got)
	}
}
