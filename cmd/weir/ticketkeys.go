package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/api"
)

func newTicketKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ticketkeys [GROUP…]",
		GroupID: groupLook,
		Short:   "Show or renew the TLS ticket keys that load balancers share",
		Long: `Show, for each group, of which generation the keys of TLS session tickets are that its load balancers share, so
that a client whose load balancer dies goes on with its session on another one: since when it encrypts, when the
next one is due, and which load balancers have it. A load balancer that is one generation behind takes everybody's
tickets still.

The keys themselves are shown nowhere: the control plane does not know them.`,
		Example: `  weir ticketkeys
  weir ticketkeys edge
  weir ticketkeys renew edge --reason "lb-az1-1 was stolen"`,
	}
	lookAtGroups(cmd, func(fleet *api.FleetStatus) any {
		return byGroup(fleet, func(g api.GroupStatus) *api.TicketKeysStatus { return g.TicketKeys })
	}, printAllTicketKeys)
	cmd.AddCommand(newRenewTicketKeys())
	return cmd
}

func newRenewTicketKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "renew GROUP",
		Short: "Change all keys of TLS session tickets of a group at once",
		Long: `Change all keys of TLS session tickets of a group, three times, as fast as its load balancers follow, which takes a
few seconds: nothing that anybody knew before opens anything then, and each client makes one full handshake.

It is for a load balancer that was stolen or broken into: delete it first, so that it is told nothing more. When a
load balancer is merely deleted the others change their secret by themselves, with the next generations, and no client
notices. It takes the right operator on every role.`,
		Example: `  weir delete loadbalancer lb-az1-1
  weir ticketkeys renew edge --reason "lb-az1-1 was stolen"`,
	}
	actOnGroup(cmd, groupAct{part: "ticketkeys", reason: "why; kept in the audit file", done: "renews its ticket keys"})
	return cmd
}

func printAllTicketKeys(s *screen, fleet *api.FleetStatus, _ bool, now time.Time) {
	for i := range fleet.Groups {
		printTicketKeys(s, &fleet.Groups[i], now)
	}
}

// printTicketKeys tells how the ticket keys of a group are.
func printTicketKeys(s *screen, g *api.GroupStatus, now time.Time) {
	k := g.TicketKeys
	if k == nil {
		s.printf("%s %s  %s\n", s.faint("–"), s.title(clean(g.Name)), s.faint("nothing is known yet"))
		return
	}
	mark := s.good("✓")
	if k.Generation == 0 || len(k.Laggards)+len(k.Apart) > 0 || k.Renewing > 0 {
		mark = s.warning("!")
	}
	s.printf("%s %s  %s\n", mark, s.title(clean(g.Name)), ticketHead(s, k, now))
	s.line(s.wrapped("    ", oneLine(k.Message)))
	if len(k.Laggards) > 0 {
		s.line(s.wrapped("    ", s.warning("without it: ")+clean(some(k.Laggards, 10))))
	}
	if len(k.Apart) > 0 {
		s.line(s.wrapped("    ", s.warning("with other keys: ")+clean(some(k.Apart, 10))))
	}
}

// ticketHead says in a few words which generation there is, and how long yet.
func ticketHead(s *screen, k *api.TicketKeysStatus, now time.Time) string {
	if k.Generation == 0 {
		return s.warning("no keys are shared")
	}
	next := "the next is due " + ago(k.Next, now)
	if k.Next.After(now) {
		next = "the next in " + span(k.Next.Sub(now))
	}
	return fmt.Sprintf("generation %d", k.Generation) + s.faint(", for "+span(now.Sub(k.Since))+", "+next+", one every "+k.Every.String())
}

// overdueAfter is how long after its time the next generation of ticket keys is worth a word in the group's state.
const overdueAfter = time.Minute

// printOverdueKeys tells of ticket keys only when they wait for load balancers that don't follow, or are renewed.
func printOverdueKeys(s *screen, k *api.TicketKeysStatus, now time.Time) {
	if k != nil && k.Generation > 0 && (k.Renewing > 0 || now.Sub(k.Next) > overdueAfter) {
		s.line(s.wrapped("    ", s.warning("ticket keys: ")+oneLine(k.Message)))
	}
}
