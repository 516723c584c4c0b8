package explain

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// egressPath is what the path of a call begins with.
var egressPath = regexp.MustCompile(`^(/[a-z0-9][a-z0-9_-]{0,62}){6}(/|$)`)

// egress finds the rule by which a call of an egress site goes to a partner.
func (w *walk) egress() bool {
	if w.site.Egress == nil {
		return true
	}
	w.call = &Call{}
	w.trace.Answer.Call = w.call
	if !egressPath.MatchString(w.path) {
		return w.no(400, "path", "", "", "the path must be /client/environment/partner/environment/service/level/..., six plain words in lower case")
	}
	if strings.ContainsFunc(w.q.Target, func(r rune) bool { return r < '!' || r > '~' }) {
		return w.no(400, "path", "", "", "the address has a byte that must be written with %")
	}
	if weir.EgressClimbs(w.path) {
		return w.no(400, "path", "", "", weir.EgressClimbText)
	}
	parts := strings.SplitN(w.path, "/", 8)
	w.call.Service, w.call.SLA = strings.Join(parts[3:6], "/"), parts[6]
	client := w.caller(parts[1], parts[2])
	return client != nil && w.ruled(client) && w.rewritten(parts)
}

// no refuses a call for what an object says.
func (w *walk) no(status int, about, object, field, text string) bool {
	w.step(about, object, field, "%s", text)
	w.trace.Answer = Verdict{Outcome: Refused, Status: status, Site: w.site.Name, Text: text, Call: w.call}
	return false
}

// caller finds the EgressClient that calls, by the first two elements of the path, and from where it does.
func (w *walk) caller(app, environment string) *ir.EgressClient {
	var client *ir.EgressClient
	named := false
	for i := range w.node.Clients {
		c := &w.node.Clients[i]
		switch caller := c.Caller(); {
		case caller == app+"/"+environment && slices.Contains(w.site.Egress, c.Environment):
			client = c
		case strings.HasPrefix(caller, app+"/"):
			named = true
		}
	}
	switch {
	case client == nil && !named:
		w.no(403, "caller", "", "", "no EgressClient is called "+app)
		return nil
	case client == nil:
		w.no(403, "caller", w.object(), "egress.environments", fmt.Sprintf("no EgressClient %s of environment %s may call here", app, environment))
		return nil
	}
	object := "EgressClient/" + client.Name
	w.call.Client = client.Name
	if !w.callsFrom(client) {
		w.no(403, "caller", object, "sources", fmt.Sprintf("%s does not call from %s", object, w.q.From))
		return nil
	}
	switch {
	case client.Subject == "":
		w.step("caller", object, "sources", "/%s/%s, which calls from %s", app, environment, w.q.From)
	case w.mode != weir.PortHTTPS || w.site.ClientAuthority == "" || w.q.Certificate != "" && w.q.Certificate != client.Subject:
		w.no(403, "caller", object, "subject", object+" calls with a certificate of its own, which was not shown")
		return nil
	default:
		w.step("caller", object, "subject", "/%s/%s, which calls from %s with the certificate of %s", app, environment, w.q.From, client.Subject)
		if w.q.Certificate == "" {
			w.unsure("which certificate the client shows, since only its connection tells and nobody said; it is taken to be the one that %s asks for", object)
		}
	}
	return client
}

// callsFrom says whether the request's address is among a client's sources. Where any client calls from a network of IPv4
// that an address is in, networks of IPv6 are not looked at.
func (w *walk) callsFrom(client *ir.EgressClient) bool {
	find := func(a netip.Addr) (any, own bool) {
		for i := range w.node.Clients {
			c := &w.node.Clients[i]
			if slices.ContainsFunc(c.Sources, func(p netip.Prefix) bool { return p.Contains(a) }) {
				any, own = true, own || c.Name == client.Name
			}
		}
		return any, own
	}
	any, own := find(w.q.From)
	if !any && w.q.From.Is4() {
		_, own = find(netip.AddrFrom16(w.q.From.As16()))
	}
	return own
}

// ruled finds the rule that lets the call pass.
func (w *walk) ruled(client *ir.EgressClient) bool {
	var rules []weir.EgressCall
	for i := range w.node.Rules {
		r := &w.node.Rules[i]
		if !slices.Contains(r.Clients, client.Name) || !slices.Contains(r.SLAs, w.call.SLA) {
			continue
		}
		for j := range w.node.Pools {
			if e := w.node.Pools[j].Endpoint; e != nil && r.Partner == e.Partner && strings.Join([]string{e.Partner, e.Environment, e.Service}, "/") == w.call.Service &&
				r.In(client.Environment) == e.Environment && (len(r.Services) == 0 || slices.Contains(r.Services, e.Service)) {
				w.pool = e.Pool()
				rules = append(rules, w.callBy(r))
			}
		}
	}
	if len(rules) == 0 {
		return w.no(403, "rule", "", "", fmt.Sprintf("no EgressRule lets EgressClient/%s call %s at level %s", client.Name, w.call.Service, w.call.SLA))
	}
	hold, no := weir.HoldingCalls(rules, w.q.At)
	rule := ""
	if no == nil {
		for i := range rules {
			if !rules[i].Holds(w.q.At) {
				w.step("rule", "EgressRule/"+rules[i].Rule, "schedule", "is not there: Schedule/%s does not hold at %s", rules[i].Schedule, w.q.At.UTC().Format(time.RFC3339))
			}
		}
		rule, no = weir.LetCall(hold, w.q.Method, w.path)
	}
	if no != nil {
		object, field := "", map[string]string{"schedule": "schedule", "path": "paths", "method": "methods"}[no.Reason]
		if no.Rule != "" {
			object = "EgressRule/" + no.Rule
		}
		return w.no(no.Status, "rule", object, field, no.Text)
	}
	if overrides := slices.ContainsFunc(w.header, func(f Field) bool { return weir.EgressOverrides(f.Name) }); overrides {
		if _, any := weir.LetCall(hold, "", w.path); any != nil {
			return w.no(403, "rule", "EgressRule/"+hold[0].Rule, "methods", fmt.Sprintf("EgressRule/%s goes by methods, and a header asks for another one than %s", hold[0].Rule, w.q.Method))
		}
	}
	w.call.Rule = rule
	if i := slices.IndexFunc(hold, func(c weir.EgressCall) bool { return c.Rule == rule && c.Schedule != "" }); i >= 0 {
		w.step("rule", "EgressRule/"+rule, "schedule", "is there while Schedule/%s holds", hold[i].Schedule)
	}
	w.step("rule", "EgressRule/"+rule, "", "lets EgressClient/%s call %s at level %s", client.Name, w.call.Service, w.call.SLA)
	for i := range w.node.SLAs {
		if l := &w.node.SLAs[i]; l.Name == w.call.SLA {
			w.level(l)
		}
	}
	return true
}

// callBy gives what a rule says of a call.
func (w *walk) callBy(r *ir.EgressRule) weir.EgressCall {
	c := weir.EgressCall{Rule: r.Name, Methods: r.Methods, Paths: r.Paths, Schedule: r.Schedule}
	for _, s := range w.node.Schedules {
		if s.Name == r.Schedule {
			c.From, c.Until = s.From, s.Until
		}
	}
	return c
}

func (w *walk) level(l *ir.SLA) {
	again := "nothing that a server has seen is made again"
	if l.Retries != nil {
		again = l.Retries.Methods + " calls that fail are made again"
	}
	text := fmt.Sprintf("connecting may take %s, the partner may be silent for %s, %s", l.Connect, l.Server, again)
	if l.Connections == weir.ConnectionsOwn {
		text += ", each call has a connection of its own"
	}
	if l.InFlight > 0 {
		text += fmt.Sprintf(", and while %d are under way one more is answered 503", l.InFlight)
	}
	w.step("level", "SLA/"+l.Name, "", "%s", text)
}

// rewritten leaves of the path what the partner sees.
func (w *walk) rewritten(parts []string) bool {
	w.path = "/"
	if len(parts) == 8 {
		w.path += parts[7]
	}
	h := w.header
	var gone []string
	for _, f := range h {
		upgrade := strings.EqualFold(f.Name, "Upgrade") && (len(h.values("Upgrade")) > 1 || !strings.EqualFold(strings.Trim(f.Value, " \t"), "websocket"))
		if weir.EgressHides(f.Name) || upgrade {
			w.header = w.header.without(f.Name)
			if !slices.ContainsFunc(gone, func(name string) bool { return strings.EqualFold(name, f.Name) }) {
				gone = append(gone, f.Name)
			}
		}
	}
	for _, name := range gone {
		w.trace.Answer.Headers = append(w.trace.Answer.Headers, Header{name, []string{}})
	}
	return true
}

// called leads to the service, or to those that a Split divides its calls among.
func (w *walk) called() bool {
	removed := w.trace.Answer.Headers
	w.trace.Answer = Verdict{Site: w.site.Name, Backend: w.pool, Call: w.call, Headers: removed}
	return true
}

// openCall says that a service is not closed for the client.
func (w *walk) openCall(pool string) bool {
	p := w.poolOf(pool)
	if p == nil || p.Endpoint == nil {
		return true
	}
	e := p.Endpoint
	i := slices.IndexFunc(e.Closed, func(m weir.SiteMaintenance) bool { return m.Schedule == "" || w.holds(m.Schedule) })
	if i < 0 {
		return true
	}
	m := &e.Closed[i]
	object, service := "Partner/"+e.Partner, ir.CalledAs(pool)
	if m.Except != "" && slices.Contains(w.lists, m.Except) {
		w.step("maintenance", object, "", "%s is closed, and goes on for AccessList/%s, which the client is in", service, m.Except)
		return true
	}
	_, seconds := m.Answer()
	a := Verdict{Outcome: Maintenance, Status: int(m.Status), Site: w.site.Name, RetryAfter: seconds, Call: w.call}
	if m.Page != "" && w.page(m.Page) != nil {
		a.Page = m.Page
	} else {
		a.Text = service + " is in maintenance"
	}
	w.step("maintenance", object, "", "%s is closed, and its page or a line stands for it", service)
	w.trace.Answer = a
	return false
}

// reached says that a service has an address to call, as far as that is known here.
func (w *walk) reached(pool string) bool {
	p := w.poolOf(pool)
	if p == nil || p.Endpoint == nil {
		return true
	}
	e, object, service := p.Endpoint, "Partner/"+p.Endpoint.Partner, ir.CalledAs(pool)
	if e.Prefer != "" {
		w.step("address", object, "", "load balancers ask the DNS for %s, %s first", e.Name, e.Prefer)
		w.unsure("whether the DNS knows where %s is, since each load balancer asks by itself and keeps the answer for ten seconds; it is taken to", service)
		return true
	}
	if len(p.Servers) > 0 {
		if e.Name != "" {
			w.step("address", object, "", "%s is %s, as the control plane heard last", e.Name, addressesOf(p))
		}
		return true
	}
	if service != w.call.Service {
		service += " for " + w.call.Service
	}
	a := Verdict{Outcome: Unserved, Status: 503, Site: w.site.Name, Text: service + " has no server that may be called", Call: w.call}
	if e.Name != "" {
		a.RetryAfter = "5"
		a.Text = fmt.Sprintf("%s has no address: the DNS knows none of %s", service, e.Name)
	}
	w.step("address", object, "", "%s", a.Text)
	w.trace.Answer = a
	return false
}

// addressesOf lists where a pool's servers are.
func addressesOf(p *ir.Pool) string {
	var list []string
	for i := range p.Servers {
		list = append(list, p.Servers[i].Address.Addr().String())
	}
	return strings.Join(list, ", ")
}

// room tells of the bounds on what is under way, and of what is, as far as that is known.
func (w *walk) room(pool string) {
	p := w.poolOf(pool)
	if p == nil || p.Endpoint == nil {
		return
	}
	least := 0
	for i := range w.node.SLAs {
		if l := &w.node.SLAs[i]; l.Name == w.call.SLA {
			least = l.InFlight
		}
	}
	service := ir.CalledAs(pool)
	if room := p.Endpoint.InFlight; room > 0 {
		w.step("room", "Partner/"+p.Endpoint.Partner, "endpoints", "while %d calls to %s are under way at the load balancer, one more is answered 503", room, service)
		if least == 0 || room < least {
			least = room
		}
	}
	if least == 0 {
		return
	}
	now, ok := 0.0, false
	if w.view.UnderWay != nil {
		now, ok = w.view.UnderWay(pool)
	}
	switch {
	case !ok:
		w.unsure("how many calls to %s are under way when it comes, since each load balancer counts for itself at that moment; there is taken to be room", service)
	case now < float64(least):
		w.step("room", "", "", "all load balancers together have %.0f calls to %s under way now, so that there is room", now, service)
	default:
		w.unsure("whether there is room, since each load balancer counts for itself: all together have %.0f calls to %s under way now, and %d are let through at one", now, service, least)
	}
}

// asked is what the service that is called sees of path and host.
func (w *walk) asked(pool string) {
	p := w.poolOf(pool)
	if p == nil || p.Endpoint == nil {
		return
	}
	e, a := p.Endpoint, &w.trace.Answer
	a.Target = e.Path + w.path
	if w.hasQuery {
		a.Target += "?" + w.query
	}
	a.Headers = append(slices.Clone(a.Headers), Header{"Host", []string{e.Host}})
	w.step("path", "Partner/"+e.Partner, "endpoints", "%s/%s is asked for %s as %s", e.Environment, e.Service, clip(a.Target), e.Host)
}
