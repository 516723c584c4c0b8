package weirtest

import (
	"fmt"
	"slices"
	"time"

	"weir"
)

var backendNames = []string{"api", "static", "old"}

func (w *world) site(name, role string) *weir.Site {
	s := &weir.Site{Mode: pick(w.rng, "http", "http", "http", "http", "tcp", "tls-passthrough")}
	if s.Mode != "tcp" {
		s.Hostnames = []string{name + ".example.com"}
		for _, more := range []string{"*." + name + ".example.com", "shared.example.com", "bücher.example"} {
			if w.some(4) {
				s.Hostnames = append(s.Hostnames, more)
			}
		}
		if w.some(8) {
			s.Hostnames = []string{"*"}
		}
	}
	for range 1 + w.rng.IntN(3) {
		if a := w.anyName("IPAddress", role); a != "" && !slices.Contains(s.Addresses, a) {
			s.Addresses = append(s.Addresses, a)
		}
	}
	w.listeners(s, role)
	names := append([]string{"default"}, backendNames...)
	if s.Mode != "http" {
		names = names[:1]
	}
	s.Backends = map[string]weir.Backend{}
	for _, n := range names {
		if n == "default" || w.some(2) {
			if b, ok := w.backend(s.PoolMode(), role); ok {
				s.Backends[n] = b
			}
		}
	}
	if name := w.anyName("RateLimit", role); name != "" && w.some(4) {
		s.RateLimits = []string{name}
	}
	if w.Egress && s.Mode == "http" && w.some(4) {
		return w.egressSite(s)
	}
	s.Routing = w.routing(s, role)
	if s.Mode == "http" {
		if w.some(3) {
			s.Delegates = []weir.Delegation{{Role: "media", Path: "/media"}}
		}
		w.routes(s, role)
		s.Logic = w.logics(role)
		if w.some(8) {
			s.Maintenance = w.maintenance(role)
		}
		if w.some(4) {
			s.Log = &weir.SiteLog{RequestHeaders: map[string]int{pick(w.rng, "User-Agent", "X-Trace"): 1 + w.rng.IntN(128)}, Strip: []string{pick(w.rng, "X-Sql-Count", "X-Debug", "Server")}}
			if w.some(2) {
				s.Log.ResponseHeaders = map[string]int{"X-Request-Guid": 36}
			}
		}
		if page := w.anyName("ErrorPage", role); page != "" && w.some(3) {
			s.ErrorPages = map[weir.Status3]string{pick(w.rng, weir.Status3(404), 502, 503): page}
		}
	}
	return s
}

func (w *world) listeners(s *weir.Site, role string) {
	secure := false
	for _, p := range w.Ports {
		l := weir.Listener{Port: p.Port}
		if p.Mode == weir.PortHTTPS || p.Mode == weir.PortTLSTCP {
			cert := w.anyName("Certificate", role)
			if cert == "" {
				continue
			}
			l.TLS = &weir.ListenerTLS{Certificates: []string{cert}, Profile: pick(w.rng, append([]string{""}, weir.TLSProfiles...)...)}
			if s.Mode == "http" && l.TLS.Profile == "modern" {
				l.TLS.HSTS = &weir.HSTS{MaxAge: new(weir.Duration(time.Hour)), IncludeSubdomains: len(s.Addresses) > 1}
			}
			l.TLS.HTTP3 = s.Mode == "http" && l.TLS.Profile == "legacy"
			if twin := w.anyName("Certificate", role); twin != cert && w.some(3) {
				l.TLS.Certificates = append(l.TLS.Certificates, twin)
			}
		}
		if s.PortMode(l) != p.Mode || w.some(2) {
			continue
		}
		secure = secure || l.TLS != nil
		s.Listeners = append(s.Listeners, l)
	}
	for i := range s.Listeners {
		if secure && s.Mode == "http" && s.Listeners[i].TLS == nil && w.some(3) {
			s.Listeners[i].Redirect = "https"
		}
	}
}

func (w *world) backend(mode, role string) (weir.Backend, bool) {
	var pools []string
	from := &weir.Object{Metadata: weir.Metadata{Role: role}}
	for o := range w.set.All("Pool") {
		if o.Spec.(*weir.Pool).Mode == mode && from.MayReferTo(o) {
			pools = append(pools, o.Metadata.Name)
		}
	}
	if len(pools) == 0 {
		return weir.Backend{}, false
	}
	if w.some(3) {
		return weir.Backend{Pool: pick(w.rng, pools...)}, true
	}
	b := weir.Backend{Zones: map[string]string{}}
	for z := range w.Zones {
		if !w.some(4) {
			b.Zones[zoneName(z)] = pick(w.rng, pools...)
		}
	}
	return b, len(b.Zones) > 0
}

func (w *world) routes(s *weir.Site, role string) {
	for _, backend := range backendNames {
		if _, ok := s.Backends[backend]; !ok {
			continue
		}
		r := weir.SiteRoute{Backend: backend}
		switch w.rng.IntN(5) {
		case 0:
			r.Match.Path = &weir.PathMatch{Exact: fmt.Sprintf("/%s/index.html", backend)}
		case 1:
			r.Match.Path = &weir.PathMatch{Prefix: fmt.Sprintf("/%s/", backend)}
		case 2:
			r.Match.Path = &weir.PathMatch{Regex: fmt.Sprintf(`/%s-[0-9]+(/.*)?`, backend)}
		case 3:
			r.Match.AccessList = w.anyName("AccessList", role)
		case 4:
			r = weir.SiteRoute{Match: weir.RouteMatch{Map: w.anyName("Map", role)}}
		}
		if r.Match.Simple() {
			s.Routes = append(s.Routes, r)
		}
	}
	w.actions(s, role)
}

// route adds to a site, of another role when it delegates to it.
func (w *world) route(name, role string) *weir.Route {
	r := &weir.Route{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: "/media/" + name}}, Action: weir.RouteAction{Backend: "default"}}
	if w.some(3) {
		r.Match.Method, r.Action = "DELETE", weir.RouteAction{Deny: 405}
		r.Match.Schedule = w.anyName("Schedule", role)
	}
	if site := w.any("Site", ""); site != nil {
		r.Site = site.Metadata.Name
	}
	return r
}

// actions adds routes that do more than naming a backend, at paths of their own.
func (w *world) actions(s *weir.Site, role string) {
	for _, r := range []struct {
		path   string
		action weir.RouteAction
	}{
		{"/closed", weir.RouteAction{Deny: 403}},
		{"/moved", weir.RouteAction{Redirect: &weir.Redirect{Prefix: "/to"}}},
		{"/other", weir.RouteAction{Redirect: &weir.Redirect{Scheme: "https", Host: "other.example.com", Code: 301}}},
		{"/inside/", weir.RouteAction{Backend: "default", Rewrite: &weir.Rewrite{Prefix: "/"}}},
		{"/trap", weir.RouteAction{Tarpit: true}},
		{"/marked", weir.RouteAction{Backend: "default", ResponseHeaders: &weir.HeaderChanges{Set: map[string]string{"x-marked": "a; b"}}}},
	} {
		if _, ok := s.Backends["default"]; ok && w.some(12) {
			s.Routes = append(s.Routes, weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: r.path}}, Action: &r.action})
		}
	}
	for _, m := range []weir.RouteMatch{
		{Method: "DELETE", Path: &weir.PathMatch{Prefix: "/kept"}},
		{Method: "PUT", Host: s.Hostnames[0], Path: &weir.PathMatch{Regex: "/kept/[0-9]+"}},
		{Headers: []weir.ValueMatch{{Name: "X-Walk", Prefix: pick(w.rng, "a", "b c", "(`|$")}}, AccessList: w.anyName("AccessList", role)},
		{Headers: []weir.ValueMatch{{Name: "X-Listed", AccessList: w.listOfStrings(role)}}},
		{Cookies: []weir.ValueMatch{{Name: "walk", Present: true}}, Query: []weir.ValueMatch{{Name: "walk", Regex: "[0-9]+;?"}}},
	} {
		if w.some(16) && !slices.ContainsFunc(m.Headers, func(v weir.ValueMatch) bool { return v == weir.ValueMatch{Name: v.Name} }) {
			s.Routes = append(s.Routes, weir.SiteRoute{Match: m, Action: &weir.RouteAction{Deny: 405}})
		}
	}
}

// listOfStrings names an AccessList that has strings, "" for none.
func (w *world) listOfStrings(role string) string {
	if o := w.any("AccessList", role); o != nil && o.Spec.(*weir.AccessList).Strings != nil {
		return o.Metadata.Name
	}
	return ""
}
