package weir

import "strings"

// A name below a wildcard is answered by whoever has the wildcard until somebody claims it: so roles claim none
// below each other's. The same goes for the names in certificates that tcp sites show, because HAProxy chooses
// among all certificates of a port by name, whatever the address.

// shownClaims are the names of the certificates that a tcp site shows, by port.
func (g *groupView) shownClaims(s *Site, ref Ref, take func(claim, holder)) {
	if s.Mode != "tcp" {
		return
	}
	for i, l := range s.Listeners {
		if l.TLS == nil {
			continue
		}
		for j, name := range l.TLS.Certificates {
			cert := Find[Certificate](g.set, "Certificate", name)
			if cert == nil || cert.Info == nil {
				continue
			}
			path := index(index("spec.listeners", i)+".tls.certificates", j)
			for _, n := range cert.Info.Names {
				if c, err := CanonicalHostname(n); err == nil {
					take(claim{host: c, port: l.Port}, holder{ref: ref, path: path, certificate: name})
				}
			}
		}
	}
}

// shown says that the claim is to the name of a certificate at a port.
func (c claim) shown() bool { return c.host != "" && c.port != 0 && c.address == "" }

// over gives the claims to wildcards that would take the claim's name in, the narrowest first.
func (c claim) over(yield func(claim) bool) {
	if c.host == "" || c.host == "*" {
		return
	}
	rest, more := strings.TrimPrefix(c.host, "*."), true
	for {
		if _, rest, more = strings.Cut(rest, "."); !more || !yield(claim{host: "*." + rest, port: c.port}) {
			return
		}
	}
}

// below reports the names of suspects below a wildcard of another role, and those below a suspect's wildcard.
func (c *checker) below(g *groupView, check *groupCheck, each func(bool, func(claim, holder))) {
	wild := map[claim][2]holder{} // of others, of suspects
	for i, suspects := range []bool{false, true} {
		each(suspects, func(cl claim, h holder) {
			if strings.HasPrefix(cl.host, "*.") {
				both := wild[cl]
				both[i] = h
				wild[cl] = both
			}
		})
	}
	if len(wild) == 0 {
		return
	}
	told := map[[2]Ref]bool{}
	for _, suspects := range []bool{true, false} {
		each(suspects, func(cl claim, h holder) {
			for over := range cl.over {
				for i, owner := range wild[over] {
					pair := [2]Ref{h.ref, owner.ref}
					if owner.ref.Kind == "" || !suspects && i == 0 || told[pair] || !c.intrudes(cl, h, owner) {
						continue
					}
					told[pair] = true
					c.intrusion(g, check, cl, over, h, owner)
				}
			}
		})
	}
}

// intrudes says whether h claims a name below owner's wildcard that is not for it: the roles differ, and no
// list of the claiming role's hostnames says that it may. Wildcards of the platform's sites are for everybody,
// and what the platform's sites claim is the admin's word.
func (c *checker) intrudes(cl claim, h, owner holder) bool {
	role, other := c.roleOf(h.ref), c.roleOf(owner.ref)
	if role == other {
		return false
	}
	if cl.shown() {
		return h.certificate != owner.certificate
	}
	if role == "" || other == "" {
		return false
	}
	spec := Find[Role](c.after, "Role", role)
	return spec == nil || len(spec.Hostnames) == 0 || !spec.MayClaim(cl.host)
}

func (c *checker) roleOf(r Ref) string {
	if o := c.after.Get(r); o != nil {
		return o.Metadata.Role
	}
	return ""
}

func (c *checker) intrusion(g *groupView, check *groupCheck, cl, over claim, h, owner holder) {
	blamed, culprit := h, h.ref
	if _, suspect := check.suspects[h.ref]; !suspect {
		blamed, culprit = owner, owner.ref
	}
	cause, path, who := check.suspects[culprit], blamed.path, ""
	if cause != culprit {
		who, path = culprit.String()+": ", causePath[cause.Kind]
	}
	if cl.shown() {
		c.add(cause, path, "%sthe certificate of %s for %q would stand for a name of that of %s, %q, at port %d of group %s; take another port or group",
			who, h.ref, cl.host, owner.ref, over.host, cl.port, g.name)
		return
	}
	c.add(cause, path, "%s%q of %s is below %q of %s in group %s, and their roles differ; an admin can list the name in the hostnames of role %s",
		who, cl.host, h.ref, over.host, owner.ref, g.name, c.roleOf(h.ref))
}
