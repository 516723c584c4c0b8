package api

import (
	"testing"

	"weir"
)

// whose is where an object belongs, seen from somebody with a right on role web.
type whose string

const (
	mine      whose = "mine"       // role web
	theirs    whose = "theirs"     // role media
	platforms whose = "platform's" // no role
)

var roleOf = map[whose]string{mine: "web", theirs: "media", platforms: ""}

// rightRow says for one kind who may read and write it: the weakest right on the object's role, and what applies
// to one without a role. A kind that is not here fails.
type rightRow struct {
	// write is the right on the object's role that writing takes; empty for kinds that have no role.
	write weir.Right
	// roleless is whether everybody with any right reads an object that has no role.
	roleless bool
}

var rightTable = map[string]rightRow{
	"Zone":              {roleless: true},
	"Tuning":            {roleless: true},
	"LoadBalancerGroup": {roleless: true},
	"LoadBalancer":      {roleless: true},
	"Role":              {roleless: true},
	"IdentityProvider":  {roleless: true},
	"Grant":             {},
	"Token":             {},
	"Secret":            {write: weir.Owner},
	"IPAddress":         {write: weir.Owner, roleless: true},
	"Issuer":            {roleless: true},
	"Certificate":       {write: weir.Owner, roleless: true},
	"ErrorPage":         {write: weir.Owner, roleless: true},
	"AccessList":        {write: weir.Owner, roleless: true},
	"RateLimit":         {write: weir.Owner, roleless: true},
	"Logic":             {write: weir.Owner, roleless: true},
	"Map":               {write: weir.Owner, roleless: true},
	"DiscoverySource":   {roleless: true},
	"Server":            {write: weir.Owner, roleless: true},
	"Pool":              {write: weir.Owner, roleless: true},
	"Site":              {write: weir.Owner, roleless: true},
	"Split":             {write: weir.Owner, roleless: true},
	"Schedule":          {write: weir.Owner, roleless: true},
	"EgressClient":      {write: weir.Owner, roleless: true},
	"Partner":           {write: weir.Owner, roleless: true},
	"SLA":               {write: weir.Owner, roleless: true},
	"EgressRule":        {write: weir.Owner, roleless: true},
	"Route":             {write: weir.Owner, roleless: true},
	"Override":          {write: weir.Operator, roleless: true},
	"ZoneShift":         {write: weir.Operator, roleless: true},
	"Change":            {},
}

var ranks = []weir.Right{"", weir.Viewer, weir.Operator, weir.Owner}

// TestRights goes through right × kind × verb × whose.
func TestRights(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, kind := range weir.Kinds() {
		row, ok := rightTable[kind.Name]
		if !ok {
			t.Errorf("kind %s has no row in rightTable: decide who may read and write it", kind.Name)
			continue
		}
		for _, side := range []whose{mine, theirs, platforms} {
			o := &weir.Object{Kind: kind.Name, Metadata: weir.Metadata{Name: "x", Role: roleOf[side]}, Spec: kind.New()}
			for _, scope := range []string{"web", "*"} {
				for _, right := range append(ranks, weir.Admin) {
					who := Caller{Subject: "me"}
					if right != "" {
						who.Grants = []weir.Grant{{Subject: "me", Role: scope, Right: right}}
					}
					for _, verb := range []string{"read", "create", "update", "delete"} {
						want := expected(row, kind, side, scope, right, verb)
						if got := decide(who, verb, o) == nil; got != want {
							t.Errorf("%s on %q may %s %s %s: %t, want %t", right, scope, verb, side, kind.Name, got, want)
						}
						checked++
					}
				}
			}
		}
	}
	if len(rightTable) != len(weir.Kinds()) {
		t.Error("rightTable has rows of kinds that no longer exist")
	}
	if want := len(weir.Kinds()) * 3 * 2 * 5 * 4; checked != want {
		t.Errorf("%d cells checked of %d", checked, want)
	}
}

func decide(who Caller, verb string, o *weir.Object) error {
	switch verb {
	case "read":
		return Allowed(who, Read, o, o)
	case "create":
		return Allowed(who, Write, nil, o)
	case "update":
		return Allowed(who, Write, o, o)
	}
	return Allowed(who, Write, o, nil)
}

// expected says the rules another way than the code does: by what each right reaches.
func expected(row rightRow, kind weir.Kind, side whose, scope string, right weir.Right, verb string) bool {
	if right == "" {
		return false
	}
	reaches := scope == "*" || side == mine
	if verb == "read" {
		return reaches || side == platforms && row.roleless
	}
	if kind.ReadOnly {
		return false
	}
	if side == platforms || kind.Platform {
		return scope == "*" && right == weir.Admin
	}
	return reaches && right.Covers(row.write)
}

// TestRightsHoldOnBothSides: nobody takes an object from a role, or gives it to one, without rights on both.
func TestRightsHoldOnBothSides(t *testing.T) {
	t.Parallel()
	pool := func(role string) *weir.Object {
		return &weir.Object{Kind: "Pool", Metadata: weir.Metadata{Name: "p", Role: role}, Spec: new(weir.Pool)}
	}
	owner := Caller{Subject: "me", Grants: []weir.Grant{{Role: "web", Right: weir.Owner}}}
	both := Caller{Subject: "me", Grants: []weir.Grant{{Role: "web", Right: weir.Owner}, {Role: "media", Right: weir.Owner}}}
	admin := Caller{Subject: "me", Grants: []weir.Grant{{Role: "*", Right: weir.Admin}}}
	for _, c := range []struct {
		who      Caller
		from, to string
		want     bool
	}{
		{owner, "web", "web", true},
		{owner, "web", "media", false},
		{owner, "media", "web", false},
		{owner, "web", "", false},
		{owner, "", "web", false},
		{both, "web", "media", true},
		{both, "web", "", false},
		{admin, "web", "media", true},
		{admin, "", "web", true},
	} {
		if got := Allowed(c.who, Write, pool(c.from), pool(c.to)) == nil; got != c.want {
			t.Errorf("%v moves from %q to %q: %t", c.who.Grants, c.from, c.to, got)
		}
		if read := Allowed(c.who, Read, pool(c.from), pool(c.to)) == nil; c.want && !read {
			t.Errorf("%v may write but not read", c.who.Grants)
		}
	}
	if Allowed(admin, Write, nil, nil) == nil || Allowed(admin, "burn", nil, pool("web")) == nil || Allowed(admin, Write, nil, &weir.Object{Kind: "Zonk"}) == nil {
		t.Error("the unknown is allowed")
	}
	// An empty role in a grant is nobody's, not the platform's.
	if (Caller{Subject: "me", Grants: []weir.Grant{{Role: "", Right: weir.Admin}}}).Holds(weir.Viewer, "") {
		t.Error("a grant on no role reaches the platform")
	}
	// Somebody's own grants and tokens are theirs to see.
	for _, o := range []*weir.Object{
		{Kind: "Grant", Spec: &weir.Grant{Subject: "me"}}, {Kind: "Token", Spec: &weir.Token{Subject: "me"}},
	} {
		if Allowed(Caller{Subject: "me"}, Read, o, o) != nil || Allowed(Caller{Subject: "you"}, Read, o, o) == nil {
			t.Errorf("%s: not its subject's alone to see", o.Kind)
		}
	}
}

// TestRawLogicIsTheAdmins: nobody else makes, changes, deletes or unmakes one, whatever role it has.
func TestRawLogicIsTheAdmins(t *testing.T) {
	t.Parallel()
	object := func(raw bool) *weir.Object {
		return &weir.Object{Kind: "Logic", Metadata: weir.Metadata{Name: "x", Role: "web"}, Spec: &weir.Logic{Raw: raw, Text: "http-request deny"}}
	}
	owner := Caller{Subject: "me", Grants: []weir.Grant{{Subject: "me", Role: "web", Right: weir.Owner}, {Subject: "me", Role: "web", Right: weir.Admin}, {Subject: "me", Role: "*", Right: weir.Owner}}}
	admin := Caller{Subject: "me", Grants: []weir.Grant{{Subject: "me", Role: "*", Right: weir.Admin}}}
	for _, sides := range [][2]*weir.Object{{nil, object(true)}, {object(true), nil}, {object(true), object(true)}, {object(true), object(false)}, {object(false), object(true)}} {
		if Allowed(owner, Write, sides[0], sides[1]) == nil {
			t.Errorf("an owner turns %+v into %+v", sides[0], sides[1])
		}
		if err := Allowed(admin, Write, sides[0], sides[1]); err != nil {
			t.Error(err)
		}
		if err := Allowed(owner, Read, sides[0], sides[1]); err != nil {
			t.Error(err)
		}
	}
	if err := Allowed(owner, Write, object(false), object(false)); err != nil {
		t.Error(err)
	}
}
