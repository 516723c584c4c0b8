package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/miekg/dns"

	"weir/internal/discovery"
)

// The kinds of answers that say that there is nothing.
var (
	errNoName = errors.New("NXDOMAIN: the name does not exist; correct it, or ask a server that knows it")
	errNoData = errors.New("NODATA")
)

// resolve finds the instances of a name, sorted, and how long that holds. Left says which targets were left out.
func (s *Source) resolve(ctx context.Context, name string) (found []discovery.Found, ttl time.Duration, left, err error) {
	if s.config.SRV {
		found, ttl, left, err = s.resolveSRV(ctx, name)
	} else {
		var addrs []netip.Addr
		addrs, ttl, err = s.addresses(ctx, dns.CanonicalName(name), nil)
		for _, a := range addrs {
			found = append(found, discovery.Found{ID: a.String(), Fields: fieldsOf(name, a)})
		}
	}
	if err == nil {
		err = discovery.Arrange(found)
	}
	if err != nil {
		return nil, 0, nil, fmt.Errorf("resolve %s: %w", name, err)
	}
	if left != nil {
		left = fmt.Errorf("resolve %s: %w", name, left)
	}
	return found, ttl, left, nil
}

func fieldsOf(name string, a netip.Addr) map[string]string {
	family := "ipv4"
	if a.Is6() {
		family = "ipv6"
	}
	return map[string]string{"name": name, "address": a.String(), "family": family}
}

// types gives the record types in the order in which they are wanted, and whether all of them are.
func (f Family) types() (types []uint16, all bool) {
	switch f {
	case OnlyIPv4:
		return []uint16{dns.TypeA}, true
	case OnlyIPv6:
		return []uint16{dns.TypeAAAA}, true
	case PreferIPv6:
		return []uint16{dns.TypeAAAA, dns.TypeA}, false
	case Both:
		return []uint16{dns.TypeA, dns.TypeAAAA}, true
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}, false
}

// addresses finds the addresses of a name in the families that are wanted, each once. What already came with another
// answer is looked at first.
func (s *Source) addresses(ctx context.Context, name string, came *dns.Msg) (addrs []netip.Addr, ttl time.Duration, err error) {
	types, all := s.config.Family.types()
	ttl = maxTTL
	var nothing error
	for _, qtype := range types {
		more, t, err := s.addressesOf(ctx, name, qtype, came)
		if errors.Is(err, errNoData) {
			nothing = err
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		addrs, ttl = append(addrs, more...), min(ttl, t)
		if !all {
			break
		}
	}
	if len(addrs) == 0 {
		if len(types) > 1 {
			nothing = fmt.Errorf("ask for A and AAAA of %s: %w: the name exists and has no address", name, errNoData)
		}
		return nil, 0, nothing
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), ttl, nil
}

func (s *Source) addressesOf(ctx context.Context, name string, qtype uint16, came *dns.Msg) ([]netip.Addr, time.Duration, error) {
	rrs, ttl := additional(came, name, qtype)
	if len(rrs) == 0 {
		var err error
		if rrs, ttl, _, err = s.lookup(ctx, name, qtype); err != nil {
			return nil, 0, err
		}
	}
	var addrs []netip.Addr
	for _, rr := range rrs {
		a, err := addressOf(rr)
		if err != nil {
			return nil, 0, fmt.Errorf("ask for %s of %s: %w", dns.TypeToString[qtype], name, err)
		}
		addrs = append(addrs, a)
	}
	return addrs, ttl, nil
}

// addressOf refuses what no server can have; a name server that gives it is wrong about more than that.
func addressOf(rr dns.RR) (netip.Addr, error) {
	var ip net.IP
	switch rr := rr.(type) {
	case *dns.A:
		ip = rr.A.To4()
	case *dns.AAAA:
		ip = rr.AAAA
	}
	a, ok := netip.AddrFromSlice(ip)
	if !ok || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return a, fmt.Errorf("the answer has the address %q, which is no server's: the zone is wrong, or somebody answers in its place", ip)
	}
	return a, nil
}

// target is a server that an SRV record names, and what was learned of it.
type target struct {
	srv   *dns.SRV
	name  string
	addrs []netip.Addr
	ttl   time.Duration
	err   error
}

func (s *Source) resolveSRV(ctx context.Context, name string) (found []discovery.Found, ttl time.Duration, left, err error) {
	rrs, ttl, m, err := s.lookup(ctx, dns.CanonicalName(name), dns.TypeSRV)
	if err != nil {
		return nil, 0, nil, err
	}
	var targets []*target
	for _, rr := range rrs {
		srv := rr.(*dns.SRV)
		to := dns.CanonicalName(srv.Target)
		if to == "." && len(rrs) == 1 {
			return nil, ttl, nil, nil // RFC 2782: the service is decidedly not there
		}
		if srv.Port == 0 || !isName(to) || to == "." {
			return nil, 0, nil, fmt.Errorf("the SRV record «%s» is nonsense: it must have a port and a target", discovery.Clip(fmt.Sprintf("%d %d %d %s", srv.Priority, srv.Weight, srv.Port, srv.Target)))
		}
		targets = append(targets, &target{srv: srv, name: to})
	}
	s.targets(ctx, targets, m)
	missing, first := 0, error(nil)
	for _, t := range targets {
		switch {
		case errors.Is(t.err, errNoName), errors.Is(t.err, errNoData):
			if missing++; first == nil {
				first = t.err
			}
		case t.err != nil:
			return nil, 0, nil, fmt.Errorf("the target %s of its SRV records: %w", t.name, t.err)
		}
		ttl = min(ttl, max(t.ttl, 0))
		found = append(found, t.found(name)...)
	}
	if missing == len(targets) {
		return nil, 0, nil, fmt.Errorf("none of the %d targets of its SRV records has an address: %w", missing, first)
	}
	if missing > 0 {
		left = fmt.Errorf("%d of the %d targets of its SRV records are left out: %w", missing, len(targets), first)
	}
	return found, ttl, left, nil
}

// targets finds the addresses of all targets, some at a time, each name once.
func (s *Source) targets(ctx context.Context, targets []*target, came *dns.Msg) {
	const atATime = 8
	byName := map[string][]*target{}
	for _, t := range targets {
		byName[t.name] = append(byName[t.name], t)
	}
	slots := make(chan struct{}, atATime)
	var all sync.WaitGroup
	for name, of := range byName {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			addrs, ttl, err := s.addresses(ctx, name, came)
			if err != nil {
				ttl = maxTTL // it is no part of what holds
			}
			for _, t := range of {
				t.addrs, t.ttl, t.err = addrs, ttl, err
			}
		})
	}
	all.Wait()
}

func (t *target) found(name string) []discovery.Found {
	host := t.name[:len(t.name)-1] // people write no dot at the end
	port := strconv.Itoa(int(t.srv.Port))
	var all []discovery.Found
	for _, a := range t.addrs {
		f := discovery.Found{ID: host + ":" + port, Fields: fieldsOf(name, a)}
		if len(t.addrs) > 1 {
			f.ID += "/" + a.String()
		}
		f.Fields["target"], f.Fields["port"] = host, port
		f.Fields["priority"], f.Fields["weight"] = strconv.Itoa(int(t.srv.Priority)), strconv.Itoa(int(t.srv.Weight))
		all = append(all, f)
	}
	return all
}
