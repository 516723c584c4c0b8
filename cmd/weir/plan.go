package main

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"weir/internal/api"
)

func newPlan() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "plan -f FILE",
		GroupID: groupChange,
		Short:   "Show what apply would do to each load balancer, without trace",
		Long: `Show what apply would do: the objects that differ, and for every load balancer the run-time
commands or the one reload with its reasons. Nothing is changed and nothing is remembered.

The exit status is 0 when the plan could be made, 1 when the manifests are refused, and with
--exit-code 3 when there is something to do.`,
		Example: `  weir plan -f site.yaml
  weir plan -f manifests/ --commands
  weir plan -f site.yaml --delete Pool/old --exit-code
  git diff --quiet || weir plan -f . -o json | jq '.plan.loadBalancers[].reload'`,
		Args: onlyFiles,
	}
	files := addFileFlag(cmd)
	deletes := addDeleteFlag(cmd)
	commands := cmd.Flags().Bool("commands", false, "show every run-time command, not only how many of which")
	exitCode := cmd.Flags().Bool("exit-code", false, "exit with 3 when there is something to do")
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := planFiles(cmd, *files, *deletes)
		if err != nil {
			return err
		}
		if err := showPlan(cmd, answer, *output, *commands); err != nil {
			return err
		}
		if *exitCode && len(answer.Change.Objects) > 0 {
			return statusError(exitDiffers)
		}
		return nil
	}
	return cmd
}

func planFiles(cmd *cobra.Command, files, deletes []string) (*applied, error) {
	w, err := readWrites(cmd, files, deletes)
	if err != nil {
		return nil, err
	}
	c, err := connect(cmd)
	if err != nil {
		return nil, err
	}
	c.timeout = timeoutOf(cmd, applyWithin)
	what, err := w.request("plan", url.Values{})
	if err != nil {
		return nil, err
	}
	answer := new(applied)
	if err := c.do(cmd.Context(), what, answer); err != nil {
		return nil, unchanged(w.located(err))
	}
	w.locate(answer)
	return answer, nil
}

// showPlan prints an answer that holds a plan.
func showPlan(cmd *cobra.Command, answer *applied, output string, commands bool) error {
	if output != "text" {
		return printValue(cmd.OutOrStdout(), output, answer)
	}
	s := stdout(cmd)
	if len(answer.Change.Objects) == 0 {
		s.line("Nothing to do: everything is as asked.")
		return nil
	}
	printChange(s, answer.Change.Objects)
	plan := answer.Plan
	if plan == nil {
		plan = &api.PlanAnswer{}
	}
	var sizes map[string]int
	if len(plan.LoadBalancers) > 0 {
		sizes = groupSizes(cmd)
	}
	printEffects(s, plan, sizes, commands)
	printWarnings(s, answer.Warnings)
	printLater(s, answer.Change.Objects)
	s.printf("\n%s %s.\n", s.strong("Plan:"), planSummary(answer, plan))
	return nil
}

// printLater says of discovery sources that what they find is no part of a plan.
func printLater(s *screen, objects []objectChange) {
	var names []string
	for i := range objects {
		if o := objects[i].After; o != nil && o.Kind == "DiscoverySource" {
			names = append(names, o.Metadata.Name)
		}
	}
	if len(names) > 0 {
		s.printf("\n%s\n", s.wrapped("", clean(list(names))+": the servers that are found come afterwards, as changes of their own."))
	}
}

func planSummary(answer *applied, plan *api.PlanAnswer) string {
	text := tallyOf(answer.Change.Objects).words("to add", "to change", "to delete") + "; "
	reload, runtime := reloading(plan)
	switch {
	case reload+runtime == 0:
		return text + "no load balancer has anything to do"
	case reload == 0:
		return text + count(runtime, "load balancer changes", "load balancers change") + " at run time, none reloads"
	case runtime == 0:
		return text + count(reload, "load balancer reloads", "load balancers reload")
	}
	return text + count(runtime, "load balancer changes", "load balancers change") + " at run time, " + count(reload, "reloads", "reload")
}

// groupSizes counts the load balancers of each group, as far as the caller may know.
func groupSizes(cmd *cobra.Command) map[string]int {
	sizes := map[string]int{}
	fleet, err := fleetOf(cmd)
	if err != nil {
		return sizes // the plan names them one by one then
	}
	for _, g := range fleet.Groups {
		sizes[g.Name] = len(g.LoadBalancers)
	}
	return sizes
}

func fleetOf(cmd *cobra.Command) (*api.FleetStatus, error) {
	c, err := connect(cmd)
	if err != nil {
		return nil, err
	}
	return c.fleet(cmd.Context())
}

func (c *client) fleet(ctx context.Context) (*api.FleetStatus, error) {
	fleet := new(api.FleetStatus)
	return fleet, c.get(ctx, "status", url.Values{}, fleet)
}
