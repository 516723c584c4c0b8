package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weir"
)

func newEnable() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "enable SERVER",
		GroupID: groupOperate,
		Short:   "End what drain and weight did to a server",
		Long: `End what was done to a server by hand: every Override of it is deleted, or with --pool only those of that pool.
The server then has the weight of its own object, and its health checks decide.`,
		Example: `  weir enable web-az1-017
  weir enable web-az1-017 --pool api --reason "cache is warm"`,
		Args:              exactArgs(1, "say which server"),
		ValidArgsFunction: completeOverridden,
	}
	pool := cmd.Flags().String("pool", "", "only the overrides of this pool")
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	wait := addWaitFlag(cmd)
	output := addOutputFlag(cmd, "text", "json", "yaml")
	_ = cmd.RegisterFlagCompletionFunc("pool", completeNames("Pool"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		server, err := nameOf("Server", args[0])
		if err != nil {
			return err
		}
		if *pool != "" {
			if *pool, err = nameOf("Pool", *pool); err != nil {
				return err
			}
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		all, err := c.overridesOf(cmd.Context(), server)
		if err != nil {
			return err
		}
		refs, left := toEnd(all, *pool)
		if len(refs) == 0 {
			return nothingToEnd(cmd, c, server, *pool, left)
		}
		why := *reason
		if why == "" {
			why = "enable " + server
		}
		if left != nil {
			noted(cmd.ErrOrStderr(), "%s still holds for every pool: %s.", left.Ref(), doesText(left.Spec.(*weir.Override)))
		}
		return write(cmd, &writes{deletes: refs}, writeOptions{reason: why, dryRun: *dryRun, wait: *wait, output: *output})
	}
	return cmd
}

// toEnd chooses the overrides to delete, and gives one that is for all pools and stays.
func toEnd(all []*object, pool string) (refs []weir.Ref, left *object) {
	for _, o := range all {
		spec := o.Spec.(*weir.Override)
		switch {
		case pool == "" || spec.Pool == pool:
			refs = append(refs, o.Ref())
		case spec.Pool == "":
			left = o
		}
	}
	return refs, left
}

// nothingToEnd says why a server may be out of traffic though nobody moved it.
func nothingToEnd(cmd *cobra.Command, c *client, server, pool string, left *object) error {
	if left != nil {
		return fmt.Errorf("no override of %s is for pool %s only, but %s is for every pool: weir enable %s ends that", server, pool, left.Ref(), server)
	}
	if _, err := c.roleOfServer(cmd.Context(), server, pool); err != nil {
		return err
	}
	stdout(cmd).printf("Nothing holds %s back: there is no override of it.\n", server)
	return nil
}
