// Package ir says what one load balancer must do, fully resolved: every name looked up, every default filled
// in, every list sorted. Equal wishes give equal nodes. It holds no secret: keys are named by fingerprint.
package ir

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir"
)

// Slots is how many zones a group can span; the rule blocks in haproxy.cfg have that many places.
const Slots = 8

// Node is everything that one load balancer must do. All but Self is the same for the whole group.
type Node struct {
	Self   Self   `json:"self"`
	Group  Group  `json:"group"`
	Tuning Tuning `json:"tuning"`

	Addresses    []Address     `json:"addresses,omitempty"`    // by name
	Sites        []Site        `json:"sites,omitempty"`        // by name
	Pools        []Pool        `json:"pools,omitempty"`        // by name
	Lists        []AccessList  `json:"lists,omitempty"`        // by name
	Maps         []Map         `json:"maps,omitempty"`         // by name
	Pages        []Page        `json:"pages,omitempty"`        // by name
	Limits       []RateLimit   `json:"limits,omitempty"`       // by name
	Logics       []Logic       `json:"logics,omitempty"`       // by name
	Certificates []Certificate `json:"certificates,omitempty"` // by name
	Challenges   []Challenge   `json:"challenges,omitempty"`   // by token
	Shifts       []Shift       `json:"shifts,omitempty"`       // by name
	Splits       []Split       `json:"splits,omitempty"`       // by name
	Schedules    []Schedule    `json:"schedules,omitempty"`    // by name
	// Clients, SLAs and Rules are who may call which pools that are services of partners.
	Clients []EgressClient `json:"clients,omitempty"` // by name
	SLAs    []SLA          `json:"slas,omitempty"`    // by name
	Rules   []EgressRule   `json:"rules,omitempty"`   // by name
}

// Self is what differs between the load balancers of a group.
type Self struct {
	Name  string                 `json:"name"`
	Zone  string                 `json:"zone"`
	State weir.LoadBalancerState `json:"state"`
	// LocalRanges and LocalPorts translate what the group is asked for to what this machine binds.
	LocalRanges []Translation           `json:"localRanges,omitempty"` // by From
	LocalPorts  map[weir.Port]weir.Port `json:"localPorts,omitempty"`
	// Sources are the addresses of the machine that connections to servers come from, none when the system chooses.
	Sources []netip.Addr `json:"sources,omitempty"` // sorted
	// Namespace is the network namespace of the machine that the listeners of sites are in, "" for HAProxy's own.
	Namespace string `json:"namespace,omitempty"`
}

// Translation maps a range one to one onto another of the same size.
type Translation struct {
	From netip.Prefix `json:"from"`
	To   netip.Prefix `json:"to"`
}

// Group is what the load-balancer group itself says.
type Group struct {
	Name   string         `json:"name"`
	Ranges []netip.Prefix `json:"ranges"` // sorted
	// Zones gives each zone its slot, 1 for the first; at most Slots, sorted by name.
	Zones []string `json:"zones,omitempty"`
	// ProxyProtocol and ForwardedFor are the trusted sources, sorted.
	ProxyProtocol []netip.Prefix `json:"proxyProtocol,omitempty"`
	ForwardedFor  []netip.Prefix `json:"forwardedFor,omitempty"`
	// Drift is weir.DriftReport, or empty for correct.
	Drift weir.DriftMode `json:"drift,omitempty"`
}

// Slot gives the slot of a zone, 0 for a zone that the group does not span.
func (g Group) Slot(zone string) int {
	for i, z := range g.Zones {
		if z == zone {
			return i + 1
		}
	}
	return 0
}

// Tuning is the group's Tuning with defaults filled in; Name is empty when the group names none.
type Tuning struct {
	Name string `json:"name,omitempty"`
	weir.Tuning
}

// Address is a virtual address that the group serves.
type Address struct {
	Name     string     `json:"name"`
	Address  netip.Addr `json:"address"`
	HomeZone string     `json:"homeZone,omitempty"`
}

// Site is one site as the group serves it: only the group's own addresses are listed.
type Site struct {
	Name      string     `json:"name"`
	Mode      string     `json:"mode"`
	Hostnames []string   `json:"hostnames,omitempty"` // sorted
	Addresses []string   `json:"addresses"`           // names, sorted
	Listeners []Listener `json:"listeners"`           // by port
	Backends  []Backend  `json:"backends,omitempty"`  // by name
	// Routes are in the order in which they are looked at within each kind.
	Routes []weir.SiteRoute `json:"routes,omitempty"`
	// ErrorPages names the page for a status.
	ErrorPages map[weir.Status3]string `json:"errorPages,omitempty"`
	// RateLimits names the limits of the site, in the order given; at most weir.MaxRateLimits.
	RateLimits []string `json:"rateLimits,omitempty"`
	// Logic is asked about each request, in order; of one that is not among the node's nothing is done.
	Logic []weir.LogicUse `json:"logic,omitempty"`
	// Maintenance closes the site, nil when it is open.
	Maintenance *weir.SiteMaintenance `json:"maintenance,omitempty"`
	// Log says which headers are captured and stripped, nil for none.
	Log *weir.SiteLog `json:"log,omitempty"`
	// Routing says which zone a request goes to, nil for what is usual: the address's home, else any other alike.
	Routing *Routing `json:"routing,omitempty"`
	// Egress lists the environments whose applications call partners by the site, nil for none.
	Egress []string `json:"egress,omitempty"` // sorted
	// ClientAuthority names the certificate whose chain signs what clients of listeners with TLS may show, "" for nothing.
	ClientAuthority string `json:"clientAuthority,omitempty"`
}

// Routing is how a site chooses between zones, where that is not the usual.
type Routing struct {
	// MinHealthy is how many servers up a pool needs for its zone to count as available; 0 means 1.
	MinHealthy int `json:"minHealthy,omitempty"`
	// KeepZone is how long a client's cookie holds it in the zone that served it, 0 for no cookie.
	KeepZone weir.Duration `json:"keepZone,omitempty"`
	// Weights are the shares of the zones where the home does not decide, by slot; nil when all are alike.
	Weights []int `json:"weights,omitempty"`
	// NoHome leaves every request to the shares, whatever its address's home is.
	NoHome bool `json:"noHome,omitempty"`
	// Fallback is the pool that takes what no server of any zone can, "" for none.
	Fallback string `json:"fallback,omitempty"`
}

// Schedule is a window of time that something goes by: from its first second until the first one after it, either of
// which may be zero for always.
type Schedule struct {
	Name  string    `json:"name"`
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Split divides the requests of a backend of a site, all of whose legs are backends of that site.
type Split struct {
	Name string `json:"name"`
	weir.Split
}

// Shift takes the traffic of sites out of a zone until it expires, from a moment on or, when that is zero, at once.
type Shift struct {
	Name      string    `json:"name"`
	Sites     []string  `json:"sites"` // sorted
	Zone      string    `json:"zone"`
	ExpiresAt time.Time `json:"expiresAt"`
	From      time.Time `json:"from,omitzero"`
}

// Listener is a port of a site.
type Listener struct {
	Port weir.Port         `json:"port"`
	Mode weir.PortMode     `json:"mode"`
	TLS  *weir.ListenerTLS `json:"tls,omitempty"`
	// RedirectTo is the port that clients are sent to with https, 0 for none.
	RedirectTo weir.Port `json:"redirectTo,omitempty"`
}

// Backend is a named choice of pools, one per zone slot.
type Backend struct {
	Name string `json:"name"`
	// Pool serves every zone; empty when Slots says it zone by zone.
	Pool string `json:"pool,omitempty"`
	// Slots holds the pool of each zone slot, "" where the zone has none; its length is the number of zones.
	Slots []string `json:"slots,omitempty"`
}

// Pool is one pool with its members.
type Pool struct {
	Name           string           `json:"name"`
	Mode           string           `json:"mode"`
	Balance        string           `json:"balance"`
	BalanceHeader  string           `json:"balanceHeader,omitempty"`
	Check          weir.HealthCheck `json:"check"`
	Cookie         string           `json:"cookie,omitempty"`
	MaxConnections int              `json:"maxConnections,omitempty"`
	NoQueue        bool             `json:"noQueue,omitempty"`
	QueueTimeout   weir.Duration    `json:"queueTimeout,omitempty"`
	ServerTimeout  weir.Duration    `json:"serverTimeout,omitempty"`
	TLS            *weir.PoolTLS    `json:"tls,omitempty"`
	SendProxy      string           `json:"sendProxy,omitempty"`
	// Compression is how answers are compressed, nil for not at all.
	Compression *weir.Compression `json:"compression,omitempty"`
	// Logic is asked about each request that the pool serves, in order.
	Logic []weir.LogicUse `json:"logic,omitempty"`
	// Protocol is h2 or auto, "" for h1.
	Protocol  string        `json:"protocol,omitempty"`
	SlowStart weir.Duration `json:"slowStart,omitempty"`
	// Unchecked lets a new server take traffic before its first good check.
	Unchecked bool `json:"unchecked,omitempty"`
	// Endpoint says that it is a service of a partner, nil for a Pool.
	Endpoint *Endpoint `json:"endpoint,omitempty"`
	Servers  []Server  `json:"servers,omitempty"` // by name
}

// Server is one member of a pool.
type Server struct {
	Name    string         `json:"name"`
	Address netip.AddrPort `json:"address"`
	// Socket is the name of an abstract socket in place of Address, which is not valid then.
	Socket string `json:"socket,omitempty"`
	Weight int    `json:"weight"`
	// Maintenance takes all traffic and the checks away, but for an Override with the state ready.
	Maintenance bool `json:"maintenance,omitempty"`
	// Owner is the object the member comes from when that is not the Server of its name: the pool of a static one. Of
	// a hundred thousand Servers each name would be in memory once more. See Object.
	Owner string `json:"owner"`
	// Overrides move the member by hand until they expire; see Node.At.
	Overrides []Override `json:"overrides,omitempty"` // by name
}

// At is where the member is, as HAProxy's configuration has it. Names of sockets end by themselves, as other programs' do
// (TestFactAbstractSockets in internal/hapctl).
func (s *Server) At() string {
	if s.Socket != "" {
		return "abnsz@" + s.Socket
	}
	return s.Address.String()
}

// Object names the object that the member comes from: "Server/web-017", or the pool of a static one.
func (s *Server) Object() string {
	if s.Owner == "" {
		return "Server/" + s.Name
	}
	return s.Owner
}

// MarshalJSON says the owner in any case.
func (s Server) MarshalJSON() ([]byte, error) {
	type plain Server
	s.Owner = s.Object()
	return json.Marshal(plain(s))
}

// implied leaves out what Object says of itself.
func (s *Server) implied() {
	if name, ok := strings.CutPrefix(s.Owner, "Server/"); ok && name == s.Name {
		s.Owner = ""
	}
}

// Override is one unexpired or expired Override for a member.
type Override struct {
	Name      string    `json:"name"`
	State     string    `json:"state,omitempty"`
	Weight    *int      `json:"weight,omitempty"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// AccessList is a list of networks and strings, both sorted.
type AccessList struct {
	Name     string            `json:"name"`
	Networks []netip.Prefix    `json:"networks"`
	Strings  *weir.ListStrings `json:"strings,omitempty"`
}

// Map is a list of keys and values in the order given.
type Map struct {
	Name    string          `json:"name"`
	Match   string          `json:"match"`
	Entries []weir.MapEntry `json:"entries"`
}

// RateLimit is a limit that some site names. Its page and lists are there.
type RateLimit struct {
	Name string `json:"name"`
	weir.RateLimit
}

// Logic is business logic that some site or pool names.
type Logic struct {
	Name string `json:"name"`
	weir.Logic
}

// Page is an error page.
type Page struct {
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	Body        string `json:"body"`
}

// Certificate is a chain, and which key belongs to it.
type Certificate struct {
	Name  string     `json:"name"`
	Chain weir.Chain `json:"chain"`
	// Key names the sealed key by generation and fingerprint; nil for an authority.
	Key *weir.SealedRef `json:"key,omitempty"`
	// Names are the DNS names of the leaf.
	Names []string `json:"names,omitempty"`
}

// SiteLogic names the Logics that are asked about a site's requests, in order.
func (n *Node) SiteLogic(site string) []string {
	for i := range n.Sites {
		if n.Sites[i].Name == site {
			return n.logicOf(n.Sites[i].Logic)
		}
	}
	return nil
}

// PoolLogic names the Logics that are asked about the requests that a pool serves, in order.
func (n *Node) PoolLogic(pool string) []string {
	for i := range n.Pools {
		if n.Pools[i].Name == pool {
			return n.logicOf(n.Pools[i].Logic)
		}
	}
	return nil
}

func (n *Node) logicOf(uses []weir.LogicUse) (list []string) {
	for _, use := range uses {
		if slices.ContainsFunc(n.Logics, func(l Logic) bool { return l.Name == use.Name }) {
			list = append(list, use.Name)
		}
	}
	return list
}
