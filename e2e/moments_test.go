package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// explained gives what becomes of a request at a moment, as the control plane works it out.
func (w *world) explained(path string, at time.Time) string {
	w.t.Helper()
	var explained struct{ Answer json.RawMessage }
	query := url.Values{"url": {"http://www.example.com:8080" + path}, "at": {at.UTC().Format(time.RFC3339)}, "healthy": {"true"}}
	if _, err := w.call("GET", "/api/v1/explain?"+query.Encode(), "", &explained); err != nil {
		w.t.Fatal(err)
	}
	return string(explained.Answer)
}

// TestMomentsReachLoadBalancers: what goes by a Schedule begins where it was told to, in HAProxy and in what is explained
// beforehand, and a Split's shares are changed and taken back, all of it at run time once the first of each was there.
func TestMomentsReachLoadBalancers(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "old")
		w.origin(201, "new")
		schedule := func(from time.Time) string {
			return fmt.Sprintf("---\nkind: Schedule\nmetadata: {name: launch, role: web}\nspec: {from: %s, reason: the launch}\n", from.UTC().Format(time.RFC3339))
		}
		split := func(old, canary int) string {
			return fmt.Sprintf("---\nkind: Split\nmetadata: {name: canary, role: web}\nspec: {site: www, legs: [{backend: default, weight: %d}, {backend: next, weight: %d}], schedule: launch}\n", old, canary)
		}
		late := time.Now().Add(24 * time.Hour)
		w.apply(strings.Replace(w.oneZone(), "  backends: {default: web}", `  backends: {default: web, next: next}
  routes: [{match: {path: {prefix: /gone}, schedule: launch}, action: {deny: 410}}]`, 1) + `---
kind: Pool
metadata: {name: next, role: web}
spec: {members: [{name: next1, address: ` + w.at(201).String() + `, port: 9000}], healthCheck: {path: /ping, interval: 100ms, rise: 1}}
---
kind: Schedule
metadata: {name: night, role: web}
spec: {from: 2090-01-01T00:00:00Z, until: 2090-01-01T02:00:00Z, reason: works}
---
kind: ZoneShift
metadata: {name: works, role: web}
spec: {sites: [www], zone: az1, schedule: night, reason: works}
` + schedule(late) + split(0, 100))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		vip := w.at(17).String() + ":8080"
		from := func(want ...string) {
			t.Helper()
			missing := map[string]bool{}
			for _, origin := range want {
				missing[origin] = true
			}
			weirtest.Eventually(t, waitLong, func() error {
				_, origin, err := w.get(vip, "www.example.com", "/")
				if delete(missing, origin); len(missing) > 0 {
					return fmt.Errorf("%q answers, not yet %v: %v", origin, missing, err)
				}
				return nil
			})
		}
		from("old")
		w.answers("/gone", 200)
		w.says("schedules/launch", "Programmed", "True")
		w.says("schedules/night", "Programmed", "Unknown", "ZoneShift/works")
		for path, only := range map[string]string{"/gone": `"status":410`, "/": `"next"`} {
			if now, then := w.explained(path, time.Now()), w.explained(path, late.Add(time.Minute)); strings.Contains(now, only) || !strings.Contains(then, only) {
				t.Errorf("%s is explained as %s now and %s then", path, now, then)
			}
		}
		reloads := w.reloads()

		// The launch is tomorrow, and then in two seconds: until then nothing changes, and then everything does.
		w.converged(w.apply(schedule(time.Now().Add(2 * time.Second))))
		from("new")
		w.answers("/gone", 410)
		for range 20 {
			if _, origin, err := w.get(vip, "www.example.com", "/"); origin != "new" {
				t.Errorf("after the launch %q answers, %v", origin, err)
			}
		}

		w.converged(w.apply(split(50, 50)))
		from("old", "new")
		w.converged(w.apply(split(100, 0)))
		from("old")
		for range 20 {
			if _, origin, err := w.get(vip, "www.example.com", "/"); origin != "old" {
				t.Errorf("without a share %q answers, %v", origin, err)
			}
		}
		if n := w.reloads() - reloads; n != 0 {
			t.Errorf("%d reloads", n)
		}
	})
}
