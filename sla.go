package weir

import "time"

// SLA is a service level that egress calls are made at, named by an element of their path: how long they may take, what is
// tried once more, and how many there may be at once.
type SLA struct {
	// Connect is how long connecting to a server of the partner may take, TLS included; 5s when left out. HAProxy 3.2 goes by
	// the group's Tuning. A server that refuses is tried up to three times more, a second apart where the partner has no other.
	Connect Duration `json:"connect,omitempty"`
	// Server is how long the partner may be silent; 30s when left out. A WebSocket, once it is open, may be as long as the
	// group's Tuning says (timeouts.tunnel).
	Server Duration `json:"server,omitempty"`
	// Client is how long the application may be silent; the group's Tuning when left out.
	Client Duration `json:"client,omitempty"`
	// Retries say when a call is made once more that a server has seen; never when left out.
	Retries *SLARetries `json:"retries,omitempty"`
	// Connections is kept, also when left out: a call goes over a connection of an earlier one where there is one, which is
	// fast; when the partner closes that at the same moment and the call is not made again, the application's connection is
	// closed without an answer. Or own: each call has a connection of its own, and every failure is answered.
	Connections string `json:"connections,omitempty"`
	// InFlight is how many calls to one service of a partner may be under way at this level, on each load balancer by itself;
	// one more is answered 503 at once. 0 is no bound.
	InFlight int `json:"inFlight,omitempty"`
}

// SLARetries says when a call is made once more, up to three times and at another server of the partner where it has one.
// One that no server was connected to for is made again in any case, since nobody has seen it.
type SLARetries struct {
	// On is failure, also when left out: the connection ended without an answer, the answer was garbage, 502, 503 or 504, or none came in time.
	On string `json:"on,omitempty"`
	// Methods is idempotent, by which only GET, HEAD, OPTIONS, PUT and DELETE are made again, or all; idempotent when left
	// out. Calls whose body is longer than a buffer of HAProxy (Tuning.bufferSize) are never.
	Methods string `json:"methods,omitempty"`
}

// What calls go over.
const (
	ConnectionsKept = "kept"
	ConnectionsOwn  = "own"
)

// What is tried again.
const (
	RetryOnFailure  = "failure"
	RetryIdempotent = "idempotent"
	RetryAll        = "all"
)

// Normalize fills the defaults.
func (s *SLA) Normalize() {
	setDefault(&s.Connect, Duration(5*time.Second))
	setDefault(&s.Server, Duration(30*time.Second))
	setDefault(&s.Connections, ConnectionsKept)
	if s.Retries != nil {
		setDefault(&s.Retries.On, RetryOnFailure)
		setDefault(&s.Retries.Methods, RetryIdempotent)
	}
}

// Validate checks everything that a level says by itself.
func (s *SLA) Validate(p *Problems) {
	s.Connect.within(p, "connect", time.Millisecond, 10*time.Minute)
	s.Server.within(p, "server", time.Millisecond, 24*time.Hour)
	if s.Client != 0 {
		s.Client.within(p, "client", time.Millisecond, 24*time.Hour)
	}
	oneOf(p, "connections", s.Connections, ConnectionsKept, ConnectionsOwn)
	between(p, "inFlight", s.InFlight, 0, 1_000_000)
	if r := s.Retries; r != nil {
		oneOf(p, "retries.on", r.On, RetryOnFailure)
		oneOf(p, "retries.methods", r.Methods, RetryIdempotent, RetryAll)
	}
}

// References are none: rules refer to levels.
func (s *SLA) References() []Reference { return nil }
