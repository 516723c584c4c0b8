package weir

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ErrorPage is a body that stands for HAProxy's own text.
type ErrorPage struct {
	ContentType string `json:"contentType,omitempty"`
	Body        string `json:"body"`
}

// Normalize fills the content type.
func (e *ErrorPage) Normalize() { setDefault(&e.ContentType, "text/html; charset=utf-8") }

// MaxErrorPage is the longest body of an ErrorPage that is accepted, in bytes. What a group can show
// depends on its buffers (Tuning.bufferSize); a page that is longer is quarantined there.
const MaxErrorPage = 256 << 10

// Validate checks the length.
func (e *ErrorPage) Validate(p *Problems) {
	if e.Body == "" {
		p.Add("body", "is required")
	}
	if len(e.Body) > MaxErrorPage {
		p.Add("body", "is %d bytes long; at most %d are allowed", len(e.Body), MaxErrorPage)
	}
	if err := CheckContentType(e.ContentType); err != nil {
		p.Add("contentType", "%s", err)
	}
}

// CheckContentType says why s can't be sent as a Content-Type, or nil: a type, a subtype and perhaps parameters
// with plain values, as in "text/html; charset=utf-8", of at most 100 bytes.
func CheckContentType(s string) error {
	word := func(w string) bool {
		return w != "" && strings.IndexFunc(w, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-+._", r))
		}) < 0
	}
	parts := strings.Split(s, ";")
	kind, sub, ok := strings.Cut(parts[0], "/")
	ok = ok && word(kind) && word(sub) && len(s) <= 100
	for _, part := range parts[1:] {
		name, value, pair := strings.Cut(strings.TrimLeft(part, " "), "=")
		ok = ok && pair && word(name) && word(value)
	}
	if !ok {
		return fmt.Errorf("%q is no content type, such as text/html; charset=utf-8", clip(s))
	}
	return nil
}

// References are none.
func (e *ErrorPage) References() []Reference { return nil }

// Server is an origin server as inventory knows it.
type Server struct {
	Address  netip.Addr `json:"address"`
	Zone     string     `json:"zone"`
	Clusters []string   `json:"clusters,omitempty"`
	// Ports name what the server listens at: {http: 8080}.
	Ports map[string]Port `json:"ports,omitempty"`
	// Weight is 0 to 256 relative to the others of a pool; 100 when left out, 0 takes no new traffic.
	Weight *int `json:"weight,omitempty"`
	// Registration is made by the control plane: what the server's own agent, or a source that knows of it, said last.
	Registration *Registration `json:"registration,omitempty"`
}

// mostOfServer is how many clusters, and ports, a server can have.
const mostOfServer = 256

// Normalize fills the weight.
func (s *Server) Normalize() {
	s.Registration.normalize()
	s.Address = s.Address.Unmap()
	if s.Weight == nil {
		s.Weight = new(100)
	}
}

// Validate checks address, ports and weight.
func (s *Server) Validate(p *Problems) {
	checkOrigin(p, "address", s.Address)
	required(p, "zone", s.Zone)
	if names(p, "clusters", s.Clusters); len(s.Clusters) > mostOfServer {
		p.Add("clusters", "%d clusters; at most %d are allowed", len(s.Clusters), mostOfServer)
	}
	if len(s.Ports) > mostOfServer {
		p.Add("ports", "%d ports; at most %d are allowed", len(s.Ports), mostOfServer)
	}
	for name, port := range s.Ports {
		checkPortName(p, "ports["+clip(name)+"]", name)
		port.check(p, "ports["+clip(name)+"]")
	}
	between(p, "weight", *s.Weight, 0, 256)
	s.Registration.validate(p)
}

// References are the zone.
func (s *Server) References() []Reference { return optional(nil, "zone", "Zone", s.Zone) }

func checkOrigin(p *Problems, path string, a netip.Addr) {
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
		p.Add(path, "must be one unicast address, such as 10.1.20.17 or 2001:db8::17; names are resolved by discovery, not here")
	}
}

// PortRef is a port number, or the name of a port of the pool's servers.
type PortRef string

// MarshalJSON writes a number where it is one.
func (r PortRef) MarshalJSON() ([]byte, error) {
	if n, ok := r.Number(); ok {
		return []byte(n.String()), nil
	}
	return json.Marshal(string(r))
}

// UnmarshalJSON reads a number or a name.
func (r *PortRef) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(r))
	}
	*r = PortRef(b)
	return nil
}

// UnmarshalText reads a number or a name.
func (r *PortRef) UnmarshalText(b []byte) error {
	*r = PortRef(b)
	return nil
}

// Number gives the port if it is written as a number.
func (r PortRef) Number() (Port, bool) {
	if r == "" || r[0] > '9' { // Atoi's error costs more than all else that is asked of a server
		return 0, false
	}
	n, err := strconv.Atoi(string(r))
	return Port(n), err == nil
}

// checkPortName refuses names that could be taken for numbers.
func checkPortName(p *Problems, path, name string) {
	if err := CheckName(name); err != nil {
		p.Add(path, "%s", err)
	} else if strings.Trim(name, "0123456789") == "" {
		p.Add(path, "%q is a number; the name of a port needs a letter", clip(name))
	}
}

// Override moves one server by hand for a while.
type Override struct {
	// Server is the name of a Server or of a static member.
	Server string `json:"server"`
	// Pool limits the override to one pool; empty means every pool the server is in.
	Pool string `json:"pool,omitempty"`
	// State is drain (no new traffic), maintenance (none at all, no checks) or ready (in, whatever the server's
	// registration says); empty leaves it.
	State string `json:"state,omitempty"`
	// Weight replaces the server's; nil leaves it.
	Weight    *int      `json:"weight,omitempty"`
	Reason    string    `json:"reason"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// The states an Override can give.
const (
	StateReady       = "ready"
	StateDrain       = "drain"
	StateMaintenance = "maintenance"
)

// Normalize writes the expiry in UTC, so that equal moments are equal texts.
func (o *Override) Normalize() { o.ExpiresAt = o.ExpiresAt.UTC() }

// Validate checks that something is asked, why, and until when.
func (o *Override) Validate(p *Problems) {
	required(p, "server", o.Server)
	if o.State == "" && o.Weight == nil {
		p.Add("state", "state or weight is required")
	}
	if o.State != "" {
		oneOf(p, "state", o.State, StateReady, StateDrain, StateMaintenance)
	}
	if o.Weight != nil {
		between(p, "weight", *o.Weight, 0, 256)
	}
	if o.Reason == "" {
		p.Add("reason", "is required: the next person wants to know why")
	}
	prose(p, "reason", o.Reason, 500)
	if o.ExpiresAt.IsZero() {
		p.Add("expiresAt", "is required, such as 2030-01-31T12:00:00Z")
	}
}

// References are the pool; the server may be a static member and is looked up where it is used.
func (o *Override) References() []Reference { return optional(nil, "pool", "Pool", o.Pool) }
