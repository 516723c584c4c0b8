package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// Gap is some host names of a site that have no certificate where TLS clients ask for them.
type Gap struct {
	Site  string
	Hosts []string
	Ports []weir.Port
	// Path is the field of the Site that names the certificates which were looked at.
	Path string
	// Shown are the certificates that clients of the names are shown all the same; none when there is none to show.
	Shown []string
	// Over are those that are for the names and have ended, or not begun; Awaited those that are to be issued for them.
	Over, Awaited []string
	// strict says that HAProxy refuses the handshake where it has nothing to show.
	strict bool
	// auto says that the certificates are ordered by themselves.
	auto bool
	at   time.Time
}

// Gaps gives the host names of a compiled site that none of its certificates is good for at a moment. Sites that pass
// connections on without a look at host names have none. Names are held against each other as clients do (RFC 6125): a
// wildcard is good for one label.
func Gaps(set *weir.Set, node *ir.Node, s *ir.Site, now time.Time) []Gap {
	if s.Mode != "http" {
		return nil
	}
	var gaps []Gap
	for i := range s.Listeners {
		l := &s.Listeners[i]
		if l.TLS == nil {
			continue
		}
		path, wished, orders := wishedFor(set, s.Name, l)
		if orders != nil {
			wished = slices.Concat(wished, l.TLS.Certificates) // which has those of before, too
			slices.Sort(wished)
			wished = slices.Compact(wished)
		}
		covers := newCovers(set, wished, now)
		covers.toCome(set, orders)
		for _, host := range s.Hostnames {
			if host == "*" || covers.good(host) {
				continue
			}
			g := Gap{Site: s.Name, Path: path, Shown: l.TLS.Certificates, auto: orders != nil, at: now, strict: node.Tuning.StrictSNI == nil || *node.Tuning.StrictSNI}
			g.Over, g.Awaited = covers.of(host, over), covers.of(host, awaited)
			gaps = join(gaps, g, host, l.Port)
		}
	}
	return gaps
}

// SiteGaps is Gaps for a site as people wish it, which need not be compiled; nothing when the set does not hold it.
func SiteGaps(set *weir.Set, name string, now time.Time) []Gap {
	ref := weir.Ref{Kind: "Site", Name: name}
	spec := weir.Find[weir.Site](set, ref.Kind, name)
	if spec == nil {
		return nil
	}
	b := &builder{group: &group{}, set: set}
	s := ir.Site{Name: name, Mode: spec.Mode, Hostnames: slices.Sorted(slices.Values(spec.Hostnames))}
	for _, l := range spec.Listeners {
		if l.TLS == nil {
			continue
		}
		if tls, ok := b.tls(ref, "", spec, l); ok {
			s.Listeners = append(s.Listeners, ir.Listener{Port: l.Port, TLS: tls})
		}
	}
	return Gaps(set, &ir.Node{Tuning: ir.Tuning{Tuning: weir.Tuning{StrictSNI: new(strictAt(set, spec.Addresses))}}}, &s, now)
}

// strictAt says whether all groups that have one of the addresses refuse TLS clients of unknown names.
func strictAt(set *weir.Set, addresses []string) bool {
	for _, a := range addresses {
		ip := weir.Find[weir.IPAddress](set, "IPAddress", a)
		if ip == nil {
			continue
		}
		for _, g := range ip.Groups {
			spec := weir.Find[weir.LoadBalancerGroup](set, "LoadBalancerGroup", g)
			if spec == nil {
				continue
			}
			if t := weir.Find[weir.Tuning](set, "Tuning", spec.Tuning); t != nil && t.StrictSNI != nil && !*t.StrictSNI {
				return false
			}
		}
	}
	return true
}

// join adds a host name at a port to the gap of the same kind.
func join(gaps []Gap, g Gap, host string, port weir.Port) []Gap {
	at := slices.IndexFunc(gaps, func(o Gap) bool {
		if g.auto && o.auto && len(g.Over)+len(o.Over) == 0 { // each name has its own, and all are on their way
			return slices.Equal(o.Shown, g.Shown)
		}
		return slices.Equal(o.Shown, g.Shown) && slices.Equal(o.Over, g.Over) && slices.Equal(o.Awaited, g.Awaited)
	})
	if at < 0 {
		at, gaps = len(gaps), append(gaps, g)
	}
	to := &gaps[at]
	for _, name := range g.Awaited {
		if !slices.Contains(to.Awaited, name) {
			to.Awaited = append(to.Awaited, name)
		}
	}
	if !slices.Contains(to.Ports, port) {
		to.Ports = append(to.Ports, port)
	}
	if n := len(to.Hosts); n == 0 || to.Hosts[n-1] != host && !slices.Contains(to.Hosts, host) {
		to.Hosts = append(to.Hosts, host)
	}
	return gaps
}

// wishedFor gives the certificates that a site names for a listener, those included that can't be shown yet, and where;
// of certificates: auto those that are ordered, and the orders.
func wishedFor(set *weir.Set, site string, l *ir.Listener) (path string, wished []string, orders []weir.Order) {
	o := set.Get(weir.Ref{Kind: "Site", Name: site})
	if o == nil {
		return "spec.listeners", l.TLS.Certificates, nil
	}
	spec := o.Spec.(*weir.Site)
	for i, w := range spec.Listeners {
		if w.Port != l.Port || w.TLS == nil {
			continue
		}
		path = fmt.Sprintf("spec.listeners[%d].tls.certificates", i)
		if orders = spec.Orders(o.Metadata.Role, w); orders == nil {
			return path, w.TLS.Certificates, nil
		}
		for _, order := range orders {
			wished = append(wished, order.Name())
		}
		return path, wished, orders
	}
	return "spec.listeners", l.TLS.Certificates, nil
}

// standing is what a certificate is to a name that it has.
type standing int

const (
	valid standing = iota
	over
	awaited
)

type covering struct {
	certificate string
	standing    standing
}

// covers tells by name which certificates have it.
type covers map[string][]covering

func newCovers(set *weir.Set, certificates []string, now time.Time) covers {
	all := make(covers, len(certificates))
	for _, name := range certificates {
		spec := weir.Find[weir.Certificate](set, "Certificate", name)
		if spec == nil {
			continue
		}
		note := func(names []string, is standing) {
			for _, n := range names {
				n = strings.ToLower(n)
				all[n] = append(all[n], covering{name, is})
			}
		}
		switch {
		case spec.Revoked != nil || spec.Pending() || spec.Info == nil:
			note(spec.Names, awaited)
			continue
		case !now.Before(spec.Info.NotAfter) || now.Before(spec.Info.NotBefore):
			note(spec.Info.Names, over)
		default:
			note(spec.Info.Names, valid)
		}
		note(spec.Names, awaited) // which are others when they have been changed and it was not issued since
	}
	return all
}

// toCome notes those orders for which there is no object yet.
func (c covers) toCome(set *weir.Set, orders []weir.Order) {
	for _, order := range orders {
		if set.Get(order.Ref()) == nil {
			c[order.Hostname] = append(c[order.Hostname], covering{order.Name(), awaited})
		}
	}
}

// each tells of the certificates that have a name, itself or by a wildcard in place of its first label.
func (c covers) each(host string, tell func(covering)) {
	for _, one := range c[host] {
		tell(one)
	}
	if first, rest, ok := strings.Cut(host, "."); ok && first != "*" {
		for _, one := range c["*."+rest] {
			tell(one)
		}
	}
}

func (c covers) good(host string) (good bool) {
	c.each(host, func(one covering) { good = good || one.standing == valid })
	return good
}

func (c covers) of(host string, s standing) (list []string) {
	c.each(host, func(one covering) {
		if one.standing == s && !slices.Contains(list, one.certificate) {
			list = append(list, one.certificate)
		}
	})
	return list
}

// Reason is one word for what is missing: NoCertificate, Expired or Pending.
func (g *Gap) Reason() string {
	switch {
	case len(g.Over) > 0:
		return "Expired"
	case len(g.Awaited) > 0:
		return "Pending"
	}
	return "NoCertificate"
}

// Words tells of a gap: names and ports, which certificates were looked at and what they are good for, what becomes of
// clients, and what to do.
func (g *Gap) Words(set *weir.Set) string {
	has, them := "has", "it"
	if len(g.Hosts) > 1 {
		has, them = "have", "them"
	}
	var ports []string
	for _, p := range g.Ports {
		ports = append(ports, p.String())
	}
	at := "port "
	if len(ports) > 1 {
		at = "ports "
	}
	return fmt.Sprintf("%s %s no certificate at %s: %s; %s; %s", few(g.Hosts, 3), has, at+few(ports, 8), g.lookedAt(set), g.consequence(them), g.cure(set, them))
}

func (g *Gap) lookedAt(set *weir.Set) string {
	wished := slices.Concat(g.Over, g.Awaited) // of certificates: auto, where each name has its own
	if !g.auto {
		_, wished, _ = wishedFor(set, g.Site, &ir.Listener{Port: g.Ports[0], TLS: &weir.ListenerTLS{Certificates: g.Shown}})
	}
	var parts []string
	for i, name := range wished {
		if i == 3 {
			return strings.Join(parts, ", ") + fmt.Sprintf(" and %d more", len(wished)-i)
		}
		parts = append(parts, "Certificate/"+name+" "+g.isFor(name, weir.Find[weir.Certificate](set, "Certificate", name)))
	}
	if len(parts) == 0 {
		return "none is named for it"
	}
	return strings.Join(parts, ", ")
}

func (g *Gap) isFor(name string, spec *weir.Certificate) string {
	switch {
	case spec == nil && slices.Contains(g.Awaited, name):
		return "is about to be ordered"
	case spec == nil:
		return "does not exist"
	case slices.Contains(g.Over, name):
		if spec.Info.NotBefore.After(g.at) {
			return "is for it and begins at " + moment(spec.Info.NotBefore)
		}
		return "is for it and ended at " + moment(spec.Info.NotAfter)
	case spec.Revoked != nil:
		return "was revoked"
	case spec.Pending():
		return "has still to be issued by Issuer/" + spec.Issuer + " for " + few(spec.Names, 3)
	case spec.Info == nil || len(spec.Info.Names) == 0:
		return "is for no name"
	case slices.Contains(g.Awaited, name):
		return "is for " + few(spec.Info.Names, 3) + " until Issuer/" + spec.Issuer + " has given another"
	}
	return "is for " + few(spec.Info.Names, 3)
}

func (g *Gap) consequence(them string) string {
	switch {
	case len(g.Over) > 0 && slices.Contains(g.Shown, g.Over[0]):
		return "clients that ask for " + them + " are shown Certificate/" + g.Over[0] + " and refuse it"
	case len(g.Shown) > 1:
		return "clients that ask for " + them + " are shown one that is for other names and refuse it"
	case len(g.Shown) == 1:
		return "clients that ask for " + them + " are shown Certificate/" + g.Shown[0] + " and refuse it"
	case g.strict:
		return "HAProxy refuses the handshake of clients that ask for " + them + " (strictSNI)"
	}
	return "clients that ask for " + them + " are shown a placeholder and refuse it"
}

func (g *Gap) cure(set *weir.Set, them string) string {
	switch {
	case len(g.Over) > 0:
		if spec := weir.Find[weir.Certificate](set, "Certificate", g.Over[0]); spec != nil && spec.Issuer == "" {
			return "apply Certificate/" + g.Over[0] + " with a chain that is good now, and its key"
		}
		return "weir describe certificate " + g.Over[0] + " says what keeps it from being renewed"
	case len(g.Awaited) > 0:
		return "weir describe certificate " + g.Awaited[0] + " says how far it is"
	}
	return "name a certificate for " + them + " in " + g.Path + ", or take " + them + " out of spec.hostnames"
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// few gives "a", "a and b", and of many names the first and how many more.
func few(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most-1], ", "), len(names)-most+1)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
