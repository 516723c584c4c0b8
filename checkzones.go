package weir

// routing: the fallback speaks what the site's pools speak.
func (c *checker) routing(o *Object, s *Site) {
	if s.Routing == nil {
		return
	}
	if p := Find[Pool](c.after, "Pool", s.Routing.Fallback); p != nil && p.Mode != s.PoolMode() {
		c.add(o.Ref(), "spec.routing.fallback", "Pool/%s has mode %s; a site of mode %s needs pools of mode %s", s.Routing.Fallback, p.Mode, s.Mode, s.PoolMode())
	}
}

// zoneShift: a role shifts its own sites; those of others, and all, an admin.
func (c *checker) zoneShift(o *Object, z *ZoneShift) {
	if s := Find[Schedule](c.after, "Schedule", z.Schedule); s != nil && s.Until.IsZero() {
		c.add(o.Ref(), "spec.schedule", "Schedule/%s has no until, and a shift must end by itself; give it one, or say expiresAt here", z.Schedule)
	}
	role := o.Metadata.Role
	switch {
	case role == "":
		return
	case z.All:
		c.add(o.Ref(), "spec.all", "shifts the sites of every role, which role %s can't: an admin does it with a ZoneShift without metadata.role, or shift spec.role %s", role, role)
	case z.Role != "" && z.Role != role:
		c.add(o.Ref(), "spec.role", "role %s can't shift the sites of role %s: its own operators do it, or an admin with a ZoneShift without metadata.role", role, clip(z.Role))
	}
	for i, name := range z.Sites {
		if site := c.after.Get(Ref{"Site", name}); site != nil && site.Metadata.Role != role {
			c.add(o.Ref(), index("spec.sites", i), "Site/%s is not role %s's; its own operators shift it, or an admin with a ZoneShift without metadata.role", name, role)
		}
	}
}

// schedule: a shift that goes by one must end by itself.
func (c *checker) schedule(o *Object, s *Schedule) {
	if !s.Until.IsZero() {
		return
	}
	var list sample
	for r := range c.after.ReferrersOf("ZoneShift", o.Ref()) {
		if !c.written[r] && list.add(r.String()) {
			break
		}
	}
	if !list.empty() {
		c.add(o.Ref(), "spec.until", "is required: %s to it, and a shift must end by itself", list.refer())
	}
}

// stillShifted: a site that changes hands is no longer shifted by its old role, and must not come back by surprise.
func (c *checker) stillShifted(old, now *Object) {
	if old == nil || old.Metadata.Role == now.Metadata.Role {
		return
	}
	var list sample
	for r := range c.after.ReferrersOf("ZoneShift", now.Ref()) {
		if o := c.after.Get(r); o != nil && !c.written[r] && o.Metadata.Role != "" && o.Metadata.Role != now.Metadata.Role && list.add(r.String()) {
			break
		}
	}
	if !list.empty() {
		c.add(now.Ref(), "metadata.role", "%s to it and would no longer shift it; end %s in the same change", list.refer(), list.them())
	}
}
