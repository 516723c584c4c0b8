package api

import (
	"context"
	"net/http"
	"time"

	"weir"
	"weir/internal/secrets"
)

// TicketSource changes the keys of TLS session tickets. Many goroutines call it at once.
type TicketSource interface {
	// RenewTicketKeys has a group change all its keys as fast as its load balancers follow. It is a weir.Conflict when
	// the group has no keys yet.
	RenewTicketKeys(ctx context.Context, group, by, reason string) error
}

// TicketKeysStatus is how the keys of TLS session tickets are that a group's load balancers share.
type TicketKeysStatus struct {
	// Every is how long a generation encrypts.
	Every weir.Duration `json:"every"`
	// Generation is the one that encrypts now, Since when; 0 before the load balancers have agreed on a secret.
	Generation int64     `json:"generation"`
	Since      time.Time `json:"since,omitzero"`
	// Next is when the next generation is due.
	Next time.Time `json:"next,omitzero"`
	// Has of Of load balancers were read back to have the generation; those away for long don't count.
	Has int `json:"has"`
	Of  int `json:"of"`
	// Laggards are the others, by name. One behind takes everybody's tickets still, and two behind does not.
	Laggards []string `json:"laggards,omitempty"`
	// Apart are load balancers that nobody waits for: away for long, of an older version, or with keys of their own.
	Apart []string `json:"apart,omitempty"`
	// Renewing is how many generations are still to come at once, because somebody asked for it.
	Renewing int `json:"renewing,omitempty"`
	// Message says all this in a sentence.
	Message string `json:"message"`
}

func (c *call) ticketStatus(kind weir.Kind) (*TicketKeysStatus, error) {
	o, err := c.find(kind)
	if err != nil {
		return nil, err
	}
	for _, g := range c.h.opts.Status.Fleet().Groups {
		if g.Name == o.Metadata.Name && g.TicketKeys != nil {
			return g.TicketKeys, nil
		}
	}
	return nil, weir.Errorf(weir.Unavailable, "nothing is known yet of the ticket keys of group %s", o.Metadata.Name)
}

func (c *call) ticketKeys(kind weir.Kind) error {
	status, err := c.ticketStatus(kind)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, status)
}

// renewTicketKeys costs every client of the group a full handshake, and so takes a right on everybody's sites.
func (c *call) renewTicketKeys(kind weir.Kind) error {
	if !c.who.Holds(weir.Operator, "") {
		return weir.Errorf(weir.Forbidden, "ticket keys are all sites' of a group: renewing them takes the right operator on role \"*\", which %s does not have", c.who.Subject)
	}
	reason, err := c.reason()
	if err != nil {
		return err
	}
	status, err := c.ticketStatus(kind)
	if err != nil {
		return err
	}
	if c.h.opts.TicketKeys == nil {
		return weir.Errorf(weir.Unavailable, "this server renews no ticket keys")
	}
	name := c.r.PathValue("name")
	entry := secrets.AuditEntry{What: "renew ticket keys", Object: "LoadBalancerGroup/" + name, Outcome: "accepted", Reason: reason}
	if err := c.h.opts.TicketKeys.RenewTicketKeys(c.r.Context(), name, c.who.Subject, reason); err != nil {
		entry.Outcome, entry.Reason = "refused", err.Error()
		c.audit(entry)
		return err
	}
	c.audit(entry)
	if after, err := c.ticketStatus(kind); err == nil {
		status = after
	}
	return c.answer(http.StatusOK, status)
}
