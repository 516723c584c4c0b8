package main

import (
	"github.com/spf13/cobra"

	"weir"
)

func newTokenList() *cobra.Command { return newListOf("Token", "List the tokens", "  weir token list") }

func newTokenDelete() *cobra.Command {
	return newDeleteOf("Token", "delete NAME…", "End tokens; whoever holds them is shut out at once", "  weir token delete ann-k3x9qw")
}

// newListOf makes a list command of one kind.
func newListOf(kindName, short, example string) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: short, Example: example, Args: noArgs}
	f := new(getFlags)
	f.output = addOutputFlag(cmd, "table", "yaml", "json", "name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		kind, _ := weir.KindByName(kindName)
		objects, err := f.read(cmd.Context(), c, kind, nil)
		if err != nil {
			return err
		}
		return f.show(cmd, c, kind, objects, false)
	}
	return cmd
}

// newDeleteOf makes a command that deletes objects of one kind by name.
func newDeleteOf(kindName, use, short, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example,
		Args:              rangeArgs(1, 1000, "say which by name"),
		ValidArgsFunction: completeNames(kindName),
	}
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		refs, err := refsToDelete(cmd, append([]string{kindName}, args...), nil)
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		if err := c.allExist(cmd.Context(), refs); err != nil {
			return err
		}
		return write(cmd, &writes{deletes: refs}, writeOptions{reason: *reason, dryRun: *dryRun, output: "text"})
	}
	return cmd
}
