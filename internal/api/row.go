package api

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
)

// RowsAnswer is a page of the objects of a kind, each with its state, for tables.
type RowsAnswer struct {
	// Revision is the moment at which the objects were looked at; states are as the load balancers told then.
	Revision int64 `json:"revision"`
	// Total counts what the filters chose, States the same by state before the filter of that name. What the caller may not
	// see is counted nowhere.
	Total  int           `json:"total"`
	States map[State]int `json:"states"`
	Rows   []Row         `json:"rows"`
}

// Row is an object in a table. Which of the fields it has hangs on its kind.
type Row struct {
	Name      string            `json:"name"`
	Role      string            `json:"role,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	ManagedBy string            `json:"managedBy,omitempty"`
	// State is absent of kinds that no load balancer is told of. Why says in a sentence why it is not serving.
	State State  `json:"state,omitempty"`
	Why   string `json:"why,omitempty"`
	// Revision is that of the change that wrote the object last, Changed who made that when, absent once that is no longer
	// kept.
	Revision int64  `json:"revision"`
	Changed  *Touch `json:"changed,omitempty"`
	// LoadBalancers are those that have it, of those that need it.
	LoadBalancers *ReadyOf `json:"loadBalancers,omitempty"`
	// Traffic is of sites, pools, servers in all their pools, and load balancers, where anything is known.
	Traffic *Traffic `json:"traffic,omitempty"`

	// Of sites. Zones are those that it can be served from.
	Hostnames []string     `json:"hostnames,omitempty"`
	Addresses []RowAddress `json:"addresses,omitempty"`
	Ports     []weir.Port  `json:"ports,omitempty"`
	Mode      string       `json:"mode,omitempty"`
	Zones     []string     `json:"zones,omitempty"`
	// Shifted are the zones that ZoneShifts in force take it out of.
	Shifted []string `json:"shifted,omitempty"`
	// CertificateDays is how many days are left of the certificate that ends first of those that it shows, negative when it
	// has ended; CertificateSoon, which certificates have too, says that somebody should look at one of them.
	CertificateDays *int `json:"certificateDays,omitempty"`
	CertificateSoon bool `json:"certificateSoon,omitempty"`
	// Egress are the environments whose applications call partners by a site that is a way out.
	Egress []string `json:"egress,omitempty"`

	// Of pools, servers and load balancers.
	Zone string `json:"zone,omitempty"`
	// Servers are those that some load balancer would send traffic, of those that are seen. Sites use the pool, or the
	// certificate.
	Servers *UpOf    `json:"servers,omitempty"`
	Sites   []string `json:"sites,omitempty"`
	Balance string   `json:"balance,omitempty"`

	// Of servers. Check is what the last health check said where it is not up, Since when it began to be so.
	Address  string       `json:"address,omitempty"`
	Clusters []string     `json:"clusters,omitempty"`
	Weight   *int         `json:"weight,omitempty"`
	Pools    []string     `json:"pools,omitempty"`
	Up       *UpOf        `json:"up,omitempty"` // load balancers that would send it traffic, over all pools
	Check    string       `json:"check,omitempty"`
	Since    time.Time    `json:"since,omitzero"`
	Override *RowOverride `json:"override,omitempty"`

	// Of load balancers. Declared is what the object asks of it: Active, Drain or Maintenance. Has is the revision that was
	// read back, Wanted the one that it is to have.
	Group     string                 `json:"group,omitempty"`
	Declared  weir.LoadBalancerState `json:"declared,omitempty"`
	Reachable *bool                  `json:"reachable,omitempty"`
	LastSeen  time.Time              `json:"lastSeen,omitzero"`
	Has       int64                  `json:"has,omitempty"`
	Wanted    int64                  `json:"wanted,omitempty"`
	HAProxy   string                 `json:"haproxy,omitempty"`
	Agent     string                 `json:"agent,omitempty"`
	Reloads   *int                   `json:"reloads,omitempty"`
	Drift     int                    `json:"drift,omitempty"`

	// Of certificates.
	Names    []string  `json:"names,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	Days     *int      `json:"days,omitempty"`
	Issuer   string    `json:"issuer,omitempty"`

	// Of partners: whom to call when calls to it fail.
	Contact string `json:"contact,omitempty"`
}

// ReadyOf counts load balancers.
type ReadyOf struct {
	Ready int `json:"ready"`
	Of    int `json:"of"`
}

// UpOf counts what is up.
type UpOf struct {
	Up int `json:"up"`
	Of int `json:"of"`
}

// RowAddress is an IPAddress of a site; Address is absent when the caller may not see it.
type RowAddress struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
}

// RowOverride is what somebody did to a server by hand.
type RowOverride struct {
	Name string `json:"name"`
	// Action is what it does: drain, maintenance, weight 7.
	Action string    `json:"action"`
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason"`
	Pool   string    `json:"pool,omitempty"` // of which alone it holds
}

// row shows a line to the caller, who may see its object.
func (c *call) row(p *picture, l *line) Row {
	o := l.object
	r := Row{Name: o.Metadata.Name, Role: o.Metadata.Role, Labels: o.Metadata.Labels, ManagedBy: o.Metadata.ManagedBy, State: l.state, Why: l.why, Revision: o.Revision}
	if at, ok := c.h.touches.of(c.r.Context(), c.h.opts.Store, o.Revision); ok {
		r.Changed = &at
	}
	if l.of > 0 {
		r.LoadBalancers = &ReadyOf{l.ready, l.of}
	}
	switch spec := o.Spec.(type) {
	case *weir.Site:
		c.siteRow(p, o, spec, &r)
	case *weir.Pool:
		r.Zone, r.Mode, r.Balance, r.Servers = zoneOf(l), spec.Mode, spec.Balance, upOf(l)
		r.Sites = c.sitesWith(p, o.Ref())
	case *weir.Server:
		r.Address, r.Zone, r.Clusters, r.Weight = spec.Address.String(), spec.Zone, spec.Clusters, spec.Weight
		r.Pools = p.poolsOf(o.Metadata.Name)
		c.serverRow(l, &r)
	case *weir.LoadBalancer:
		r.Group, r.Zone, r.Declared = spec.Group, spec.Zone, spec.State
		loadBalancerRow(p, l, &r)
	case *weir.Partner:
		r.Contact = spec.Contact
	case *weir.IPAddress:
		r.Address, r.Zone = spec.Address.String(), spec.HomeZone
	case *weir.Certificate:
		r.Names, r.Issuer = spec.Names, spec.Issuer
		if spec.Info != nil {
			r.Names, r.NotAfter = spec.Info.Names, spec.Info.NotAfter
			days := daysUntil(spec.Info.NotAfter, p.at)
			r.Days, r.CertificateSoon = &days, soon(spec, p.at)
			if r.Issuer == "" {
				r.Issuer = spec.Info.Issuer
			}
		}
		r.Sites = c.sitesWith(p, o.Ref())
	}
	return r
}

// daysUntil is as CertificateStatus has it: whole days, negative afterwards.
func daysUntil(end, now time.Time) int {
	d := end.Sub(now)
	days := int(d / (24 * time.Hour))
	if d < 0 && d%(24*time.Hour) != 0 {
		days--
	}
	return days
}

func (c *call) siteRow(p *picture, o *weir.Object, spec *weir.Site, r *Row) {
	r.Hostnames, r.Mode, r.Zones = spec.Hostnames, spec.Mode, zonesOf(spec)
	if spec.Egress != nil {
		r.Egress = spec.Egress.Environments
	}
	for _, name := range spec.Addresses {
		a := RowAddress{Name: name}
		if ip := p.view.Get(weir.Ref{Kind: "IPAddress", Name: name}); ip != nil && c.may(ip) == nil {
			a.Address = ip.Spec.(*weir.IPAddress).Address.String()
		}
		r.Addresses = append(r.Addresses, a)
	}
	for _, l := range spec.Listeners {
		r.Ports = append(r.Ports, l.Port)
		if l.TLS == nil {
			continue
		}
		for _, name := range shownBy(o, spec, l) {
			cert := p.view.Get(weir.Ref{Kind: "Certificate", Name: name})
			if cert == nil || c.may(cert) != nil || cert.Spec.(*weir.Certificate).Info == nil {
				continue
			}
			shown := cert.Spec.(*weir.Certificate)
			r.CertificateSoon = r.CertificateSoon || soon(shown, p.at) || !p.at.Before(shown.Info.NotAfter)
			if days := daysUntil(shown.Info.NotAfter, p.at); r.CertificateDays == nil || days < *r.CertificateDays {
				r.CertificateDays = &days
			}
		}
	}
	for _, s := range p.shiftsOf(o) {
		if c.may(s) == nil {
			r.Shifted = appendNew(r.Shifted, s.Spec.(*weir.ZoneShift).Zone)
		}
	}
}

// shownBy names the certificates of a listener, its own or those that are ordered for it.
func shownBy(o *weir.Object, spec *weir.Site, l weir.Listener) []string {
	if !l.TLS.Certificates.Auto() {
		return l.TLS.Certificates
	}
	var names []string
	for _, order := range spec.Orders(o.Metadata.Role, l) {
		names = append(names, order.Name())
	}
	return names
}

// zonesOf are those that a site can be served from, in order.
func zonesOf(s *weir.Site) (zones []string) {
	for _, b := range s.Backends {
		for zone := range b.Zones {
			zones = appendNew(zones, zone)
		}
	}
	slices.Sort(zones)
	return zones
}

// shiftsOf gives the ZoneShifts in force that are about a site.
func (p *picture) shiftsOf(site *weir.Object) (list []*weir.Object) {
	for o := range p.view.All("ZoneShift") {
		if spec := o.Spec.(*weir.ZoneShift); spec.Shifts(o.Metadata.Role, site) && p.holds(spec) {
			list = append(list, o)
		}
	}
	return list
}

// sitesWith names the sites that refer to an object, of those that the caller may see.
func (c *call) sitesWith(p *picture, to weir.Ref) (names []string) {
	for from := range p.view.ReferrersOf("Site", to) {
		if o := p.view.Get(from); o != nil && c.may(o) == nil {
			names = append(names, from.Name)
		}
	}
	return names
}

// upOf counts what is up of what is seen of a line; nil when nothing is.
func upOf(l *line) *UpOf {
	if len(l.seen) == 0 {
		return nil
	}
	u := &UpOf{Of: len(l.seen)}
	for _, s := range l.seen {
		if s.Up > 0 {
			u.Up++
		}
	}
	return u
}

func (c *call) serverRow(l *line, r *Row) {
	for _, s := range l.seen {
		if r.Up == nil {
			r.Up = &UpOf{}
		}
		r.Up.Up, r.Up.Of = r.Up.Up+s.Up, r.Up.Of+s.Of
		if s.Up < s.Of && r.Check == "" {
			r.Check, r.Since = s.Check, s.Since
		}
	}
	for _, o := range l.moved {
		if spec := o.Spec.(*weir.Override); r.Override == nil && c.may(o) == nil {
			r.Override = &RowOverride{Name: o.Metadata.Name, Action: actionOf(spec), Until: spec.ExpiresAt, Reason: spec.Reason, Pool: spec.Pool}
		}
	}
}

// actionOf says what an Override does to its server.
func actionOf(o *weir.Override) string {
	var parts []string
	if o.State != "" {
		parts = append(parts, o.State)
	}
	if o.Weight != nil {
		parts = append(parts, "weight "+strconv.Itoa(*o.Weight))
	}
	return strings.Join(parts, ", ")
}

func loadBalancerRow(p *picture, l *line, r *Row) {
	if l.lb == nil {
		return
	}
	lb := l.lb
	r.Reachable, r.LastSeen, r.Has, r.HAProxy, r.Agent, r.Reloads = &lb.Reachable, lb.LastSeen, lb.Revision, lb.HAProxy, lb.Agent, &lb.Reloads.Count
	if g := p.standing().groups[lb.group]; g != nil {
		r.Wanted = g.Wanted
	}
	if lb.Drift != nil {
		r.Drift = lb.Drift.Total
	}
}
