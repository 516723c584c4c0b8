package weir_test

import (
	"strings"
	"testing"

	"weir"
)

func TestTheLastAdminStays(t *testing.T) {
	object := func(kind, name string, spec weir.Spec) *weir.Object {
		return &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name}, Spec: spec}
	}
	grant := func(name, subject string) *weir.Object {
		return object("Grant", name, &weir.Grant{Subject: subject, Role: "*", Right: weir.Admin})
	}
	token := func(name, subject string) *weir.Object {
		return object("Token", name, &weir.Token{Subject: subject, Hash: "h-" + name})
	}
	first := weir.NewSet(grant("admin", "admin"), token("first", "admin"))
	two := weir.NewSet(grant("admin", "admin"), token("first", "admin"), grant("b", "bea"), token("b", "bea"))
	for name, c := range map[string]struct {
		before *weir.Set
		gone   weir.Ref
		bad    bool
	}{
		"the only token":              {first, weir.Ref{Kind: "Token", Name: "first"}, true},
		"the only grant":              {first, weir.Ref{Kind: "Grant", Name: "admin"}, true},
		"one of two":                  {two, weir.Ref{Kind: "Token", Name: "first"}, false},
		"a grant without a token":     {weir.NewSet(grant("admin", "admin"), token("first", "admin"), grant("x", "nobody")), weir.Ref{Kind: "Grant", Name: "admin"}, true},
		"where there never was a way": {weir.NewSet(grant("admin", "admin")), weir.Ref{Kind: "Grant", Name: "admin"}, false},
	} {
		after := c.before.Copy()
		after.Delete(c.gone)
		problems := weir.Check(c.before, after, []weir.Ref{c.gone})
		if (len(problems) > 0) != c.bad {
			t.Errorf("%s: %v", name, problems)
		} else if c.bad && (problems[0].Object != c.gone.String() || !strings.Contains(problems[0].Message, "last way in")) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}
