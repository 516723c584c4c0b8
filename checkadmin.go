package weir

// checkAdmins refuses a change after which nobody could administer the control plane any more: a way in that
// was there, a token whose subject is admin of everything, must remain.
func (c *checker) checkAdmins() {
	for r := range c.written {
		if (r.Kind != "Grant" && r.Kind != "Token") || !wayIn(c.before) || wayIn(c.after) {
			continue
		}
		c.add(r, "", "it is the last way in for an admin: give another subject the right admin on role \"*\", and a token, first")
		return
	}
}

// wayIn says whether some token's subject is admin of everything.
func wayIn(s *Set) bool {
	admins := map[string]bool{}
	for o := range s.All("Grant") {
		if g := o.Spec.(*Grant); g.Right == Admin && g.Role == "*" {
			admins[g.Subject] = true
		}
	}
	for o := range s.All("Token") {
		if t := o.Spec.(*Token); !t.Enrols() && admins[t.Subject] {
			return true
		}
	}
	return false
}
