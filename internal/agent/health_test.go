package agent

import (
	"testing"
	"time"

	"weir/internal/haproxy"
	"weir/internal/link"
)

// TestHealthOf: since when a server drains is not said, because HAProxy counts from its checks alone.
func TestHealthOf(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	row := func(name, status string, weight int) haproxy.StatRow {
		return haproxy.StatRow{Proxy: "web", Service: name, Type: haproxy.StatServer, Status: status, UserWeight: weight, LastChange: 780, CheckStatus: "L7OK", CheckCode: 200}
	}
	got := healthOf([]haproxy.StatRow{row("a", "UP", 100), row("b", "UP", 0), row("c", "DRAIN", 100)}, now)["web"]
	for name, want := range map[string]link.ServerHealth{
		"a": {State: link.Up, Since: now.Add(-13 * time.Minute), Check: "passes (L7OK)"},
		"b": {State: link.Drain, Check: "passes (L7OK)"},
		"c": {State: link.Drain, Check: "passes (L7OK)"},
	} {
		if got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
}
