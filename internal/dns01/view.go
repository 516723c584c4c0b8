package dns01

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// view finds things in the DNS: the update server is believed in what it is authoritative for, which is newer
// than what resolvers keep; they are asked for the rest.
type view struct {
	client    client
	primary   string   // host:port; none when empty
	resolvers []string // host:port; those of the system when empty
	port      string   // of the name servers that are found, 53
	slots     chan struct{}
}

// atOnce is how many connections to the update server there are; the others queue up. Knot DNS has room for ten that
// it has not looked at yet, and the kernel passes over more for a second.
const atOnce = 8

// place is where a challenge's record belongs: what its owner leads to, and the zone of that.
type place struct{ name, zone string }

const (
	maxAliases = 8  // CNAMEs that are followed one after another
	maxServers = 16 // name servers of a zone
	maxAddrs   = 64 // addresses of all of them
)

// lookup asks a question whose answer is that there is something, or that there is nothing.
func (v view) lookup(ctx context.Context, name string, qtype uint16, primary bool) (*dns.Msg, error) {
	if primary && v.primary != "" {
		m, err := v.askPrimary(ctx, question(name, qtype, false))
		if err != nil {
			return nil, temporary{fmt.Errorf("ask %s for %s of %s: %w", v.primary, dns.TypeToString[qtype], name, err)}
		}
		if m.Authoritative && told(m) {
			return m, nil
		}
	}
	resolvers, err := v.resolversNow()
	if err != nil {
		return nil, err
	}
	var last error
	for _, r := range resolvers {
		m, err := v.client.ask(ctx, r, question(name, qtype, true))
		if err == nil && told(m) {
			return m, nil
		}
		if err == nil {
			err = errors.New(rcode(m.Rcode))
		}
		last = fmt.Errorf("ask the resolver %s for %s of %s: %w", r, dns.TypeToString[qtype], name, err)
	}
	return nil, temporary{last}
}

func (v view) askPrimary(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
	wire, err := q.Pack()
	if err != nil {
		return nil, err
	}
	m, _, err := v.toPrimary(ctx, q, wire)
	return m, err
}

// toPrimary sends wire, which is q packed, to the update server. It goes over TCP: the answer can't be anybody's, and
// nobody wonders whether an update was lost or its answer.
func (v view) toPrimary(ctx context.Context, q *dns.Msg, wire []byte) (*dns.Msg, []byte, error) {
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("%d others talk to it and none ended: %w", atOnce, ctx.Err())
	}
	return v.client.exchange(ctx, "tcp", v.primary, q, wire)
}

func told(m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError }

func (v view) resolversNow() ([]string, error) {
	if len(v.resolvers) > 0 {
		return v.resolvers, nil
	}
	c, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, fmt.Errorf("find the system's resolvers: %w; name resolvers", err)
	}
	if len(c.Servers) == 0 {
		return nil, errors.New("find the system's resolvers: /etc/resolv.conf names none; name resolvers")
	}
	return endpoints("resolver", c.Servers)
}

// place follows aliases from the owner to the name that must have the record. The zone is found unless it is given.
func (v view) place(ctx context.Context, owner, zone string) (place, error) {
	name := owner
	for range maxAliases {
		// With a zone given, the server is not asked for what lies outside of it: its view of that may be an inner one.
		m, err := v.lookup(ctx, name, dns.TypeSOA, zone == "" || dns.IsSubDomain(zone, name))
		if err != nil {
			return place{}, err
		}
		next, found := readSOA(m, name)
		switch {
		case next == "":
			return place{}, tooManyAliases(owner)
		case next != name && found == "":
			name = next
		case zone != "" && !dns.IsSubDomain(zone, next):
			return place{}, fmt.Errorf("%s%s does not lie in the zone %s; correct the zone, or let a CNAME record of %s lead into it", owner, leadsTo(owner, next), zone, owner)
		case zone != "":
			return place{next, zone}, nil
		case found != "":
			return place{next, found}, nil
		default:
			return place{}, fmt.Errorf("find the zone of %s: the answer names none; name the zone", next)
		}
	}
	return place{}, tooManyAliases(owner)
}

func tooManyAliases(owner string) error {
	return fmt.Errorf("follow %s: more than %d CNAME records one after another, or a loop", owner, maxAliases)
}

func leadsTo(owner, name string) string {
	if owner == name {
		return ""
	}
	return " leads to " + name + ", which"
}

// readSOA follows the aliases that an answer to a question for name's SOA holds, and finds the zone of their end.
// The end is "" when there are too many of them, and the zone when the answer does not say.
func readSOA(m *dns.Msg, name string) (end, zone string) {
	end = dns.CanonicalName(name)
	for n := 0; ; n++ {
		if n > maxAliases {
			return "", ""
		}
		i := slices.IndexFunc(m.Answer, func(rr dns.RR) bool {
			_, ok := rr.(*dns.CNAME)
			return ok && dns.CanonicalName(rr.Header().Name) == end
		})
		if i < 0 {
			break
		}
		end = dns.CanonicalName(m.Answer[i].(*dns.CNAME).Target)
	}
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		soa, ok := rr.(*dns.SOA)
		if !ok {
			continue
		}
		// The root is nobody's zone of challenges: that name does not exist.
		if z := dns.CanonicalName(soa.Hdr.Name); z != "." && dns.IsSubDomain(z, end) && len(z) > len(zone) {
			zone = z
		}
	}
	return end, zone
}

// nameServer is one of a zone's, and where it can be asked.
type nameServer struct {
	name  string
	addrs []string // host:port
}

// servers finds the name servers of a zone.
func (v view) servers(ctx context.Context, zone string) ([]nameServer, error) {
	m, err := v.lookup(ctx, zone, dns.TypeNS, true)
	if err != nil {
		return nil, err
	}
	names := readNS(m, zone)
	if len(names) == 0 || len(names) > maxServers {
		return nil, fmt.Errorf("find the name servers of %s: the answer names %d, 1 to %d are possible; name the servers to ask", zone, len(names), maxServers)
	}
	var all []nameServer
	total := 0
	for _, n := range names {
		s := nameServer{name: n}
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m, err := v.lookup(ctx, n, qtype, true)
			if err != nil {
				return nil, err
			}
			s.addrs = append(s.addrs, readAddrs(m, v.port)...)
		}
		if total += len(s.addrs); total > maxAddrs {
			return nil, fmt.Errorf("find the name servers of %s: they have more than %d addresses; name the servers to ask", zone, maxAddrs)
		}
		all = append(all, s)
	}
	return all, nil
}

// readNS gives the zone's name servers, each once.
func readNS(m *dns.Msg, zone string) []string {
	var names []string
	for _, rr := range m.Answer {
		if ns, ok := rr.(*dns.NS); ok && dns.CanonicalName(ns.Hdr.Name) == dns.CanonicalName(zone) {
			names = append(names, dns.CanonicalName(ns.Ns))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readAddrs gives the addresses in an answer, each once, with the port.
func readAddrs(m *dns.Msg, port string) []string {
	var addrs []string
	for _, rr := range m.Answer {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		// An address left out of its record, and no machine's.
		if ip != nil && !ip.IsUnspecified() && !ip.IsMulticast() {
			addrs = append(addrs, net.JoinHostPort(ip.String(), port))
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// readTXT gives the values at a name in an answer that has followed no alias.
func readTXT(m *dns.Msg, name string) []string {
	var values []string
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok && dns.CanonicalName(txt.Hdr.Name) == name {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	return values
}
