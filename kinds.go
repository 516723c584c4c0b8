package weir

import "sort"

// Right is what a person may do with a role's objects; each holds those before it.
type Right string

// The rights, weakest first.
const (
	Viewer   Right = "viewer"
	Operator Right = "operator"
	Owner    Right = "owner"
	Admin    Right = "admin"
)

// Covers says whether holding r is enough where need is asked.
func (r Right) Covers(need Right) bool {
	order := map[Right]int{Viewer: 1, Operator: 2, Owner: 3, Admin: 4}
	return order[r] > 0 && order[r] >= order[need]
}

// Kind describes one kind of object.
type Kind struct {
	// Name is the kind as written in manifests, Plural the word in URLs and on the command line.
	Name, Plural string
	// Short are further words the command line takes.
	Short []string
	// Doc is one sentence for help and reference.
	Doc string
	// Write is the right that writing an object of the kind takes when the object has a role;
	// an object without a role is always the admin's to write.
	Write Right
	// Platform kinds never carry a role.
	Platform bool
	// ReadOnly kinds are made by Weir itself; nobody writes them through apply.
	ReadOnly bool
	// New makes an empty spec.
	New func() Spec
}

var kinds = []Kind{
	{Name: "Zone", Plural: "zones", Doc: "An availability zone.", Platform: true, Write: Admin, New: func() Spec { return new(Zone) }},
	{Name: "Tuning", Plural: "tunings", Doc: "Limits and timeouts of the HAProxy processes of a group.", Platform: true, Write: Admin, New: func() Spec { return new(Tuning) }},
	{Name: "LoadBalancerGroup", Plural: "loadbalancergroups", Short: []string{"group", "groups", "lbg"}, Doc: "Identically configured load balancers; the unit of isolation.", Platform: true, Write: Admin, New: func() Spec { return new(LoadBalancerGroup) }},
	{Name: "LoadBalancer", Plural: "loadbalancers", Short: []string{"lb", "lbs"}, Doc: "One HAProxy with its agent; made by enrolment.", Platform: true, Write: Admin, New: func() Spec { return new(LoadBalancer) }},
	{Name: "Role", Plural: "roles", Doc: "A service that owns objects, what it may claim, and who to call.", Platform: true, Write: Admin, New: func() Spec { return new(Role) }},
	{Name: "IdentityProvider", Plural: "identityproviders", Short: []string{"idp", "idps"}, Doc: "Where people sign in to the console by OpenID Connect.", Platform: true, Write: Admin, New: func() Spec { return new(IdentityProvider) }},
	{Name: "Grant", Plural: "grants", Doc: "Gives a subject a right on a role's objects, or on all.", Platform: true, Write: Admin, New: func() Spec { return new(Grant) }},
	{Name: "Token", Plural: "tokens", Doc: "A credential of a person or program; only its hash is kept.", Platform: true, Write: Admin, New: func() Spec { return new(Token) }},
	{Name: "Secret", Plural: "secrets", Doc: "Bytes that are kept sealed and are never shown again.", Write: Owner, New: func() Spec { return new(Secret) }},
	{Name: "IPAddress", Plural: "ipaddresses", Short: []string{"ip", "ips", "vip", "vips"}, Doc: "A virtual address with its home zone, and the groups that serve it.", Write: Owner, New: func() Spec { return new(IPAddress) }},
	{Name: "Issuer", Plural: "issuers", Doc: "An authority that certificates are ordered from: one that speaks ACME, or one of Weir's own.", Platform: true, Write: Admin, New: func() Spec { return new(Issuer) }},
	{Name: "Certificate", Plural: "certificates", Short: []string{"cert", "certs"}, Doc: "A certificate chain with its key, or an authority without.", Write: Owner, New: func() Spec { return new(Certificate) }},
	{Name: "ErrorPage", Plural: "errorpages", Short: []string{"page", "pages"}, Doc: "What clients see instead of HAProxy's own error text.", Write: Owner, New: func() Spec { return new(ErrorPage) }},
	{Name: "AccessList", Plural: "accesslists", Short: []string{"acl", "acls"}, Doc: "A list of networks, of strings or of both.", Write: Owner, New: func() Spec { return new(AccessList) }},
	{Name: "Schedule", Plural: "schedules", Doc: "A window of time that routes, maintenance, rate limits, shifts, splits and calls go by.", Write: Owner, New: func() Spec { return new(Schedule) }},
	{Name: "RateLimit", Plural: "ratelimits", Short: []string{"limit", "limits"}, Doc: "How much one client may ask of a site, and what becomes of one that asks more.", Write: Owner, New: func() Spec { return new(RateLimit) }},
	{Name: "Map", Plural: "maps", Doc: "Keys and values that routes look up.", Write: Owner, New: func() Spec { return new(Map) }},
	{Name: "Logic", Plural: "logics", Doc: "Business logic in HAProxy's own words, for the sites and pools that name it.", Write: Owner, New: func() Spec { return new(Logic) }},
	{Name: "DiscoverySource", Plural: "discoverysources", Short: []string{"source", "sources"}, Doc: "A place outside that servers are learned from, which come and go with it.", Platform: true, Write: Admin, New: func() Spec { return new(DiscoverySource) }},
	{Name: "Server", Plural: "servers", Doc: "An origin server as inventory knows it; pools select it.", Write: Owner, New: func() Spec { return new(Server) }},
	{Name: "Pool", Plural: "pools", Doc: "Servers that do the same work, with their health check and limits.", Write: Owner, New: func() Spec { return new(Pool) }},
	{Name: "Site", Plural: "sites", Doc: "A service at its names, addresses and ports, in one or more zones.", Write: Owner, New: func() Spec { return new(Site) }},
	{Name: "Route", Plural: "routes", Doc: "A route of a Site that stands by itself, as other roles add them.", Write: Owner, New: func() Spec { return new(Route) }},
	{Name: "Split", Plural: "splits", Doc: "Shares of a Site's requests that go to other backends, as for a canary.", Write: Owner, New: func() Spec { return new(Split) }},
	{Name: "EgressClient", Plural: "egressclients", Doc: "An application that calls partners, and where its calls come from.", Write: Owner, New: func() Spec { return new(EgressClient) }},
	{Name: "Partner", Plural: "partners", Doc: "Somebody outside whose services applications call.", Write: Owner, New: func() Spec { return new(Partner) }},
	{Name: "SLA", Plural: "slas", Doc: "A service level of calls to partners: how long, how many, what is tried again.", Write: Owner, New: func() Spec { return new(SLA) }},
	{Name: "EgressRule", Plural: "egressrules", Doc: "Lets applications call services of a partner at certain service levels.", Write: Owner, New: func() Spec { return new(EgressRule) }},
	{Name: "Override", Plural: "overrides", Doc: "A server drained, disabled or weighted by hand, with reason and expiry.", Write: Operator, New: func() Spec { return new(Override) }},
	{Name: "ZoneShift", Plural: "zoneshifts", Short: []string{"shift", "shifts"}, Doc: "Sites whose traffic was taken out of a zone, with reason and expiry.", Write: Operator, New: func() Spec { return new(ZoneShift) }},
	{Name: "Change", Plural: "changes", Doc: "What somebody changed, when, why, before and after.", ReadOnly: true, Write: Admin, New: func() Spec { return new(Change) }},
}

// Kinds lists every kind in the order in which their objects are best read: what is referred to comes first.
func Kinds() []Kind { return kinds }

// KindByName finds a kind by its exact name.
func KindByName(name string) (Kind, bool) {
	i, ok := kindAt[name]
	if !ok {
		return Kind{}, false
	}
	return kinds[i], true
}

// KindByWord finds a kind by its name, plural or a short word, as the command line and URLs write it.
func KindByWord(word string) (Kind, bool) {
	word = lower(word)
	for _, k := range kinds {
		if word == lower(k.Name) || word == k.Plural {
			return k, true
		}
		for _, s := range k.Short {
			if word == s {
				return k, true
			}
		}
	}
	return Kind{}, false
}

// SortObjects orders objects by kind, as Kinds lists them, then by name.
func SortObjects(list []*Object) {
	rank := make(map[string]int, len(kinds))
	for i, k := range kinds {
		rank[k.Name] = i
	}
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.Kind != b.Kind {
			return rank[a.Kind] < rank[b.Kind]
		}
		return a.Metadata.Name < b.Metadata.Name
	})
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}
