package weir

import (
	"slices"
	"strings"
)

// SiteEgress says whom an egress Site is for.
type SiteEgress struct {
	// Environments are those of the applications that may call by it, such as prod. A group of load balancers has egress
	// sites of the same environments alone, so that production has its own.
	Environments []string `json:"environments"`
	// ClientAuthority is a Certificate whose chain signs the certificates that applications may show, over TLS; who shows
	// none is served all the same, unless its EgressClient has a subject. It needs no key. All egress sites of a group have
	// the same one.
	ClientAuthority string `json:"clientAuthority,omitempty"`
}

func (s *Site) validateEgress(p *Problems) {
	e := s.Egress
	if e == nil {
		return
	}
	if len(e.Environments) == 0 {
		p.Add("egress.environments", "needs at least one, such as prod")
	}
	names(p, "egress.environments", e.Environments)
	if s.Mode != "http" {
		p.Add("egress", "needs mode http")
	}
	if e.ClientAuthority != "" && !slices.ContainsFunc(s.Listeners, func(l Listener) bool { return l.TLS != nil }) {
		p.Add("egress.clientAuthority", "needs a listener with tls, over which applications can show certificates")
	}
	var has []string
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"backends", len(s.Backends) > 0},
		{"routes", len(s.Routes) > 0},
		{"delegates", len(s.Delegates) > 0},
		{"logic", len(s.Logic) > 0},
		{"routing", s.Routing != nil},
	} {
		if field.set {
			has = append(has, field.name)
		}
	}
	if len(has) > 0 {
		p.Add("egress", "%s can't stand beside it: where calls go is what EgressRules say", strings.Join(has, ", "))
	}
}
