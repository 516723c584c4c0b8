package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// egress takes what the group's egress sites let through: the applications of their environments, the rules that name
// those, and the services and levels that the rules name.
func (b *builder) egress() {
	environments := map[string]bool{}
	for i := range b.node.Sites {
		mark(environments, b.node.Sites[i].Egress...)
	}
	if len(environments) == 0 {
		return
	}
	rules := map[string][]string{} // rule → clients
	for o := range b.set.All("EgressClient") {
		spec := o.Spec.(*weir.EgressClient)
		if !environments[spec.Environment] {
			continue
		}
		b.node.Clients = append(b.node.Clients, ir.EgressClient{Name: o.Metadata.Name, EgressClient: *spec})
		for r := range b.set.ReferrersOf("EgressRule", o.Ref()) {
			rules[r.Name] = append(rules[r.Name], o.Metadata.Name)
		}
	}
	levels, endpoints := map[string]bool{}, map[string]*ir.Pool{}
	for _, name := range sortedKeys(rules) {
		b.egressRule(name, rules[name], levels, endpoints)
	}
	for i := range b.node.Sites {
		if b.node.Sites[i].Egress != nil {
			b.egressSplits(b.node.Sites[i].Name, endpoints)
		}
	}
	for _, name := range sortedKeys(levels) {
		b.node.SLAs = append(b.node.SLAs, ir.SLA{Name: name, SLA: *weir.Find[weir.SLA](b.set, "SLA", name)})
	}
	for _, name := range sortedKeys(endpoints) {
		if p := endpoints[name]; p != nil {
			b.node.Pools = append(b.node.Pools, *p)
		}
	}
	slices.SortFunc(b.node.Clients, func(x, y ir.EgressClient) int { return strings.Compare(x.Name, y.Name) })
}

// egressRule adds a rule for those of its clients that are the group's.
func (b *builder) egressRule(name string, clients []string, levels map[string]bool, endpoints map[string]*ir.Pool) {
	ref := weir.Ref{Kind: "EgressRule", Name: name}
	r := *weir.Find[weir.EgressRule](b.set, ref.Kind, name)
	partner := weir.Find[weir.Partner](b.set, "Partner", r.Partner)
	if partner == nil {
		b.problems.add(ref, "spec.partner", "Partner/%s does not exist; the rule lets nothing through", r.Partner)
		return
	}
	if r.Schedule != "" && !b.exists("Schedule", r.Schedule) {
		b.problems.add(ref, "spec.schedule", "Schedule/%s does not exist; the rule lets nothing through", r.Schedule)
		return
	}
	slices.Sort(clients)
	r.Clients = clients
	var slas []string
	for i, sla := range r.SLAs {
		if !b.exists("SLA", sla) {
			b.problems.add(ref, fmt.Sprintf("spec.slas[%d]", i), "SLA/%s does not exist; calls that ask for it are refused", sla)
			continue
		}
		slas = append(slas, sla)
		levels[sla] = true
	}
	r.SLAs = slas
	for _, client := range clients {
		environment := weir.Find[weir.EgressClient](b.set, "EgressClient", client).Environment
		for _, e := range r.Endpoints(partner, environment) {
			name := (&ir.Endpoint{Partner: r.Partner, Environment: e.Environment, Service: e.Service}).Pool()
			if endpoints[name] == nil {
				endpoints[name] = b.endpoint(r.Partner, partner, e)
			}
		}
	}
	b.node.Rules = append(b.node.Rules, ir.EgressRule{Name: name, EgressRule: r})
}

// egressSplits takes the Splits of an egress site; what they lead to is there though no rule names it.
func (b *builder) egressSplits(site string, endpoints map[string]*ir.Pool) {
	ref := weir.Ref{Kind: "Site", Name: site}
	legs := map[string]*ir.Pool{}
	first := len(b.node.Splits)
	b.splits(ref, weir.Find[weir.Site](b.set, ref.Kind, site), func(backend string) bool {
		name, environment, service, _ := weir.SplitLeg{Backend: backend}.Called()
		partner := weir.Find[weir.Partner](b.set, "Partner", name)
		if partner == nil || partner.Endpoint(environment, service) == nil {
			return false
		}
		p := endpoints[ir.CalledPool(backend)]
		if p == nil {
			p = b.endpoint(name, partner, partner.Endpoint(environment, service))
		}
		legs[p.Name] = p
		return true
	})
	for i := first; i < len(b.node.Splits); i++ {
		s := &b.node.Splits[i]
		s.ByPool()
		for _, l := range s.Legs {
			endpoints[l.Backend] = legs[l.Backend]
		}
	}
	b.sortSplits()
}

// endpoint makes a pool of a service. One that can't be spoken to as is asked for has no servers, so that nobody speaks to
// it with less.
func (b *builder) endpoint(name string, partner *weir.Partner, e *weir.PartnerEndpoint) *ir.Pool {
	at := &ir.Endpoint{Partner: name, Environment: e.Environment, Service: e.Service, Host: e.HostHeader, Path: strings.TrimRight(e.Path, "/"), InFlight: e.InFlight}
	if at.Host == "" {
		at.Host = e.Host
	}
	ref := weir.Ref{Kind: "Partner", Name: name}
	i := slices.IndexFunc(partner.Endpoints, func(o weir.PartnerEndpoint) bool { return o.Name() == e.Name() })
	for _, m := range []*weir.SiteMaintenance{
		b.maintenance(ref, fmt.Sprintf("spec.endpoints[%d].maintenance", i), e.Maintenance, "the service"),
		b.maintenance(ref, "spec.maintenance", partner.Maintenance, "the partner"),
	} {
		if m != nil {
			at.Closed = append(at.Closed, *m)
		}
	}
	p := &ir.Pool{Name: at.Pool(), Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Endpoint: at}
	if t := e.TLS; t != nil {
		at.MaxVersion = t.MaxVersion
		p.TLS = &weir.PoolTLS{Verify: "ca", CA: t.CA, SNI: t.SNI, MinVersion: t.MinVersion, ClientCertificate: t.ClientCertificate}
		if !b.spoken(weir.Ref{Kind: "Partner", Name: name}, at, p.TLS) {
			p.TLS = nil
			return p
		}
	}
	b.named(at, e)
	if at.Prefer != "" {
		p.Servers = []ir.Server{{Name: "name", Address: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(e.Port)), Weight: 100, Owner: "Partner/" + name}}
		return p
	}
	for _, a := range e.At() {
		server := ir.Server{Name: serverName(a), Address: netip.AddrPortFrom(a, uint16(e.Port)), Weight: 100, Owner: "Partner/" + name}
		p.Servers = append(p.Servers, server)
	}
	slices.SortFunc(p.Servers, func(x, y ir.Server) int { return strings.Compare(x.Name, y.Name) })
	return p
}

// clientAuthority gives the certificate that signs those of a site's applications, "" when it is not there: whoever has to
// show one is refused then.
func (b *builder) clientAuthority(ref weir.Ref, name string) string {
	if name == "" {
		return ""
	}
	if why := b.unusable(name, false); why != "" {
		b.problems.add(ref, "spec.egress.clientAuthority", "%s; EgressClients that have a subject are refused", why)
		return ""
	}
	return name
}

// named says what the DNS is asked for a service, and by whom. One that load balancers can't ask for has no servers.
func (b *builder) named(at *ir.Endpoint, e *weir.PartnerEndpoint) {
	if e.Resolve == "" {
		return
	}
	at.Name = e.Host
	if e.Resolve != weir.ResolveByLoadBalancer {
		return
	}
	if len(b.node.Tuning.Nameservers) == 0 {
		b.problems.add(weir.Ref{Kind: "Partner", Name: at.Partner}, "spec.endpoints", "%s/%s: load balancers are to ask the DNS for %s, and the group's Tuning has no nameservers; calls to it are answered 503", at.Environment, at.Service, e.Host)
		return
	}
	at.Prefer = e.Prefer
}

// serverName names a server by its address: 192-0-2-1.
func serverName(a netip.Addr) string {
	name := strings.NewReplacer(".", "-", ":", "-").Replace(a.StringExpanded())
	return name
}

// spoken says whether the certificates are there that a service is spoken to with.
func (b *builder) spoken(ref weir.Ref, at *ir.Endpoint, t *weir.PoolTLS) bool {
	ok := true
	for _, need := range []struct {
		name string
		key  bool
	}{{t.CA, false}, {t.ClientCertificate, true}} {
		if need.name == "" {
			continue
		}
		if why := b.unusable(need.name, need.key); why != "" {
			b.problems.add(ref, "spec.endpoints", "%s/%s: %s; calls to it are answered 503", at.Environment, at.Service, why)
			ok = false
		}
	}
	return ok
}
