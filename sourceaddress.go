package weir

import "net/netip"

// MaxSourceAddresses bounds how many addresses the sourceAddresses of a LoadBalancer hold.
const MaxSourceAddresses = 64

// validateSources checks the addresses that connections to servers come from.
func (l *LoadBalancer) validateSources(p *Problems) {
	const path = "sourceAddresses"
	checkPrefixes(p, path, l.SourceAddresses)
	total := 0
	for i, r := range l.SourceAddresses {
		if !r.IsValid() {
			continue
		}
		if r.Addr().IsUnspecified() || r.Addr().IsMulticast() {
			p.Add(index(path, i), "%s holds no address that a machine can have as its own", r)
		}
		for j := range i {
			if r != l.SourceAddresses[j] && r.Overlaps(l.SourceAddresses[j]) {
				p.Add(index(path, i), "%s overlaps %s", r, l.SourceAddresses[j])
			}
		}
		total += 1 << min(r.Addr().BitLen()-r.Bits(), 16)
	}
	if total > MaxSourceAddresses {
		p.Add(path, "are more than %d addresses; name smaller networks, such as 192.0.2.16/28", MaxSourceAddresses)
	}
}

// Sources gives each of the addresses that connections to servers come from, in the order of the networks.
func Sources(networks []netip.Prefix) []netip.Addr {
	var list []netip.Addr
	for _, r := range networks {
		for a := r.Addr(); r.Contains(a) && len(list) < MaxSourceAddresses; a = a.Next() {
			list = append(list, a)
		}
	}
	return list
}
