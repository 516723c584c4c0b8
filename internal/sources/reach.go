package sources

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir"
)

// Destinations are the places inside that an admin lets sources ask, besides those that are public.
type Destinations struct {
	networks []netip.Prefix
	hosts    []string
}

// ParseDestinations reads networks (10.0.0.0/8), addresses and names of hosts.
func ParseDestinations(list []string) (*Destinations, error) {
	d := &Destinations{}
	for _, text := range list {
		if p, err := netip.ParsePrefix(text); err == nil {
			d.networks = append(d.networks, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(text); err == nil {
			d.networks = append(d.networks, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		name, err := weir.CanonicalHostname(text)
		if err != nil || strings.HasPrefix(name, "*") {
			return nil, fmt.Errorf("discovery destinations: %q is no network, address or name of a host, such as 10.0.0.0/8 or consul.example.com", text)
		}
		d.hosts = append(d.hosts, name)
	}
	return d, nil
}

// inside are networks that netip does not tell to be of the inside, and that are (RFC 6890 and what followed it).
var inside = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
}

// Allows says whether an address may be asked: it is listed, or public.
func (d *Destinations) Allows(a netip.Addr) bool {
	a = a.Unmap()
	within := func(p netip.Prefix) bool { return p.Contains(a) }
	if d != nil && slices.ContainsFunc(d.networks, within) {
		return true
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(inside, within)
}

// named says whether a host is listed by its name, so that whatever address it has may be asked.
func (d *Destinations) named(host string) bool {
	name, err := weir.CanonicalHostname(host)
	return d != nil && err == nil && slices.Contains(d.hosts, name)
}

// errInside is about a place that sources must not ask.
var errInside = errors.New("it is not public, and not among the server's --discovery-destinations: let an admin of the control plane's machines list it there")

// Dial makes a connection. The address is looked at when it is connected to, so that no answer of a name server leads
// elsewhere than where was looked.
func (d *Destinations) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !d.named(host) {
		dialer.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(resolved)
			if err != nil {
				return err
			}
			if !d.Allows(to.Addr().WithZone("")) {
				return fmt.Errorf("%s may not be asked: %w", to.Addr(), errInside)
			}
			return nil
		}
	}
	return dialer.DialContext(ctx, network, address)
}
