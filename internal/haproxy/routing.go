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
// "www.example.com|address", a path as "site/path/" where the longest prefix wins, a route as "site/backend".
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
		r.put(mapHomes, local, fmt.Sprint(r.node.Group.Slot(a.HomeZone)), "IPAddress/"+a.Name)
	}
	sets := r.listSets()
	for i := range r.node.Sites {
		s := &r.node.Sites[i]
		r.siteListeners(s)
		r.siteBackends(s)
		r.siteRoutes(s, sets)
		r.sitePages(s)
	}
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

func (r *renderer) localPort(p weir.Port) weir.Port {
	if to, ok := r.node.Self.LocalPorts[p]; ok {
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

// mapHosts is the map of a port: host|address → site, or address → site for tcp.
func mapHosts(p weir.Port) string { return fmt.Sprintf("maps/hosts-%d.map", p) }

// mapRedirects is the map of a port: !site → the port to send clients to.
func mapRedirects(p weir.Port) string { return fmt.Sprintf("maps/redirects-%d.map", p) }

// mapPages is the map of a status: site → page, base64.
func mapPages(status weir.Status3) string { return fmt.Sprintf("maps/page-%d.map", status) }

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
				r.put(mapPools, fmt.Sprintf("%s@%d", route, i+1), name, owner)
			}
		}
		if name, ok := r.names[b.Pool]; ok {
			r.put(mapPools, route+"@0", name, owner)
			slots[0] = name
		}
		r.put(mapZones, route, strings.Join(slots, ":"), owner)
	}
}

// siteRoutes fills the path maps. A site whose routes are all prefixes takes the short way (mapPaths, where
// "site/" is its default); any other kind of route sends the whole site the long way.
func (r *renderer) siteRoutes(s *ir.Site, sets listSets) {
	owner := "Site/" + s.Name
	prefixes := mapPaths
	if slices.ContainsFunc(s.Routes, func(route weir.SiteRoute) bool {
		return route.Match.Path == nil || route.Match.Path.Prefix == ""
	}) {
		prefixes = mapPrefixes
	} else if s.Mode == "http" && len(s.Backends) > 0 {
		r.put(mapPaths, s.Name+"/", s.Name+"/default", owner)
	}
	for _, route := range s.Routes {
		target := s.Name + "/" + route.Backend
		switch m := route.Match; {
		case m.AccessList != "":
			for _, id := range sets.with[m.AccessList] {
				r.put(mapListRoutes, s.Name+"|"+id, target, owner)
			}
		case m.Map != "":
			r.siteMap(s, m.Map)
		case m.Path.Exact != "":
			r.put(mapExact, s.Name+"|"+m.Path.Exact, target, owner)
		case m.Path.Regex != "":
			r.push(mapRegexes, regexKey(s.Name, m.Path.Regex), target, owner)
		default:
			r.put(prefixes, prefixKey(s.Name, m.Path.Prefix), target, owner)
		}
	}
}

// siteMap copies a Map's entries under the site's name, as far as they name backends of the site.
func (r *renderer) siteMap(s *ir.Site, name string) {
	i := slices.IndexFunc(r.node.Maps, func(m ir.Map) bool { return m.Name == name })
	if i < 0 {
		return
	}
	m, owner := r.node.Maps[i], "Map/"+name
	for _, e := range m.Entries {
		if !slices.ContainsFunc(s.Backends, func(b ir.Backend) bool { return b.Name == e.Value }) {
			continue
		}
		target := s.Name + "/" + e.Value
		switch m.Match {
		case "exact":
			r.put(mapUserExact, s.Name+"|"+e.Key, target, owner)
		case "prefix":
			r.put(mapUserPrefixes, prefixKey(s.Name, e.Key), target, owner)
		case "regex":
			r.push(mapUserRegexes, regexKey(s.Name, e.Key), target, owner)
		}
	}
}

// prefixKey ends with a slash, as the path that is looked up does, so that whole elements match.
func prefixKey(site, prefix string) string { return site + strings.TrimRight(prefix, "/") + "/" }

func regexKey(site, regex string) string { return `^` + site + `\|(?:` + regex + `)$` }

// listSets numbers the sets of access lists that some network is in. A client's address finds the narrowest
// network it is in, and that network's set holds every list that covers it.
type listSets struct {
	// with gives, for a list, the ids of the sets that hold it.
	with map[string][]string
}

func (r *renderer) listSets() listSets {
	sets := listSets{with: map[string][]string{}}
	covering := map[netip.Prefix][]string{}
	for _, l := range r.node.Lists {
		for _, n := range l.Networks {
			covering[n] = append(covering[n], l.Name)
		}
	}
	seen := map[string]bool{}
	for network := range covering {
		var in []string
		for bits := network.Bits(); bits >= 0; bits-- {
			wider, _ := network.Addr().Prefix(bits)
			in = append(in, covering[wider]...)
		}
		slices.Sort(in)
		in = slices.Compact(in)
		id := strings.Join(in, "+")
		r.put(mapLists, network.String(), id, "AccessList/"+in[0])
		if !seen[id] {
			seen[id] = true
			for _, name := range in {
				sets.with[name] = append(sets.with[name], id)
			}
		}
	}
	return sets
}

func (r *renderer) sitePages(s *ir.Site) {
	for status, name := range s.ErrorPages {
		if p := r.page(name); p != nil {
			owner := "ErrorPage/" + name
			r.put(mapPages(status), s.Name, base64.StdEncoding.EncodeToString([]byte(p.Body)), owner)
			r.put(mapPageTypes, fmt.Sprintf("%d|%s", status, s.Name), strings.ReplaceAll(p.ContentType, " ", ""), owner)
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
