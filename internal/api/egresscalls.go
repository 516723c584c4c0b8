package api

import (
	"slices"
	"time"

	"weir"
)

// EgressCallsAnswer is what an application may call, and where.
type EgressCallsAnswer struct {
	Revision int64 `json:"revision"`
	// Ways are where it calls; an address is that of a way with the path of a call behind.
	Ways []weir.WayOut `json:"ways"`
	// Calls are those that the caller may see rule and partner of; More counts those that there is no room for.
	Calls []weir.EgressCall `json:"calls"`
	More  int               `json:"more,omitempty"`
}

var egressCallsParams = []param{
	{name: "partner", kind: "string", doc: "Calls of this Partner alone."},
	{name: "environment", kind: "string", doc: "Calls of this environment of the partner alone."},
	{name: "service", kind: "string", doc: "Calls of this service alone."},
	{name: "sla", kind: "string", doc: "Calls at this SLA alone."},
	{name: "limit", kind: "integer", doc: "The most to answer, 1000 when left out."},
}

// egressCalls tells what an EgressClient may call.
func (c *call) egressCalls(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	limit, err := c.number("limit", 1000, 0, 100_000)
	if err != nil {
		return err
	}
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	query := c.r.URL.Query()
	wanted := func(name, have string) bool { return !query.Has(name) || query.Get(name) == have }
	answer := EgressCallsAnswer{Revision: view.Revision, Ways: c.waysOut(view, o), Calls: []weir.EgressCall{}}
	calls := slices.DeleteFunc(c.callsOf(view, o), func(one weir.EgressCall) bool {
		return !wanted("partner", one.Partner) || !wanted("environment", one.Environment) || !wanted("service", one.Service) || !wanted("sla", one.SLA)
	})
	for i := range calls {
		if one := &calls[i]; one.Schedule != "" && !c.sees(view, "Schedule/"+one.Schedule) {
			one.From, one.Until = time.Time{}, time.Time{}
		}
	}
	n := min(len(calls), int(limit))
	answer.Calls, answer.More = append(answer.Calls, calls[:n]...), len(calls)-n
	return c.answerTagged(answer)
}

// waysOut gives the ways out of an EgressClient whose sites the caller may see.
func (c *call) waysOut(view *weir.Set, client *weir.Object) []weir.WayOut {
	ways := []weir.WayOut{}
	for _, way := range weir.WaysOut(view, client.Spec.(*weir.EgressClient).Environment) {
		if c.sees(view, "Site/"+way.Site) {
			ways = append(ways, way)
		}
	}
	return ways
}

// callsOf gives what an EgressClient may call by rules, of partners, that the caller may see.
func (c *call) callsOf(view *weir.Set, client *weir.Object) []weir.EgressCall {
	return slices.DeleteFunc(weir.EgressCalls(view, client.Metadata.Name), func(one weir.EgressCall) bool {
		return !c.sees(view, "EgressRule/"+one.Rule) || !c.sees(view, "Partner/"+one.Partner)
	})
}
