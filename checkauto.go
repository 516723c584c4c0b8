package weir

import (
	"fmt"
	"strings"
)

// autoListener: it is clear whom a listener with certificates: auto orders from, who gives such names to such a role.
func (c *checker) autoListener(o *Object, s *Site, l Listener, path string) {
	role := o.Metadata.Role
	if l.TLS.Issuer == "" {
		c.add(o.Ref(), path+".issuer", "%s", c.whichIssuer(role))
		return
	}
	issuer := Find[Issuer](c.after, "Issuer", l.TLS.Issuer)
	if issuer == nil {
		return
	}
	if !issuer.Serves(role) {
		c.add(o.Ref(), path+".issuer", "Issuer/%s is for the roles %s, not for %s; name another, or ask an admin", l.TLS.Issuer, strings.Join(issuer.Roles, ", "), role)
	}
	for i, h := range s.Hostnames {
		if strings.HasPrefix(h, "*.") && !issuer.Wildcards() {
			c.add(o.Ref(), index("spec.hostnames", i), "a wildcard takes an issuer of challenge dns-01 or of type ca, and Issuer/%s, of which port %d has certificates ordered, proves names by http-01; name another there, or list Certificates", l.TLS.Issuer, l.Port)
		}
	}
	c.orderQuota(o, s, l, path)
}

// whichIssuer says why none could be chosen.
func (c *checker) whichIssuer(role string) string {
	var list sample
	for o := range c.after.All("Issuer") {
		if o.Spec.(*Issuer).Serves(role) && list.add(o.Ref().String()) {
			break
		}
	}
	switch {
	case !list.empty():
		return fmt.Sprintf("is required: which Issuer is meant is not clear without it; there are %s, and an admin can make one of them the default", list)
	case c.after.Len("Issuer") > 0:
		return fmt.Sprintf("no Issuer gives certificates to %s; ask an admin, or list Certificates", whom(role))
	}
	return "there is no Issuer to order certificates from; an admin has to write one, or list Certificates"
}

// orderQuota counts what is to be ordered like what is there. It is looked at when the site wants something new.
func (c *checker) orderQuota(o *Object, s *Site, l Listener, path string) {
	owner := o.Metadata.Role
	role := Find[Role](c.after, "Role", owner)
	if role == nil {
		return
	}
	most, bound := role.Quotas["Certificate"]
	key := owner + "\x00orders"
	if !bound || c.full[key] {
		return
	}
	fresh := false
	for _, order := range s.Orders(owner, l) {
		fresh = fresh || c.after.Get(order.Ref()) == nil
	}
	if !fresh {
		return
	}
	have := c.after.Owned(owner, "Certificate")
	for _, w := range c.wanted() {
		if w.Role == owner && c.after.Get(w.Ref()) == nil {
			have++
		}
	}
	if have > most {
		if c.full == nil {
			c.full = map[string]bool{}
		}
		c.full[key] = true
		c.add(o.Ref(), path+".certificates", "role %s would have %d Certificates with those that are to be ordered; its quota is %d: delete some, or ask for more", owner, have, most)
	}
}

func (c *checker) wanted() map[string]Wanted {
	if c.orders == nil {
		c.orders = c.after.Orders()
	}
	return c.orders
}

// origin: what the control plane has ordered stays what its name says, and nobody else makes anything of the kind.
func (c *checker) origin(old, now *Object) {
	own := false
	if old != nil {
		_, own = OrderOf(old)
	}
	_, is := OrderOf(now)
	switch name := now.Metadata.Name; {
	case own && !is:
		c.add(now.Ref(), "spec", "is ordered by Weir%s; of it only renewAt, revoked and labels are changed by hand: change the site, or list a Certificate of another name there", c.forWhom(name))
	case own:
	case now.Metadata.ManagedBy == ManagedByWeir && !is:
		c.add(now.Ref(), "metadata.managedBy", "%q is for what listeners with certificates: auto have ordered; leave it out, or name another", ManagedByWeir)
	case is && len(c.wanted()[name].Sites) == 0:
		c.add(now.Ref(), "metadata.managedBy", "no site wants this certificate by certificates: auto; when one does, Weir makes it by itself")
	case !is && old == nil && (name == auto || strings.HasPrefix(name, orderPrefix)):
		c.add(now.Ref(), "metadata.name", "auto, and names that begin with %s, are for what listeners with certificates: auto have ordered; take another", orderPrefix)
	}
}

// stillWanted: what a site wants ordered is not taken away from it.
func (c *checker) stillWanted(old *Object) {
	if order, ok := OrderOf(old); ok && len(c.wanted()[old.Metadata.Name].Sites) > 0 {
		c.add(old.Ref(), "", "can't be deleted: it is ordered by Weir%s; take %q out of its hostnames, or list Certificates there", c.forWhom(old.Metadata.Name), order.Hostname)
	}
}

func (c *checker) forWhom(name string) string {
	var list sample
	for _, site := range c.wanted()[name].Sites {
		if list.add(site.String()) {
			break
		}
	}
	if list.empty() {
		return ""
	}
	return fmt.Sprintf(" for %s, where a listener says certificates: auto", list)
}
