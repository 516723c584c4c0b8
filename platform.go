package weir

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Zone is an availability zone: machines that fail together.
type Zone struct {
	// Capacity is what the zone can carry relative to other zones; 100 when left out. It moves no traffic: it tells before a
	// failover what the other zones would carry.
	Capacity int `json:"capacity,omitempty"`
}

// Normalize fills the defaults.
func (z *Zone) Normalize() {
	if z.Capacity == 0 {
		z.Capacity = 100
	}
}

// Validate checks the capacity.
func (z *Zone) Validate(p *Problems) { between(p, "capacity", z.Capacity, 1, 1_000_000) }

// References are none.
func (z *Zone) References() []Reference { return nil }

// LoadBalancerGroup is a set of load balancers with the same configuration; a fault in one group touches no other.
type LoadBalancerGroup struct {
	// Ranges are the networks that the group's virtual addresses come from.
	Ranges []netip.Prefix `json:"ranges"`
	// Tuning names the group's Tuning; empty means the defaults.
	Tuning string `json:"tuning,omitempty"`
	// Drift says what happens to what somebody changes by hand at a load balancer: correct undoes it at once, report
	// leaves it and tells of it; correct when left out.
	Drift DriftMode `json:"drift,omitempty"`
	// TrustedProxies are the only sources that are believed about where a client comes from.
	TrustedProxies *TrustedProxies `json:"trustedProxies,omitempty"`
	// Waves lets configuration reach one load balancer of each HAProxy version first, then a zone, then the rest, and
	// go back by itself when that does harm; without it all are reached at once.
	Waves *Waves `json:"waves,omitempty"`
	// TicketKeys says how often the keys of TLS session tickets change; all load balancers of the group share them
	// without it, too.
	TicketKeys *TicketKeys `json:"ticketKeys,omitempty"`
}

// DriftMode says what becomes of changes that were not made through Weir.
type DriftMode string

// The modes of drift.
const (
	DriftCorrect DriftMode = "correct" // undone at once, and told
	DriftReport  DriftMode = "report"  // left as it is, and told
)

// TrustedProxies lists networks of proxies in front of a group.
type TrustedProxies struct {
	// ProxyProtocol sources must begin each connection with a PROXY header (v1 or v2); all others must not.
	ProxyProtocol []netip.Prefix `json:"proxyProtocol,omitempty"`
	// ForwardedFor sources keep the X-Forwarded-For and X-Forwarded-Proto they send; all others have them replaced.
	ForwardedFor []netip.Prefix `json:"forwardedFor,omitempty"`
}

// Normalize masks the networks and fills the defaults.
func (g *LoadBalancerGroup) Normalize() {
	maskAll(g.Ranges)
	if t := g.TrustedProxies; t != nil {
		maskAll(t.ProxyProtocol)
		maskAll(t.ForwardedFor)
	}
	g.Waves.normalize()
	g.TicketKeys.normalize()
}

// Validate checks the ranges.
func (g *LoadBalancerGroup) Validate(p *Problems) {
	if len(g.Ranges) == 0 {
		p.Add("ranges", "needs at least one network that virtual addresses come from, such as 203.0.113.0/28")
	}
	checkPrefixes(p, "ranges", g.Ranges)
	for i, r := range g.Ranges {
		for j := range i {
			if r.IsValid() && r.Overlaps(g.Ranges[j]) {
				p.Add(index("ranges", i), "%s overlaps %s", r, g.Ranges[j])
			}
		}
	}
	if g.Drift != "" {
		oneOf(p, "drift", string(g.Drift), string(DriftCorrect), string(DriftReport))
	}
	if t := g.TrustedProxies; t != nil {
		checkPrefixes(p, "trustedProxies.proxyProtocol", t.ProxyProtocol)
		checkPrefixes(p, "trustedProxies.forwardedFor", t.ForwardedFor)
	}
	g.Waves.validate(p)
	g.TicketKeys.validate(p)
}

// Holds says whether an address is in one of the group's ranges.
func (g *LoadBalancerGroup) Holds(a netip.Addr) bool {
	return slices.ContainsFunc(g.Ranges, func(r netip.Prefix) bool { return r.Contains(a) })
}

// References are the Tuning.
func (g *LoadBalancerGroup) References() []Reference {
	return optional(nil, "tuning", "Tuning", g.Tuning)
}

// LoadBalancerState says whether a load balancer counts.
type LoadBalancerState string

// The states of a load balancer.
const (
	Active      LoadBalancerState = "Active"      // converges, serves, counts
	Draining    LoadBalancerState = "Drain"       // converges and serves, but nothing waits for it
	Maintenance LoadBalancerState = "Maintenance" // serves what it has and changes nothing; nothing waits for it
)

// LoadBalancer is one HAProxy with its agent.
type LoadBalancer struct {
	Group string            `json:"group"`
	Zone  string            `json:"zone"`
	State LoadBalancerState `json:"state,omitempty"`
	// LocalRanges translates a range of the group to the addresses that this machine binds (one-to-one NAT,
	// or several load balancers on one machine); both sides have the same size.
	LocalRanges map[netip.Prefix]netip.Prefix `json:"localRanges,omitempty"`
	// LocalPorts translates a listener's port to the port that this machine binds.
	LocalPorts map[Port]Port `json:"localPorts,omitempty"`
	// SourceAddresses are networks of this machine's own addresses, 64 addresses at most, that connections to servers come
	// from; the system chooses when it is left out. From one address to one server as many connections are possible at a
	// time as net.ipv4.ip_local_port_range has ports; members of a pool that have the same address and port get one
	// source address after the other, so that listing a server once for each multiplies that.
	SourceAddresses []netip.Prefix `json:"sourceAddresses,omitempty"`
	// Namespace is a network namespace of this machine, a name in /var/run/netns, that all listeners of sites are bound in;
	// HAProxy's own when it is left out. Servers are reached from HAProxy's own either way, and HTTP/3 is not answered in
	// another. The agent and HAProxy need CAP_SYS_ADMIN to enter it; while they can't, this load balancer listens nowhere.
	Namespace string `json:"namespace,omitempty"`
	// EnrolledAt is made by the control plane: agents' certificates from before it are refused.
	EnrolledAt time.Time `json:"enrolledAt,omitzero"`
}

// Normalize fills the state.
func (l *LoadBalancer) Normalize() {
	if l.State == "" {
		l.State = Active
	}
	l.LocalRanges = maskLocal(l.LocalRanges)
	maskAll(l.SourceAddresses)
}

// Validate checks the translations.
func (l *LoadBalancer) Validate(p *Problems) {
	required(p, "group", l.Group)
	required(p, "zone", l.Zone)
	oneOf(p, "state", string(l.State), string(Active), string(Draining), string(Maintenance))
	checkLocal(p, "", l.LocalRanges, l.LocalPorts)
	l.validateSources(p)
	l.validateNamespace(p)
}

// checkLocal: translations are one to one.
func checkLocal(p *Problems, prefix string, ranges map[netip.Prefix]netip.Prefix, ports map[Port]Port) {
	order := make([]netip.Prefix, 0, len(ranges))
	for from := range ranges {
		order = append(order, from)
	}
	slices.SortFunc(order, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	for i, from := range order {
		path, to := prefix+"localRanges["+from.String()+"]", ranges[from]
		if !from.IsValid() || !to.IsValid() {
			p.Add(path, "both sides must be networks, such as 203.0.113.0/28: 127.11.1.0/28")
			continue
		}
		if from.Bits() != to.Bits() || from.Addr().Is4() != to.Addr().Is4() {
			p.Add(path, "%s and %s must be of the same family and size", from, to)
		}
		for _, other := range order[:i] {
			if from.Overlaps(other) {
				p.Add(path, "overlaps %s; say once where an address goes", other)
			}
			if to.Overlaps(ranges[other]) {
				p.Add(path, "%s overlaps %s, where %s goes; two addresses would be bound as one", to, ranges[other], other)
			}
		}
	}
	seen := map[Port]Port{}
	for _, from := range sortedKeys(ports) {
		path, to := prefix+"localPorts["+from.String()+"]", ports[from]
		from.check(p, path)
		to.check(p, path)
		if other, ok := seen[to]; ok {
			p.Add(path, "ports %d and %d would both be bound at %d", other, from, to)
		}
		seen[to] = from
	}
}

func maskLocal(ranges map[netip.Prefix]netip.Prefix) map[netip.Prefix]netip.Prefix {
	if ranges == nil {
		return nil
	}
	masked := make(map[netip.Prefix]netip.Prefix, len(ranges))
	for from, to := range ranges {
		masked[canonicalPrefix(from)] = canonicalPrefix(to)
	}
	return masked
}

// References are the group and the zone.
func (l *LoadBalancer) References() []Reference {
	return optional(optional(nil, "group", "LoadBalancerGroup", l.Group), "zone", "Zone", l.Zone)
}

// IPAddress is a virtual address.
type IPAddress struct {
	Address netip.Addr `json:"address"`
	// HomeZone is where the address's traffic belongs when all is well; empty means anywhere.
	HomeZone string `json:"homeZone,omitempty"`
	// Groups serve the address: one, or two while it moves.
	Groups []string `json:"groups"`
}

// Normalize unmaps an IPv4 address written as IPv6.
func (a *IPAddress) Normalize() { a.Address = a.Address.Unmap() }

// Validate checks the address.
func (a *IPAddress) Validate(p *Problems) {
	if !a.Address.IsValid() || a.Address.IsUnspecified() || a.Address.IsMulticast() || a.Address.Zone() != "" {
		p.Add("address", "must be one unicast address, such as 203.0.113.1 or 2001:db8::1")
	}
	if len(a.Groups) == 0 {
		p.Add("groups", "needs at least one load-balancer group")
	}
	unique(p, "groups", a.Groups)
}

// References are the home zone and the groups.
func (a *IPAddress) References() []Reference {
	return each(optional(nil, "homeZone", "Zone", a.HomeZone), "groups", "LoadBalancerGroup", a.Groups)
}

// Tuning is what the HAProxy processes of a group are given: limits, timeouts, ports bound in advance.
// Every field of it is text in haproxy.cfg, so a change of it is a reload.
type Tuning struct {
	// MaxConnections is HAProxy's global maxconn; 0 lets HAProxy compute it from its limits.
	MaxConnections int `json:"maxConnections,omitempty"`
	// Threads is nbthread; 0 lets HAProxy choose.
	Threads int `json:"threads,omitempty"`
	// BufferSize and MaxRewrite are tune.bufsize and tune.maxrewrite, in bytes.
	BufferSize int `json:"bufferSize,omitempty"`
	MaxRewrite int `json:"maxRewrite,omitempty"`
	// SpreadChecks is the percentage by which the interval between health checks varies.
	SpreadChecks *int `json:"spreadChecks,omitempty"`
	// StrictSNI refuses TLS clients that name no host we have a certificate for; true when left out.
	StrictSNI *bool    `json:"strictSNI,omitempty"`
	Timeouts  Timeouts `json:"timeouts,omitzero"`
	// ErrorPages replace HAProxy's own error texts for requests that reach no site, by status.
	ErrorPages map[Status3]string `json:"errorPages,omitempty"`
	// Ports are bound before any site asks for them, so that the first site on one is no reload.
	Ports []BoundPort `json:"ports,omitempty"`
	// User and Group are what HAProxy's workers run as when the agent is root; "haproxy" when left out.
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
	// OpenFiles is ulimit-n; 0 lets HAProxy compute it.
	OpenFiles int `json:"openFiles,omitempty"`
	// RateLimits is the room that RateLimits count in. When it is there, there are tables and rules for whatever they may
	// count before a site asks for them; without it, what is counted first, or over a new time, is a reload.
	RateLimits *RateLimitTables `json:"rateLimits,omitempty"`
	// FastOpen takes requests that come with a client's first packet (TCP Fast Open), at all ports, where the machine's
	// net.ipv4.tcp_fastopen allows it to servers.
	FastOpen bool `json:"fastOpen,omitempty"`
	// Stats is HAProxy's own page of statistics; there is none when it is left out.
	Stats *StatsPage `json:"stats,omitempty"`
	// HardStopAfter ends old workers after a reload, however long their connections last.
	HardStopAfter Duration `json:"hardStopAfter,omitempty"`
	// ZoneReturn says how a zone comes back after none of its servers took requests.
	ZoneReturn *ZoneReturn `json:"zoneReturn,omitempty"`
	// Nameservers are asked by load balancers for hosts of Partners that say so (resolve: load-balancer), all at once, of
	// which the first answer counts: address or address:port. The machine's own are never asked.
	Nameservers []string `json:"nameservers,omitempty"`
}

// Timeouts are HAProxy's, for everything that does not say otherwise.
type Timeouts struct {
	Client        Duration `json:"client,omitempty"`
	Connect       Duration `json:"connect,omitempty"`
	Server        Duration `json:"server,omitempty"`
	Queue         Duration `json:"queue,omitempty"`
	HTTPRequest   Duration `json:"httpRequest,omitempty"`
	HTTPKeepAlive Duration `json:"httpKeepAlive,omitempty"`
	Tunnel        Duration `json:"tunnel,omitempty"`
	Check         Duration `json:"check,omitempty"`
}

// BoundPort is a port of a group with the one mode that it has there.
type BoundPort struct {
	Port Port     `json:"port"`
	Mode PortMode `json:"mode"`
}

// Normalize fills the defaults.
func (t *Tuning) Normalize() {
	setDefault(&t.BufferSize, 16384)
	setDefault(&t.MaxRewrite, 1024)
	if t.SpreadChecks == nil {
		t.SpreadChecks = new(5)
	}
	if t.StrictSNI == nil {
		t.StrictSNI = new(true)
	}
	for field, value := range map[*Duration]time.Duration{
		&t.Timeouts.Client: 60 * time.Second, &t.Timeouts.Connect: 3 * time.Second, &t.Timeouts.Server: 60 * time.Second,
		&t.Timeouts.Queue: 60 * time.Second, &t.Timeouts.HTTPRequest: 10 * time.Second, &t.Timeouts.HTTPKeepAlive: 60 * time.Second,
		&t.Timeouts.Tunnel: time.Hour, &t.Timeouts.Check: 2 * time.Second, &t.HardStopAfter: 15 * time.Minute,
	} {
		setDefault(field, Duration(value))
	}
	t.ZoneReturn.normalize()
	t.RateLimits.normalize()
	t.Stats.normalize()
	t.normalizeNameservers()
	setDefault(&t.User, "haproxy")
	setDefault(&t.Group, "haproxy")
}

// Validate checks the limits.
func (t *Tuning) Validate(p *Problems) {
	between(p, "maxConnections", t.MaxConnections, 0, 10_000_000)
	between(p, "threads", t.Threads, 0, 1024)
	between(p, "bufferSize", t.BufferSize, 16384, 1<<20) // smaller ones would not hold run-time commands
	between(p, "maxRewrite", t.MaxRewrite, 256, t.BufferSize/2)
	between(p, "spreadChecks", *t.SpreadChecks, 0, 50)
	between(p, "openFiles", t.OpenFiles, 0, 100_000_000)
	for path, d := range map[string]Duration{
		"client": t.Timeouts.Client, "connect": t.Timeouts.Connect, "server": t.Timeouts.Server, "queue": t.Timeouts.Queue,
		"httpRequest": t.Timeouts.HTTPRequest, "httpKeepAlive": t.Timeouts.HTTPKeepAlive, "tunnel": t.Timeouts.Tunnel, "check": t.Timeouts.Check,
	} {
		d.within(p, "timeouts."+path, time.Millisecond, 24*time.Hour)
	}
	t.HardStopAfter.within(p, "hardStopAfter", time.Second, 24*time.Hour)
	for status := range t.ErrorPages {
		status.check(p, "errorPages")
	}
	seen := map[Port]bool{}
	for i, b := range t.Ports {
		b.Port.check(p, index("ports", i)+".port")
		oneOf(p, index("ports", i)+".mode", string(b.Mode), PortHTTP, PortHTTPS, PortTCP, PortTLSTCP, PortTLSPassthrough)
		if seen[b.Port] {
			p.Add(index("ports", i)+".port", "%d is listed twice; a port has one mode in a group", b.Port)
		}
		seen[b.Port] = true
	}
	t.ZoneReturn.validate(p)
	t.RateLimits.validate(p)
	t.Stats.validate(p, t.Ports)
	t.validateNameservers(p)
	checkUser(p, "user", t.User)
	checkUser(p, "group", t.Group)
}

// References are the error pages.
func (t *Tuning) References() []Reference { return pageReferences(t.ErrorPages) }

func maskAll(list []netip.Prefix) {
	for i, r := range list {
		list[i] = canonicalPrefix(r)
	}
}
