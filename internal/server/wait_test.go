package server

import (
	"testing"
	"time"

	"weir/internal/ir"
	"weir/internal/link"
)

func TestNewServersAreAwaitedForAWhile(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	node := &ir.Node{Pools: []ir.Pool{{Name: "a", Servers: []ir.Server{{Name: "s1"}}}, {Name: "b", Servers: []ir.Server{{Name: "s1"}, {Name: "s2"}}}}}
	server := func(state link.Health, ago time.Duration) link.ServerHealth {
		return link.ServerHealth{State: state, Since: now.Add(-ago)}
	}
	type servers = map[string]link.ServerHealth
	up, fresh, old := server(link.Up, time.Hour), server(link.StartingUp, time.Second), server(link.StartingUp, time.Minute)
	for _, c := range []struct {
		name string
		a, b servers
		held string
		want string
	}{
		{name: "all told", a: servers{"s1": up}, b: servers{"s1": server(link.Down, 0), "s2": server(link.Maint, 0)}},
		{name: "a pool is new", b: servers{"s1": up, "s2": up}, want: "a"},
		{name: "a server is new", a: servers{"s1": up}, b: servers{"s2": up}, want: "b"},
		{name: "its first check is under way", a: servers{"s1": up}, b: servers{"s1": fresh, "s2": up}, want: "b"},
		{name: "its first check takes long", a: servers{"s1": old}, b: servers{"s1": up, "s2": up}},
		{name: "the pool is refused", a: servers{"s1": up}, held: "pool/b"},
		{name: "a server is refused", a: servers{"s1": up}, b: servers{"s1": up}, held: "server/b/s2"},
	} {
		rep := link.Report{Servers: map[string]servers{"a": c.a, "b": c.b}}
		if c.held != "" {
			rep.Resources.Deviations = map[string]link.Deviation{c.held: {State: link.Quarantined}}
		}
		if got := unsettled(node, rep, now); got != c.want {
			t.Errorf("%s: waits for %q, want %q", c.name, got, c.want)
		}
	}
}
