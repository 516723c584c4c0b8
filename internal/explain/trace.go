// Package explain says what a load balancer does with a request, decision by decision, with the object that made each. It
// works it out of the same ir.Node that package haproxy renders, and a property test holds the two against each other.
package explain

import (
	"fmt"
	"net/netip"
	"time"

	"weir"
	"weir/internal/ir"
)

// Request is what a client sends, and how it comes to a load balancer.
type Request struct {
	Port weir.Port
	// Address names the IPAddress that it comes to.
	Address string
	// From is the client's address as HAProxy sees it: behind a source of PROXY headers the one that these tell.
	From netip.Addr
	// Name is the one that the handshake of TLS asks for, "" for none.
	Name string
	// Method is GET and the like, Host the header as it is sent.
	Method, Host string
	// Target is the path, with the question mark and the query if there is one, as it is sent.
	Target string
	// Header holds all other header lines in their order.
	Header []Field
	// Certificate is the subject of the one that the client shows, of the site's authority, NoCertificate for none; "" when
	// nobody said.
	Certificate string
	// At is when it comes.
	At time.Time
}

// NoCertificate says that a client shows none.
const NoCertificate = "none"

// Field is one header line.
type Field struct{ Name, Value string }

// View is what else is known than the node.
type View struct {
	// Health says whether the load balancer sees a server of a pool up; nil takes all for healthy.
	Health func(pool, server string) bool
	// Route gives the object that a route of a site comes from, with its field; nil names the site.
	Route func(site string, match *weir.RouteMatch) (object, field string)
	// UnderWay says how many calls to a service's pool all load balancers together have under way; nil, and false, when that
	// is not known.
	UnderWay func(pool string) (float64, bool)
}

// Trace is all that was decided about a request, in order, and what came of it.
type Trace struct {
	Steps  []Step  `json:"steps"`
	Answer Verdict `json:"answer"`
	// Passed are the routes that the request was held against before the one that it takes.
	Passed []Passed `json:"passed,omitempty"`
	// Unsure says what can't be known from outside of HAProxy, and would change the answer.
	Unsure []string `json:"unsure,omitempty"`
}

// Step is one decision.
type Step struct {
	// About is what was decided in a word: port, address, client, tls, site, redirect, caller, rule, level, room, path, limit,
	// maintenance, route, headers, logic, split, zone.
	About string `json:"about"`
	// Object made the decision, as in "Site/www"; it is empty where nobody can change it.
	Object string `json:"object,omitempty"`
	// Field is what of the object, as in "routes[3]".
	Field string `json:"field,omitempty"`
	// Says is the decision, in a sentence without its end.
	Says string `json:"says"`
}

// Passed is a route that a request does not take.
type Passed struct {
	Object string `json:"object,omitempty"`
	Field  string `json:"field,omitempty"`
	// Match is the condition in words, Why what of it the request is not.
	Match string `json:"match"`
	Why   string `json:"why"`
}

// Outcome is what becomes of a request.
type Outcome string

// The outcomes.
const (
	Served      Outcome = "served"      // by a server of one of the zones of the answer
	Redirected  Outcome = "redirected"  // the client is sent to Location
	Refused     Outcome = "refused"     // with Status
	Paged       Outcome = "page"        // a page is returned by a route
	Maintenance Outcome = "maintenance" // the site is closed
	Challenge   Outcome = "challenge"   // the answer for an authority
	Closed      Outcome = "closed"      // the connection is closed without an answer
	Tried       Outcome = "tried"       // no server is up: each of the zones of the answer is tried, then the fallback
	Unserved    Outcome = "unserved"    // nobody is there to serve it
)

// Verdict is what becomes of a request.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Status is that of the answer; 0 where a server chooses it, or where there is no answer.
	Status int `json:"status,omitempty"`
	// Text is what a plain answer says, where it says why.
	Text string `json:"text,omitempty"`
	// Call is what is asked for of a partner, as far as that was known, nil where nobody is called.
	Call *Call `json:"call,omitempty"`
	// Location is where the client is sent.
	Location string `json:"location,omitempty"`
	// Page names the ErrorPage of the answer, "" for a plain one.
	Page string `json:"page,omitempty"`
	// RetryAfter is the seconds after which clients of a closed site are to come back.
	RetryAfter string `json:"retryAfter,omitempty"`
	Site       string `json:"site,omitempty"`
	Backend    string `json:"backend,omitempty"`
	// Target is the path with the query that the server sees.
	Target string `json:"target,omitempty"`
	// Headers are those of the request that Weir has changed, as the server sees them; a removed one has no values.
	Headers []Header `json:"headers,omitempty"`
	// ResponseHeaders is what is done to the server's answer.
	ResponseHeaders []string `json:"responseHeaders,omitempty"`
	// Zones are those that may serve it, with their chances.
	Zones []Share `json:"zones,omitempty"`
	// Fallback is the pool that takes it when none of the servers that are tried can be reached.
	Fallback *Share `json:"fallback,omitempty"`
	// Unserved is how many of a hundred such requests come to a leg of a Split that may have nobody to serve them.
	Unserved float64 `json:"unserved,omitempty"`
}

// Call is a call to a partner.
type Call struct {
	// Client names the EgressClient that calls.
	Client string `json:"client,omitempty"`
	// Service is that which is called, as "example/prod/www", at the level that SLA names.
	Service string `json:"service,omitempty"`
	SLA     string `json:"sla,omitempty"`
	// Rule names the EgressRule that lets it pass, "" where none does.
	Rule string `json:"rule,omitempty"`
}

// Pools gives the zones with the fallback.
func (a *Verdict) Pools() []*Share {
	var list []*Share
	for i := range a.Zones {
		list = append(list, &a.Zones[i])
	}
	if a.Fallback != nil {
		list = append(list, a.Fallback)
	}
	return list
}

// Header is a header of a request on its way to a server.
type Header struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Share is a zone that may serve a request.
type Share struct {
	// Zone is empty where the pool is that of no zone.
	Zone string `json:"zone,omitempty"`
	Pool string `json:"pool"`
	// Backend is that of the leg, where a Split divides by chance.
	Backend string `json:"backend,omitempty"`
	// Percent is how many of a hundred such requests it serves.
	Percent float64 `json:"percent"`
	// Cookie is the name of the one by which the pool's servers keep their clients, with the server's name in it.
	Cookie string `json:"cookie,omitempty"`
	// Servers may answer; those that the checks see down only where everything is tried.
	Servers []string `json:"servers,omitempty"`
}

// Explain says what the load balancer of a node does with a request. It looks at no clock: what ends by itself has ended
// when the request's At says so.
func Explain(n ir.Node, q Request, v View) Trace {
	n, _ = n.At(q.At)
	if v.Health == nil {
		v.Health = func(string, string) bool { return true }
	}
	w := &walk{node: &n, q: q, view: v}
	if w.connection() && w.request() {
		w.logic()
		w.serve()
	}
	return w.trace
}

// walk is a request on its way.
type walk struct {
	node  *ir.Node
	q     Request
	view  View
	trace Trace

	address *ir.Address
	mode    weir.PortMode
	site    *ir.Site
	// named is the site that the handshake named, nil for none.
	named *ir.Site
	// trusted says that the client is believed what it says of others.
	trusted bool
	// host is the header without port, case and final dots.
	host string
	// path and query are what is looked at: the path in its normal form where the site has it so.
	path, query string
	hasQuery    bool
	header      headers
	lists       []string
	// call is what is called by an egress site, whose pool is the service's.
	call *Call
	pool string
}

func (w *walk) step(about, object, field, format string, args ...any) {
	w.trace.Steps = append(w.trace.Steps, Step{about, object, field, fmt.Sprintf(format, args...)})
}

func (w *walk) unsure(format string, args ...any) {
	w.trace.Unsure = append(w.trace.Unsure, fmt.Sprintf(format, args...))
}

func (w *walk) close() bool {
	w.trace.Answer = Verdict{Outcome: Closed}
	return false
}

// refuse ends the walk with a status, and with the page that stands for it.
func (w *walk) refuse(status int) bool {
	a := Verdict{Outcome: Refused, Status: status, Page: w.pageFor(weir.Status3(status))}
	if w.site != nil {
		a.Site = w.site.Name
	}
	w.trace.Answer = a
	return false
}

// pageFor gives the page of the site, else of the group, "" for a plain one.
func (w *walk) pageFor(status weir.Status3) string {
	if w.site != nil {
		if name := w.site.ErrorPages[status]; name != "" && w.page(name) != nil {
			return name
		}
	}
	if name := w.node.Tuning.ErrorPages[status]; name != "" && w.page(name) != nil {
		return name
	}
	return ""
}

func (w *walk) page(name string) *ir.Page {
	for i := range w.node.Pages {
		if w.node.Pages[i].Name == name {
			return &w.node.Pages[i]
		}
	}
	return nil
}
