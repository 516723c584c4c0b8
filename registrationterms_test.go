package weir

import (
	"net/netip"
	"testing"
	"time"
)

func TestRegistrationTermsName(t *testing.T) {
	t.Parallel()
	terms := func(patterns ...string) *RegistrationTerms { return &RegistrationTerms{Names: patterns} }
	for _, c := range []struct {
		terms *RegistrationTerms
		name  string
		may   bool
	}{
		{terms("web-az1-*"), "web-az1-017", true},
		{terms("web-az1-*"), "web-az1-", false}, // is no name
		{terms("web-az1-*"), "web-az2-017", false},
		{terms("web-az1-*"), "a-web-az1-017", false},
		{terms("web"), "web", true},
		{terms("web"), "web1", false},
		{terms("*"), "anything", true},
		{terms("*"), "Any", false},
		{terms("*"), "", false},
		{terms("*-web"), "shop-web", true},
		{terms("a*b*c"), "abc", true},
		{terms("a*b*c"), "axxbxxbxc", true},
		{terms("a*b*c"), "acb", false},
		{terms("aa*aa"), "aaa", false}, // the ends don't overlap
		{terms("x*", "y*"), "y1", true},
		{terms(), "x", false},
	} {
		if got := c.terms.MayName(c.name); got != c.may {
			t.Errorf("%v allows %q: %v", c.terms.Names, c.name, got)
		}
	}
}

func TestRegistrationTermsReach(t *testing.T) {
	t.Parallel()
	terms := &RegistrationTerms{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::/32")}}
	for text, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "2001:db8::7": true, "::1": false} {
		if got := terms.Reaches(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if !new(RegistrationTerms).Reaches(netip.MustParseAddr("::1")) {
		t.Error("terms without networks keep somebody out")
	}
}

func TestRegistrationTermsAreChecked(t *testing.T) {
	t.Parallel()
	good := func() *Token {
		return &Token{Subject: "registration", Registration: &RegistrationTerms{Role: "web", Names: []string{"web-*"}}}
	}
	for path, edit := range map[string]func(*Token){
		"":                         func(*Token) {},
		"registration.role":        func(t *Token) { t.Registration.Role = "" },
		"registration.zone":        func(t *Token) { t.Registration.Zone = "Az 1" },
		"registration.clusters[0]": func(t *Token) { t.Registration.Clusters = []string{"a b"} },
		"registration.names":       func(t *Token) { t.Registration.Names = nil },
		"registration.names[1]":    func(t *Token) { t.Registration.Names = []string{"web-*", "web_?"} },
		"registration.networks[0]": func(t *Token) { t.Registration.Networks = make([]netip.Prefix, 1) },
		"registration.forget":      func(t *Token) { t.Registration.Forget = new(Duration(59 * time.Second)) },
		"registration":             func(t *Token) { t.Join = &JoinTerms{Group: "edge", Zone: "az1"} },
	} {
		token, p := good(), &Problems{}
		edit(token)
		token.Normalize()
		token.Validate(p)
		list := p.List()
		if path == "" && len(list) == 0 {
			continue
		}
		if len(list) != 1 || list[0].Path != "spec."+path && list[0].Path != path {
			t.Errorf("%s: %v", path, list)
		}
	}
	if good().Acts() || good().Enrols() || !(&Token{}).Acts() {
		t.Error("a registration token is no credential and lets more than one in")
	}
}
