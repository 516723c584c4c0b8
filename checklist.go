package weir

// listsOf: what values are held against has strings.
func (c *checker) listsOf(o Ref, path string, m *RouteMatch) {
	m.values(func(field string, values []ValueMatch) {
		for i := range values {
			if l := Find[AccessList](c.after, "AccessList", values[i].AccessList); l != nil && l.Strings == nil {
				c.add(o, index("spec."+path+"."+field, i)+".accessList", "AccessList/%s has no strings; a value is held against those of a list", values[i].AccessList)
			}
		}
	})
}

func (c *checker) siteLists(o *Object, s *Site) {
	for i := range s.Routes {
		c.listsOf(o.Ref(), index("routes", i)+".match", &s.Routes[i].Match)
	}
}

// accessList: a list that changes has strings still where values are held against them.
func (c *checker) accessList(o *Object, l *AccessList) {
	if l.Strings != nil {
		if l.wordsAlone() {
			c.noClients(o)
		}
		return
	}
	var list sample
	for _, kind := range []string{"Site", "Route"} {
		for r := range c.after.ReferrersOf(kind, o.Ref()) {
			if user := c.after.Get(r); user != nil && !c.written[r] && holdsValues(user, o.Metadata.Name) {
				list.add(r.String())
			}
		}
	}
	if !list.empty() {
		c.add(o.Ref(), "spec.strings", "%s to it, with values that are held against its strings; it needs some", list.refer())
	}
}

// noClients: a list of strings alone is none that logic looks clients up in.
func (c *checker) noClients(o *Object) {
	var list sample
	for _, kind := range []string{"Logic", "Site", "Pool"} {
		for r := range c.after.ReferrersOf(kind, o.Ref()) {
			if user := c.after.Get(r); user != nil && !c.written[r] && looksUp(user, o.Metadata.Name) {
				list.add(r.String())
			}
		}
	}
	if !list.empty() {
		c.add(o.Ref(), "spec.networks", "%s to it, with logic that looks clients up in it; without a network and with strings no client would ever be found", list.refer())
	}
}

// looksUp says that logic looks clients up in a list, because its text says so or a value.
func looksUp(o *Object, list string) bool {
	if o.Kind == "Logic" {
		return true
	}
	uses, _ := LogicOf(o)
	for _, use := range uses {
		for _, v := range use.With {
			if v.AccessList == list {
				return true
			}
		}
	}
	return false
}

// holdsValues says that an object holds values against the strings of a list.
func holdsValues(o *Object, list string) bool {
	var matches []*RouteMatch
	switch spec := o.Spec.(type) {
	case *Site:
		for i := range spec.Routes {
			matches = append(matches, &spec.Routes[i].Match)
		}
	case *Route:
		matches = append(matches, &spec.Match)
	}
	found := false
	for _, m := range matches {
		m.values(func(_ string, values []ValueMatch) {
			for i := range values {
				found = found || values[i].AccessList == list
			}
		})
	}
	return found
}
