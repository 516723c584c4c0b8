package server

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/internal/link"
)

// told is a report of servers of pool web, by name and state.
func toldHealth(at time.Time, pool string, states map[string]link.Health, since time.Time) link.Reported {
	servers := map[string]link.ServerHealth{}
	for name, state := range states {
		servers[name] = link.ServerHealth{State: state, Since: since, Check: "L4" + string(state)}
	}
	rep := link.Reported{At: at}
	rep.Servers = map[string]map[string]link.ServerHealth{pool: servers}
	return rep
}

func checkTexts(l *checkLog, server string) (list []string) {
	events, _ := l.ServerChecks(server)
	for _, e := range events {
		list = append(list, fmt.Sprintf("%s %s %s>%s %s %d", e.LoadBalancer, e.Pool, e.From, e.To, e.Said, e.Time.Unix()))
	}
	return list
}

// TestCheckLog: every change of health is noted with when it was by this machine's clock and what the check said, the newest
// first; who is first seen has not changed, and a load balancer that has not got a pool is not believed.
func TestCheckLog(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1000, 0)
	l := newCheckLog(begin, func(pool string) []string {
		if pool == "web" {
			return []string{"lb1", "lb2"}
		}
		return nil
	})
	step := func(lb string, at int64, pool string, state link.Health, since int64, ahead time.Duration) {
		var began time.Time
		if since != 0 {
			began = time.Unix(since, 0).Add(ahead)
		}
		rep := toldHealth(time.Unix(at, 0), pool, map[string]link.Health{"a": state, "b": link.Up}, began)
		rep.Now = rep.At.Add(ahead)
		l.takeAll(map[string]link.Reported{lb: rep, "lb0": {At: rep.At}})
	}
	step("lb1", 1010, "web", link.StartingUp, 1001, 0)
	step("lb1", 1020, "web", link.Up, 1019, 0)
	step("lb1", 1030, "web", link.Down, 1025, time.Hour) // its clock is ahead
	step("lb1", 1040, "web", link.Drain, 0, 0)           // HAProxy does not count this as a change
	step("lb1", 1045, "web", link.Down, 1025, 0)
	if got, want := checkTexts(l, "a"), []string{"lb1 web drain>down L4down 1045", "lb1 web down>drain L4drain 1040", "lb1 web up>down L4down 1025", "lb1 web starting>up L4up 1019"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := checkTexts(l, "b"); len(got) > 0 {
		t.Errorf("of a server that did not change: %q", got)
	}
	// lb1 is gone, comes back and is not held against what it said before.
	l.takeAll(map[string]link.Reported{})
	step("lb1", 1050, "web", link.Up, 1041, 0)
	for _, state := range []link.Health{link.Up, link.Down} {
		step("lb9", 1060, "web", state, 1055, 0)
		step("lb2", 1060, "others", state, 1055, 0)
	}
	if got := checkTexts(l, "a"); len(got) != 4 {
		t.Errorf("after one that is not believed: %q", got)
	}
}

// TestCheckLogIsBounded: of each server and of all so many are kept, the newest.
func TestCheckLogIsBounded(t *testing.T) {
	t.Parallel()
	l := newCheckLog(time.Unix(0, 0), func(string) []string { return []string{"lb1"} })
	states := []link.Health{link.Up, link.Down}
	round := func(i, servers int) {
		all := map[string]link.Health{}
		for s := range servers {
			all[fmt.Sprint("s", s)] = states[i%2]
		}
		l.take("lb1", toldHealth(time.Unix(int64(i), 0), "web", all, time.Unix(int64(i), 0)))
	}
	for i := range 200 {
		round(i, 10)
	}
	if events, _ := l.ServerChecks("s3"); len(events) != checksOfServer || events[0].Time.Unix() != 199 || l.total != 10*checksOfServer {
		t.Errorf("%d events of a server, %d in all", len(events), l.total)
	}
	if len(l.order) > 3*l.total {
		t.Errorf("%d marks of %d events", len(l.order), l.total)
	}
	const many = 900
	l.most = 2000
	for i := range 4 {
		round(200+i, many)
	}
	counted := 0
	for _, list := range l.events {
		counted += len(list)
	}
	if l.total != l.most || counted != l.most {
		t.Errorf("%d events in all, %d counted", l.total, counted)
	}
	events, _ := l.ServerChecks("s800")
	if len(events) == 0 || events[0].Time.Unix() != 203 {
		t.Errorf("the newest is gone: %v", events)
	}
}
