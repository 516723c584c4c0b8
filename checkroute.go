package weir

import "strings"

// mayRefer is MayReferTo, but for a Route and its Site, which says itself whom it lets add any.
func mayRefer(o, target *Object) bool {
	return o.Kind == "Route" && target.Kind == "Site" || o.MayReferTo(target)
}

// route: the site takes it.
func (c *checker) route(o *Object, r *Route) {
	site := c.after.Get(Ref{"Site", r.Site})
	if site == nil {
		return // told with the references
	}
	for _, why := range c.unfit(o, r, site) {
		c.add(o.Ref(), "spec."+why.Path, "%s", why.Message)
	}
	c.listsOf(o.Ref(), "match", &r.Match)
	list, owners := AllRoutes(c.after, r.Site)
	for i := range list {
		if owners[i] != o.Ref() && list[i].Match.Same(&r.Match) {
			name := owners[i].String()
			if owners[i].Kind == "Site" {
				name += ", " + index("routes", i) + ","
			}
			c.add(o.Ref(), "spec.match", "%s matches the same; change that, or match something else", name)
		}
	}
	c.routesTogether(o.Ref(), "spec.match", list)
}

func (c *checker) routesTogether(o Ref, path string, list []SiteRoute) {
	var p Problems
	validateTogether(&p, list)
	for _, why := range p.List() {
		c.add(o, path, "with all routes of the site: %s", why.Message)
	}
}

// unfit says why a site does not take a route.
func (c *checker) unfit(o *Object, r *Route, site *Object) []Problem {
	var p Problems
	s, role := site.Spec.(*Site), o.Metadata.Role
	if s.Mode != "http" {
		p.Add("site", "%s has mode %s; only http sites have routes", site.Ref(), s.Mode)
		return p.List()
	}
	if r.Match.Map != "" {
		p.Add("match.map", "is for a Site's own routes: its values name backends for any path")
	}
	if role != "" && role != site.Metadata.Role && !s.delegates(role, &r.Match) {
		p.Add("match.path", "%s is of role %s, %s; match.path must be exact or a prefix at or below such a path", site.Ref(), site.Metadata.Role, delegatedTo(s, role))
	}
	if role != site.Metadata.Role {
		r.Match.values(func(field string, list []ValueMatch) {
			for i := range list {
				if err := checkSafeRegex(list[i].Regex); err != nil {
					p.Add(index("match."+field, i)+".regex", "%s; %s is of role %s, which it must not take down: write it in the syntax that RE2 and PCRE share", err, site.Ref(), site.Metadata.Role)
				}
			}
		})
	}
	if h := r.Match.Host; h != "" && !s.answers(h) {
		p.Add("match.host", "%q is none of the host names of %s", clip(h), site.Ref())
	}
	if b := r.Action.Backend; b != "" {
		if _, ok := s.Backends[b]; !ok {
			p.Add("action.backend", "%q is no backend of %s; its owner adds it there", clip(b), site.Ref())
		}
	}
	return p.List()
}

func delegatedTo(s *Site, role string) string {
	var paths []string
	for _, d := range s.Delegates {
		if d.Role == role {
			paths = append(paths, d.Path)
		}
	}
	if len(paths) == 0 {
		return "which delegates nothing to role " + role + ": its owner adds {role: " + role + ", path: /…} to spec.delegates"
	}
	return "which delegates to role " + role + " " + strings.Join(paths, ", ")
}

// siteRoutes: a site that changes still takes the Routes that stay as they are.
func (c *checker) siteRoutes(o *Object, s *Site) {
	others := false
	for ref := range c.after.ReferrersOf("Route", o.Ref()) {
		other := c.after.Get(ref)
		if other == nil || c.written[ref] {
			continue
		}
		others = true
		r := other.Spec.(*Route)
		for _, why := range c.unfit(other, r, o) {
			c.add(o.Ref(), "spec", "%s could not stay: spec.%s: %s", ref, why.Path, why.Message)
		}
		for i := range s.Routes {
			if s.Routes[i].Match.Same(&r.Match) {
				c.add(o.Ref(), index("spec.routes", i)+".match", "%s matches the same; change that, or match something else", ref)
			}
		}
	}
	if others {
		list, _ := AllRoutes(c.after, o.Metadata.Name)
		c.routesTogether(o.Ref(), "spec.routes", list)
	}
}
