package ir

import (
	"strings"

	"weir"
)

// EgressClient is an application that an egress site of the group serves.
type EgressClient struct {
	Name string `json:"name"`
	weir.EgressClient
}

// Caller gives what the application's calls begin with, as "myback/prod".
func (c *EgressClient) Caller() string { return c.EgressClient.Caller(c.Name) }

// SLA is a service level that some rule of the group names.
type SLA struct {
	Name string `json:"name"`
	weir.SLA
}

// EgressRule lets applications of the group call; whom it names is there, but for services, which may be missing.
type EgressRule struct {
	Name string `json:"name"`
	weir.EgressRule
}

// Endpoint is what a pool knows that is a service of a partner.
type Endpoint struct {
	Partner     string `json:"partner"`
	Environment string `json:"environment"`
	Service     string `json:"service"`
	// Host is what requests have as Host.
	Host string `json:"host"`
	// Path stands before what calls have after the service level, "" for nothing.
	Path string `json:"path,omitempty"`
	// InFlight bounds what is under way, 0 for no bound.
	InFlight int `json:"inFlight,omitempty"`
	// MaxVersion is the newest version of TLS, "" for any.
	MaxVersion string `json:"maxVersion,omitempty"`
}

// Pool names the pool of the endpoint. People's names hold no dot.
func (e *Endpoint) Pool() string { return e.Partner + "." + e.Environment + "." + e.Service }

// PoolOwner names the object that a pool comes from: its own, or the Partner whose service it is.
func PoolOwner(pool string) string {
	if partner, _, ok := strings.Cut(pool, "."); ok {
		return "Partner/" + partner
	}
	return "Pool/" + pool
}
