package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

func newContext() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "context",
		GroupID: groupAccess,
		Short:   "List the control planes you logged in to, choose or forget one",
		Long: `List the control planes that you logged in to. The one marked with * is used when neither --context nor
WEIR_CONTEXT names another.`,
		Example: `  weir context
  weir context use prod
  weir --context staging get sites`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := loadContexts()
			if err != nil {
				return err
			}
			if len(all.Contexts) == 0 {
				noted(cmd.ErrOrStderr(), "There are none yet: run weir login URL --ca sha256:…")
				return nil
			}
			t := &table{columns: []column{{title: " "}, {title: "NAME"}, {title: "URL"}, {title: "CA", shrinks: true}}}
			for _, n := range all.Contexts {
				mark := cell{text: " "}
				if n.Name == all.Current {
					mark = cell{"*", good}
				}
				t.rows = append(t.rows, append([]cell{mark}, words(n.Name, n.URL, n.CA)...))
			}
			t.print(stdout(cmd))
			return nil
		},
	}
	cmd.AddCommand(newContextUse(), newContextRemove())
	return cmd
}

func newContextUse() *cobra.Command {
	return &cobra.Command{
		Use:               "use NAME",
		Short:             "Use this control plane when none is named",
		Example:           "  weir context use prod",
		Args:              exactArgs(1, "say which context"),
		ValidArgsFunction: completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := loadContexts()
			if err != nil {
				return err
			}
			if all.find(args[0]) == nil {
				return fmt.Errorf("there is no context %q; there %s", args[0], thoseAre(all.names()))
			}
			all.Current = args[0]
			return all.save()
		},
	}
}

func newContextRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove NAME",
		Short:             "Forget a control plane and the token for it",
		Example:           "  weir context remove staging",
		Args:              exactArgs(1, "say which context"),
		ValidArgsFunction: completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := loadContexts()
			if err != nil {
				return err
			}
			if all.find(args[0]) == nil {
				return fmt.Errorf("there is no context %q; there %s", args[0], thoseAre(all.names()))
			}
			all.Contexts = slices.DeleteFunc(all.Contexts, func(n namedContext) bool { return n.Name == args[0] })
			if all.Current == args[0] {
				all.Current = ""
			}
			if err := all.save(); err != nil {
				return err
			}
			noted(cmd.ErrOrStderr(), "Forgotten here; the token itself is valid until an admin deletes it.")
			return nil
		},
	}
}
