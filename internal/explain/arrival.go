package explain

import (
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// Arrival is an IPAddress at which a host name is answered for.
type Arrival struct {
	Address, HomeZone string
	// Site answers to the name, by a name of its own.
	Site, By string
}

// Arrivals gives the addresses of a node at which some site answers to a host at a port: those of the narrowest name
// alone, so that a site of any name is in nobody's way; by name.
func Arrivals(n *ir.Node, host string, port weir.Port) []Arrival {
	var list []Arrival
	at, _ := netip.ParseAddr(strings.Trim(host, "[]"))
	few, names := *n, namesFor(canonicalHost(host)) // of ten thousand sites some may be it
	few.Sites = nil
	for i := range n.Sites {
		s := &n.Sites[i]
		if slices.ContainsFunc(s.Listeners, func(l ir.Listener) bool { return l.Port == port }) && (at.IsValid() || slices.ContainsFunc(s.Hostnames, func(h string) bool { return slices.Contains(names, h) })) {
			few.Sites = append(few.Sites, *s)
		}
	}
	n = &few
	for i := range n.Addresses {
		a := &n.Addresses[i]
		w := &walk{node: n, q: Request{Port: port, Address: a.Name}, address: a}
		site, by := w.lookup(canonicalHost(host))
		if site == nil && a.Address == at { // a host that is an address, as connections have it
			if site = w.at(func(*ir.Site) bool { return true }); site != nil {
				by = host
			}
		}
		if site != nil {
			list = append(list, Arrival{a.Name, a.HomeZone, site.Name, by})
		}
	}
	best := 0
	for _, a := range list {
		best = max(best, narrow(a.By))
	}
	return slices.DeleteFunc(list, func(a Arrival) bool { return narrow(a.By) < best })
}

// narrow is greater for a name that stands for less.
func narrow(name string) int {
	if parent, wild := strings.CutPrefix(name, "*"); wild {
		return len(parent)
	}
	return 1000 + len(name)
}

// Mode gives what a port of a node speaks, "" for one that nothing listens at.
func Mode(n *ir.Node, port weir.Port) weir.PortMode {
	w := &walk{node: n, q: Request{Port: port}}
	w.port()
	return w.mode
}
