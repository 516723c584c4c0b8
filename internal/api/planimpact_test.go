package api

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"testing"

	"weir"
	"weir/internal/store"
)

// TestPlanImpact: a plan tells of the sites that the caller may see how much is asked of them, the busiest first.
func TestPlanImpact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := manifest("AccessList", "l", roleWeb+"spec: {networks: [192.0.2.0/24]}")
	for who, want := range map[string]string{"owner": "www 5 0 150", "admin": "films 5 0 150, www 5 0 150"} {
		for _, path := range []string{"/api/v1/plan", "/api/v1/apply?dryRun=true&plan=true"} {
			got := read[applyText](t, w.do(who, "POST", path, body)).Plan
			text := ""
			for i, one := range got.Impact {
				if i > 0 {
					text += ", "
				}
				text += fmt.Sprintf("%s %g %g %d", one.Site, one.Requests, one.Peak, one.Spare.Carries)
			}
			if text != want || got.ImpactLeftOut != 0 {
				t.Errorf("%s is told by %s: %q and %d more, want %q", who, path, text, got.ImpactLeftOut, want)
			}
		}
	}
}

// risingSeries has sites that are asked the more the higher their number is, twice as much at their busiest, and nothing of
// the first.
type risingSeries struct{ fakeSeries }

func (risingSeries) number(object string) (n int) {
	_, _ = fmt.Sscanf(object, "Site/s%d", &n)
	return n
}

func (r risingSeries) Minute(objects ...string) map[string]Traffic {
	out := map[string]Traffic{}
	for _, o := range objects {
		if n := r.number(o); n > 0 {
			out[o] = Traffic{Requests: Point(n)}
		}
	}
	return out
}

func (r risingSeries) Series(_ context.Context, q SeriesQuery) (Series, error) {
	var s Series
	for _, o := range q.Objects {
		points := make([]Point, q.Points)
		for i := range points {
			points[i] = Point(math.NaN())
		}
		points[7] = Point(2 * r.number(o))
		s.Of = append(s.Of, SeriesOf{o, map[string][]Point{"requests": points}})
	}
	return s, nil
}

// TestPlanImpactIsBounded: of many sites the busiest are told of, and how many others there are.
func TestPlanImpactIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &call{h: &Handler{opts: w.handler.opts}, who: Caller{Subject: "ann", Grants: []weir.Grant{{Subject: "ann", Role: "*", Right: weir.Viewer}}}, r: httptest.NewRequest("POST", "/", nil)}
	c.h.opts.Series = risingSeries{}
	set := weir.NewSet()
	var list []PlanImpact
	for i := range 50 {
		name := fmt.Sprint("s", i)
		set.Put(&weir.Object{Kind: "Site", Metadata: weir.Metadata{Name: name, Role: "web"}, Spec: &weir.Site{}})
		list = append(list, PlanImpact{Site: name})
	}
	var plan PlanAnswer
	c.impact(result{Result: &store.Result{Before: weir.NewSet(), After: set}}, &plan, list)
	first, last := plan.Impact[0], plan.Impact[len(plan.Impact)-1]
	if len(plan.Impact) != mostImpact || plan.ImpactLeftOut != 50-mostImpact || first.Site != "s49" || first.Peak != 98 || first.Role != "web" || last.Requests != 30 {
		t.Errorf("%d and %d more, from %+v to %+v", len(plan.Impact), plan.ImpactLeftOut, first, last)
	}
	c.impact(result{Result: &store.Result{Before: weir.NewSet(), After: set}}, &plan, list[:1])
	if one := plan.Impact[0]; !math.IsNaN(float64(one.Requests)) || one.Peak != 0 {
		t.Errorf("of one that nothing is known of: %+v", one)
	}
}
