package weir

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Who asks the DNS for the host of a partner's service.
const (
	ResolveByControlPlane = "control-plane"
	ResolveByLoadBalancer = "load-balancer"
)

// The families of addresses that a partner's service can prefer.
const (
	PreferIPv4 = "ipv4"
	PreferIPv6 = "ipv6"
)

// maxPartnerAddresses bounds the addresses of one service.
const maxPartnerAddresses = 64

// PartnerName is what the control plane asks the DNS for: a name, and which of its addresses are taken.
type PartnerName struct {
	Host   string `json:"host"`
	Prefer string `json:"prefer"`
}

// NameStatus is what is so of a name that the control plane asks for, as who does so has written it down last.
type NameStatus struct {
	// Servers are the name servers that are asked.
	Servers []string `json:"servers,omitempty"`
	// ResolvedAt is when the name was first known to have the addresses that it has.
	ResolvedAt time.Time `json:"resolvedAt,omitzero"`
	// Error is why it has none at present, since FailedAt.
	Error    string    `json:"error,omitempty"`
	FailedAt time.Time `json:"failedAt,omitzero"`
}

// Asked says what the control plane asks the DNS for; ok is false when the addresses are fixed, or load balancers ask.
func (e *PartnerEndpoint) Asked() (name PartnerName, ok bool) {
	return PartnerName{e.Host, e.Prefer}, e.Resolve == ResolveByControlPlane
}

// At gives the addresses that the control plane knows of the service: those that are fixed, or those of its name.
func (e *PartnerEndpoint) At() []netip.Addr {
	if e.Resolve == ResolveByControlPlane {
		return e.Resolved
	}
	return e.Addresses
}

// resolves fills the defaults of a service whose host the DNS is asked for.
func (e *PartnerEndpoint) resolves() {
	if len(e.Addresses) == 0 {
		setDefault(&e.Resolve, ResolveByControlPlane)
		setDefault(&e.Prefer, PreferIPv4)
	}
	if e.Resolve != ResolveByControlPlane {
		e.Resolved = nil
	}
	e.Resolved = CanonicalAddresses(e.Resolved)
}

// CanonicalAddresses sorts addresses as a service has them, each once, and leaves out what is beyond their bound.
func CanonicalAddresses(list []netip.Addr) []netip.Addr {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	for i := range list {
		list[i] = list[i].Unmap()
	}
	slices.SortFunc(list, netip.Addr.Compare)
	list = slices.Compact(list)
	return list[:min(len(list), maxPartnerAddresses)]
}

// validateAddresses checks where a service is, and who says so.
func (e *PartnerEndpoint) validateAddresses(p *Problems, path string) {
	if len(e.Addresses) > 0 {
		for _, field := range [][2]string{{"resolve", e.Resolve}, {"prefer", e.Prefer}} {
			if field[1] != "" {
				p.Add(path+"."+field[0], "is for a host that the DNS is asked for, and addresses are listed; leave one of them out")
			}
		}
	} else {
		oneOf(p, path+".resolve", e.Resolve, ResolveByControlPlane, ResolveByLoadBalancer)
		oneOf(p, path+".prefer", e.Prefer, PreferIPv4, PreferIPv6)
	}
	checkServers(p, path+".addresses", e.Addresses)
	checkServers(p, path+".resolved", e.Resolved)
}

// checkServers asks for addresses that servers can have, each once.
func checkServers(p *Problems, path string, list []netip.Addr) {
	if len(list) > maxPartnerAddresses {
		p.Add(path, "holds %d; at most %d are allowed", len(list), maxPartnerAddresses)
	}
	seen := map[netip.Addr]bool{}
	for i, a := range list {
		switch {
		case !a.IsValid() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast():
			p.Add(index(path, i), "must be the address of a server, such as 192.0.2.1 or 2001:db8::1")
		case seen[a]:
			p.Add(index(path, i), "%s is listed twice", a)
		}
		seen[a] = true
	}
}

// Resolving says whether the control plane asks the DNS for some service of the partner.
func (o *Partner) Resolving() bool {
	return slices.ContainsFunc(o.Endpoints, func(e PartnerEndpoint) bool { return e.Resolve == ResolveByControlPlane })
}

// Keep takes from what the partner was the addresses that its names had last, in place of those that are written: they are
// the control plane's.
func (o *Partner) Keep(was *Partner) {
	o.Normalize()
	for i := range o.Endpoints {
		e := &o.Endpoints[i]
		e.Resolved = nil
		if before := was.Endpoint(e.Environment, e.Service); e.Resolve == ResolveByControlPlane && before != nil && before.Host == e.Host {
			e.Resolved = before.Resolved
		}
	}
}

// Having gives the partner with the addresses that names have; ok is false when nothing changes. A name that is not
// among them keeps its own.
func (o *Partner) Having(addresses map[PartnerName][]netip.Addr) (now *Partner, ok bool) {
	with := *o
	now = &with
	now.Endpoints = slices.Clone(o.Endpoints)
	for i := range now.Endpoints {
		e := &now.Endpoints[i]
		name, asked := e.Asked()
		if known := addresses[name]; asked && len(known) > 0 && !slices.Equal(known, e.Resolved) {
			e.Resolved, ok = slices.Clone(known), true
		}
	}
	return now, ok
}

// Unresolved gives the partner without the addresses that its names had.
func (o *Partner) Unresolved() *Partner {
	bare := *o
	bare.Endpoints = slices.Clone(o.Endpoints)
	for i := range bare.Endpoints {
		bare.Endpoints[i].Resolved = nil
	}
	return &bare
}

// nameserverOf brings a name server into its canonical form, address:port.
func nameserverOf(text string) (string, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String(), at.Port() != 0 && usableServer(at.Addr())
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return text, false
	}
	return netip.AddrPortFrom(a.Unmap(), 53).String(), usableServer(a)
}

func usableServer(a netip.Addr) bool { return a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() }

func (t *Tuning) normalizeNameservers() {
	for i, text := range t.Nameservers {
		if at, ok := nameserverOf(text); ok {
			t.Nameservers[i] = at
		}
	}
}

func (t *Tuning) validateNameservers(p *Problems) {
	if len(t.Nameservers) > 8 {
		p.Add("nameservers", "holds %d; at most 8 are allowed", len(t.Nameservers))
	}
	unique(p, "nameservers", t.Nameservers)
	for i, text := range t.Nameservers {
		if _, ok := nameserverOf(text); !ok {
			p.Add(index("nameservers", i), "%q is no address of a name server, such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53", clip(text))
		}
	}
}
