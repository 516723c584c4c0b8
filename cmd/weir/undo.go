package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func newUndo() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "undo REVISION",
		GroupID: groupChange,
		Short:   "Take a change back, as a new change",
		Long: `Take a change back: every object that it wrote becomes what it was before. That is a new change, which can be
undone as well. It is refused, and the objects are named, when something of it was changed since.
Tokens are never restored.`,
		Example: `  weir undo 1041 --dry-run
  weir undo 1041 --reason "wrong pool" --wait`,
		Args:              exactArgs(1, "say which change to undo: its revision, as weir history lists them"),
		ValidArgsFunction: completeRevisions,
	}
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	wait := addWaitFlag(cmd)
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		revision, err := revisionArg(args[0])
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		c.timeout = timeoutOf(cmd, applyWithin)
		o := writeOptions{reason: *reason, dryRun: *dryRun, wait: *wait, output: *output}
		answer := new(applied)
		if err := c.do(cmd.Context(), call{method: http.MethodPost, path: "changes/" + itoa(revision) + "/undo", query: o.query(url.Values{})}, answer); err != nil {
			return unchanged(err)
		}
		return tell(cmd, c, answer, o)
	}
	return cmd
}
