package weir

// split: it is the site's own role's, and the site takes it.
func (c *checker) split(o *Object, s *Split) {
	site := c.after.Get(Ref{"Site", s.Site})
	if site == nil {
		return // told with the references
	}
	for _, why := range c.unfitSplit(o, s, site) {
		c.add(o.Ref(), "spec."+why.Path, "%s", why.Message)
	}
	for r := range c.after.ReferrersOf("Split", site.Ref()) {
		if other := Find[Split](c.after, r.Kind, r.Name); r != o.Ref() && other.Backend == s.Backend {
			c.add(o.Ref(), "spec.backend", "%s divides backend %q of %s already; change that one", r, clip(s.Backend), site.Ref())
		}
	}
}

// unfitSplit says why a site does not take a split.
func (c *checker) unfitSplit(o *Object, s *Split, site *Object) []Problem {
	var p Problems
	spec := site.Spec.(*Site)
	if spec.Egress != nil {
		c.unfitCalls(&p, o, s, site)
		return p.List()
	}
	if role := o.Metadata.Role; role != "" && role != site.Metadata.Role {
		p.Add("site", "%s is not role %s's; its own owners divide its traffic", site.Ref(), role)
	}
	if spec.Mode != "http" {
		p.Add("site", "%s has mode %s; only http sites can be divided", site.Ref(), spec.Mode)
		return p.List()
	}
	for i, l := range s.Legs {
		if _, ok := spec.Backends[l.Backend]; !ok {
			p.Add(index("legs", i)+".backend", "%q is no backend of %s; add it there", clip(l.Backend), site.Ref())
		}
	}
	return p.List()
}

// siteSplits: a site that changes still takes the Splits that stay as they are.
func (c *checker) siteSplits(o *Object) {
	for r := range c.after.ReferrersOf("Split", o.Ref()) {
		other := c.after.Get(r)
		if other == nil || c.written[r] {
			continue
		}
		for _, why := range c.unfitSplit(other, other.Spec.(*Split), o) {
			c.add(o.Ref(), "spec", "%s could not stay: spec.%s: %s", r, why.Path, why.Message)
		}
	}
}

// unfitCalls says why an egress site does not take a split. Who owns all services that are legs may divide them, as he may
// give each other addresses; and since rules are for environments, a split leads into no other one.
func (c *checker) unfitCalls(p *Problems, o *Object, s *Split, site *Object) {
	role := o.Metadata.Role
	foreign := ""
	for i, l := range s.Legs {
		path := index("legs", i) + ".backend"
		partner, environment, service, ok := l.Called()
		if !ok {
			p.Add(path, "%q is no service; %s leads to partners: write partner/environment/service", clip(l.Backend), site.Ref())
			continue
		}
		of := c.after.Get(Ref{"Partner", partner})
		if of == nil {
			continue // told with the references
		}
		if role != of.Metadata.Role {
			foreign = of.Ref().String()
		}
		if spec := of.Spec.(*Partner); spec.Endpoint(environment, service) == nil {
			p.Add(path, "%s has no %s/%s; it has %s", of.Ref(), environment, service, offers(spec))
		}
		if _, first, _, ok := s.Legs[0].Called(); ok && environment != first {
			p.Add(path, "is in environment %s; those who may call %s may call environment %s alone", environment, s.Backend, first)
		}
	}
	if role != "" && role != site.Metadata.Role && foreign != "" {
		p.Add("site", "neither %s nor %s is role %s's; the owners of the site divide its calls, or those of all services that are legs", site.Ref(), foreign, role)
	}
}

// partnerSplits: a partner that changes still has the services that Splits divide which stay as they are.
func (c *checker) partnerSplits(o *Object) {
	for r := range c.after.ReferrersOf("Split", o.Ref()) {
		other := c.after.Get(r)
		if other == nil || c.written[r] {
			continue
		}
		s := other.Spec.(*Split)
		site := c.after.Get(Ref{"Site", s.Site})
		if site == nil || c.written[site.Ref()] {
			continue
		}
		for _, why := range c.unfitSplit(other, s, site) {
			c.add(o.Ref(), "spec", "%s could not stay: spec.%s: %s", r, why.Path, why.Message)
		}
	}
}
