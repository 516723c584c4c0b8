package api

import (
	"context"
	"strings"
	"testing"

	"weir"
)

// fakeWaves remembers who did what.
type fakeWaves struct{ done []string }

func (f *fakeWaves) SteerWaves(_ context.Context, group string, action WaveAction, by, reason string) error {
	if action == WaveStop {
		return weir.Errorf(weir.Conflict, "nothing is on its way in group %s", group)
	}
	f.done = append(f.done, strings.Join([]string{group, string(action), by, reason}, " "))
	return nil
}

// TestWavesAreSteered: by those who may touch everybody's changes, with a reason where nobody watches, and on record.
func TestWavesAreSteered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "PUT", "/api/v1/grants/duty", manifest("Grant", "duty", "}\nspec: {subject: other, role: \"*\", right: operator}")), 201)
	at := "/api/v1/loadbalancergroups/edge/waves?action="
	w.want(w.do("other", "POST", at+"back&reason=looks+odd", ""), 200)
	w.want(w.do("admin", "POST", at+"finish&reason=fire", ""), 200)
	for query, want := range map[string]struct {
		status int
		says   string
	}{
		"finish":     {400, "say why"},
		"leap":       {400, "stop, back, go or finish"},
		"go&reason=": {200, ""},
		"stop":       {409, "nothing is on its way in group edge"},
	} {
		if a := w.want(w.do("admin", "POST", at+query, ""), want.status); want.says != "" && !strings.Contains(a.problem(t).Detail+string(a.body), want.says) {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	if p := w.want(w.do("owner", "POST", at+"back", ""), 403).problem(t); !strings.Contains(p.Detail, "undo") {
		t.Errorf("an owner is told %s", p.Detail)
	}
	w.want(w.do("admin", "POST", "/api/v1/loadbalancergroups/none/waves?action=go", ""), 404)
	w.want(w.do("admin", "PUT", "/api/v1/loadbalancergroups/plain", manifest("LoadBalancerGroup", "plain", "}\nspec: {ranges: [203.0.114.0/28]}")), 201)
	if p := w.want(w.do("admin", "POST", "/api/v1/loadbalancergroups/plain/waves?action=go", ""), 409).problem(t); !strings.Contains(p.Detail, "spec.waves") {
		t.Errorf("of a group without waves is told %s", p.Detail)
	}
	if got := strings.Join(w.handler.opts.Waves.(*fakeWaves).done, ", "); !strings.Contains(got, "edge back other looks odd") || !strings.Contains(got, "edge finish admin fire") {
		t.Errorf("done: %s", got)
	}
	audit := w.auditText()
	for _, want := range []string{`"wave back"`, `"wave finish"`, `"wave stop"`, `"refused"`, "looks odd"} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit file lacks %s", want)
		}
	}
}

// TestWhyAWaveHaltedIsDiscreet: the reason can be about any role's objects.
func TestWhyAWaveHaltedIsDiscreet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/api/v1/loadbalancergroups/edge/waves", "/api/v1/status"} {
		if a := w.want(w.do("owner", "GET", path, ""), 200); strings.Contains(strings.Split(string(a.body), "loadBalancers")[0], "films") {
			t.Errorf("%s: the owner of another role is told %s", path, a.body)
		}
		if a := w.want(w.do("auditor", "GET", path, ""), 200); !strings.Contains(string(a.body), "Site/films answers 5xx") {
			t.Errorf("%s: who may see all is told %s", path, a.body)
		}
	}
}

// TestAChangeTellsWhereItWaits: on its way, sent back, or behind others.
func TestAChangeTellsWhereItWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "PUT", "/api/v1/accesslists/mine", manifest("AccessList", "mine", roleWeb+"spec: {networks: [192.0.2.0/24]}")), 201)
	for path, want := range map[string]string{"1": "halted", "2": "queued"} {
		rec := read[ChangeRecord](t, w.do("auditor", "GET", "/api/v1/changes/"+path, ""))
		if len(rec.Waves) != 1 || rec.Waves[0].Group != "edge" || rec.Waves[0].State != want || rec.Waves[0].Message == "" {
			t.Errorf("change %s: %+v", path, rec.Waves)
		}
		if rec = read[ChangeRecord](t, w.do("owner", "GET", "/api/v1/changes/"+path, "")); len(rec.Waves) != 1 || rec.Waves[0].Message != "" {
			t.Errorf("change %s, for an owner: %+v", path, rec.Waves)
		}
	}
}
