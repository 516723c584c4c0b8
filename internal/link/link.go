// Package link is the wire between the control plane and the agents, both ends: Hub and Client.
//
// An agent holds one long HTTP/2 response over mutual TLS 1.3, newline-delimited JSON: what it lacks of its
// group's resources, then every change as it happens. What an agent may see follows from its certificate alone.
// The agent keeps everything on its disk before anybody may use it, so that it needs the control plane for
// changes only.
package link

import (
	"context"
	"crypto/x509"
	"time"

	"weir/internal/secrets"
)

// The paths of the wire, on the listener of the API.
const (
	Prefix     = "/link/v1/"
	enrolPath  = Prefix + "enrol"
	renewPath  = Prefix + "renew"
	watchPath  = Prefix + "watch"
	statusPath = Prefix + "status"
	// reportsPath is for other control planes of the same store.
	reportsPath = Prefix + "reports"
	// resourcesPath takes what a load balancer has, heldPath tells other control planes of it; see held.go.
	resourcesPath = Prefix + "resources"
	heldPath      = Prefix + "held"
)

const (
	resumeHeader = "Weir-Resume" // what the agent has: epoch:revision:hash
	lacksHeader  = "Weir-Lacks"  // names of certificates whose keys it has not, comma separated

	// MaxResource is the longest body of a resource that travels, in bytes.
	MaxResource = 16 << 20
	// maxLine bounds a line: one resource of the largest size, or many small ones up to chunk.
	maxLine = MaxResource + 4<<10
	chunk   = 64 << 10
	// maxLacks bounds the header; an agent that lacks more asks for everything.
	maxLacks = 8 << 10

	maxEnrolBody = 64 << 10
	// Reports are bounded twice, because a few bytes of gzip can hold gigabytes.
	maxReportBody = 8 << 20
	maxReport     = 32 << 20
	maxProblem    = 64 << 10
)

// Heartbeat is how often a stream says that it lives when there is nothing else to say.
const Heartbeat = 3 * time.Second

// Silence is how long an agent waits for a line before it takes the stream for dead.
const Silence = 4 * Heartbeat

// Enrolment is what an agent that joins says; only the token makes any of it count.
type Enrolment struct {
	// TokenHash is that of the join token shown, as secrets.HashToken gives it.
	TokenHash string
	// Name is the load balancer's, as wanted; empty leaves it to the token.
	Name string
	// Agent and HAProxy are versions, for people.
	Agent, HAProxy string
	// Address is where the request came from.
	Address string
}

// Registry is the control plane's memory of its load balancers. Its errors are *weir.Error; others are shown
// to nobody and answered as unavailable. It is asked from many goroutines.
type Registry interface {
	// Enrol spends the token and creates the load balancer in one transaction, together with the serial of the
	// certificate that issue makes for the name decided on.
	Enrol(ctx context.Context, e Enrolment, issue func(name string) (*x509.Certificate, error)) error
	// Renew notes next as a further certificate of the load balancer, on the strength of shown, which must be the
	// latest that its agent has been seen with. Shown stays good until next is seen, since the answer may get lost.
	Renew(ctx context.Context, name string, shown, next *x509.Certificate) error
	// Admit says whether the load balancer exists and cert is its latest, or a further one seen for the first
	// time, which supersedes all before. It is asked at the start of each stream, at each heartbeat and for each
	// report, so it answers from memory.
	Admit(ctx context.Context, name string, cert *x509.Certificate) error
}

// Keys gives a certificate's private key in PEM, opened.
type Keys func(ctx context.Context, certificate string, generation int64) (secrets.Secret, error)
