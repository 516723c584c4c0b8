package weir_test

import (
	"strings"
	"testing"

	"weir"
)

const corp = "{kind: IdentityProvider, metadata: {name: corp}, spec: {issuer: https://login.example.com, clientID: weir}}"

func grant(name, subject string) string {
	return "\n---\n{kind: Grant, metadata: {name: " + name + "}, spec: {subject: \"" + subject + "\", role: web, right: owner}}"
}

func TestIdentityProviders(t *testing.T) {
	t.Parallel()
	provider := func(spec string) string {
		return "{kind: IdentityProvider, metadata: {name: corp}, spec: {" + spec + "}}"
	}
	for text, want := range map[string]string{
		corp: "",
		provider("title: Example Corp, issuer: https://login.example.com/realms/a/, clientID: a b, scopes: [groups, 'https://x/y'], groupsClaim: https://example.com/groups"): "",
		provider("clientID: weir"):                                                                                "spec.issuer",
		provider("issuer: https://a"):                                                                             "spec.clientID: is required",
		provider("issuer: http://a.example, clientID: w"):                                                         "must be an https URL",
		provider("issuer: https://u:p@a.example, clientID: w"):                                                    "must be an https URL",
		provider("issuer: 'https://a.example/?x', clientID: w"):                                                   "must be an https URL",
		provider("issuer: 'https://a.example/#x', clientID: w"):                                                   "must be an https URL",
		provider("issuer: 'https:///x', clientID: w"):                                                             "must be an https URL",
		provider("issuer: https://a.example, clientID: \"a\\u202eb\""):                                            "spec.clientID",
		provider("issuer: https://a.example, clientID: w, scopes: [a b]"):                                         "spec.scopes[0]",
		provider("issuer: https://a.example, clientID: w, scopes: [a, a]"):                                        "listed twice",
		provider("issuer: https://a.example, clientID: w, title: \"a\\nb\""):                                      "spec.title",
		"{kind: Grant, metadata: {name: a}, spec: {subject: 'group:corp/Domain Users', role: web, right: owner}}": "",
		"{kind: Grant, metadata: {name: a}, spec: {subject: 'corp/auth0|5f', role: web, right: owner}}":           "",
		"{kind: Grant, metadata: {name: a}, spec: {subject: 'group:corp', role: web, right: owner}}":              "must name a group with its identity provider",
		"{kind: Grant, metadata: {name: a}, spec: {subject: 'group:corp/', role: web, right: owner}}":             "must name a group with its identity provider",
		"{kind: Grant, metadata: {name: a}, spec: {subject: 'group:/sre', role: web, right: owner}}":              "must name a group with its identity provider",
		"{kind: Grant, metadata: {name: a}, spec: {subject: ' a', role: web, right: owner}}":                      "without blanks around it",
		"{kind: Grant, metadata: {name: a}, spec: {subject: \"a\\u202eb\", role: web, right: owner}}":             "spec.subject",
		"{kind: Token, metadata: {name: a}, spec: {subject: 'group:corp/sre'}}":                                   "nobody acts as one",
	} {
		_, err := weir.Decode("t.yaml", []byte(text))
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s\ngot %v\nwant %q", text, err, want)
		}
	}
}

// TestGrantsStayWithTheirIssuer: nobody comes by the rights of somebody whom another issuer calls the same.
func TestGrantsStayWithTheirIssuer(t *testing.T) {
	t.Parallel()
	moved := strings.Replace(corp, "login", "other", 1)
	for name, c := range map[string]struct {
		before, text string
		deleted      []weir.Ref
		want         string
	}{
		"all at once":                    {"", corp + grant("g", "corp/1") + grant("h", "group:corp/sre"), nil, ""},
		"another title":                  {corp + grant("g", "corp/1"), strings.Replace(corp, "clientID", "title: Corp, clientID", 1), nil, ""},
		"an issuer that nobody is of":    {corp + grant("g", "other/1"), moved, nil, ""},
		"another issuer":                 {corp + grant("g", "corp/1"), moved, nil, "Grant/g would give rights to whoever the new issuer calls so"},
		"another issuer, a group":        {corp + grant("g", "group:corp/sre"), moved, nil, "Grant/g would give rights"},
		"another issuer and grant":       {corp + grant("g", "corp/1"), moved + grant("g", "corp/2"), nil, ""},
		"another issuer without grant":   {corp + grant("g", "corp/1"), moved, []weir.Ref{{Kind: "Grant", Name: "g"}}, ""},
		"deleted":                        {corp + grant("g", "corp/1"), "", []weir.Ref{{Kind: "IdentityProvider", Name: "corp"}}, "Grant/g would be left"},
		"deleted, a group":               {corp + grant("g", "group:corp/sre"), "", []weir.Ref{{Kind: "IdentityProvider", Name: "corp"}}, "Grant/g refers to it"},
		"deleted with its grants":        {corp + grant("g", "corp/1"), "", []weir.Ref{{Kind: "IdentityProvider", Name: "corp"}, {Kind: "Grant", Name: "g"}}, ""},
		"a name that a token has before": {"[]" + grant("g", "corp/ci"), corp, nil, "Grant/g would give rights to whoever the provider calls so"},
		"a group of nobody's":            {"", "[]" + grant("g", "group:corp/sre"), nil, `IdentityProvider "corp" does not exist`},
		"a name of Weir's own":           {"", strings.Replace(corp, "name: corp", "name: registration", 1), nil, "are the authors of Weir's own changes"},
		"a secret that is not there":     {"", strings.Replace(corp, "clientID", "secret: s, clientID", 1), nil, `Secret "s" does not exist`},
	} {
		before := weir.NewSet(decode(t, ground)...)
		if c.before != "" {
			for _, o := range decode(t, c.before) {
				before.Put(o)
			}
		}
		problems := write(t, before, c.text, c.deleted...)
		switch {
		case c.want == "" && len(problems) > 0:
			t.Errorf("%s: %v", name, problems)
		case c.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].String(), c.want)):
			t.Errorf("%s: %v, want %q", name, problems, c.want)
		}
	}
}
