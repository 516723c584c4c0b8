package weir

import (
	"strings"
)

// Route adds a route to a Site: one of the site's own role or, below the paths that the Site delegates, of another role.
type Route struct {
	// Site is the name of the Site.
	Site string `json:"site"`
	// Match says which requests it takes. For another role than the site's it needs a path, exact or a prefix, below one
	// that the site delegates to it. There is no map here.
	Match RouteMatch `json:"match"`
	// Action is what becomes of them; its backend is one of the site's.
	Action RouteAction `json:"action"`
}

// Delegation lets another role add Routes below a path.
type Delegation struct {
	// Role is who may.
	Role string `json:"role"`
	// Path is what their Routes must be at or below, by whole elements.
	Path string `json:"path"`
}

// Normalize does what Site's does to its routes.
func (r *Route) Normalize() {
	r.Match.normalize()
	r.Action.normalize()
}

// Validate checks everything that a route says by itself.
func (r *Route) Validate(p *Problems) {
	required(p, "site", r.Site)
	r.Match.validate(p, "match")
	r.Action.validate(p, "action", &r.Match)
}

// References are the site, its lists and pages.
func (r *Route) References() []Reference {
	list := optional(nil, "site", "Site", r.Site)
	list = r.Match.lists(list, "match")
	list = optional(list, "match.schedule", "Schedule", r.Match.Schedule)
	if r.Action.Page != nil {
		list = optional(list, "action.page.name", "ErrorPage", r.Action.Page.Name)
	}
	return list
}

// own gives the route as it would stand among a site's.
func (r *Route) own() SiteRoute { return SiteRoute{Match: r.Match, Action: &r.Action} }

// AllRoutes gives the routes of a site with those that Routes add, which come behind the site's own, by name; owners names
// the object of each.
func AllRoutes(set *Set, name string) (list []SiteRoute, owners []Ref) {
	site := Ref{"Site", name}
	spec := Find[Site](set, "Site", name)
	if spec == nil {
		return nil, nil
	}
	for _, r := range spec.Routes {
		list, owners = append(list, r), append(owners, site)
	}
	for ref := range set.ReferrersOf("Route", site) {
		if r := Find[Route](set, "Route", ref.Name); r != nil {
			list, owners = append(list, r.own()), append(owners, ref)
		}
	}
	return list, owners
}

// delegates says that a site lets a role add routes with a match.
func (s *Site) delegates(role string, m *RouteMatch) bool {
	if m.Path == nil || m.Path.Regex != "" {
		return false
	}
	for _, d := range s.Delegates {
		if d.Role == role && strings.HasPrefix(m.Path.Exact+m.Path.Prefix+"/", strings.TrimRight(d.Path, "/")+"/") {
			return true
		}
	}
	return false
}

func (s *Site) validateDelegates(p *Problems) {
	for i, d := range s.Delegates {
		path := index("delegates", i)
		required(p, path+".role", d.Role)
		if err := checkMatchPath(d.Path); err != nil {
			p.Add(path+".path", "%s", err)
		}
		for j, other := range s.Delegates[:i] {
			if other.Role == d.Role && strings.TrimRight(other.Path, "/") == strings.TrimRight(d.Path, "/") {
				p.Add(path, "delegates[%d] says the same", j)
			}
		}
	}
	if s.Mode != "http" && len(s.Delegates) > 0 {
		p.Add("mode", "delegates need mode http")
	}
}
