package compile

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// group is everything about a group but the members of its pools, as it was worked out last.
type group struct {
	stamps   [len(skeletal)]*weir.Stamp
	node     ir.Node // its pools have no servers
	problems problems
	missing  bool
	// balancers are the load balancers that it was worked out with.
	balancers []balancer
	shifts    shifts
	// lists are the AccessLists of the node with what they were made of: they are long, and go on to the next node.
	lists map[string]list
}

type list struct {
	of *weir.AccessList
	ir ir.AccessList
}

// skeletal are the kinds that a skeleton is made of.
var skeletal = [...]string{
	certificateAt: "Certificate",
	"Zone", "Tuning", "LoadBalancerGroup", "LoadBalancer", "IPAddress", "ErrorPage", "AccessList", "RateLimit", "Logic", "Map", "Pool", "Site", "Route", "Schedule", "Split",
	"EgressClient", "Partner", "SLA", "EgressRule",
}

const certificateAt = 0

// fresh says that the group needs not be worked out again. Of load balancers it holds but what balancer has, and those of other
// groups come and go without it.
func (g *group) fresh(set *weir.Set) bool {
	for i, kind := range skeletal {
		if g.stamps[i] == set.Stamp(kind) {
			continue
		}
		if kind != "LoadBalancer" || g.missing || !slices.Equal(g.balancers, balancersOf(set, g.node.Group.Name)) {
			return false
		}
		g.stamps[i] = set.Stamp(kind)
	}
	return true
}

// balancer is what a group's load balancers bring to what they have in common.
type balancer struct{ name, zone, namespace string }

// balancersOf gives the load balancers of a group, by name.
func balancersOf(set *weir.Set, group string) (list []balancer) {
	for r := range set.ReferrersOf("LoadBalancer", weir.Ref{Kind: "LoadBalancerGroup", Name: group}) {
		lb := weir.Find[weir.LoadBalancer](set, r.Kind, r.Name)
		list = append(list, balancer{r.Name, lb.Zone, lb.Namespace})
	}
	return list
}

// stamp notes what the group was worked out of.
func (g *group) stamp(set *weir.Set) {
	for i, kind := range skeletal {
		g.stamps[i] = set.Stamp(kind)
	}
}

// builder puts one group together.
type builder struct {
	*group
	past   *group
	set    *weir.Set
	ref    weir.Ref
	served map[string]bool          // addresses of the group
	sites  []string                 // that have one of the addresses, by name
	usable map[string]bool          // pools that were looked at
	shown  map[string]bool          // pages that were looked at
	modes  map[weir.Port]portHolder // of ports
	claims map[string]weir.Ref      // host names, and every name at an address and port
	orders map[[2]string][]string   // certificates that were ordered, by role and host name; made when asked for
}

type portHolder struct {
	mode weir.PortMode
	ref  weir.Ref
}

// skeleton works a group out; past is what it was before, nil for nothing.
func skeleton(set *weir.Set, name string, past *group) *group {
	b := &builder{
		group: &group{lists: map[string]list{}}, past: past, set: set, ref: weir.Ref{Kind: "LoadBalancerGroup", Name: name}, served: map[string]bool{},
		usable: map[string]bool{}, shown: map[string]bool{}, modes: map[weir.Port]portHolder{}, claims: map[string]weir.Ref{},
	}
	b.stamp(set)
	spec := weir.Find[weir.LoadBalancerGroup](set, b.ref.Kind, name)
	if spec == nil {
		b.missing = true
		b.problems.add(b.ref, "", "does not exist")
		return b.group
	}
	b.node.Group = ir.Group{Name: name, Ranges: sortedNetworks(spec.Ranges)}
	if t := spec.TrustedProxies; t != nil {
		b.node.Group.ProxyProtocol = sortedNetworks(t.ProxyProtocol)
		b.node.Group.ForwardedFor = sortedNetworks(t.ForwardedFor)
	}
	if spec.Drift != weir.DriftCorrect { // what agents do that have never heard of it
		b.node.Group.Drift = spec.Drift
	}
	b.tuning(spec)
	b.addresses(spec)
	b.zones()
	for _, site := range b.sites {
		b.site(site)
	}
	b.sortSplits()
	b.withoutHTTP3()
	b.egress()
	b.collect()
	b.problems = b.problems.sorted()
	return b.group
}

func (b *builder) exists(kind, name string) bool {
	return b.set.Get(weir.Ref{Kind: kind, Name: name}) != nil
}

func (b *builder) tuning(spec *weir.LoadBalancerGroup) {
	t := &b.node.Tuning
	if found := weir.Find[weir.Tuning](b.set, "Tuning", spec.Tuning); found != nil {
		t.Name, t.Tuning = spec.Tuning, *found
	} else {
		if spec.Tuning != "" {
			b.problems.add(b.ref, "spec.tuning", "Tuning/%s does not exist; the defaults hold", spec.Tuning)
		}
		t.Normalize()
	}
	if t.ZoneReturn.Usual() { // what agents do that have never heard of it
		t.ZoneReturn = nil
	}
	ref := weir.Ref{Kind: "Tuning", Name: t.Name}
	t.ErrorPages = b.pages(ref, t.ErrorPages)
	t.Ports = slices.Clone(t.Ports)
	slices.SortFunc(t.Ports, func(x, y weir.BoundPort) int { return int(x.Port) - int(y.Port) })
	for _, p := range t.Ports {
		b.modes[p.Port] = portHolder{p.Mode, ref}
	}
}

func (b *builder) addresses(spec *weir.LoadBalancerGroup) {
	taken := map[netip.Addr]string{}
	sites := map[string]bool{}
	for r := range b.set.ReferrersOf("IPAddress", b.ref) {
		a := weir.Find[weir.IPAddress](b.set, r.Kind, r.Name)
		if a == nil {
			continue
		}
		if !spec.Holds(a.Address) {
			b.problems.add(r, "spec.groups", "%s is in none of the ranges of group %s, which does not serve it", a.Address, b.ref.Name)
			continue
		}
		if other, ok := taken[a.Address]; ok {
			b.problems.add(r, "spec.address", "%s is IPAddress/%s already; this one is not served", a.Address, other)
			continue
		}
		taken[a.Address] = r.Name
		home := a.HomeZone
		if home != "" && !b.exists("Zone", home) {
			b.problems.add(r, "spec.homeZone", "Zone/%s does not exist; the address has no home", home)
			home = ""
		}
		b.served[r.Name] = true
		b.node.Addresses = append(b.node.Addresses, ir.Address{Name: r.Name, Address: a.Address, HomeZone: home})
		for s := range b.set.ReferrersOf("Site", r) {
			sites[s.Name] = true
		}
	}
	slices.SortFunc(b.node.Addresses, func(x, y ir.Address) int { return strings.Compare(x.Name, y.Name) })
	b.sites = sortedKeys(sites)
}

// zones gives each zone that the group spans a slot, in the order of their names: those of its load balancers,
// of its addresses' homes and of its sites' backends. A zone that is new to the group and sorts between others
// moves those behind it, which changes values of maps at run time and nothing else.
func (b *builder) zones() {
	zones := map[string]bool{}
	note := func(r weir.Ref, path, zone string) {
		if zone == "" {
			return
		}
		if !b.exists("Zone", zone) {
			b.problems.add(r, path, "Zone/%s does not exist; what is meant for it is left out", zone)
			return
		}
		zones[zone] = true
	}
	b.balancers = balancersOf(b.set, b.ref.Name)
	for _, lb := range b.balancers {
		note(weir.Ref{Kind: "LoadBalancer", Name: lb.name}, "spec.zone", lb.zone)
	}
	for _, a := range b.node.Addresses {
		zones[a.HomeZone] = true
	}
	delete(zones, "")
	for _, name := range b.sites {
		r := weir.Ref{Kind: "Site", Name: name}
		for backend, pools := range weir.Find[weir.Site](b.set, r.Kind, name).Backends {
			for zone := range pools.Pools() {
				note(r, "spec.backends."+backend, zone)
			}
		}
	}
	b.node.Group.Zones = sortedKeys(zones)
	if n := len(zones); n > ir.Slots {
		b.problems.add(b.ref, "", "spans %d zones; the first %d by name are served, %s are left out", n, ir.Slots, strings.Join(b.node.Group.Zones[ir.Slots:], ", "))
		b.node.Group.Zones = b.node.Group.Zones[:ir.Slots]
	}
}

// collect adds what the sites that are served need.
func (b *builder) collect() {
	pools, certificates, lists, used, pages, limits, schedules, logics := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range b.node.Sites {
		mark(certificates, s.ClientAuthority)
		for _, l := range s.Listeners {
			if l.TLS != nil {
				mark(certificates, l.TLS.Certificates...)
			}
		}
		for _, backend := range s.Backends {
			mark(pools, backend.Pool)
			mark(pools, backend.Slots...)
		}
		if s.Routing != nil {
			mark(pools, s.Routing.Fallback)
		}
		for _, r := range s.Routes {
			for _, l := range r.Match.Lists("match") {
				mark(lists, l.Name)
			}
			mark(schedules, r.Match.Schedule)
			mark(used, r.Match.Map)
			if page := r.Does().Page; page != nil && b.shown[page.Name] {
				mark(pages, page.Name)
			}
		}
		if m := s.Maintenance; m != nil {
			mark(lists, m.Except)
			mark(schedules, m.Schedule)
			mark(pages, m.Page)
		}
		mark(limits, s.RateLimits...)
		b.markLogic(logics, lists, used, s.Logic)
		mark(pages, slices.Collect(maps.Values(s.ErrorPages))...)
	}
	for _, s := range b.node.Splits {
		mark(schedules, s.Schedule)
	}
	mark(pages, slices.Collect(maps.Values(b.node.Tuning.ErrorPages))...)
	for i := range b.node.Pools { // services of partners
		if t := b.node.Pools[i].TLS; t != nil {
			mark(certificates, t.CA, t.ClientCertificate)
		}
		for _, m := range b.node.Pools[i].Endpoint.Closed {
			mark(lists, m.Except)
			mark(schedules, m.Schedule)
			mark(pages, m.Page)
		}
	}
	for _, name := range sortedKeys(pools) {
		p := head(b.set.Get(weir.Ref{Kind: "Pool", Name: name}))
		if p.TLS != nil {
			mark(certificates, p.TLS.CA, p.TLS.ClientCertificate)
		}
		p.Logic = b.poolLogic(p.Name)
		b.markLogic(logics, lists, used, p.Logic)
		b.node.Pools = append(b.node.Pools, p)
	}
	slices.SortFunc(b.node.Pools, func(x, y ir.Pool) int { return strings.Compare(x.Name, y.Name) })
	for _, name := range sortedKeys(limits) {
		l := b.rateLimit(name)
		if l.Soft != nil {
			mark(pages, l.Soft.ErrorPage)
		}
		mark(lists, l.Exempt...)
		for _, at := range l.Schedules {
			mark(schedules, at.Schedule)
		}
		b.node.Limits = append(b.node.Limits, l)
	}
	for i := range b.node.Rules {
		mark(schedules, b.node.Rules[i].Schedule)
	}
	for _, name := range sortedKeys(schedules) {
		s := weir.Find[weir.Schedule](b.set, "Schedule", name)
		b.node.Schedules = append(b.node.Schedules, ir.Schedule{Name: name, From: s.From, Until: s.Until})
	}
	for _, name := range sortedKeys(logics) {
		b.node.Logics = append(b.node.Logics, b.logic(name, lists, used))
	}
	for _, name := range sortedKeys(lists) {
		b.node.Lists = append(b.node.Lists, b.list(name))
	}
	for _, name := range sortedKeys(used) {
		m := weir.Find[weir.Map](b.set, "Map", name)
		b.node.Maps = append(b.node.Maps, ir.Map{Name: name, Match: m.Match, Entries: m.Entries})
	}
	for _, name := range sortedKeys(pages) {
		page := weir.Find[weir.ErrorPage](b.set, "ErrorPage", name)
		b.node.Pages = append(b.node.Pages, ir.Page{Name: name, ContentType: page.ContentType, Body: page.Body})
	}
	for _, name := range sortedKeys(certificates) {
		b.node.Certificates = append(b.node.Certificates, certificate(name, weir.Find[weir.Certificate](b.set, "Certificate", name)))
	}
}

// list gives an AccessList, which keeps its place in memory as long as it is the same.
func (b *builder) list(name string) ir.AccessList {
	spec := weir.Find[weir.AccessList](b.set, "AccessList", name)
	l := list{of: spec}
	if b.past != nil {
		l = b.past.lists[name]
	}
	if l.of != spec || l.ir.Name == "" {
		l = list{spec, ir.AccessList{Name: name, Networks: sortedNetworks(spec.Networks), Strings: spec.Strings}}
	}
	b.lists[name] = l
	return l.ir
}

// mark notes names, but not the empty one.
func mark(set map[string]bool, names ...string) {
	for _, name := range names {
		if name != "" {
			set[name] = true
		}
	}
}

func certificate(name string, spec *weir.Certificate) ir.Certificate {
	c := ir.Certificate{Name: name, Chain: spec.Chain, Key: spec.KeyRef}
	if spec.Info == nil {
		return c
	}
	for _, n := range spec.Info.Names {
		if _, err := netip.ParseAddr(n); err != nil {
			c.Names = append(c.Names, n)
		}
	}
	slices.Sort(c.Names)
	c.Names = slices.Compact(c.Names)
	return c
}
