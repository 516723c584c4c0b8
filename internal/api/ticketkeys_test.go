package api

import (
	"context"
	"strings"
	"testing"

	"weir"
)

// fakeTickets renews nothing, and says so when the reason is "early".
type fakeTickets struct{}

// RenewTicketKeys implements TicketSource.
func (fakeTickets) RenewTicketKeys(_ context.Context, group, _, reason string) error {
	if reason == "early" {
		return weir.Errorf(weir.Conflict, "group %s has no ticket keys yet", group)
	}
	return nil
}

func TestTicketKeysAreRenewedByOperatorsOfAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := "/api/v1/loadbalancergroups/edge/ticketkeys"
	if got := string(w.want(w.do("admin", "GET", at, ""), 200).body); !strings.Contains(got, `"generation":7`) {
		t.Errorf("told %s", got)
	}
	w.want(w.do("admin", "POST", at+"?reason=stolen", ""), 200)
	w.want(w.do("admin", "POST", at+"?reason=early", ""), 409)
	w.want(w.do("owner", "POST", at, ""), 403)
	w.want(w.do("admin", "POST", "/api/v1/loadbalancergroups/none/ticketkeys", ""), 404)
	w.want(w.do("admin", "GET", "/api/v1/loadbalancergroups/none/ticketkeys", ""), 404)
}
