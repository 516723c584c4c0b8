package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status [GROUP…]",
		GroupID: groupLook,
		Short:   "Show how far every group is, what does not serve, and why",
		Long: `Show, for each group of load balancers, how many have read back what is wanted; who has not, why and since
when; which sites and pools do not serve, where and why; what is quarantined or left out; and how often HAProxy was
reloaded, with the reasons of the last time. Below that: how many servers registered, which certificates can't be had,
which discovery sources fail or are not believed, which partners do not answer or have no address, and what was taken
out of zones.

The sign before a group says how it is: ✓ when all of it has what is wanted and everything serves, ! when something
is missing that clients need not notice, ✗ when a load balancer lags or a site does not serve.

With --wait it waits until every load balancer has the revision, showing how far they are, and exits with 1
naming those that have not when the time is over. It then waits a few seconds more for what the first checks of new
servers say, so that status tells of them, and does not fail for want of that.`,
		Example: `  weir status
  weir status edge
  weir status --wait --revision 1041 --timeout 30s
  weir status -o json | jq '.groups[] | select(.ready < .of)'`,
		ValidArgsFunction: completeNames("LoadBalancerGroup"),
	}
	wait := cmd.Flags().Bool("wait", false, "wait until every load balancer has the revision")
	revision := cmd.Flags().Int64("revision", 0, "with --wait: the revision to wait for; the newest when left out")
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, groups []string) error {
		if *revision != 0 && !*wait {
			return usagef("--revision belongs to --wait")
		}
		if *revision < 0 {
			return usagef("--revision must be positive")
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		if *wait {
			return waitFor(cmd, c, *revision)
		}
		fleet, err := c.fleet(cmd.Context())
		if err != nil {
			return err
		}
		if err := chooseGroups(fleet, groups); err != nil {
			return err
		}
		if *output != "text" {
			return printValue(cmd.OutOrStdout(), *output, fleet)
		}
		s := stdout(cmd)
		printFleet(s, fleet, c.now())
		printShifts(cmd.Context(), s, c)
		if line := c.storeLine(cmd, s); line != "" {
			s.line("")
			s.line(line)
		}
		return nil
	}
	return cmd
}

func waitFor(cmd *cobra.Command, c *client, revision int64) error {
	within := timeoutOf(cmd, convergeWithin)
	if revision == 0 {
		c.timeout = answerWithin
		me := new(api.WhoAmI)
		if err := c.get(cmd.Context(), "whoami", nil, me); err != nil {
			return err
		}
		revision = me.Revision
	}
	return c.follow(cmd, revision, within, nil)
}

func chooseGroups(fleet *api.FleetStatus, names []string) error {
	if len(names) == 0 {
		return nil
	}
	all := make([]string, len(fleet.Groups))
	for i, g := range fleet.Groups {
		all[i] = g.Name
	}
	names = slices.Clone(names)
	for i, word := range names {
		n, err := nameOf("LoadBalancerGroup", word)
		if err != nil {
			return err
		}
		names[i] = n
		if !slices.Contains(all, n) {
			return usagef("there is no group %q; there %s", n, thoseAre(all))
		}
	}
	fleet.Groups = slices.DeleteFunc(fleet.Groups, func(g api.GroupStatus) bool { return !slices.Contains(names, g.Name) })
	return nil
}

func printFleet(s *screen, fleet *api.FleetStatus, now time.Time) {
	printHeld(s, fleet.Restored)
	s.printf("%s\n", s.faint("control plane "+clean(fleet.Version)+", revision "+itoa(fleet.Revision)))
	if len(fleet.Groups) == 0 {
		s.line("There is no group of load balancers yet.")
	}
	for i := range fleet.Groups {
		s.line("")
		printGroup(s, &fleet.Groups[i], now)
	}
	if text := serversText(s, fleet.Servers); text != "" {
		s.line("")
		s.line(s.wrapped("", text))
	}
	if len(fleet.NotIssued) > 0 {
		s.line("")
		s.line(s.wrapped("", notIssuedText(s, fleet.NotIssued)))
	}
	printTroubles(s, "source", "DiscoverySource", fleet.Sources)
	printTroubles(s, "partner", "Partner", fleet.Partners)
	if len(fleet.Strangers) > 0 {
		s.printf("\n%s\n", s.wrapped("", s.warning(strangersAre)))
		printStrangers(s, fleet.Strangers, now)
	}
}

// printTroubles names the discovery sources, or the partners, that somebody should look at, or the first of them.
func printTroubles(s *screen, word, kind string, list []weir.Problem) {
	for i, p := range list {
		if i == 0 {
			s.line("")
		}
		if i == mostTroubles {
			s.line(s.faint(fmt.Sprintf("… and %d more, with weir get %ss", len(list)-mostTroubles, strings.ToLower(kind))))
			return
		}
		s.line(s.wrapped("", s.warning(word+" ")+s.strong(clean(strings.TrimPrefix(p.Object, kind+"/")))+": "+oneLine(p.Message)))
	}
}

// mostTroubles is how many of a kind the state of the fleet names.
const mostTroubles = 5

// serversText counts the servers by their registrations, empty while there are none.
func serversText(s *screen, sums *api.RegisteredServers) string {
	if sums == nil {
		return ""
	}
	parts := []string{s.good(fmt.Sprintf("%d healthy", sums.Healthy))}
	for _, more := range []struct {
		n    int
		word string
		tone func(string) string
	}{{sums.Draining, "draining", s.warning}, {sums.Withdrawn, "withdrawn", s.bad}, {sums.Stale, "stale", s.bad}, {sums.Unregistered, "without a registration", s.faint}} {
		if more.n > 0 {
			parts = append(parts, more.tone(fmt.Sprintf("%d %s", more.n, more.word)))
		}
	}
	return "servers registered: " + strings.Join(parts, ", ")
}
