package main

import (
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/api"
)

// lookAtGroups gives a command that shows something of the groups that it names, or of all, its work: value is what -o
// prints, and show what people read; asked says that groups were named.
func lookAtGroups(cmd *cobra.Command, value func(*api.FleetStatus) any, show func(s *screen, fleet *api.FleetStatus, asked bool, now time.Time)) {
	cmd.ValidArgsFunction = completeNames("LoadBalancerGroup")
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, groups []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		fleet, err := c.fleet(cmd.Context())
		if err != nil {
			return err
		}
		if err := chooseGroups(fleet, groups); err != nil {
			return err
		}
		if *output != "text" {
			return printValue(cmd.OutOrStdout(), *output, value(fleet))
		}
		show(stdout(cmd), fleet, len(groups) > 0, c.now())
		return nil
	}
}

// byGroup gives a part of each group's state that has it, by the group's name.
func byGroup[T any](fleet *api.FleetStatus, part func(api.GroupStatus) *T) map[string]*T {
	parts := map[string]*T{}
	for _, g := range fleet.Groups {
		if p := part(g); p != nil {
			parts[g.Name] = p
		}
	}
	return parts
}

// groupAct is something that is done to a part of one group.
type groupAct struct {
	part   string     // its path below the group's
	query  url.Values // besides the reason
	reason string     // what the flag says of the reason
	// must is what is said when no reason is given, empty when none need be.
	must string
	done string // what is said of the group then
}

// actOnGroup gives a command that does something to one group its work.
func actOnGroup(cmd *cobra.Command, act groupAct) {
	cmd.Args = exactArgs(1, "say of which group")
	cmd.ValidArgsFunction = completeNames("LoadBalancerGroup")
	reason := cmd.Flags().String("reason", "", act.reason)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		group, err := nameOf("LoadBalancerGroup", args[0])
		if err != nil {
			return err
		}
		if act.must != "" && *reason == "" {
			return usagef("%s", act.must)
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		query := url.Values{}
		maps.Copy(query, act.query)
		if *reason != "" {
			query.Set("reason", *reason)
		}
		var now struct{ Message string } // of the part's state
		if err := c.do(cmd.Context(), call{method: http.MethodPost, path: "loadbalancergroups/" + group + "/" + act.part, query: query}, &now); err != nil {
			return err
		}
		s := stdout(cmd)
		s.printf("%s %s %s\n", s.good("✓"), s.strong(group), act.done)
		s.line(s.wrapped("    ", oneLine(now.Message)))
		return nil
	}
}
