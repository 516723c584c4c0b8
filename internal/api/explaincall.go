package api

import (
	"weir"
	"weir/internal/explain"
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
