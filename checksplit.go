package weir

// split: it is the site's own role's, and the site takes it.
func (c *checker) split(o *Object, s *Split) {
	site := c.after.Get(Ref{"Site", s.Site})
	if site == nil {
		return // told with the references
	}
	for _, why := range unfitSplit(o, s, site) {
		c.add(o.Ref(), "spec."+why.Path, "%s", why.Message)
	}
	for r := range c.after.ReferrersOf("Split", site.Ref()) {
		if other := Find[Split](c.after, r.Kind, r.Name); r != o.Ref() && other.Backend == s.Backend {
			c.add(o.Ref(), "spec.backend", "%s divides backend %q of %s already; change that one", r, clip(s.Backend), site.Ref())
		}
	}
}

// unfitSplit says why a site does not take a split.
func unfitSplit(o *Object, s *Split, site *Object) []Problem {
	var p Problems
	spec := site.Spec.(*Site)
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
		for _, why := range unfitSplit(other, other.Spec.(*Split), o) {
			c.add(o.Ref(), "spec", "%s could not stay: spec.%s: %s", r, why.Path, why.Message)
		}
	}
}
