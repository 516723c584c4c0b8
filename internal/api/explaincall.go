package api

import (
	"context"
	"math"
	"strings"
	"time"

	"weir"
	"weir/internal/explain"
	"weir/internal/ir"
)

// calls says that a call to a partner is made by an application that the caller may see.
func (c *call) calls(view *weir.Set, call *explain.Call) bool {
	return call != nil && call.Client != "" && view.Get(weir.Ref{Kind: "EgressClient", Name: call.Client}) != nil && c.sees(view, "EgressClient/"+call.Client)
}

// hideCall takes out of the explanation of a call what objects say that the caller may not see. Why it is refused stays:
// load balancers tell that to whoever calls.
func (c *call) hideCall(view *weir.Set, e *Explanation) {
	for i := range e.Steps {
		if s := &e.Steps[i]; !c.sees(view, s.Object) {
			s.Object, s.Field, s.Says = "", "", "an object that you may not see decides this"
			if s.About == "path" { // what the partner is asked for
				e.Answer.Target, e.Answer.Headers = "", nil
			}
		}
	}
	if rule := e.Answer.Call.Rule; rule != "" && !c.sees(view, "EgressRule/"+rule) {
		e.Answer.Call.Rule = ""
	}
}

// unanswered adds what fails at the partner now: that a rule lets a call pass does not say that it is answered.
func (c *call) unanswered(view *weir.Set, e *Explanation) {
	name, _, _ := strings.Cut(e.Answer.Call.Service, "/")
	o := view.Get(weir.Ref{Kind: "Partner", Name: name})
	if e.Answer.Outcome != explain.Served || o == nil || !c.sees(view, o.Ref().String()) {
		return
	}
	s := c.h.opts.Status.Moment().Status(o)
	if s == nil {
		return
	}
	for _, is := range s.Conditions {
		if is.Type == weir.Answering && is.Status == "False" {
			e.Unsure = append(e.Unsure, "whether it is answered, since calls to "+o.Ref().String()+" fail: "+is.Message)
		}
	}
}

// underWay says how many calls to a service all load balancers had under way when they told last.
func (c *call) underWay(view *weir.Set, pool string) (now float64, ok bool) {
	if c.h.opts.Series == nil || !c.sees(view, ir.PoolOwner(pool)) {
		return 0, false
	}
	const figure, back = "connections.open", 6
	q := SeriesQuery{Objects: []string{"Pool/" + pool}, Figures: []string{figure}, From: c.h.opts.Clock().Add(-back * seriesStep).Truncate(seriesStep), Step: seriesStep, Points: back}
	ctx, cancel := context.WithTimeout(c.r.Context(), time.Second)
	defer cancel()
	series, err := c.h.opts.Series.Series(ctx, q)
	if err != nil {
		return 0, false // it is told as not known
	}
	for _, of := range series.Of {
		for _, p := range of.Figures[figure] {
			if !math.IsNaN(float64(p)) {
				now, ok = float64(p), true
			}
		}
	}
	return now, ok
}
