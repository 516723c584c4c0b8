package weir

import (
	"net/url"
	"strings"
)

// IdentityProvider is where people sign in to the console, by OpenID Connect. Who signs in there is the subject
// NAME/SUB, by this object's name and the provider's own name for them (the claim sub); their groups are
// group:NAME/GROUP. Grants say what these may do; without one there is no access.
type IdentityProvider struct {
	// Title is what people read where they choose; the object's name when left out.
	Title string `json:"title,omitempty"`
	// Issuer is the provider's URL, to the letter as its ID tokens have it, such as https://login.example.com/realms/corp.
	// While Grants name people or groups of the provider it can't be changed without them.
	Issuer string `json:"issuer"`
	// ClientID is what the provider calls this control plane.
	ClientID string `json:"clientID"`
	// Secret names the Secret that holds what the provider gave this control plane to prove itself; left out for a public
	// client.
	Secret string `json:"secret,omitempty"`
	// Authority names the Certificate without a key that is believed for the provider's TLS; the system's when left out.
	Authority string `json:"authority,omitempty"`
	// Scopes are asked for besides openid, such as groups.
	Scopes []string `json:"scopes,omitempty"`
	// GroupsClaim is the claim of the ID token that lists the groups of who signs in; nobody is in any when left out.
	GroupsClaim string `json:"groupsClaim,omitempty"`
}

// groupSubject begins the subject of a Grant to a group.
const groupSubject = "group:"

// PersonSubject is what Grants call somebody whom an identity provider calls sub.
func PersonSubject(provider, sub string) string { return provider + "/" + sub }

// GroupSubject is what Grants call a group that an identity provider knows.
func GroupSubject(provider, group string) string { return groupSubject + provider + "/" + group }

// Provider names the IdentityProvider whose people or groups the Grant would be for, if there is one of that name; "" for
// a subject that is none's.
func (g *Grant) Provider() string {
	name, _, found := strings.Cut(strings.TrimPrefix(g.Subject, groupSubject), "/")
	if !found {
		return ""
	}
	return name
}

// Normalize does nothing: an issuer is compared to the letter.
func (i *IdentityProvider) Normalize() {}

// Validate checks everything that can be seen without asking the provider.
func (i *IdentityProvider) Validate(p *Problems) {
	prose(p, "title", i.Title, 80)
	u, err := url.Parse(i.Issuer)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || len(i.Issuer) > 1024 || CheckText(i.Issuer) != nil {
		p.Add("issuer", "%q must be an https URL without query and fragment, such as https://login.example.com/realms/corp", clip(i.Issuer))
	}
	if i.ClientID == "" {
		p.Add("clientID", "is required: what the provider calls this control plane")
	}
	prose(p, "clientID", i.ClientID, 256)
	if len(i.Scopes) > 20 {
		p.Add("scopes", "are %d; at most 20 are allowed", len(i.Scopes))
	}
	unique(p, "scopes", i.Scopes)
	for n, s := range i.Scopes {
		if s == "" || len(s) > 200 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			p.Add(index("scopes", n), "%q must be a word of at most 200 printable characters, without quotes and backslashes", clip(s))
		}
	}
	prose(p, "groupsClaim", i.GroupsClaim, 200)
}

// References name what proves the control plane to the provider, and the provider to it.
func (i *IdentityProvider) References() []Reference {
	return optional(optional(nil, "secret", "Secret", i.Secret), "authority", "Certificate", i.Authority)
}
