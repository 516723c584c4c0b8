package weir

import "time"

// TicketKeys says how often a group's load balancers change the keys of TLS session tickets, which they all share.
type TicketKeys struct {
	// Every is how long a key encrypts tickets; a ticket is taken for as long again at most. 4h when left out.
	Every Duration `json:"every,omitempty"`
}

// TicketKeysEvery is how long a group's keys of TLS session tickets encrypt when nobody says.
const TicketKeysEvery = 4 * time.Hour

// TicketKeysEvery gives how long each key of TLS session tickets encrypts.
func (g *LoadBalancerGroup) TicketKeysEvery() time.Duration {
	if g.TicketKeys == nil {
		return TicketKeysEvery
	}
	return g.TicketKeys.Every.D()
}

func (k *TicketKeys) normalize() {
	if k != nil {
		setDefault(&k.Every, Duration(TicketKeysEvery))
	}
}

// A ticket must not be taken for longer than a week (RFC 8446, 4.6.1), which is two generations at most.
func (k *TicketKeys) validate(p *Problems) {
	if k != nil {
		k.Every.within(p, "ticketKeys.every", time.Second, 84*time.Hour)
	}
}
