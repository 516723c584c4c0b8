package weir

// logicOf: what a site or pool names as its logic can be read with the values that it gives,
// and sends requests to its backends.
func (c *checker) logicOf(o *Object) {
	for _, why := range c.unread(o, "") {
		c.add(o.Ref(), why.Path, "%s", why.Message)
	}
}

// unread says why logic that an object names can't be read for it; only names one Logic, "" all of them.
func (c *checker) unread(o *Object, only string) []Problem {
	var p Problems
	uses, context := LogicOf(o)
	for i, use := range uses {
		l := Find[Logic](c.after, "Logic", use.Name)
		if l == nil || only != "" && only != use.Name {
			continue // told with the references
		}
		path := index("spec.logic", i)
		program, problems := l.Bind(use.With, context)
		for _, why := range problems {
			at := path
			if why.Path != "" && why.Path != "spec" {
				at += "." + why.Path
			}
			p.Add(at, "Logic/%s: %s", use.Name, why.Message)
		}
		if len(problems) == 0 {
			c.clientsIn(program.Lists(), func(format string, args ...any) { p.Add(path, "Logic/"+use.Name+": "+format, args...) })
		}
		if s, ok := o.Spec.(*Site); ok && len(problems) == 0 {
			for _, backend := range program.Backends() {
				if _, ok := s.Backends[backend]; !ok {
					p.Add(path, "Logic/%s sends requests to the backend %q, which the site does not have", use.Name, backend)
				}
			}
		}
	}
	return p.list
}

// clientsIn: lists that clients are looked up in hold networks. One that is empty, or whose source has said nothing yet, may.
func (c *checker) clientsIn(lists []string, add func(format string, args ...any)) {
	for _, name := range lists {
		if l := Find[AccessList](c.after, "AccessList", name); l != nil && l.wordsAlone() {
			add("client in looks up the client's address, and AccessList/%s has strings alone; a Site's route can hold a header, a parameter or a cookie against it", name)
		}
	}
}

// LogicOf gives what a Site or Pool names as its logic, in order, and what that is told of it; the zone is the load
// balancer's to say.
func LogicOf(o *Object) ([]LogicUse, LogicContext) {
	switch spec := o.Spec.(type) {
	case *Site:
		return spec.Logic, LogicContext{Site: o.Metadata.Name, Zone: "zone"}
	case *Pool:
		return spec.Logic, LogicContext{Pool: o.Metadata.Name, Zone: "zone"}
	}
	return nil, LogicContext{}
}

// logic: a Logic asks of lists what they have, and when it changes can still be read for those that name it and stay as they are.
func (c *checker) logic(o *Object) {
	var lists []string
	for _, r := range o.Spec.References() {
		if r.Kind == "AccessList" {
			lists = append(lists, r.Name)
		}
	}
	c.clientsIn(lists, func(format string, args ...any) { c.add(o.Ref(), "spec.text", format, args...) })
	for _, kind := range []string{"Site", "Pool"} {
		for r := range c.after.ReferrersOf(kind, o.Ref()) {
			other := c.after.Get(r)
			if other == nil || c.written[r] {
				continue
			}
			for _, why := range c.unread(other, o.Metadata.Name) {
				c.add(o.Ref(), "spec", "%s could not stay: %s: %s", r, why.Path, why.Message)
				return
			}
		}
	}
}
