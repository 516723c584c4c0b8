package weir

import "slices"

// reserved are names that subjects begin with which are nobody's who signs in.
var reserved = []string{"discovery", "registration", "weir"}

// identityProvider: what was granted to people of one issuer is never given to those whom another one calls the same.
func (c *checker) identityProvider(r Ref, old, now *Object) {
	if now != nil {
		i := now.Spec.(*IdentityProvider)
		if slices.Contains(reserved, r.Name) {
			c.add(r, "metadata.name", "%s/… are the authors of Weir's own changes; take another name", r.Name)
		}
		if cert := Find[Certificate](c.after, "Certificate", i.Authority); cert != nil && cert.HasKey() {
			c.add(r, "spec.authority", "Certificate/%s has a key; an authority to believe is one without", i.Authority)
		}
		if old != nil && old.Spec.(*IdentityProvider).Issuer == i.Issuer {
			return
		}
	}
	var list sample
	for o := range c.after.All("Grant") {
		g := o.Spec.(*Grant)
		if g.Provider() == r.Name && !c.written[o.Ref()] && (now != nil || !g.toGroup()) && list.add(o.Ref().String()) {
			break
		}
	}
	switch {
	case list.empty():
	case now == nil:
		c.add(r, "", "%s would be left for whoever is called so by another provider of the name; delete %s in the same change", list, list.them())
	case old == nil:
		c.add(r, "metadata.name", "%s would give rights to whoever the provider calls so; delete %s first, write %s again in the same change, or take another name", list, list.them(), list.them())
	default:
		c.add(r, "spec.issuer", "%s would give rights to whoever the new issuer calls so; delete %s first, write %s anew in the same change, or make a provider of another name", list, list.them(), list.them())
	}
}
