package weir

import "slices"

// EgressRule lets applications call services of a partner. What no rule lets through is refused.
type EgressRule struct {
	// Clients name the EgressClients that may call.
	Clients []string `json:"clients"`
	// Partner names whom.
	Partner string `json:"partner"`
	// Environment is the partner's that may be called; each client's own when left out.
	Environment string `json:"environment,omitempty"`
	// Services are those of the partner that may be called; all in that environment when left out.
	Services []string `json:"services,omitempty"`
	// SLAs name the service levels that calls may ask for.
	SLAs []string `json:"slas"`
	// Methods are those that calls may have; any when left out.
	Methods []string `json:"methods,omitempty"`
	// Paths are prefixes, by whole elements, of what may follow the service level; any path when left out.
	Paths []string `json:"paths,omitempty"`
	// Schedule names a window of time outside of which the rule lets nothing through; it always does when left out.
	Schedule string `json:"schedule,omitempty"`
}

// Bounds of an EgressRule.
const (
	MaxRuleClients = 256
	MaxRulePaths   = 64
)

// Normalize does nothing: all is written as it is meant.
func (r *EgressRule) Normalize() {}

// Validate checks everything that a rule says by itself.
func (r *EgressRule) Validate(p *Problems) {
	if len(r.Clients) == 0 {
		p.Add("clients", "needs at least one EgressClient")
	}
	if len(r.Clients) > MaxRuleClients {
		p.Add("clients", "names %d; at most %d are allowed", len(r.Clients), MaxRuleClients)
	}
	names(p, "clients", r.Clients)
	required(p, "partner", r.Partner)
	if r.Environment != "" {
		checkElement(p, "environment", r.Environment)
	}
	names(p, "services", r.Services)
	if len(r.SLAs) == 0 {
		p.Add("slas", "needs at least one SLA")
	}
	names(p, "slas", r.SLAs)
	if len(r.Methods) > 32 {
		p.Add("methods", "holds %d; at most 32 are allowed", len(r.Methods))
	}
	unique(p, "methods", r.Methods)
	for i, m := range r.Methods {
		checkMethod(p, index("methods", i), m)
	}
	if len(r.Paths) > MaxRulePaths {
		p.Add("paths", "holds %d; at most %d are allowed", len(r.Paths), MaxRulePaths)
	}
	unique(p, "paths", r.Paths)
	for i, path := range r.Paths {
		if err := checkMatchPath(path); err != nil {
			p.Add(index("paths", i), "%s", err)
		}
	}
	if r.Schedule != "" {
		required(p, "schedule", r.Schedule)
	}
}

// References are clients, the partner, the levels and the schedule.
func (r *EgressRule) References() []Reference {
	list := each(nil, "clients", "EgressClient", r.Clients)
	list = optional(list, "partner", "Partner", r.Partner)
	return optional(each(list, "slas", "SLA", r.SLAs), "schedule", "Schedule", r.Schedule)
}

// In gives the partner's environment that a client of an environment may call by the rule.
func (r *EgressRule) In(environment string) string {
	if r.Environment != "" {
		return r.Environment
	}
	return environment
}

// Endpoints gives the services of a partner that a client of an environment may call by the rule.
func (r *EgressRule) Endpoints(partner *Partner, environment string) (list []*PartnerEndpoint) {
	environment = r.In(environment)
	for i := range partner.Endpoints {
		e := &partner.Endpoints[i]
		if e.Environment == environment && (len(r.Services) == 0 || slices.Contains(r.Services, e.Service)) {
			list = append(list, e)
		}
	}
	return list
}
