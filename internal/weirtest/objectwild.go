package weirtest

import (
	"net/netip"

	"weir"
)

// wild is a change of what the others stand on; most of them break something.
func (w *world) wild() (weir.Write, bool) {
	kind := pick(w.rng, "Zone", "Role", "LoadBalancerGroup", "LoadBalancer", "Tuning", "Certificate", "IPAddress", "Pool", "Site", "Server", "Map")
	old := w.any(kind, "")
	if old == nil {
		return weir.Write{}, false
	}
	if w.some(4) {
		return weir.Write{Delete: old.Ref()}, true
	}
	o := old.Clone()
	switch spec := o.Spec.(type) {
	case *weir.Role:
		w.limit(spec)
	case *weir.LoadBalancerGroup:
		spec.Ranges = pick(w.rng, w.Ranges, []netip.Prefix{netip.PrefixFrom(w.Ranges[0].Addr(), w.Ranges[0].Bits()+5)})
		spec.Tuning = pick(w.rng, "", "tuning")
	case *weir.LoadBalancer:
		w.place(spec)
	case *weir.Tuning:
		modes := []weir.PortMode{weir.PortHTTP, weir.PortHTTPS, weir.PortTCP}
		spec.Ports = []weir.BoundPort{{Port: pick(w.rng, w.Ports...).Port, Mode: pick(w.rng, modes...)}}
	case *weir.Certificate:
		spec.Key, spec.KeyRef = "", nil
	case *weir.IPAddress:
		spec.Address = w.Ranges[0].Addr().Next()
		spec.Groups = []string{groupName(w.rng.IntN(w.Groups))}
	case *weir.Pool:
		spec.Mode = pick(w.rng, "http", "tcp")
	case *weir.Site:
		if len(spec.Hostnames) > 0 {
			spec.Hostnames = []string{pick(w.rng, "*", "shared.example.com", "site-00.example.com", "x.site-00.example.com", "*.example.com")}
		}
		if len(spec.Listeners) > 0 {
			spec.Listeners[0].Port = pick(w.rng, w.Ports...).Port
		}
	}
	if kind != "Role" && w.some(2) && o.Metadata.Role != "" {
		o.Metadata.Role = pick(w.rng, roles...)
		o.Metadata.ShareWith = nil
	}
	return weir.Write{Put: o}, true
}

func (w *world) limit(r *weir.Role) {
	r.Hostnames = pick(w.rng, nil, []string{"*.example.com"}, []string{"*", "*.other.example"}, []string{"shared.example.com"})
	r.Groups = pick(w.rng, nil, []string{groupName(w.rng.IntN(w.Groups))})
}

func (w *world) place(l *weir.LoadBalancer) {
	l.Zone = zoneName(w.rng.IntN(w.Zones))
	l.Group = groupName(w.rng.IntN(w.Groups))
	l.LocalPorts, l.LocalRanges = nil, nil
	if w.some(2) {
		l.LocalPorts = map[weir.Port]weir.Port{pick(w.rng, w.Ports...).Port: pick(w.rng, w.Ports...).Port}
	}
	if w.some(3) {
		to := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 99, 0, 0}), w.Ranges[0].Bits())
		l.LocalRanges = map[netip.Prefix]netip.Prefix{pick(w.rng, w.Ranges...): pick(w.rng, to, w.Ranges[0])}
	}
}
