package haproxy

import (
	"hash/fnv"
	"net/netip"

	"weir/internal/ir"
)

// SourceBind is the source address as one to be tried before it is used: see Env.Unbindable.
func SourceBind(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 0) }

// sources are the addresses that connections to servers come from: those of the load balancer that its machine has.
func sources(self ir.Self, env Env) []netip.Addr {
	var list []netip.Addr
	for _, a := range self.Sources {
		if !env.Unbindable[SourceBind(a)] {
			list = append(list, a)
		}
	}
	return list
}

// dealer gives the members of one pool their source addresses. Ports are counted for each pair of a source and a server's
// address (TestFactSourcePorts in internal/hapctl), so only members of the same address need different ones. Pools begin
// at different ones, since they may share servers.
type dealer struct {
	pool string
	from []netip.Addr
	next map[netip.AddrPort]int
}

// source gives the next source for a server's address as words of its line, none when the system is to choose.
func (d *dealer) source(to netip.AddrPort) string {
	if !to.IsValid() || to.Addr().IsUnspecified() {
		return "" // a socket, or wherever the DNS leads
	}
	var fit []netip.Addr
	for _, a := range d.from {
		if a.Is4() == to.Addr().Is4() {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 {
		return ""
	}
	if d.next == nil {
		d.next = map[netip.AddrPort]int{}
	}
	h := fnv.New32a()
	h.Write([]byte(d.pool + " " + to.String()))
	turn := d.next[to]
	d.next[to]++
	return " source " + fit[(int(h.Sum32()>>8)+turn)%len(fit)].String()
}
