package api

import (
	"testing"
	"time"
)

// fakeChecks has noted one event in each of three pools for whichever server.
type fakeChecks struct{}

// ServerChecks implements CheckSource.
func (fakeChecks) ServerChecks(string) ([]CheckEvent, time.Time) {
	at := time.Unix(1_900_000_000, 0).UTC()
	var list []CheckEvent
	for _, pool := range []string{"web", "media", "shared", "gone"} {
		list = append(list, CheckEvent{Time: at, LoadBalancer: "lb1", Pool: pool, From: "up", To: "down", Said: "L7RSP \x1b[2J" + pool})
	}
	return list, at.Add(-time.Hour)
}

// TestServerChecks: what happened in pools that the caller may not see is counted and not told, and what happened to a static
// member of the same name is another server's.
func TestServerChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"srv", "s"} { // s is a member of Pool/shared
		w.want(w.do("admin", "PUT", "/api/v1/servers/"+name, manifest("Server", name, roleWeb+"spec: {address: 10.0.0.7, zone: az1}")), 201)
	}
	for _, try := range []struct {
		who, server string
		pools       string
		hidden      int
	}{
		{"viewer", "srv", "web shared", 2},
		{"auditor", "srv", "web media shared gone", 0},
		{"viewer", "s", "web", 2},
	} {
		got := read[ServerChecks](t, w.do(try.who, "GET", "/api/v1/servers/"+try.server+"/checks", ""))
		pools := ""
		for i, e := range got.Events {
			if i > 0 {
				pools += " "
			}
			pools += e.Pool
			if e.Said != "L7RSP \ufffd[2J"+e.Pool {
				t.Errorf("the check said %q", e.Said)
			}
		}
		if pools != try.pools || got.Hidden != try.hidden || got.Server != try.server || got.Since.IsZero() {
			t.Errorf("%s of %s: %q and %d hidden, want %q and %d", try.who, try.server, pools, got.Hidden, try.pools, try.hidden)
		}
	}
}
