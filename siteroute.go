package weir

import (
	"strings"
)

// SiteRoute says what becomes of the requests that it matches.
type SiteRoute struct {
	Match RouteMatch `json:"match"`
	// Backend is short for an action that sends requests to this backend and does nothing else. A route by map has
	// neither: the map's value is the name of the backend.
	Backend string `json:"backend,omitempty"`
	// Action is everything else that can be done.
	Action *RouteAction `json:"action,omitempty"`
}

// PathMatch holds exactly one of its fields. Paths are held against it in their normal form: without "/./", "/../" and
// "//", with %XX only for what can't stand there as it is. A site all of whose routes are prefixes with a backend looks
// at paths as clients write them.
type PathMatch struct {
	Exact string `json:"exact,omitempty"`
	// Prefix matches whole path elements: /api matches /api and /api/x, not /apis; a trailing slash changes nothing.
	Prefix string `json:"prefix,omitempty"`
	// Regex is a PCRE that must match the whole path.
	Regex string `json:"regex,omitempty"`
}

// Does gives the action of a route, in whichever form it is written.
func (r *SiteRoute) Does() RouteAction {
	if r.Action != nil {
		return *r.Action
	}
	return RouteAction{Backend: r.Backend}
}

// Plain says that a route sends everything below a path to a backend, and does nothing else.
func (r *SiteRoute) Plain() bool {
	return r.Match.Simple() && r.Match.Path != nil && r.Match.Path.Prefix != "" && !strings.Contains(r.Match.Path.Prefix, "%") &&
		r.Does() == RouteAction{Backend: r.Does().Backend}
}

func (r *SiteRoute) normalize() {
	r.Match.normalize()
	if r.Action != nil {
		r.Action.normalize()
	}
}

func (s *Site) validateRoute(p *Problems, path string, r SiteRoute, before []SiteRoute) {
	r.Match.validate(p, path+".match")
	if h := r.Match.Host; h != "" && !s.answers(h) {
		p.Add(path+".match.host", "%q is none of the site's host names", clip(h))
	}
	switch {
	case r.Match.Map != "" && r.Backend != "":
		p.Add(path+".backend", "a route by map has none: the map's values name the backends")
	case r.Match.Map != "" && r.Action != nil:
		p.Add(path+".action", "a route by map has none: the map's values name the backends")
	case r.Match.Map != "":
	case r.Backend != "" && r.Action != nil:
		p.Add(path+".backend", "action says what becomes of the request; name the backend there")
	case r.Action != nil:
		r.Action.validate(p, path+".action", &r.Match)
		s.validateRouteBackend(p, path+".action.backend", r.Action.Backend)
	case r.Backend == "":
		p.Add(path+".backend", "backend or action is required")
	default:
		s.validateRouteBackend(p, path+".backend", r.Backend)
	}
	for i, other := range before {
		if r.Match.Same(&other.Match) {
			p.Add(path+".match", "routes[%d] matches the same", i)
		}
	}
}

func (s *Site) validateRouteBackend(p *Problems, path, name string) {
	if _, ok := s.Backends[name]; name != "" && !ok {
		p.Add(path, "%q is no backend of this site", clip(name))
	}
}

func (m *PathMatch) validate(p *Problems, path string) {
	set := 0
	for field, v := range map[string]string{"exact": m.Exact, "prefix": m.Prefix} {
		if v != "" {
			set++
			if err := checkMatchPath(v); err != nil {
				p.Add(path+"."+field, "%s", err)
			}
		}
	}
	if m.Regex != "" {
		set++
		checkRegex(p, path+".regex", m.Regex)
	}
	if set != 1 {
		p.Add(path, "needs exactly one of exact, prefix and regex")
	}
}

func (r *SiteRoute) references(list []Reference, path string) []Reference {
	list = r.Match.lists(list, path+".match")
	list = optional(list, path+".match.schedule", "Schedule", r.Match.Schedule)
	if page := r.Does().Page; page != nil {
		list = optional(list, path+".action.page.name", "ErrorPage", page.Name)
	}
	return optional(list, path+".match.map", "Map", r.Match.Map)
}
