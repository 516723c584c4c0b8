package weir

import (
	"slices"
	"strings"
)

// ordered: the role may order from the issuer, for these names, and the issuer can prove them.
func (c *checker) ordered(o *Object, cert *Certificate) {
	issuer := Find[Issuer](c.after, "Issuer", cert.Issuer)
	if issuer == nil {
		return
	}
	if !issuer.Serves(o.Metadata.Role) {
		c.add(o.Ref(), "spec.issuer", "Issuer/%s is for the roles %s, not for %s; name another, or ask an admin", cert.Issuer, strings.Join(issuer.Roles, ", "), o.Metadata.Role)
	}
	role := Find[Role](c.after, "Role", o.Metadata.Role)
	for i, name := range cert.Names {
		if strings.HasPrefix(name, "*.") && !issuer.Wildcards() {
			c.add(o.Ref(), index("spec.names", i), "a wildcard takes an issuer of challenge dns-01 or of type ca; Issuer/%s proves names by http-01", cert.Issuer)
		}
		if role != nil && !role.MayClaim(name) {
			c.add(o.Ref(), index("spec.names", i), "role %s may not claim %q, only %s", o.Metadata.Role, name, strings.Join(role.Hostnames, ", "))
		}
		if site, held := c.after.HeldByOthers(o.Metadata.Role, name); held {
			c.add(o.Ref(), index("spec.names", i), "%q is a name of %s, and their roles differ; an admin can list the name in the hostnames of role %s", name, site, o.Metadata.Role)
		}
	}
}

func (c *checker) issuer(o *Object, i *Issuer) {
	if i.Default {
		for other := range c.after.All("Issuer") {
			if other.Metadata.Name != o.Metadata.Name && other.Spec.(*Issuer).Default {
				c.add(o.Ref(), "spec.default", "%s is the default already; take that from it in the same change", other.Ref())
			}
		}
	}
	if i.ACME != nil && i.ACME.Authority != "" {
		if cert := Find[Certificate](c.after, "Certificate", i.ACME.Authority); cert != nil && cert.HasKey() {
			c.add(o.Ref(), "spec.acme.authority", "Certificate/%s has a key; an authority to believe is one without", i.ACME.Authority)
		}
	}
	c.parents(o, i)
	var list sample
	wild := func(name string) bool { return strings.HasPrefix(name, "*.") }
	for r := range c.after.ReferrersOf("Certificate", o.Ref()) {
		cert := c.after.Get(r)
		if cert == nil || c.written[r] {
			continue
		}
		if _, ordered := OrderOf(cert); ordered {
			continue // told with the sites that want it
		}
		spec := cert.Spec.(*Certificate)
		if (!i.Serves(cert.Metadata.Role) || !i.Wildcards() && slices.ContainsFunc(spec.Names, wild)) && list.add(r.String()) {
			break
		}
	}
	for r := range c.after.ReferrersOf("Site", o.Ref()) {
		site := c.after.Get(r)
		if site != nil && !c.written[r] && (!i.Serves(site.Metadata.Role) || !i.Wildcards() && slices.ContainsFunc(site.Spec.(*Site).Hostnames, wild)) && list.add(r.String()) {
			break
		}
	}
	if !list.empty() {
		c.add(o.Ref(), "spec", "%s could not have certificates renewed any more, for its roles or its challenge; change %s first", list, list.them())
	}
}

// parents: what signs an authority is one itself, and none signs itself by way of others.
func (c *checker) parents(o *Object, i *Issuer) {
	seen := map[string]bool{o.Metadata.Name: true}
	for at := i; at.CA != nil && at.CA.Parent != ""; {
		name := at.CA.Parent
		parent := Find[Issuer](c.after, "Issuer", name)
		switch {
		case parent == nil:
			return
		case parent.Type != IssuerCA:
			c.add(o.Ref(), "spec.ca.parent", "Issuer/%s is of type %s; only one of type ca signs another", name, parent.Type)
			return
		case seen[name]:
			c.add(o.Ref(), "spec.ca.parent", "Issuer/%s would sign itself", name)
			return
		}
		seen[name] = true
		at = parent
	}
}
