package haproxy

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// routing fills the maps that say whose a request is and where it goes. Its keys: a host is looked up as
// "www.example.com|IPAddress", a path as "site/path/" where the longest prefix wins, a route as "site/backend". The
// short way looks host and path up at once, as "www.example.com/path/".
func (r *renderer) routing() {
	owner := "LoadBalancerGroup/" + r.node.Group.Name
	for _, p := range r.node.Group.ProxyProtocol {
		r.put(mapProxies, p.String(), "1", owner)
	}
	for _, p := range r.node.Group.ForwardedFor {
		r.put(mapForwarders, p.String(), "1", owner)
	}
	for _, a := range r.node.Addresses {
		local := r.local(a.Address).String()
		r.put(mapVIPs, local, a.Name, "IPAddress/"+a.Name)
	}
	r.challenges()
	r.timeMaps()
	r.splitMaps()
	r.zones()
	sets := r.listSets()
	r.rateLimits(sets)
	r.matcher(sets)
	r.logicMaps(sets)
	r.egressMaps(sets)
	for i := range r.node.Sites {
		s := &r.node.Sites[i]
		r.siteListeners(s)
		r.siteSecurity(s)
		r.siteBackends(s)
		r.siteZones(s)
		r.siteRoutes(s, sets)
		r.siteLogMaps(s)
		r.siteMaintenance(s, sets)
		r.sitePages(s)
		r.siteLimits(s)
	}
	r.joinMaps()
}

// local translates an address of the group to what this machine binds.
func (r *renderer) local(a netip.Addr) netip.Addr { return LocalAddress(r.node.Self, a) }

// LocalAddress gives what a load balancer binds for an address of its group.
func LocalAddress(self ir.Self, a netip.Addr) netip.Addr {
	for _, t := range self.LocalRanges {
		if t.From.Contains(a) {
			return shift(a, t)
		}
	}
	return a
}

// shift keeps the host part of a and takes the network of t.To.
func shift(a netip.Addr, t ir.Translation) netip.Addr {
	from, to := a.AsSlice(), t.To.Addr().AsSlice()
	for bit := t.From.Bits(); bit < len(from)*8; bit++ {
		mask := byte(0x80 >> (bit % 8))
		to[bit/8] = to[bit/8]&^mask | from[bit/8]&mask
	}
	moved, _ := netip.AddrFromSlice(to)
	return moved
}

func (r *renderer) localPort(p weir.Port) weir.Port { return LocalPort(r.node.Self, p) }

// LocalPort gives what a load balancer binds for a port of its group.
func LocalPort(self ir.Self, p weir.Port) weir.Port {
	if to, ok := self.LocalPorts[p]; ok {
		return to
	}
	return p
}

// Redirecting marks a site at a port where it only redirects: no path of it is looked at there.
const Redirecting = "!"

func (r *renderer) siteListeners(s *ir.Site) {
	owner := "Site/" + s.Name
	for _, l := range s.Listeners {
		value := s.Name
		if l.RedirectTo != 0 {
			value = Redirecting + s.Name
			r.put(mapRedirects(l.Port), value, l.RedirectTo.String(), owner)
		}
		for _, address := range s.Addresses {
			if s.Mode == "tcp" {
				r.put(mapHosts(l.Port), address, value, owner)
				continue
			}
			for _, host := range s.Hostnames {
				r.put(mapHosts(l.Port), host+"|"+address, value, owner)
			}
		}
	}
}

// none stands for a zone without a pool where slots are listed; no backend has that name.
const none = "_"

func (r *renderer) siteBackends(s *ir.Site) {
	owner := "Site/" + s.Name
	for _, b := range s.Backends {
		route := s.Name + "/" + b.Name
		slots := slices.Repeat([]string{none}, ir.Slots)
		for i := range r.node.Group.Zones {
			pool := b.Pool
			if pool == "" && i < len(b.Slots) {
				pool = b.Slots[i]
			}
			if name, ok := r.names[pool]; ok {
				slots[i] = name
			}
		}
		everywhere, ok := r.names[b.Pool]
		if ok {
			slots[0] = everywhere
		}
		r.put(mapZones, route, strings.Join(slots, ":"), owner)
		for _, address := range s.Addresses {
			name, home := everywhere, r.homeSlot(address)
			if home > 0 {
				name = slots[home-1]
			}
			if name != "" && name != none && r.usualZones(s, home) {
				r.put(mapPools, route+"@"+address, name, owner)
			}
		}
	}
}

// homeSlot gives the slot of an address's home zone, 0 when it has none that the group spans.
func (r *renderer) homeSlot(address string) int {
	a, ok := r.addresses[address]
	if !ok {
		return 0
	}
	return r.node.Group.Slot(a.HomeZone)
}

// siteRoutes fills the path maps.
func (r *renderer) siteRoutes(s *ir.Site, sets *listSets) {
	owner := "Site/" + s.Name
	for _, route := range s.Routes {
		if !route.Match.Simple() {
			continue // among those of program
		}
		target := r.target(s, &route)
		switch m := route.Match; {
		case m.AccessList != "":
			for _, id := range sets.networks[m.AccessList] {
				r.put(mapListRoutes, s.Name+"|"+id, target, owner)
			}
		case m.Map != "":
			r.siteMap(s, m.Map)
		case m.Path.Exact != "":
			r.put(mapExact, s.Name+"|"+m.Path.Exact, target, owner)
		case m.Path.Regex != "":
			r.push(mapRegexes, regexKey(s.Name, m.Path.Regex), target, owner)
		default:
			r.put(mapPrefixes, prefixKey(s.Name, m.Path.Prefix), target, owner)
		}
	}
	r.program(s)
	if slices.ContainsFunc(s.Routes, func(route weir.SiteRoute) bool { return !route.Plain() }) || len(s.Logic) > 0 {
		r.put(mapNormal, s.Name, "1", owner)
	} else if s.Mode == "http" && len(s.RateLimits) == 0 && len(s.Backends) > 0 && s.Log == nil && s.Maintenance == nil && !r.divided(s.Name) {
		r.shortWay(s)
	}
}

// undecided stands for a route where only the long way knows; no site has that name.
const undecided = "!"

// shortWay fills the maps by which a request of a site whose routes are all prefixes is decided at once: host
// and path, as far as the question mark, begin with a key. The host can't hold a slash, HAProxy refuses such.
// A prefix stands for whole elements of a path: "/api/" is a key, and "/api" is one too, for paths like "/api"
// itself and "/apix", which are left to the long way.
func (r *renderer) shortWay(s *ir.Site) {
	for _, l := range s.Listeners {
		if l.RedirectTo != 0 {
			continue
		}
		for _, host := range s.Hostnames {
			if strings.HasPrefix(host, "*") {
				continue
			}
			for _, spelling := range hostSpellings(host, l) {
				r.shortPaths(s, l.Port, spelling)
			}
		}
	}
}

func (r *renderer) shortPaths(s *ir.Site, p weir.Port, host string) {
	owner, path := "Site/"+s.Name, mapPaths(p)
	// Routes first, as they are: of equal keys the first counts, so that no mark and no default hides a route.
	for _, route := range s.Routes {
		r.put(path, prefixKey(host, route.Match.Path.Prefix), r.target(s, &route), owner)
	}
	r.put(path, host+"/", s.Name+"/default", owner)
	for _, route := range s.Routes {
		if key := prefixKey(host, route.Match.Path.Prefix); key != host+"/" {
			r.put(path, strings.TrimSuffix(key, "/"), undecided, owner)
		}
	}
}

// hostSpellings gives how clients write a host: with the port unless it is the usual one.
func hostSpellings(host string, l ir.Listener) []string {
	usual := weir.Port(80)
	if l.Mode == weir.PortHTTPS {
		usual = 443
	}
	if l.Port == usual {
		return []string{host}
	}
	return []string{host, host + ":" + l.Port.String()}
}

// prefixKey ends with a slash, as the path that is looked up does, so that whole elements match.
func prefixKey(site, prefix string) string { return site + strings.TrimRight(prefix, "/") + "/" }

func regexKey(site, regex string) string { return bounded(`^` + site + `\|(?:` + regex + `)$`) }

func (r *renderer) sitePages(s *ir.Site) {
	for status, name := range s.ErrorPages {
		if p := r.page(name); p != nil {
			owner := "ErrorPage/" + name
			r.put(mapPages(status), s.Name, base64.StdEncoding.EncodeToString([]byte(p.Body)), owner)
			r.put(mapPageTypes, fmt.Sprintf("%d|%s/", status, s.Name), strings.ReplaceAll(p.ContentType, " ", ""), owner)
		}
	}
}

func (r *renderer) page(name string) *ir.Page {
	i := slices.IndexFunc(r.node.Pages, func(p ir.Page) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &r.node.Pages[i]
}
