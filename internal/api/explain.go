package api

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/explain"
	"weir/internal/ir"
)

// Explanation is what a load balancer does with a request, and why.
type Explanation struct {
	// Revision is that of the objects that it follows from.
	Revision     int64  `json:"revision"`
	LoadBalancer string `json:"loadBalancer"`
	Group        string `json:"group"`
	// Request is what was explained, with all that was not said filled in.
	Request ExplainedRequest `json:"request"`
	// Assumed says what was filled in, in sentences.
	Assumed []string `json:"assumed,omitempty"`
	explain.Trace
	// Hidden counts pools of the answer whose servers the caller may not see.
	Hidden int `json:"hidden,omitempty"`
}

// ExplainedRequest is a request as it comes to a load balancer.
type ExplainedRequest struct {
	URL    string `json:"url"`
	Method string `json:"method"`
	// Headers are "Name: value", in their order.
	Headers []string `json:"headers,omitempty"`
	// From is the client's address, Address the name of the IPAddress that it comes to, IP its address.
	From    netip.Addr `json:"from"`
	Address string     `json:"address,omitempty"`
	IP      string     `json:"ip,omitempty"`
	Port    weir.Port  `json:"port"`
	At      time.Time  `json:"at"`
	// Certificate is the subject of the one that the client was said to show, "none" for none.
	Certificate string `json:"certificate,omitempty"`
	// Healthy says that all servers were taken for healthy.
	Healthy bool `json:"healthy,omitempty"`
}

var explainParams = []param{
	{name: "url", kind: "string", doc: "What is asked for, as https://www.example.com/api/x; tcp:// and tls:// with a port for connections."},
	{name: "method", kind: "string", doc: "GET when left out."},
	{name: "header", kind: "string", doc: "A header of the request, as \"Name: value\".", many: true},
	{name: "from", kind: "string", doc: "The client's address."},
	{name: "zone", kind: "string", doc: "The client comes to an address at home in this zone."},
	{name: "address", kind: "string", doc: "The IPAddress that the client comes to, by name or address."},
	{name: "group", kind: "string", doc: "The group of load balancers that is asked."},
	{name: "lb", kind: "string", doc: "The load balancer that is asked."},
	{name: "at", kind: "string", doc: "When the request comes, as 2026-12-06T10:00:00Z; now when left out."},
	{name: "certificate", kind: "string", doc: "The subject of the certificate that the client shows, of the authority that the site asks for, as CN=myback,O=Example; none for none."},
	{name: "healthy", kind: "boolean", doc: "Take all servers for healthy, whatever the checks see."},
}

// explain tells what becomes of a request, whose site the caller must be allowed to read, or, of a call to a partner, the
// application that calls.
func (c *call) explain() error {
	if err := c.granted(weir.Viewer); err != nil {
		return err
	}
	view := c.h.opts.Store.View()
	asked, err := c.asked()
	if err != nil {
		return err
	}
	lb, err := c.balancer(view, asked)
	if err != nil {
		return err
	}
	c.revision = view.Revision
	answer := Explanation{Revision: view.Revision, LoadBalancer: lb.self, Group: lb.node.Group.Name, Assumed: asked.assumed}
	v := explain.View{Route: routeOwners(view)}
	switch {
	case asked.healthy:
	case lb.up == nil:
		answer.Assumed = append(answer.Assumed, fmt.Sprintf("%s has not told yet what its checks see: every server is taken for healthy.", lb.self))
	default:
		v.Health = lb.up
	}
	if !c.has("at") {
		v.UnderWay = func(pool string) (float64, bool) { return c.underWay(view, pool) }
	}
	answer.Trace = explain.Explain(lb.node, asked.request, v)
	if site := answer.Answer.Site; site != "" {
		o := view.Get(weir.Ref{Kind: "Site", Name: site})
		if o == nil && !c.who.Holds(weir.Viewer, "") { // still served: whose it was is not known any more
			return weir.Errorf(weir.Forbidden, "the site that answers is deleted, and %s still serves it; until that changes it takes the right %s on all roles to ask about it", lb.self, weir.Viewer)
		}
		if o != nil {
			if err := c.may(o); err != nil && !c.calls(view, answer.Answer.Call) {
				return err
			}
		}
	}
	answer.Request = asked.told(&lb.node)
	for i := range answer.Steps {
		// Whoever asks chooses the name of the handshake, so that the certificate may be anybody's.
		if s := &answer.Steps[i]; s.About == "tls" && !c.sees(view, s.Object) {
			s.Object, s.Says = "", "a certificate for that name is there"
		}
	}
	if answer.Answer.Call != nil {
		c.hideCall(view, &answer)
		c.unanswered(view, &answer)
	}
	for _, share := range answer.Answer.Pools() {
		if !c.sees(view, ir.PoolOwner(share.Pool)) {
			share.Servers = nil
			answer.Hidden++
		}
	}
	return c.answer(200, &answer)
}

// balancer is a load balancer that is asked.
type balancer struct {
	self string
	node ir.Node
	up   func(pool, server string) bool
}

// balancer chooses whom to ask: who was named, else the first of a group that answers to the host, by name.
func (c *call) balancer(view *weir.Set, asked *askedRequest) (balancer, error) {
	var first, found *balancer
	for o := range view.All("LoadBalancer") {
		spec := o.Spec.(*weir.LoadBalancer)
		switch {
		case asked.lb != "" && o.Metadata.Name != asked.lb, asked.group != "" && spec.Group != asked.group:
			continue
		case asked.lb == "" && spec.State != weir.Active:
			continue
		}
		node, up, ok := c.h.opts.Status.Node(o.Metadata.Name)
		if !ok {
			continue
		}
		b := &balancer{o.Metadata.Name, node, up}
		if first == nil {
			first = b
		}
		// In the midst of a wave one of a group may have the site and another not.
		if !asked.arrive(&node, true) {
			continue
		}
		if found == nil || found.up == nil && up != nil {
			found = b
			if up != nil {
				break
			}
		}
	}
	switch {
	case found != nil:
		asked.arrive(&found.node, false)
		return *found, nil
	case first != nil && (asked.lb != "" || asked.group != "" || view.Len("LoadBalancerGroup") == 1):
		return *first, asked.anywhere(&first.node)
	case asked.lb != "":
		return balancer{}, c.noSuch(weir.Ref{Kind: "LoadBalancer", Name: asked.lb})
	case asked.group != "":
		return balancer{}, weir.Errorf(weir.NotFound, "there is no LoadBalancerGroup/%s with an active load balancer", clipped(asked.group))
	}
	return balancer{}, weir.Errorf(weir.NotFound, "no site of any group answers to %s%s; name a group to have it asked all the same", clipped(asked.request.Host), asked.where())
}

func clipped(s string) string { return strings.ToValidUTF8(s[:min(len(s), 80)], "") }

// routeOwners names routes that kind Route added by their own object.
func routeOwners(view *weir.Set) func(site string, match *weir.RouteMatch) (object, field string) {
	return func(site string, match *weir.RouteMatch) (object, field string) {
		list, owners := weir.AllRoutes(view, site)
		i := slices.IndexFunc(list, func(r weir.SiteRoute) bool { return r.Match.Same(match) })
		switch {
		case i < 0:
			return "", ""
		case owners[i].Kind == "Site":
			return owners[i].String(), fmt.Sprintf("routes[%d]", i)
		}
		return owners[i].String(), ""
	}
}
