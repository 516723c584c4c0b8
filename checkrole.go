package weir

import (
	"slices"
	"strings"
)

// MayClaim says whether the role's sites may answer to a hostname: it lists none, or one of those it lists
// covers it. "*.example.com" covers every name below example.com, "*" every name.
func (r *Role) MayClaim(hostname string) bool {
	if len(r.Hostnames) == 0 {
		return true
	}
	return slices.ContainsFunc(r.Hostnames, func(own string) bool {
		if own == "*" || own == hostname {
			return true
		}
		parent, wild := strings.CutPrefix(own, "*")
		return wild && strings.HasSuffix(strings.TrimPrefix(hostname, "*"), parent) && hostname != parent[1:]
	})
}

// MayUse says whether the role's addresses and sites may be served by a group.
func (r *Role) MayUse(group string) bool {
	return len(r.Groups) == 0 || slices.Contains(r.Groups, group)
}

func (c *checker) siteRights(o *Object, s *Site) {
	role := Find[Role](c.after, "Role", o.Metadata.Role)
	if role == nil {
		return
	}
	for i, h := range s.Hostnames {
		if !role.MayClaim(h) {
			c.add(o.Ref(), index("spec.hostnames", i), "role %s may not claim %q, only %s", o.Metadata.Role, h, strings.Join(role.Hostnames, ", "))
		}
	}
	for i, name := range s.Addresses {
		if a := Find[IPAddress](c.after, "IPAddress", name); a != nil {
			c.mayUseGroups(o, index("spec.addresses", i), o.Metadata.Role, a.Groups)
		}
	}
}

func (c *checker) mayUseGroups(o *Object, path, name string, groups []string) {
	role := Find[Role](c.after, "Role", name)
	if role == nil {
		return
	}
	for _, g := range groups {
		if !role.MayUse(g) {
			c.add(o.Ref(), path, "role %s may not use group %s, only %s", name, g, strings.Join(role.Groups, ", "))
		}
	}
}

// quota is looked at when an object is new to its role, so that a lowered quota takes nothing away.
func (c *checker) quota(old, now *Object) {
	owner := now.Metadata.Role
	if owner == "" || old != nil && old.Metadata.Role == owner || now.Metadata.ManagedBy == ManagedByWeir && now.Kind == "Certificate" {
		return // what auto orders was looked at with its site
	}
	role := Find[Role](c.after, "Role", owner)
	if role == nil {
		return
	}
	most, bound := role.Quotas[now.Kind]
	key := owner + "\x00" + now.Kind
	if have := c.after.Owned(owner, now.Kind); bound && have > most && !c.full[key] {
		if c.full == nil {
			c.full = map[string]bool{}
		}
		c.full[key] = true
		c.add(now.Ref(), "metadata.role", "role %s would have %d objects of kind %s; its quota is %d: delete some, or ask for more", owner, have, now.Kind, most)
	}
}

// role: what its objects already claim stays allowed.
func (c *checker) role(old, o *Object, r *Role) {
	if old == nil {
		return
	}
	before := old.Spec.(*Role)
	if slices.Equal(before.Hostnames, r.Hostnames) && slices.Equal(before.Groups, r.Groups) {
		return
	}
	var claims, users sample
	for s := range c.after.ReferrersOf("Site", o.Ref()) {
		site := c.after.Get(s)
		if site == nil || c.written[s] || site.Metadata.Role != o.Metadata.Name {
			continue
		}
		c.suspectSite(s, o.Ref()) // what stands below others' wildcards may do so by the role's list
		spec := site.Spec.(*Site)
		if slices.ContainsFunc(spec.Hostnames, func(h string) bool { return !r.MayClaim(h) }) {
			claims.add(s.String())
		}
		for _, a := range spec.Addresses {
			if ip := Find[IPAddress](c.after, "IPAddress", a); ip != nil && !r.mayUseAll(ip.Groups) {
				users.add(s.String())
			}
		}
	}
	for s := range c.after.ReferrersOf("Certificate", o.Ref()) {
		cert := c.after.Get(s)
		if cert == nil || c.written[s] || cert.Metadata.Role != o.Metadata.Name {
			continue
		}
		if _, ordered := OrderOf(cert); ordered {
			continue // told with the sites that want it
		}
		if slices.ContainsFunc(cert.Spec.(*Certificate).Names, func(h string) bool { return !r.MayClaim(h) }) {
			claims.add(s.String())
		}
	}
	for a := range c.after.ReferrersOf("IPAddress", o.Ref()) {
		ip := c.after.Get(a)
		if ip != nil && !c.written[a] && ip.Metadata.Role == o.Metadata.Name && !r.mayUseAll(ip.Spec.(*IPAddress).Groups) {
			users.add(a.String())
		}
	}
	if !claims.empty() {
		c.add(o.Ref(), "spec.hostnames", "%s would have names that the role may not claim; keep the names, or change them first", claims)
	}
	if !users.empty() {
		c.add(o.Ref(), "spec.groups", "%s would be in groups that the role may not use; keep the groups, or move them first", users)
	}
}

func (r *Role) mayUseAll(groups []string) bool {
	return !slices.ContainsFunc(groups, func(g string) bool { return !r.MayUse(g) })
}
