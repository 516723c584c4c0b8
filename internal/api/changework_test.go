package api

import (
	"fmt"
	"testing"
	"time"
)

// fakeWork knows of one change, made by a moment, which lb1 has and lb2 has not.
type fakeWork struct{ clock func() time.Time }

// Work implements WorkSource.
func (f fakeWork) Work(revision int64) *ChangeWork {
	if revision != 2 {
		return nil
	}
	reasons := []ReloadReason{{Object: "Pool/media", Text: "of another role"}, {Object: "Pool/web", Text: "one's own"}, {Text: "nobody's"}, {Object: "Pool/gone", Text: "deleted since"}, {Object: "Pool/missing", Text: "forgotten"}}
	return &ChangeWork{LoadBalancers: []LoadBalancerWork{
		{Name: "lb1", Group: "edge", Done: true, At: f.clock().Add(85 * time.Millisecond), Reloaded: true, Reload: reasons, With: []int64{1}},
		{Name: "lb2", Group: "edge"},
	}}
}

// TestChangeWork: a change that is asked for alone tells what load balancers did for it and how long after it that was; why
// one was reloaded is told of objects that the caller may see, that it was to all.
func TestChangeWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("owner", "PUT", "/api/v1/pools/gone", manifest("Pool", "gone", roleWeb+"spec: {selector: {role: web}, port: http}")), 201)
	w.want(w.do("owner", "DELETE", "/api/v1/pools/gone", ""), 200)
	for who, want := range map[string]string{"viewer": "one's own, nobody's, deleted since", "auditor": "of another role, one's own, nobody's, deleted since, forgotten"} {
		got := read[ChangeRecord](t, w.do(who, "GET", "/api/v1/changes/2", ""))
		if got.Work == nil || len(got.Work.LoadBalancers) != 2 {
			t.Fatalf("%s is told %+v", who, got.Work)
		}
		first, second := got.Work.LoadBalancers[0], got.Work.LoadBalancers[1]
		text := ""
		for i, r := range first.Reload {
			if i > 0 {
				text += ", "
			}
			text += r.Text
		}
		if text != want || !first.Reloaded || first.AfterMS != 85 || fmt.Sprint(first.With) != "[1]" {
			t.Errorf("%s is told %+v", who, first)
		}
		if second.Done || second.AfterMS != 0 || !second.At.IsZero() {
			t.Errorf("%s is told %+v", who, second)
		}
	}
	if got := read[ChangeRecord](t, w.do("auditor", "GET", "/api/v1/changes/1", "")); got.Work != nil {
		t.Errorf("of a change that is not remembered: %+v", got.Work)
	}
}
