package haproxy

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir/internal/ir"
)

// egressMaps fills the maps of calls to partners.
func (r *renderer) egressMaps(sets *listSets) {
	if !r.egresses(0) {
		return
	}
	for _, path := range egressFiles {
		r.maps[path] = orEmpty(r.maps[path]) // those that the text names
	}
	callers := map[string]*ir.EgressClient{}
	for i := range r.node.Clients {
		callers[r.node.Clients[i].Name] = &r.node.Clients[i]
	}
	for i := range r.node.Sites {
		if s := &r.node.Sites[i]; s.Egress != nil {
			r.egressSite(s)
		}
	}
	for i := range r.node.Clients {
		if c := &r.node.Clients[i]; c.Subject != "" {
			r.put(mapEgressSubjects, c.Name, fmt.Sprintf("%X", sha256.Sum256([]byte(c.Subject))), "EgressClient/"+c.Name)
		}
	}
	r.egressSources()
	r.egressRules(callers)
	r.closedCalls(sets)
	for i := range r.node.SLAs {
		l := &r.node.SLAs[i]
		again := "no"
		if l.Retries != nil {
			again = l.Retries.Methods
		}
		r.put(mapEgressLevels, l.Name, fmt.Sprintf("%d:%d:%d:%d:%s:%s", l.Connect.Ms(), l.Server.Ms(), l.Client.Ms(), l.InFlight, again, l.Connections), "SLA/"+l.Name)
	}
}

// egressSite lets the applications of its environments call by a site, and leads to all services.
func (r *renderer) egressSite(s *ir.Site) {
	owner := "Site/" + s.Name
	r.put(mapEgress, s.Name, "1", owner)
	for i := range r.node.Clients {
		c := &r.node.Clients[i]
		app, _, _ := strings.Cut(c.Caller(), "/")
		r.put(mapEgressWho, app, "1", "EgressClient/"+c.Name)
		if slices.Contains(s.Egress, c.Environment) {
			r.put(mapEgressWho, s.Name+"|"+c.Caller(), c.Name, "EgressClient/"+c.Name)
		}
	}
	for i := range r.node.Pools {
		p := &r.node.Pools[i]
		if p.Endpoint == nil {
			continue
		}
		route, name, owner := s.Name+"/"+p.Name, r.names[p.Name], ir.PoolOwner(p.Name)
		slots := slices.Repeat([]string{none}, ir.Slots)
		slots[0] = name
		r.put(mapZones, route, strings.Join(slots, ":"), owner)
		for _, address := range s.Addresses {
			r.put(mapPools, route+"@"+address, name, owner)
		}
	}
}

// egressSources gives each network the set of callers that call from there, those of wider networks included.
func (r *renderer) egressSources() {
	from := map[netip.Prefix][]string{}
	for i := range r.node.Clients {
		for _, network := range r.node.Clients[i].Sources {
			from[network] = append(from[network], r.node.Clients[i].Name)
		}
	}
	if len(from) > 0 {
		for _, network := range holdIPv4 {
			from[network] = slices.Clip(from[network])
		}
	}
	sets := map[string]string{}
	for _, network := range slices.SortedFunc(maps.Keys(from), netip.Prefix.Compare) {
		var all []string
		for bits := network.Bits(); bits >= 0; bits-- {
			all = append(all, from[netip.PrefixFrom(network.Addr(), bits).Masked()]...)
		}
		slices.Sort(all)
		all = slices.Compact(all)
		key := strings.Join(all, ",")
		if sets[key] == "" {
			sets[key] = callersSet(key)
			for i := range r.node.Clients {
				if c := &r.node.Clients[i]; slices.Contains(all, c.Name) {
					r.put(mapEgressWho, sets[key]+"|"+c.Caller(), "1", "EgressClient/"+c.Name)
				}
			}
		}
		owner := append(all, r.node.Clients[0].Name)[0]
		r.put(mapEgressNets, network.String(), sets[key], "EgressClient/"+owner)
	}
}

// holdIPv4 are networks of IPv6 whose addresses hold one of IPv4, as which HAProxy looks them up in no network of IPv6: who
// comes from there does not come from it. That of ::ffff:192.0.2.1 is left out, which is how a socket of both tells of IPv4.
var holdIPv4 = []netip.Prefix{netip.MustParsePrefix("::/96"), netip.MustParsePrefix("2002::/16")}

// callersSet names the set of some EgressClients as no Site can be called, beside which it stands in one map, and as nobody
// finds other EgressClients for.
func callersSet(names string) string {
	sum := sha256.Sum256([]byte(names))
	return fmt.Sprintf("from:%x", sum[:16])
}

// grant is what one rule lets through to one service at one level.
type grant struct {
	rule     string
	methods  []string // nil for any
	paths    []string // "/" for any
	schedule string   // "" for at any time
}

// egressRules fills what each call needs a rule for. Of several rules that let the same call through each adds to the
// others.
func (r *renderer) egressRules(callers map[string]*ir.EgressClient) {
	grants, to := map[string][]grant{}, map[string]string{}
	for i := range r.node.Rules {
		rule := &r.node.Rules[i]
		g := grant{rule.Name, rule.Methods, rule.Paths, rule.Schedule}
		if len(g.paths) == 0 {
			g.paths = []string{"/"}
		}
		for _, name := range rule.Clients {
			c := callers[name]
			if c == nil {
				continue
			}
			for _, e := range r.endpointsOf(rule, c.Environment) {
				for _, level := range rule.SLAs {
					key := strings.Join([]string{c.Caller(), e.Partner, e.Environment, e.Service, level}, "/")
					grants[key] = append(grants[key], g)
					to[key] = e.Pool()
				}
			}
		}
	}
	times := r.hours(grants)
	for _, key := range sortedKeys(grants) {
		r.grants(key, to[key], grants[key], times)
	}
}

// endpointsOf gives the services that a rule lets a client of an environment call.
func (r *renderer) endpointsOf(rule *ir.EgressRule, environment string) (list []*ir.Endpoint) {
	if rule.Environment != "" {
		environment = rule.Environment
	}
	prefix := rule.Partner + "." + environment + "."
	i, _ := slices.BinarySearchFunc(r.node.Pools, prefix, func(p ir.Pool, name string) int { return strings.Compare(p.Name, name) })
	for ; i < len(r.node.Pools) && strings.HasPrefix(r.node.Pools[i].Name, prefix); i++ {
		if e := r.node.Pools[i].Endpoint; e != nil && (len(rule.Services) == 0 || slices.Contains(rule.Services, e.Service)) {
			list = append(list, e)
		}
	}
	return list
}

// grant puts down what is let through for one key, and after it where to find what holds by time.
func (r *renderer) grant(key, pool, hours string, list []grant) {
	owner := "EgressRule/" + list[0].rule
	prefixes := map[string]bool{}
	for _, g := range list {
		mark(prefixes, g.paths)
	}
	methods := "paths"
	if len(prefixes) == 1 && prefixes["/"] {
		methods = r.methods(list, "/", owner)
	} else {
		for _, prefix := range sortedKeys(prefixes) {
			r.put(mapEgressPaths, prefixKey(key, prefix), r.methods(list, prefix, owner), owner)
		}
	}
	r.put(mapEgressRules, key, strings.Join([]string{pool, methods, list[0].rule}, "|")+hours, owner)
}

func mark(set map[string]bool, list []string) {
	for _, v := range list {
		set[v] = true
	}
}

// methods gives those that the grants let through at a prefix, "any" for all.
func (r *renderer) methods(list []grant, prefix, owner string) string {
	all := map[string]bool{}
	for _, g := range list {
		if !slices.ContainsFunc(g.paths, func(path string) bool {
			return strings.HasPrefix(prefixKey("", prefix), prefixKey("", path))
		}) {
			continue
		}
		if len(g.methods) == 0 {
			return "any"
		}
		mark(all, g.methods)
	}
	names := sortedKeys(all)
	set := strings.Join(names, ",")
	for _, m := range names {
		r.put(mapEgressMethod, set+"|"+m, "1", owner)
	}
	return set
}

// endpointMaps are what a service says at run time under its backend's name.
func (r *renderer) endpointMaps(e *ir.Endpoint, name, owner string) {
	r.put(mapEgressHost, name, e.Host, owner)
	if e.Path != "" {
		r.put(mapEgressPath, name, e.Path, owner)
	}
	if e.InFlight != 0 {
		r.put(mapEgressRoom, name, strconv.Itoa(e.InFlight), owner)
	}
}
