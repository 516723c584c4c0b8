package api

import (
	"net/http"
	"time"

	"weir"
)

// CheckSource knows how the health of servers changed. Many goroutines call it at once.
type CheckSource interface {
	// ServerChecks gives the changes of a server's health, the newest first, and since when they are noted.
	ServerChecks(server string) (events []CheckEvent, since time.Time)
}

// CheckEvent is a change of a server's health on one load balancer.
type CheckEvent struct {
	Time         time.Time `json:"time"`
	LoadBalancer string    `json:"loadBalancer"`
	Pool         string    `json:"pool"`
	// From and To are up, down, starting, maint, drain or no check.
	From string `json:"from"`
	To   string `json:"to"`
	// Said is what the last check said, with HAProxy's word for it at the end: "answers 503: Sorry (L7STS)".
	Said string `json:"said,omitempty"`
}

// ServerChecks is a server's health check log.
type ServerChecks struct {
	Server string `json:"server"`
	// Since is when this control plane began to note; what was before is not known.
	Since time.Time `json:"since"`
	// Events are the last ones, at most 50, the newest first.
	Events []CheckEvent `json:"events"`
	// Hidden counts those in pools that the caller may not see.
	Hidden int `json:"hidden,omitempty"`
}

// serverChecks tells a server's health check log. A static member of its name is another server.
func (c *call) serverChecks(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	if c.h.opts.Checks == nil {
		return weir.Errorf(weir.Unavailable, "this server keeps no health check log")
	}
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	events, since := c.h.opts.Checks.ServerChecks(o.Metadata.Name)
	answer := ServerChecks{Server: o.Metadata.Name, Since: since, Events: []CheckEvent{}}
	for _, e := range events {
		switch pool := weir.Find[weir.Pool](view, "Pool", e.Pool); {
		case pool != nil && pool.HasMember(o.Metadata.Name):
		case !c.sees(view, "Pool/"+e.Pool):
			answer.Hidden++
		default:
			e.Said = printable(e.Said)
			answer.Events = append(answer.Events, e)
		}
	}
	return c.answer(http.StatusOK, answer)
}
