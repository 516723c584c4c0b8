package weir

import (
	"net/netip"
	"slices"
)

func (c *checker) site(o *Object, s *Site) {
	for _, name := range sortedKeys(s.Backends) {
		for zone, pool := range s.Backends[name].Pools() {
			path := "spec.backends." + name
			if zone != "" {
				path += "." + zone
			}
			if p := Find[Pool](c.after, "Pool", pool); p != nil && p.Mode != s.PoolMode() {
				c.add(o.Ref(), path, "Pool/%s has mode %s; a site of mode %s needs pools of mode %s", pool, p.Mode, s.Mode, s.PoolMode())
			}
		}
	}
	for i, l := range s.Listeners {
		if l.TLS == nil {
			continue
		}
		if l.TLS.Certificates.Auto() {
			c.autoListener(o, s, l, index("spec.listeners", i)+".tls")
			continue
		}
		for j, name := range l.TLS.Certificates {
			if cert := Find[Certificate](c.after, "Certificate", name); cert != nil && !cert.HasKey() {
				c.add(o.Ref(), index(index("spec.listeners", i)+".tls.certificates", j), "Certificate/%s has no key, so clients can't be shown it; give it spec.key", name)
			}
		}
	}
	c.siteLimits(o, s)
	c.siteRoutes(o, s)
	c.siteSplits(o)
	c.siteRights(o, s)
	c.suspectSite(o.Ref(), o.Ref())
}

func (c *checker) pool(old, o *Object, p *Pool) {
	c.sockets(o, p)
	if s := p.Selector; s != nil && o.Metadata.Role != "" && s.Role != o.Metadata.Role && !c.sharesServers(s.Role, o.Metadata.Role) {
		c.add(o.Ref(), "spec.selector.role", "no Server of role %s is shared with role %s; their owner must add that to metadata.shareWith of the Servers", clip(s.Role), o.Metadata.Role)
	}
	if t := p.TLS; t != nil && t.ClientCertificate != "" {
		if cert := Find[Certificate](c.after, "Certificate", t.ClientCertificate); cert != nil && !cert.HasKey() {
			c.add(o.Ref(), "spec.tls.clientCertificate", "Certificate/%s has no key, so servers can't be shown it; give it spec.key", t.ClientCertificate)
		}
	}
	if old != nil && old.Spec.(*Pool).Mode == p.Mode {
		return
	}
	var list sample
	for r := range c.after.ReferrersOf("Site", o.Ref()) {
		if site := Find[Site](c.after, r.Kind, r.Name); !c.written[r] && site != nil && site.PoolMode() != p.Mode && list.add(r.String()) {
			break
		}
	}
	if !list.empty() {
		c.add(o.Ref(), "spec.mode", "%s need the pool in another mode than %s; make a pool of another name, or change them in the same change", list, p.Mode)
	}
}

func (c *checker) sharesServers(owner, with string) bool {
	key := [2]string{owner, with}
	shares, known := c.shares[key]
	if known {
		return shares
	}
	for o := range c.after.All("Server") {
		if shares = o.Metadata.Role == owner && slices.Contains(o.Metadata.ShareWith, with); shares {
			break
		}
	}
	if c.shares == nil {
		c.shares = map[[2]string]bool{}
	}
	c.shares[key] = shares
	return shares
}

func (c *checker) certificate(old, o *Object, cert *Certificate) {
	c.newNames(old, o, cert)
	c.origin(old, o)
	c.ordered(o, cert)
	if cert.HasKey() {
		return
	}
	var list sample
	for r := range c.after.Referrers(o.Ref()) {
		if !c.written[r] && c.shows(r, o.Metadata.Name) && list.add(r.String()) {
			break
		}
	}
	if !list.empty() {
		c.add(o.Ref(), "spec.key", "is required: %s show the certificate", list)
	}
}

// shows says whether an object that refers to a certificate has it shown to somebody, for which it needs a key; others
// believe it.
func (c *checker) shows(r Ref, certificate string) bool {
	switch s := c.after.Get(r).Spec.(type) {
	case *Site:
		return slices.ContainsFunc(s.Listeners, func(l Listener) bool { return l.TLS != nil && slices.Contains(l.TLS.Certificates, certificate) })
	case *Pool:
		return s.TLS != nil && s.TLS.ClientCertificate == certificate
	case *Partner:
		return s.isShown(certificate)
	}
	return false
}

// newNames: tcp sites that show the certificate claim its names.
func (c *checker) newNames(old, o *Object, cert *Certificate) {
	if cert.Info == nil || old != nil && old.Spec.(*Certificate).Info != nil && slices.Equal(old.Spec.(*Certificate).Info.Names, cert.Info.Names) {
		return
	}
	for r := range c.after.ReferrersOf("Site", o.Ref()) {
		if s := Find[Site](c.after, r.Kind, r.Name); s != nil && s.Mode == "tcp" {
			c.suspectSite(r, o.Ref())
		}
	}
}

// suspectSite has what a site claims looked at in all its groups, for the sake of an object that was written.
func (c *checker) suspectSite(site, cause Ref) {
	spec := Find[Site](c.after, site.Kind, site.Name)
	if spec == nil {
		return
	}
	for _, name := range spec.Addresses {
		if a := Find[IPAddress](c.after, "IPAddress", name); a != nil {
			for _, g := range a.Groups {
				c.touch(g, cause).suspect(site, cause)
			}
		}
	}
}

func (c *checker) ipAddress(old, o *Object, a *IPAddress) {
	if old != nil && *old.Spec.(*IPAddress).key() == *a.key() && slices.Equal(old.Spec.(*IPAddress).Groups, a.Groups) && old.Metadata.Role == o.Metadata.Role {
		return
	}
	for _, other := range c.sameAddress(a.Address) {
		if other != o.Metadata.Name {
			c.add(o.Ref(), "spec.address", "%s is IPAddress/%s already; sites can share that one", a.Address, other)
		}
	}
	for i, name := range a.Groups {
		if g := Find[LoadBalancerGroup](c.after, "LoadBalancerGroup", name); g != nil && !g.Holds(a.Address) {
			c.add(o.Ref(), index("spec.groups", i), "%s is in none of the ranges of group %s, %v; take an address of them, or add a range there", a.Address, name, g.Ranges)
		}
	}
	c.mayUseGroups(o, "spec.groups", o.Metadata.Role, a.Groups)
	for r := range c.after.ReferrersOf("Site", o.Ref()) {
		if site := c.after.Get(r); site != nil && !c.written[r] && site.Metadata.Role != o.Metadata.Role {
			c.mayUseGroups(o, "spec.groups", site.Metadata.Role, a.Groups)
		}
	}
	for _, g := range a.Groups {
		t := c.touch(g, o.Ref())
		for r := range c.after.ReferrersOf("Site", o.Ref()) {
			t.suspect(r, o.Ref())
		}
	}
}

type addressKey struct {
	address netip.Addr
	home    string
}

func (a *IPAddress) key() *addressKey { return &addressKey{a.Address, a.HomeZone} }

func (c *checker) sameAddress(a netip.Addr) []string {
	if c.addresses == nil {
		c.addresses = make(map[string][]string, c.after.Len("IPAddress"))
		for o := range c.after.All("IPAddress") {
			key := o.Spec.(*IPAddress).Address.String()
			c.addresses[key] = append(c.addresses[key], o.Metadata.Name)
		}
	}
	return c.addresses[a.String()]
}

// override: the server is there, and is the role's to move: a server of its own, in whatever pools, or a member
// of a pool of its own, whoever owns the server.
func (c *checker) override(o *Object, v *Override) {
	role := o.Metadata.Role
	mine := func(other *Object) bool { return role == "" || other.Metadata.Role == role }
	server := c.after.Get(Ref{"Server", v.Server})
	if server != nil && mine(server) {
		return
	}
	in := func(pool *Object) bool {
		spec := pool.Spec.(*Pool)
		if !mine(pool) {
			return false
		}
		return spec.HasMember(v.Server) || server != nil && spec.Selects(pool.Metadata.Role, server)
	}
	if v.Pool != "" {
		if pool := c.after.Get(Ref{"Pool", v.Pool}); pool != nil && !in(pool) {
			c.add(o.Ref(), "spec.server", "%q is no server of Pool/%s that %s may move", clip(v.Server), v.Pool, whom(role))
		}
		return
	}
	for pool := range c.after.All("Pool") {
		if in(pool) {
			return
		}
	}
	c.add(o.Ref(), "spec.server", "%q is neither a Server nor a static member of a pool that %s may move", clip(v.Server), whom(role))
}

func whom(role string) string {
	if role == "" {
		return "the platform"
	}
	return "role " + role
}

func (c *checker) loadBalancer(o *Object, l *LoadBalancer) {
	c.localRanges(o.Ref(), "spec.localRanges", l.Group, l.LocalRanges)
	c.touch(l.Group, o.Ref())
}

func (c *checker) token(o *Object, t *Token) {
	if t.Join != nil {
		c.localRanges(o.Ref(), "spec.join.localRanges", t.Join.Group, t.Join.LocalRanges)
	}
}

// localRanges: what is translated is the group's, and no two of the group's addresses become one.
func (c *checker) localRanges(o Ref, path, group string, local map[netip.Prefix]netip.Prefix) {
	g := Find[LoadBalancerGroup](c.after, "LoadBalancerGroup", group)
	if g == nil {
		return
	}
	for from, to := range local {
		at := path + "[" + from.String() + "]"
		if !slices.ContainsFunc(g.Ranges, func(r netip.Prefix) bool { return inside(from, r) }) {
			c.add(o, at, "is no part of the ranges of group %s, %v", group, g.Ranges)
		}
		for _, r := range g.Ranges {
			if !to.Overlaps(r) {
				continue
			}
			shared := to
			if to.Bits() < r.Bits() {
				shared = r
			}
			moved := false
			for other := range local {
				moved = moved || inside(shared, other)
			}
			if !moved {
				c.add(o, at, "%s overlaps %s of group %s, which is bound as it is; translate that too, or take another network", to, r, group)
			}
		}
	}
}

func inside(small, large netip.Prefix) bool {
	return large.Bits() <= small.Bits() && large.Contains(small.Addr())
}

func (c *checker) group(old, o *Object, g *LoadBalancerGroup) {
	t := c.touch(o.Metadata.Name, o.Ref())
	if g.Tuning != "" {
		t.suspect(Ref{"Tuning", g.Tuning}, o.Ref())
	}
	if old == nil || slices.Equal(old.Spec.(*LoadBalancerGroup).Ranges, g.Ranges) {
		return
	}
	var list sample
	for r := range c.after.ReferrersOf("IPAddress", o.Ref()) {
		if a := Find[IPAddress](c.after, r.Kind, r.Name); !c.written[r] && a != nil && !g.Holds(a.Address) && list.add(r.String()) {
			break
		}
	}
	if !list.empty() {
		c.add(o.Ref(), "spec.ranges", "%s would be in none of the ranges; keep their range, or move them first", list)
	}
	for r := range c.after.ReferrersOf("LoadBalancer", o.Ref()) {
		if l := Find[LoadBalancer](c.after, r.Kind, r.Name); l != nil && !c.written[r] {
			c.localRanges(r, "spec.localRanges", o.Metadata.Name, l.LocalRanges)
		}
	}
}

func (c *checker) tuning(o *Object) {
	for r := range c.after.ReferrersOf("LoadBalancerGroup", o.Ref()) {
		c.touch(r.Name, o.Ref()).suspect(o.Ref(), o.Ref())
	}
}
