package weir

import "testing"

// TestNamesOfOthers: a role without a list of host names has no certificates of names that only another role's sites have.
func TestNamesOfOthers(t *testing.T) {
	s := NewSet()
	put := func(kind, name, role string, spec Spec) {
		s.Put(&Object{Kind: kind, Metadata: Metadata{Name: name, Role: role}, Spec: spec})
	}
	put("Role", "web", "", &Role{})
	put("Role", "media", "", &Role{})
	put("Role", "listed", "", &Role{Hostnames: []string{"*.example.com"}})
	put("Site", "shop", "web", &Site{Hostnames: []string{"shop.example.com", "*.shop.example.com"}})
	put("Site", "both", "web", &Site{Hostnames: []string{"both.example.com"}})
	put("Site", "mine", "media", &Site{Hostnames: []string{"both.example.com"}})
	put("Site", "all", "web", &Site{Hostnames: []string{"*"}})
	put("Site", "platform", "", &Site{Hostnames: []string{"*.example.org", "status.example.org"}})
	for _, c := range []struct {
		role, name, holder string
	}{
		{"media", "shop.example.com", "Site/shop"},
		{"media", "a.shop.example.com", "Site/shop"},
		{"media", "*.shop.example.com", "Site/shop"},
		{"media", "status.example.org", "Site/platform"},
		{"media", "x.example.org", ""},
		{"media", "both.example.com", ""},
		{"media", "other.example.net", ""},
		{"web", "shop.example.com", ""},
		{"listed", "shop.example.com", ""},
		{"", "shop.example.com", ""},
	} {
		site, held := s.HeldByOthers(c.role, c.name)
		if want := c.holder; held != (want != "") || held && site.String() != want {
			t.Errorf("%s for role %q: held %v by %s, want %q", c.name, c.role, held, site, want)
		}
	}
}
