package server

import (
	"testing"
	"time"

	"weir/internal/ir"
	"weir/internal/link"
)

func TestNewServersAreAwaitedForAWhile(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	node := &ir.Node{Pools: []ir.Pool{{Name: "a", Servers: []ir.Server{{Name: "s1", Weight: 1}}}, {Name: "b", Servers: []ir.Server{{Name: "s1", Weight: 1}, {Name: "s2", Weight: 1}}}}}
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
		{name: "all told", a: servers{"s1": up}, b: servers{"s1": server(link.Down, 0), "s2": server(link.NoCheck, 0)}},
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

// TestServersTakenOutAreAwaited: who drains a server, waits and looks is not told that it is up, nor drained once it is
// back.
func TestServersTakenOutAreAwaited(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	override := func(state string, left time.Duration) []ir.Override {
		return []ir.Override{{Name: "o", State: state, ExpiresAt: now.Add(left)}}
	}
	for _, c := range []struct {
		name   string
		server ir.Server
		seen   link.Health
		waits  bool
	}{
		{"drained, and still up", ir.Server{Weight: 1, Overrides: override("drain", time.Hour)}, link.Up, true},
		{"drained, and still unchecked", ir.Server{Weight: 1, Overrides: override("drain", time.Hour)}, link.NoCheck, true},
		{"drained", ir.Server{Weight: 1, Overrides: override("drain", time.Hour)}, link.Drain, false},
		{"drained, and down", ir.Server{Weight: 1, Overrides: override("drain", time.Hour)}, link.Down, false},
		{"in maintenance, and still up", ir.Server{Weight: 1, Overrides: override("maintenance", time.Hour)}, link.Up, true},
		{"in maintenance", ir.Server{Weight: 1, Overrides: override("maintenance", time.Hour)}, link.Maint, false},
		{"back, and still drained", ir.Server{Weight: 1, Overrides: override("drain", 0)}, link.Drain, true},
		{"back, and still in maintenance", ir.Server{Weight: 1}, link.Maint, true},
		{"back", ir.Server{Weight: 1}, link.Up, false},
		{"of no weight", ir.Server{}, link.Drain, false},
	} {
		c.server.Name = "s"
		node := &ir.Node{Pools: []ir.Pool{{Name: "a", Servers: []ir.Server{c.server}}}}
		rep := link.Report{Servers: map[string]map[string]link.ServerHealth{"a": {"s": {State: c.seen, Since: now.Add(-time.Hour)}}}}
		if got := unsettled(node, rep, now); (got == "a") != c.waits {
			t.Errorf("%s: waits for %q", c.name, got)
		}
	}
}
