package weir

import (
	"net/netip"
	"strings"
	"time"
)

// Role is a service that owns objects.
type Role struct {
	// Contact says who to call.
	Contact string `json:"contact,omitempty"`
	// Hostnames are what the role's sites may claim, "*.example.com" for everything below; empty means any.
	Hostnames []string `json:"hostnames,omitempty"`
	// Groups are the load-balancer groups that the role's addresses may use; empty means any.
	Groups []string `json:"groups,omitempty"`
	// Quotas bound how many objects of a kind the role may have, by kind: {Site: 20, Pool: 100}.
	Quotas map[string]int `json:"quotas,omitempty"`
}

// Normalize brings the hostnames into their canonical form.
func (r *Role) Normalize() { canonicalAll(r.Hostnames) }

// Validate checks hostnames and quotas.
func (r *Role) Validate(p *Problems) {
	prose(p, "contact", r.Contact, 200)
	checkHostnames(p, "hostnames", r.Hostnames)
	unique(p, "groups", r.Groups)
	for kind, n := range r.Quotas {
		if k, ok := KindByName(kind); !ok || k.Platform || k.ReadOnly {
			p.Add("quotas["+clip(kind)+"]", "is no kind that a role can own")
		}
		between(p, "quotas["+clip(kind)+"]", n, 0, 10_000_000)
	}
}

// References are the groups.
func (r *Role) References() []Reference { return each(nil, "groups", "LoadBalancerGroup", r.Groups) }

// Grant gives a subject a right on a role's objects.
type Grant struct {
	// Subject is the name in a credential: a Token's subject, corp/SUB for whom IdentityProvider corp calls SUB, or
	// group:corp/GROUP for whoever it says is in that group.
	Subject string `json:"subject"`
	// Role is whose objects; "*" means everybody's and the platform's.
	Role string `json:"role"`
	// Right is viewer, operator, owner or admin; admin is only given on "*".
	Right Right `json:"right"`
}

// Normalize does nothing.
func (g *Grant) Normalize() {}

// Validate checks subject and right.
func (g *Grant) Validate(p *Problems) {
	g.validateSubject(p)
	if g.Role != "*" {
		required(p, "role", g.Role)
	}
	oneOf(p, "right", string(g.Right), string(Viewer), string(Operator), string(Owner), string(Admin))
	if g.Right == Admin && g.Role != "*" {
		p.Add("right", `admin is given on role "*" only; owner is everything of one role`)
	}
}

// validateSubject takes whatever identity providers call people and groups, blanks and all, as far as it hides nothing.
func (g *Grant) validateSubject(p *Problems) {
	prose(p, "subject", g.Subject, 400)
	if g.Subject == "" || strings.TrimSpace(g.Subject) != g.Subject {
		p.Add("subject", "is required, without blanks around it")
	}
	if !g.toGroup() {
		return
	}
	if _, group, _ := strings.Cut(g.Subject, "/"); CheckName(g.Provider()) != nil || group == "" {
		p.Add("subject", "%q must name a group with its identity provider, such as group:corp/sre", clip(g.Subject))
	}
}

// toGroup says whether the Grant is for all that are in a group.
func (g *Grant) toGroup() bool { return strings.HasPrefix(g.Subject, groupSubject) }

// References are the role, and the identity provider of a group.
func (g *Grant) References() []Reference {
	var list []Reference
	if g.Role != "*" {
		list = optional(nil, "role", "Role", g.Role)
	}
	if g.toGroup() {
		list = optional(list, "subject", "IdentityProvider", g.Provider())
	}
	return list
}

// Token is a credential; its text is shown once, when it is made, and only its hash is kept.
type Token struct {
	// Subject is who acts with the token; what it may do are the Grants of that subject.
	Subject   string    `json:"subject"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// Hash is made by the control plane.
	Hash string `json:"hash,omitempty"`
	// Join makes it a join token: it enrols one agent and is spent by that.
	Join *JoinTerms `json:"join,omitempty"`
	// Server makes it a token for one server that joins the control plane's embedded store, which spends it.
	Server *ServerTerms `json:"server,omitempty"`
	// Registration makes it a token with which any number of servers register themselves until it expires.
	Registration *RegistrationTerms `json:"registration,omitempty"`
}

// Acts says that the token is a credential of its subject.
func (t *Token) Acts() bool { return !t.Enrols() && t.Registration == nil }

// Enrols says that the token lets a machine in once, and is no credential of anybody.
func (t *Token) Enrols() bool { return t.Join != nil || t.Server != nil }

// ServerTerms bind a token for a server.
type ServerTerms struct {
	// Host, when set, is the only host name or address at which the other members may reach the new one.
	Host string `json:"host,omitempty"`
}

// JoinTerms bind a join token.
type JoinTerms struct {
	Group string `json:"group"`
	Zone  string `json:"zone"`
	// LoadBalancer, when set, is the only name that may be enrolled.
	LoadBalancer string `json:"loadBalancer,omitempty"`
	// Replace allows the name to exist already; the old agent's certificate stops being accepted.
	Replace bool `json:"replace,omitempty"`
	// LocalRanges and LocalPorts become the load balancer's own.
	LocalRanges map[netip.Prefix]netip.Prefix `json:"localRanges,omitempty"`
	LocalPorts  map[Port]Port                 `json:"localPorts,omitempty"`
}

// Normalize masks the networks.
func (t *Token) Normalize() {
	if t.Join != nil {
		t.Join.LocalRanges = maskLocal(t.Join.LocalRanges)
	}
	if t.Registration != nil {
		t.Registration.normalize()
	}
}

// Validate checks the subject and the terms.
func (t *Token) Validate(p *Problems) {
	checkSubject(p, "subject", t.Subject)
	if strings.HasPrefix(t.Subject, groupSubject) {
		p.Add("subject", "%s… is a group's, and nobody acts as one; name who acts", groupSubject)
	}
	if t.Join != nil && t.Server != nil {
		p.Add("server", "and join exclude each other: a token lets an agent in, or a server")
	}
	if t.Registration != nil {
		if t.Enrols() {
			p.Add("registration", "excludes join and server: a token lets servers register, or lets one machine in")
		}
		t.Registration.validate(p)
	}
	if t.Server != nil && t.Server.Host != "" {
		if _, err := netip.ParseAddr(t.Server.Host); err != nil {
			checkHostname(p, "server.host", t.Server.Host)
		}
	}
	if t.Join != nil {
		required(p, "join.group", t.Join.Group)
		required(p, "join.zone", t.Join.Zone)
		if t.Join.LoadBalancer != "" {
			required(p, "join.loadBalancer", t.Join.LoadBalancer)
		}
		checkLocal(p, "join.", t.Join.LocalRanges, t.Join.LocalPorts)
	}
}

// References are the join terms' group and zone, or the registration terms' role and zone.
func (t *Token) References() []Reference {
	if r := t.Registration; r != nil {
		return optional(optional(nil, "registration.role", "Role", r.Role), "registration.zone", "Zone", r.Zone)
	}
	if t.Join == nil {
		return nil
	}
	return optional(optional(nil, "join.group", "LoadBalancerGroup", t.Join.Group), "join.zone", "Zone", t.Join.Zone)
}

func checkSubject(p *Problems, path, v string) {
	if v == "" {
		p.Add(path, "is required")
		return
	}
	text(p, path, v, 200)
}

// Change is one accepted write of any number of objects; it is made by the store and read by people.
type Change struct {
	Author string `json:"author"`
	// Credential says what the author was known by: "token ci", "session with token ann" or "session by corp", which is an
	// IdentityProvider; empty of what Weir does by itself.
	Credential string    `json:"credential,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at"`
	// Undoes is the revision of the change that this one takes back, 0 for none.
	Undoes int64 `json:"undoes,omitempty"`
	// Objects are what was written, with before and after.
	Objects []ObjectChange `json:"objects"`
}

// ObjectChange is what a change did to one object; Before is nil for a new one, After for a deleted one.
type ObjectChange struct {
	Ref
	Before *Object `json:"before,omitempty"`
	After  *Object `json:"after,omitempty"`
}

// Normalize does nothing: a change is never written by people.
func (c *Change) Normalize() {}

// Validate does nothing: a change is never written by people.
func (c *Change) Validate(*Problems) {}

// References are none: a change keeps what it needs.
func (c *Change) References() []Reference { return nil }
