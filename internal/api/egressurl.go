package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weir"
)

// EgressURLAnswer is one call of an application to a partner, as its programs make it.
type EgressURLAnswer struct {
	Revision int64 `json:"revision"`
	// Path is that of the call, with what the partner sees of it.
	Path        string `json:"path"`
	Method      string `json:"method"`
	Partner     string `json:"partner"`
	Environment string `json:"environment"`
	Service     string `json:"service"`
	SLA         string `json:"sla"`
	// Refused is what load balancers answer to it, since no rule lets this method or path through; "" when one does.
	Refused string `json:"refused,omitempty"`
	// Certificate is the subject of the one that calls must show, "" for none; programs have it out of files whose names
	// stand for the application's own.
	Certificate string `json:"certificate,omitempty"`
	// Schedules name those of which one must hold for the call to be let through, none where it is at any time.
	Schedules []string `json:"schedules,omitempty"`
	// URLs are the same call by each way out, none where the application has none.
	URLs []EgressURL `json:"urls"`
}

// EgressURL is a call by one way out.
type EgressURL struct {
	// Site names the egress Site.
	Site     string               `json:"site"`
	URL      string               `json:"url"`
	Snippets []weir.EgressSnippet `json:"snippets"`
}

var egressURLParams = []param{
	{name: "partner", kind: "string", doc: "The Partner that is called."},
	{name: "environment", kind: "string", doc: "The partner's environment; the client's own when left out, or the only one."},
	{name: "service", kind: "string", doc: "The service that is called."},
	{name: "sla", kind: "string", doc: "The SLA of the call."},
	{name: "rest", kind: "string", doc: "What the partner sees as path and query, such as /orders?open=1; nothing when left out."},
	{name: "method", kind: "string", doc: "The method; GET when left out, where rules let it through."},
}

// egressURL composes a call of an EgressClient, with programs that make it.
func (c *call) egressURL(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	asked := weir.EgressCall{Partner: c.text("partner"), Environment: c.text("environment"), Service: c.text("service"), SLA: c.text("sla")}
	for _, name := range []string{"partner", "service", "sla"} {
		if c.text(name) == "" {
			return queryProblem(name, "", "a name; whom the client may call is told by its calls")
		}
	}
	rest, method := c.text("rest"), c.text("method")
	if rest != "" {
		if err := weir.CheckURLPath(rest); err != nil {
			return &weir.Error{Kind: weir.Invalid, Message: "the request's query can't be read", Problems: []weir.Problem{{Path: "query.rest", Message: err.Error()}}}
		}
	}
	if len(method) > 32 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return queryProblem("method", method, "a method, such as GET or POST")
	}
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	calls, err := weir.FindCalls(o.Metadata.Name, c.callsOf(view, o), asked)
	if err != nil {
		return cmp.Or(c.noSuchCall(view, asked), err)
	}
	one := calls[0]
	answer := EgressURLAnswer{
		Revision: view.Revision, Path: one.Path + strings.TrimPrefix(rest, "/"), Method: method,
		Partner: one.Partner, Environment: one.Environment, Service: one.Service, SLA: one.SLA, URLs: []EgressURL{},
	}
	path, _, _ := strings.Cut(answer.Path, "?")
	if method == "" {
		answer.Method = weir.EgressMethod(calls, path)
	}
	answer.Refused = weir.EgressRefusal(calls, answer.Method, path, c.h.opts.Clock())
	answer.Schedules = weir.EgressSchedules(calls, answer.Method, path)
	var level *weir.SLA
	if c.sees(view, "SLA/"+one.SLA) {
		level = weir.Find[weir.SLA](view, "SLA", one.SLA)
	}
	answer.Certificate = o.Spec.(*weir.EgressClient).Subject
	ways := c.waysOut(view, o)
	if asks := func(w weir.WayOut) bool { return w.Asks }; answer.Certificate != "" && len(ways) > 0 && !slices.ContainsFunc(ways, asks) {
		answer.Refused = fmt.Sprintf("EgressClient/%s calls with a certificate of its own, which no way out asks for", o.Metadata.Name)
	}
	for _, way := range ways {
		url, subject := way.URL+answer.Path, ""
		if way.Asks {
			subject = answer.Certificate
		}
		answer.URLs = append(answer.URLs, EgressURL{way.Site, url, weir.EgressSnippets(url, answer.Method, subject, level)})
	}
	return c.answer(200, &answer)
}

// noSuchCall says what of a call that no rule lets through does not exist, nil when all of it does. A Partner or SLA that the
// caller may not see gets the words of one that is not there.
func (c *call) noSuchCall(view *weir.Set, asked weir.EgressCall) error {
	for _, ref := range []weir.Ref{{Kind: "Partner", Name: asked.Partner}, {Kind: "SLA", Name: asked.SLA}} {
		if o := view.Get(ref); o == nil || c.may(o) != nil {
			if err := c.noSuch(ref); weir.CheckName(ref.Name) != nil || c.who.Holds(weir.Viewer, "") {
				return err
			}
			return weir.Errorf(weir.NotFound, "there is no %s that you may see", ref)
		}
	}
	return weir.Find[weir.Partner](view, "Partner", asked.Partner).Lacks(asked.Partner, asked.Environment, asked.Service)
}
