package weir

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// egressClient: no other one has its place in paths.
func (c *checker) egressClient(o *Object, spec *EgressClient) {
	caller := spec.Caller(o.Metadata.Name)
	for other := range c.after.All("EgressClient") {
		if other != o && other.Spec.(*EgressClient).Caller(other.Metadata.Name) == caller {
			c.add(o.Ref(), "spec.application", "%s is /%s already; take another application or environment", other.Ref(), caller)
			return
		}
	}
}

// egressRule: what it lets through is there.
func (c *checker) egressRule(o *Object, r *EgressRule) {
	for _, why := range unfitRule(c.after, r) {
		c.add(o.Ref(), "spec."+why.Path, "%s", why.Message)
	}
}

// unfitRule says what of a rule has nothing to let through.
func unfitRule(set *Set, r *EgressRule) []Problem {
	var p Problems
	partner := Find[Partner](set, "Partner", r.Partner)
	if partner == nil {
		return nil // told with the references
	}
	for i, name := range r.Clients {
		client := Find[EgressClient](set, "EgressClient", name)
		if client == nil {
			continue
		}
		environment := r.Environment
		if environment == "" {
			environment = client.Environment
		}
		var lacks []string
		for _, service := range r.Services {
			if partner.Endpoint(environment, service) == nil {
				lacks = append(lacks, service)
			}
		}
		switch {
		case len(lacks) > 0:
			p.Add("services", "Partner/%s has no service %s in environment %s; it has %s", r.Partner, strings.Join(lacks, ", "), environment, offers(partner))
		case len(r.Endpoints(partner, client.Environment)) == 0 && r.Environment != "":
			p.Add("environment", "Partner/%s has no environment %s; it has %s", r.Partner, environment, offers(partner))
		case len(r.Endpoints(partner, client.Environment)) == 0:
			p.Add(index("clients", i), "is of environment %s, which Partner/%s does not have: it has %s; name its environment in spec.environment", environment, r.Partner, offers(partner))
		default:
			continue
		}
		return p.List()
	}
	return nil
}

// offers lists the endpoints of a partner, as far as a message has room.
func offers(o *Partner) string {
	var list []string
	for i := range o.Endpoints {
		if i == named {
			list = append(list, "and others")
			break
		}
		list = append(list, o.Endpoints[i].Name())
	}
	return strings.Join(list, ", ")
}

// partner: rules that stay as they are still have what they let through, and what is shown to it has a key.
func (c *checker) partner(o *Object, spec *Partner) {
	for i := range spec.Endpoints {
		t := spec.Endpoints[i].TLS
		if t == nil || t.ClientCertificate == "" {
			continue
		}
		if cert := Find[Certificate](c.after, "Certificate", t.ClientCertificate); cert != nil && !cert.HasKey() {
			c.add(o.Ref(), "spec."+index("endpoints", i)+".tls.clientCertificate", "Certificate/%s has no key, so the partner can't be shown it; give it spec.key", t.ClientCertificate)
		}
	}
	c.rulesOf(o)
	c.partnerSplits(o)
}

// rulesOf: those that refer to an object and stay as they are still fit.
func (c *checker) rulesOf(o *Object) {
	for ref := range c.after.ReferrersOf("EgressRule", o.Ref()) {
		if c.written[ref] {
			continue
		}
		for _, why := range unfitRule(c.after, Find[EgressRule](c.after, ref.Kind, ref.Name)) {
			c.add(o.Ref(), "spec", "%s could not stay: spec.%s: %s", ref, why.Path, why.Message)
		}
	}
}

// siteEgress: the groups that serve an egress site have others of the same environments alone, and of one authority.
func (c *checker) siteEgress(o *Object, s *Site) {
	if path, why := c.egressBeside(o, s); why != "" {
		c.add(o.Ref(), "spec.egress."+path, "%s", why)
	}
}

// addressEgress: egress sites that stay as they are still have alike ones alone beside them, in whatever groups their
// address is now.
func (c *checker) addressEgress(o *Object) {
	for ref := range c.after.ReferrersOf("Site", o.Ref()) {
		if site := c.after.Get(ref); !c.written[ref] {
			if path, why := c.egressBeside(site, site.Spec.(*Site)); why != "" {
				c.add(o.Ref(), "spec.groups", "%s could not stay: spec.egress.%s: %s", ref, path, why)
				return
			}
		}
	}
}

// egressBeside says what keeps an egress site from being served beside the others of its groups, and of which of its fields
// that is.
func (c *checker) egressBeside(o *Object, s *Site) (path, why string) {
	if s.Egress == nil {
		return "", ""
	}
	mine := c.groupsOf(s)
	for other := range c.after.All("Site") {
		spec := other.Spec.(*Site)
		if other == o || spec.Egress == nil {
			continue
		}
		at := slices.IndexFunc(c.groupsOf(spec), func(g string) bool { return slices.Contains(mine, g) })
		switch theirs := spec.Egress; {
		case at < 0:
		case !sameElements(theirs.Environments, s.Egress.Environments):
			return "environments", fmt.Sprintf("LoadBalancerGroup/%s serves %s for %s; a group is for the same environments alone: take another group's address", c.groupsOf(spec)[at], other.Ref(), strings.Join(theirs.Environments, ", "))
		case theirs.ClientAuthority != s.Egress.ClientAuthority:
			return "clientAuthority", fmt.Sprintf("LoadBalancerGroup/%s serves %s, which has %s; all egress sites of a group have the same: a certificate that was shown to one could be shown by a connection to another", c.groupsOf(spec)[at], other.Ref(), cmp.Or(theirs.ClientAuthority, "none"))
		}
	}
	return "", ""
}

// groupsOf lists the groups that serve a site's addresses.
func (c *checker) groupsOf(s *Site) (list []string) {
	for _, name := range s.Addresses {
		if a := Find[IPAddress](c.after, "IPAddress", name); a != nil {
			list = append(list, a.Groups...)
		}
	}
	return list
}

// sameElements says whether two lists hold the same, in whatever order.
func sameElements(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(v string) bool { return !slices.Contains(b, v) })
}
