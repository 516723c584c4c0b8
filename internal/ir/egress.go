package ir

import (
	"reflect"
	"slices"
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
	// Name is what the DNS is asked for where no addresses are fixed, "" where they are.
	Name string `json:"name,omitempty"`
	// Prefer is the family that load balancers ask for first when they ask themselves, "" when they don't.
	Prefer string `json:"prefer,omitempty"`
	// MaxVersion is the newest version of TLS, "" for any.
	MaxVersion string `json:"maxVersion,omitempty"`
	// Closed are the maintenance of the service and that of its partner, of which the first that holds is shown.
	Closed []weir.SiteMaintenance `json:"closed,omitempty"`
}

// same compares what two pools are services of.
func (e *Endpoint) same(o *Endpoint) bool { return e == o || reflect.DeepEqual(e, o) }

// Pool names the pool of the endpoint. People's names hold no dot.
func (e *Endpoint) Pool() string { return e.Partner + "." + e.Environment + "." + e.Service }

// CalledPool names the pool of a service that is written partner/environment/service; a backend's name stays as it is.
func CalledPool(service string) string { return strings.ReplaceAll(service, "/", ".") }

// CalledAs gives what CalledPool made a pool's name of.
func CalledAs(pool string) string { return strings.ReplaceAll(pool, ".", "/") }

// ByPool has a Split of services name their pools, as routes do.
func (s *Split) ByPool() {
	s.Backend = CalledPool(s.Backend)
	s.Legs = slices.Clone(s.Legs)
	for i := range s.Legs {
		s.Legs[i].Backend = CalledPool(s.Legs[i].Backend)
	}
	s.Steps = slices.Clone(s.Steps)
	for i := range s.Steps {
		weights := make(map[string]int, len(s.Steps[i].Weights))
		for service, weight := range s.Steps[i].Weights {
			weights[CalledPool(service)] = weight
		}
		s.Steps[i].Weights = weights
	}
}

// PoolOwner names the object that a pool comes from: its own, or the Partner whose service it is.
func PoolOwner(pool string) string {
	if partner, _, ok := strings.Cut(pool, "."); ok {
		return "Partner/" + partner
	}
	return "Pool/" + pool
}
