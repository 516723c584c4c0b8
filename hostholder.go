package weir

import "strings"

// HeldByOthers gives the site that has a name, or one that a wildcard takes in, which is not for a role to have
// certificates of: the site is another role's, the role has none of that name itself, and its hostnames don't say that it
// may. Who takes everything ("*"), and wildcards of the platform's sites, hold no name. ok is false when nobody does.
func (s *Set) HeldByOthers(role, name string) (site Ref, ok bool) {
	if role == "" {
		return Ref{}, false
	}
	if r := Find[Role](s, "Role", role); r == nil || len(r.Hostnames) > 0 {
		return Ref{}, false // what it lists is its own, and it may claim nothing else
	}
	for o := range s.All("Site") {
		for _, h := range o.Spec.(*Site).Hostnames {
			if !overlaps(h, name) || h == "*" || strings.HasPrefix(h, "*.") && o.Metadata.Role == "" {
				continue
			}
			if o.Metadata.Role == role {
				return Ref{}, false
			}
			site, ok = o.Ref(), true
		}
	}
	return site, ok
}

// overlaps says that one of two names is the other, or below it where that is a wildcard.
func overlaps(a, b string) bool {
	below := func(name, wild string) bool {
		parent, is := strings.CutPrefix(wild, "*")
		return is && strings.HasSuffix(name, parent)
	}
	return a == b || below(a, b) || below(b, a)
}
