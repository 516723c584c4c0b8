package weirtest

import (
	"fmt"
	"net/netip"

	"weir"
)

var environments = []string{"prod", "test"}

// egressSite makes a way out of a site that has listeners.
func (w *world) egressSite(s *weir.Site) *weir.Site {
	return &weir.Site{Mode: "http", Hostnames: s.Hostnames, Addresses: s.Addresses, Listeners: s.Listeners, RateLimits: s.RateLimits, Egress: &weir.SiteEgress{Environments: environments[:1+w.rng.IntN(2)]}}
}

// egressClient calls from one or two of a few networks, of which some hold others.
func (w *world) egressClient() *weir.EgressClient {
	c := &weir.EgressClient{Environment: pick(w.rng, environments...), Sources: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 34, byte(w.rng.IntN(3)), 0}), 24)}}
	if w.some(3) {
		c.Sources = append(c.Sources, netip.MustParsePrefix("127.34.0.0/16"))
	}
	if w.some(3) {
		c.Application = pick(w.rng, "myback", "shop")
	}
	if w.some(6) {
		c.Subject = pick(w.rng, "CN=myback,O=Example", "CN=shop")
	}
	return c
}

func (w *world) partner(role string) *weir.Partner {
	p := &weir.Partner{Contact: "the partner's people"}
	if w.some(8) {
		p.Maintenance = w.maintenance(role)
	}
	for i := range 1 + w.rng.IntN(3) {
		e := weir.PartnerEndpoint{Environment: pick(w.rng, environments...), Service: pick(w.rng, "www", "mail"), Host: fmt.Sprintf("s%d.example.net", i), InFlight: w.rng.IntN(3)}
		w.whereabouts(&e)
		switch {
		case w.Plain || w.some(3):
			e.Plain = true
		case w.some(2):
			e.TLS = &weir.PartnerTLS{CA: w.anyName("Certificate", role), MinVersion: pick(w.rng, "TLSv1.2", "TLSv1.3")}
		}
		if w.some(3) {
			e.Path = "/v2"
		}
		if w.some(6) {
			e.Maintenance = w.maintenance(role)
		}
		p.Endpoints = append(p.Endpoints, e)
	}
	return p
}

// services gives two of partners, in one environment where there are such.
func (w *world) services(role string) (first, second string) {
	second = "nobody/prod/www"
	var environment string
	for range 4 {
		name := w.anyName("Partner", role)
		partner := weir.Find[weir.Partner](w.set, "Partner", name)
		if partner == nil {
			continue
		}
		for i := range partner.Endpoints {
			e := &partner.Endpoints[i]
			switch service := name + "/" + e.Name(); {
			case first == "":
				first, environment = service, e.Environment
			case service != first && e.Environment == environment:
				return first, service
			}
		}
	}
	return first, second
}

// whereabouts says where a service is: mostly by addresses, or by those that its name had last, or by the DNS.
func (w *world) whereabouts(e *weir.PartnerEndpoint) {
	to := &e.Addresses
	switch w.rng.IntN(5) {
	case 0:
		e.Resolve, e.Prefer = weir.ResolveByLoadBalancer, pick(w.rng, weir.PreferIPv4, weir.PreferIPv6)
		return
	case 1:
		if e.Resolve = weir.ResolveByControlPlane; w.some(3) {
			return // nothing is known yet
		}
		to = &e.Resolved
	}
	for range 1 + w.rng.IntN(2) {
		*to = append(*to, pick(w.rng, w.Origins...).Addr())
	}
}

func (w *world) sla() *weir.SLA {
	s := &weir.SLA{InFlight: w.rng.IntN(20), Connections: pick(w.rng, "", weir.ConnectionsOwn)}
	if w.some(2) {
		s.Retries = &weir.SLARetries{Methods: pick(w.rng, weir.RetryIdempotent, weir.RetryAll)}
	}
	return s
}

func (w *world) egressRule(role string) *weir.EgressRule {
	r := &weir.EgressRule{Clients: []string{w.anyName("EgressClient", role)}, Partner: w.anyName("Partner", role), SLAs: []string{w.anyName("SLA", role)}}
	if w.some(2) {
		r.Environment = pick(w.rng, environments...)
	}
	if w.some(3) {
		r.Services = []string{"www"}
	}
	if w.some(3) {
		r.Methods = []string{"GET", "POST"}
	}
	if w.some(3) {
		r.Paths = []string{"/api", pick(w.rng, "/api/in", "/open/")}
	}
	if w.some(4) {
		r.Schedule = w.anyName("Schedule", role)
	}
	return r
}
