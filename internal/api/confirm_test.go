package api

import (
	"context"
	"strings"
	"testing"

	"weir"
)

// fakeSources takes the confirmation of doubt 1.
type fakeSources struct{}

func (fakeSources) ConfirmSource(_ context.Context, name string, number int64, _, _ string) error {
	if number != 1 {
		return weir.Errorf(weir.Conflict, "more is gone from DiscoverySource/%s", name)
	}
	return nil
}

// sourceStatus is what stands in for the state of a DiscoverySource.
func sourceStatus(o *weir.Object) *weir.SourceStatus {
	if o.Kind != "DiscoverySource" {
		return nil
	}
	return &weir.SourceStatus{
		Found: 3, Error: "canary-error", Left: []weir.SourceLeftOut{{What: "canary-left"}}, DampedServers: []weir.SourceDamped{{Server: "canary-damped"}},
		Doubt: &weir.SourceDoubt{Number: 1, Servers: 2, Names: []string{"canary-name"}},
	}
}

// TestServersOfADeletedSource: who deletes a source is told that its servers stay.
func TestServersOfADeletedSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "PUT", "/api/v1/discoverysources/source", kindTable["DiscoverySource"].body), 201)
	w.want(w.do("admin", "PUT", "/api/v1/servers/found", "kind: Server\nmetadata: {name: found, role: web, managedBy: discovery/source}\nspec: {address: 10.0.0.7, zone: az1}"), 201)
	for _, query := range []string{"?dryRun=true", ""} {
		text := string(w.want(w.do("admin", "DELETE", "/api/v1/discoverysources/source"+query, ""), 200).body)
		if !strings.Contains(text, "its 1 server stays as it is, and nobody") {
			t.Errorf("%q is answered %s", query, text)
		}
	}
}

// TestConfirm: what is confirmed is what was seen, it is written to the audit file, and those who may not see the servers
// of a source's role are told numbers only.
func TestConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := kindTable["DiscoverySource"].body
	w.want(w.do("admin", "PUT", "/api/v1/discoverysources/source", source), 201)
	const path = "/api/v1/discoverysources/source/confirm"
	for query, want := range map[string]int{"?reason=x": 200, "?doubt=1": 200, "?doubt=2": 409, "?doubt=0": 400, "?doubt=a": 400, "?no=1": 400} {
		if a := w.do("owner", "POST", path+query, ""); a.StatusCode != want {
			t.Errorf("%s is answered %d %s, not %d", query, a.StatusCode, a.body, want)
		}
	}
	// A number that is told in a body must not confirm what happens to be doubted.
	if a := w.want(w.do("owner", "POST", path, `{"doubt": 2}`), 400); !strings.Contains(string(a.body), "takes no body: what is meant goes into the parameters of the query; those are doubt, reason") {
		t.Errorf("a body is answered %s", a.body)
	}
	text := w.auditText()
	for _, want := range []string{`"confirm what a source has lost"`, `"outcome":"accepted"`, `"outcome":"refused"`, `"DiscoverySource/source"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit file lacks %s: %s", want, text)
		}
	}
	for who, sees := range map[string]bool{"owner": true, "viewer": true, "auditor": true, "other": false} {
		for _, path := range []string{"/api/v1/discoverysources/source", "/api/v1/discoverysources"} {
			text := string(w.want(w.do(who, "GET", path, ""), 200).body)
			if got := strings.Count(text, "canary"); sees != (got > 0) || !strings.Contains(text, `"servers":2`) {
				t.Errorf("%s sees of %s: %s", who, path, text)
			}
		}
	}
}
