package weir

import "net/netip"

// Announcement is what a server says of itself when it registers. What is left out is the token's to say, or what a Server
// has by default.
type Announcement struct {
	// Address is where it is reached; left out, it is the one that the server asks from.
	Address  netip.Addr `json:"address,omitzero"`
	Zone     string     `json:"zone,omitempty"`
	Clusters []string   `json:"clusters,omitempty"`
	// Ports name what the server listens at: {http: 8080}.
	Ports map[string]Port `json:"ports,omitempty"`
	// Weight is 0 to 256 relative to the others of a pool; 100 when left out.
	Weight *int              `json:"weight,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// State is healthy, draining or withdrawn.
	State string `json:"state"`
	// Reason is why, in words for people.
	Reason string `json:"reason,omitempty"`
}

// Validate checks what an announcement alone has; the rest is checked as the Server's that becomes of it.
func (a *Announcement) Validate(p *Problems) {
	oneOf(p, "state", a.State, RegistrationHealthy, RegistrationDraining, RegistrationWithdrawn)
	if a.State == RegistrationWithdrawn && a.Reason == "" {
		p.Add("reason", "is required: say in words why the server is withdrawn")
	}
	prose(p, "reason", a.Reason, 500)
}

// What metadata.managedBy of a Server that registered itself says, and what begins spec.registration.by of any whose
// health its own agent tells; the token's name follows.
const (
	ManagedByRegistration = "registration"
	ByRegistration        = "registration/"
)
