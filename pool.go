package weir

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Pool is a set of servers that do the same work.
type Pool struct {
	// Mode is http or tcp; http when left out.
	Mode string `json:"mode,omitempty"`
	// Selector takes in every Server that matches it; nil takes none.
	Selector *Selector `json:"selector,omitempty"`
	// Members are static ones.
	Members []Member `json:"members,omitempty"`
	// Admission is what must say healthy before a member's first request: check (HAProxy's own), registration (that of a
	// selected Server; static members need none), both, or none. It is check when left out, none without a health check.
	Admission string `json:"admission,omitempty"`
	// Floor bounds what silence can take out, where Admission asks for a registration.
	Floor *Floor `json:"floor,omitempty"`
	// Port is where selected servers are reached: a number, or the name of one of their ports.
	Port PortRef `json:"port,omitempty"`
	// Balance is roundrobin, leastconn, random, source, uri or header.
	Balance string `json:"balance,omitempty"`
	// BalanceHeader is the request header whose value chooses the server; balance: header needs it.
	BalanceHeader  string          `json:"balanceHeader,omitempty"`
	HealthCheck    *HealthCheck    `json:"healthCheck,omitempty"`
	Persistence    *Persistence    `json:"persistence,omitempty"`
	MaxConnections *MaxConnections `json:"maxConnections,omitempty"`
	// Queue bounds how long a request waits for a server that is full; "none" answers 503 at once.
	Queue *Queue   `json:"queue,omitempty"`
	TLS   *PoolTLS `json:"tls,omitempty"`
	// SendProxy begins each connection to a server with a PROXY header: v1 or v2.
	SendProxy string `json:"sendProxy,omitempty"`
	// Protocol is how an http pool's servers are spoken to: h1, h2 (agreed upon by TLS, without tls taken for granted)
	// or auto (whichever the server takes by TLS, h2 first); h1 when left out. gRPC needs h2, with trailers to the
	// client; WebSockets go by h1 where the server has it.
	Protocol    string       `json:"protocol,omitempty"`
	Compression *Compression `json:"compression,omitempty"`
	// Logic names the Logics that are asked about each request that this pool serves, of whatever site, in this order.
	Logic []LogicUse `json:"logic,omitempty"`
	// SlowStart is the time over which a returning server's weight grows to its full value.
	SlowStart Duration `json:"slowStart,omitempty"`
	// ServerTimeout is how long a server may be silent; the group's Tuning when left out. A tcp pool's is
	// rounded up to 1m, 10m, 1h or 24h.
	ServerTimeout Duration `json:"serverTimeout,omitempty"`
}

// Selector says which Servers belong to a pool; every field that is set must match.
type Selector struct {
	Role string `json:"role"`
	Zone string `json:"zone,omitempty"`
	// Clusters matches a server that is in at least one of them.
	Clusters []string `json:"clusters,omitempty"`
}

// Mismatch is why a pool does not select a Server, empty when it does.
type Mismatch string

// The reasons why a Server is not selected, the first that holds.
const (
	MismatchRole    Mismatch = "role"    // of another role, or the pool selects nobody
	MismatchZone    Mismatch = "zone"    // in another zone
	MismatchCluster Mismatch = "cluster" // in none of the clusters
	MismatchShared  Mismatch = "shared"  // of another role than the pool, and not shared with it
)

// Matches says whether a server of a role belongs.
func (s *Selector) Matches(role string, server *Server) bool { return s.mismatch(role, server) == "" }

func (s *Selector) mismatch(role string, server *Server) Mismatch {
	switch {
	case s == nil || s.Role != role:
		return MismatchRole
	case s.Zone != "" && s.Zone != server.Zone:
		return MismatchZone
	case len(s.Clusters) > 0 && !slices.ContainsFunc(s.Clusters, func(c string) bool { return slices.Contains(server.Clusters, c) }):
		return MismatchCluster
	}
	return ""
}

// Selects says whether a pool of a role takes in a Server: the selector matches, and the server is the role's own
// or shared with it. A pool without a role is the admin's and takes in whoever matches.
func (o *Pool) Selects(role string, server *Object) bool { return o.Mismatch(role, server) == "" }

// Mismatch says why Selects is false.
func (o *Pool) Mismatch(role string, server *Object) Mismatch {
	spec, ok := server.Spec.(*Server)
	if !ok {
		return MismatchRole
	}
	if why := o.Selector.mismatch(server.Metadata.Role, spec); why != "" {
		return why
	}
	if owner := server.Metadata.Role; role != "" && owner != role && !slices.Contains(server.Metadata.ShareWith, role) {
		return MismatchShared
	}
	return ""
}

// HasMember says whether a static member has the name.
func (o *Pool) HasMember(name string) bool {
	return slices.ContainsFunc(o.Members, func(m Member) bool { return m.Name == name })
}

// Member is a server that is named in the pool itself.
type Member struct {
	Name    string     `json:"name"`
	Address netip.Addr `json:"address,omitzero"`
	Port    Port       `json:"port,omitempty"`
	// Socket is the name of an abstract socket on the load balancer's own machine, in place of address and port. Whoever
	// is on a machine may listen there and at all of its sockets, so only pools without a role, an admin's, may name one.
	Socket string `json:"socket,omitempty"`
	Weight *int   `json:"weight,omitempty"`
}

// Persistence keeps a client at one server.
type Persistence struct {
	// Cookie is the name of the cookie that HAProxy sets.
	Cookie string `json:"cookie"`
}

// MaxConnections bounds what a server is given at once.
type MaxConnections struct {
	// PerServer is for each load balancer by itself; 0 is no bound.
	PerServer int `json:"perServer,omitempty"`
}

// Queue is written "none" or {timeout: 60s}.
type Queue struct {
	None    bool
	Timeout Duration
}

// MarshalJSON writes the short form for none.
func (q Queue) MarshalJSON() ([]byte, error) {
	if q.None {
		return []byte(`"none"`), nil
	}
	return json.Marshal(map[string]Duration{"timeout": q.Timeout})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (q *Queue) UnmarshalJSON(b []byte) error {
	if string(b) == `"none"` {
		*q = Queue{None: true}
		return nil
	}
	var long struct{ Timeout Duration }
	if err := json.Unmarshal(b, &long); err != nil {
		return fmt.Errorf(`must be "none" or {timeout: 60s}`)
	}
	*q = Queue{Timeout: long.Timeout}
	return nil
}

// PoolTLS is how servers are spoken to.
type PoolTLS struct {
	// Verify is ca (CA, or the system's authorities when CA is empty) or none.
	Verify string `json:"verify,omitempty"`
	// CA names a Certificate without key that signs the servers' certificates.
	CA string `json:"ca,omitempty"`
	// SNI is the name sent and, when verified, expected in the server's certificate.
	SNI string `json:"sni,omitempty"`
	// MinVersion is TLSv1.2 or TLSv1.3.
	MinVersion string `json:"minVersion,omitempty"`
	// ClientCertificate names the Certificate that Weir shows to the servers.
	ClientCertificate string `json:"clientCertificate,omitempty"`
}

// Balances are the ways a pool can choose a server.
var Balances = []string{"roundrobin", "leastconn", "random", "source", "uri", "header"}

// PoolProtocols are the versions of HTTP that servers can be spoken to in.
var PoolProtocols = []string{"h1", "h2", "auto"}

// Normalize fills the defaults.
func (o *Pool) Normalize() {
	setDefault(&o.Mode, "http")
	setDefault(&o.Balance, "roundrobin")
	if o.HealthCheck == nil {
		o.HealthCheck = &HealthCheck{Type: "tcp"}
	}
	o.HealthCheck.normalize()
	o.Compression.normalize()
	o.normalizeAdmission()
	for i := range o.Members {
		m := &o.Members[i]
		m.Address = m.Address.Unmap()
		if m.Weight == nil {
			m.Weight = new(100)
		}
	}
	if o.TLS != nil {
		setDefault(&o.TLS.Verify, "ca")
		setDefault(&o.TLS.MinVersion, "TLSv1.2")
		if c, err := CanonicalHostname(o.TLS.SNI); err == nil {
			o.TLS.SNI = c
		}
	}
}

// Validate checks everything that a pool says by itself.
func (o *Pool) Validate(p *Problems) {
	oneOf(p, "mode", o.Mode, "http", "tcp")
	if s := o.Selector; s != nil {
		required(p, "selector.role", s.Role)
		names(p, "selector.clusters", s.Clusters)
		if o.Port == "" {
			p.Add("port", "is required with a selector: a number or the name of a port of the servers")
		}
	}
	if n, ok := o.Port.Number(); ok {
		n.check(p, "port")
	} else if o.Port != "" {
		checkPortName(p, "port", string(o.Port))
	}
	o.validateMembers(p)
	oneOf(p, "balance", o.Balance, Balances...)
	if o.Mode == "tcp" && (o.Balance == "uri" || o.Balance == "header") {
		p.Add("balance", "%s needs http; a tcp pool has roundrobin, leastconn, random or source", o.Balance)
	}
	if (o.Balance == "header") != (o.BalanceHeader != "") {
		p.Add("balanceHeader", "belongs to balance: header, and balance: header needs it")
	}
	checkToken(p, "balanceHeader", o.BalanceHeader)
	o.HealthCheck.validate(p, o.Mode)
	o.validateAdmission(p)
	if o.Persistence != nil {
		if o.Mode == "tcp" {
			p.Add("persistence.cookie", "a tcp pool has no cookies")
		}
		if o.Persistence.Cookie == "" {
			p.Add("persistence.cookie", "is required")
		}
		checkToken(p, "persistence.cookie", o.Persistence.Cookie)
	}
	if o.MaxConnections != nil {
		between(p, "maxConnections.perServer", o.MaxConnections.PerServer, 0, 1_000_000)
	}
	if o.Queue != nil && !o.Queue.None {
		o.Queue.Timeout.within(p, "queue.timeout", time.Millisecond, time.Hour)
	}
	if o.Queue != nil && o.Mode == "tcp" {
		p.Add("queue", "is for http pools; a tcp pool's connections wait the group's queue timeout")
	}
	o.TLS.validate(p)
	if o.SendProxy != "" {
		oneOf(p, "sendProxy", o.SendProxy, "v1", "v2")
	}
	if o.Protocol != "" {
		oneOf(p, "protocol", o.Protocol, PoolProtocols...)
		if o.Mode == "tcp" {
			p.Add("protocol", "is for http pools; a tcp pool's servers speak what its clients speak")
		} else if o.Protocol == "auto" && o.TLS == nil {
			p.Add("protocol", "auto needs tls, by which it is agreed; without it say h1 or h2")
		}
	}
	o.Compression.validate(p, o.Mode)
	validateLogic(p, o.Mode, o.Logic)
	if o.SlowStart != 0 {
		o.SlowStart.within(p, "slowStart", time.Second, time.Hour)
	}
	if o.ServerTimeout != 0 {
		o.ServerTimeout.within(p, "serverTimeout", time.Millisecond, 24*time.Hour)
	}
}

func (o *Pool) validateMembers(p *Problems) {
	seen := map[string]bool{}
	for i, m := range o.Members {
		path := index("members", i)
		required(p, path+".name", m.Name)
		if seen[m.Name] {
			p.Add(path+".name", "%q is listed twice", clip(m.Name))
		}
		seen[m.Name] = true
		if m.Socket == "" {
			checkOrigin(p, path+".address", m.Address)
			m.Port.check(p, path+".port")
		} else {
			m.validateSocket(p, path, o)
		}
		between(p, path+".weight", *m.Weight, 0, 256)
	}
}

func (t *PoolTLS) validate(p *Problems) {
	if t == nil {
		return
	}
	oneOf(p, "tls.verify", t.Verify, "ca", "none")
	if t.Verify == "none" && t.CA != "" {
		p.Add("tls.ca", "is not looked at with verify: none")
	}
	if t.SNI != "" {
		checkHostname(p, "tls.sni", t.SNI)
	}
	if strings.HasPrefix(t.SNI, "*") {
		p.Add("tls.sni", "must be one name that the servers' certificates hold")
	}
	if t.Verify == "ca" && t.SNI == "" {
		p.Add("tls.sni", "is required with verify: ca: it is the name that the servers' certificates must hold")
	}
	oneOf(p, "tls.minVersion", t.MinVersion, "TLSv1.2", "TLSv1.3")
}

// References are the role and zone selected, the authority and the client certificate, and logic.
func (o *Pool) References() []Reference {
	var list []Reference
	if o.Selector != nil {
		list = optional(list, "selector.role", "Role", o.Selector.Role)
		list = optional(list, "selector.zone", "Zone", o.Selector.Zone)
	}
	if o.TLS != nil {
		list = optional(list, "tls.ca", "Certificate", o.TLS.CA)
		list = optional(list, "tls.clientCertificate", "Certificate", o.TLS.ClientCertificate)
	}
	return logicReferences(list, o.Logic)
}
