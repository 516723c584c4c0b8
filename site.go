package weir

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"
)

// Site is one service at its names, addresses and ports, in one or more zones.
type Site struct {
	// Mode is http, tcp or tls-passthrough.
	Mode string `json:"mode,omitempty"`
	// Hostnames are what the site answers to; "*.example.com" for everything below, up to five labels, "*" for
	// whatever no other site at the address claims. A tcp site has none. Below the wildcard of another role only
	// what the Role's own hostnames list can be claimed.
	Hostnames []string `json:"hostnames,omitempty"`
	// Addresses name the IPAddresses of the site; several sites may share one by port or hostname.
	Addresses []string   `json:"addresses"`
	Listeners []Listener `json:"listeners"`
	// Backends are names with one pool per zone, or one pool for all zones; "default" takes what no route takes.
	Backends map[string]Backend `json:"backends,omitempty"`
	// Routes are looked at from the most specific on: those with an access list; those with
	// a host; exact paths; the longest prefix; regexes; no path; of equal paths those with a method, then those with
	// more headers, queries and cookies; then those with a schedule; then in the order of the list. Maps come last. As soon as one of them is more than a prefix with a backend, paths
	// are brought into their normal form first, for the routes and for the servers.
	Routes []SiteRoute `json:"routes,omitempty"`
	// RateLimits name the limits that each client of the site is held to; all of them count.
	RateLimits []string `json:"rateLimits,omitempty"`
	// Logic names the Logics that are asked about each request, after the site's routes have been found and before a zone
	// is; in this order.
	Logic []LogicUse `json:"logic,omitempty"`
	// Delegates let other roles add Routes.
	Delegates []Delegation `json:"delegates,omitempty"`
	// ErrorPages replace HAProxy's own error texts, by status.
	ErrorPages map[Status3]string `json:"errorPages,omitempty"`
	// Maintenance closes the site: clients get a page. It is opened by leaving the field out again.
	Maintenance *SiteMaintenance `json:"maintenance,omitempty"`
	// Log says which headers the access log holds, and which clients never see.
	Log *SiteLog `json:"log,omitempty"`
	// Routing says which zone a request goes to. When left out that is the home zone of the address that it came to, while
	// a server is up there, and else any other alike.
	Routing *SiteRouting `json:"routing,omitempty"`
	// Egress makes an http site a way out, by which applications call Partners as EgressRules let them. It has no backends,
	// routes, logic or routing then.
	Egress *SiteEgress `json:"egress,omitempty"`
}

// Backend says which pool serves in each zone. It is written as {az1: web-az1, az2: web-az2}, or as one name
// for all zones.
type Backend struct {
	// Pool is for all zones; Zones is then nil.
	Pool  string
	Zones map[string]string
}

// MarshalJSON writes the short form for one pool.
func (b Backend) MarshalJSON() ([]byte, error) {
	if b.Zones == nil {
		return json.Marshal(b.Pool)
	}
	return json.Marshal(b.Zones)
}

// UnmarshalJSON reads either form.
func (b *Backend) UnmarshalJSON(raw []byte) error {
	*b = Backend{}
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &b.Pool)
	}
	return json.Unmarshal(raw, &b.Zones)
}

// Pools lists the pools by zone, in the order of the zones' names; the zone is "" for a pool of all zones.
func (b Backend) Pools() iter.Seq2[string, string] {
	return func(yield func(zone, pool string) bool) {
		if b.Zones == nil {
			yield("", b.Pool)
			return
		}
		for _, zone := range sortedKeys(b.Zones) {
			if !yield(zone, b.Zones[zone]) {
				return
			}
		}
	}
}

// PoolMode gives the mode that the site's pools must have.
func (s *Site) PoolMode() string {
	if s.Mode == "http" {
		return "http"
	}
	return "tcp"
}

// Normalize fills the defaults and brings hostnames into their canonical form.
func (s *Site) Normalize() {
	setDefault(&s.Mode, "http")
	s.Maintenance.normalize()
	canonicalAll(s.Hostnames)
	s.Routing.normalize()
	for i := range s.Listeners {
		if t := s.Listeners[i].TLS; t != nil {
			t.normalize(s.Mode)
		}
	}
	for i := range s.Routes {
		s.Routes[i].normalize()
	}
	for i := range s.Delegates {
		s.Delegates[i].Path = NormalPath(s.Delegates[i].Path)
	}
}

// Validate checks everything that a site says by itself.
func (s *Site) Validate(p *Problems) {
	oneOf(p, "mode", s.Mode, "http", "tcp", "tls-passthrough")
	checkHostnames(p, "hostnames", s.Hostnames)
	if s.Mode == "tcp" && len(s.Hostnames) > 0 {
		p.Add("hostnames", "a tcp site is told by address and port and has no hostnames")
	}
	if s.Mode != "tcp" && len(s.Hostnames) == 0 {
		p.Add("hostnames", `needs at least one, or "*" for every name`)
	}
	if len(s.Addresses) == 0 {
		p.Add("addresses", "needs at least one IPAddress")
	}
	names(p, "addresses", s.Addresses)
	s.validateListeners(p)
	s.validateBackends(p)
	s.validateRouting(p)
	for i, r := range s.Routes {
		s.validateRoute(p, index("routes", i), r, s.Routes[:i])
	}
	validateTogether(p, s.Routes)
	s.validateDelegates(p)
	if s.Mode != "http" && len(s.Routes)+len(s.ErrorPages) > 0 {
		p.Add("mode", "routes and errorPages need mode http")
	}
	if s.Mode != "http" && s.Log != nil {
		p.Add("log", "is of headers, and needs mode http")
	}
	s.Log.validate(p)
	s.validateEgress(p)
	if s.Maintenance != nil && s.Mode != "http" {
		p.Add("maintenance", "needs mode http: a connection of another kind can't be answered with a page")
	}
	s.Maintenance.validate(p, "maintenance")
	for status := range s.ErrorPages {
		status.check(p, "errorPages")
	}
	validateLogic(p, s.Mode, s.Logic)
	names(p, "rateLimits", s.RateLimits)
	if n := len(s.RateLimits); n > MaxRateLimits {
		p.Add("rateLimits", "names %d; at most %d are allowed", n, MaxRateLimits)
	}
}

func (s *Site) validateBackends(p *Problems) {
	serves := slices.ContainsFunc(s.Listeners, func(l Listener) bool { return l.Redirect == "" })
	if _, ok := s.Backends["default"]; !ok && serves && s.Egress == nil {
		p.Add("backends", `needs a backend "default"`)
	}
	for _, name := range sortedKeys(s.Backends) {
		path := "backends." + clip(name)
		if err := CheckName(name); err != nil {
			p.Add(path, "the name %s", err)
		}
		if s.Mode != "http" && name != "default" {
			p.Add(path, `only http sites have backends besides "default"`)
		}
		b := s.Backends[name]
		if b.Zones == nil {
			required(p, path, b.Pool)
		} else if len(b.Zones) == 0 {
			p.Add(path, "needs a pool for at least one zone")
		}
		for _, zone := range sortedKeys(b.Zones) {
			required(p, path+"."+clip(zone), b.Zones[zone])
		}
	}
}

// References are addresses, certificates, zones, pools, lists, maps, limits, logic and pages.
func (s *Site) References() []Reference {
	list := each(nil, "addresses", "IPAddress", s.Addresses)
	for i, l := range s.Listeners {
		switch path := index("listeners", i) + ".tls."; {
		case l.TLS == nil:
		case l.TLS.Certificates.Auto():
			// Its Certificates come and go by themselves.
			list = optional(list, path+"issuer", "Issuer", l.TLS.Issuer)
		default:
			list = each(list, path+"certificates", "Certificate", l.TLS.Certificates)
		}
	}
	for _, name := range sortedKeys(s.Backends) {
		for zone, pool := range s.Backends[name].Pools() {
			path := "backends." + name
			if zone != "" {
				path += "." + zone
				list = optional(list, path, "Zone", zone)
			}
			list = optional(list, path, "Pool", pool)
		}
	}
	for i, r := range s.Routes {
		list = r.references(list, index("routes", i))
	}
	if r := s.Routing; r != nil {
		for _, zone := range sortedKeys(r.Weights) {
			list = optional(list, "routing.weights."+zone, "Zone", zone)
		}
		list = optional(list, "routing.fallback", "Pool", r.Fallback)
	}
	list = each(list, "rateLimits", "RateLimit", s.RateLimits)
	list = logicReferences(list, s.Logic)
	if s.Egress != nil {
		list = optional(list, "egress.clientAuthority", "Certificate", s.Egress.ClientAuthority)
	}
	list = s.Maintenance.references(list, "maintenance")
	return append(list, pageReferences(s.ErrorPages)...)
}

func canonicalAll(list []string) {
	for i, h := range list {
		if c, err := CanonicalHostname(h); err == nil {
			list[i] = c
		}
	}
}

func checkHostnames(p *Problems, path string, list []string) {
	unique(p, path, list)
	for i, h := range list {
		checkHostname(p, index(path, i), h)
	}
}

// checkHostname asks for the canonical form, which Normalize has made of all that have one.
func checkHostname(p *Problems, path, h string) {
	if c, err := CanonicalHostname(h); err != nil {
		p.Add(path, "%s", err)
	} else if c != h {
		p.Add(path, "%q must be written as %q", clip(h), c)
	}
}

func checkToken(p *Problems, path, v string) {
	if len(v) > 64 || strings.IndexFunc(v, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) >= 0 {
		p.Add(path, "%q may hold only letters, digits, '-' and '_', at most 64", clip(v))
	}
}

func splitComma(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, part := range strings.Split(s, ",") {
			if !yield(strings.Trim(part, " ")) {
				return
			}
		}
	}
}
