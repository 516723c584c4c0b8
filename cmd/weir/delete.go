package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"weir"
)

func newDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete KIND NAME… | delete Kind/name… | delete -f FILE",
		GroupID: groupChange,
		Short:   "Delete objects, as one change",
		Long: `Delete objects, by kind and name or as manifests name them, as one atomic change. What something else still
refers to is refused. A deletion can be undone with weir undo.`,
		Example: `  weir delete pool web-old --reason "moved to web-az1"
  weir delete server web-az1-017 web-az1-018
  weir delete Site/shop Pool/shop --wait
  weir delete -f site.yaml --dry-run`,
		ValidArgsFunction: completeObjects,
	}
	files := addFileFlag(cmd)
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	wait := addWaitFlag(cmd)
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		refs, err := refsToDelete(cmd, args, *files)
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		// Who names an object that is not there has mistyped; whoever has manifests wants it gone.
		if len(*files) == 0 {
			if err := c.allExist(cmd.Context(), refs); err != nil {
				return err
			}
		}
		left := c.leftBySources(cmd.Context(), refs)
		if err := write(cmd, &writes{deletes: refs}, writeOptions{reason: *reason, dryRun: *dryRun, wait: *wait, output: *output}); err != nil {
			return err
		}
		if *output == "text" {
			for _, text := range left {
				stdout(cmd).line(text)
			}
		}
		return nil
	}
	return cmd
}

// leftBySources says of each discovery source what becomes of the servers that it found.
func (c *client) leftBySources(ctx context.Context, refs []weir.Ref) (lines []string) {
	for _, ref := range refs {
		if ref.Kind != "DiscoverySource" {
			continue
		}
		kind, _ := weir.KindByName(ref.Kind)
		what := "Servers that " + ref.String() + " found stay"
		if o, err := c.one(ctx, kind, ref.Name); err == nil && o.Status != nil && o.Status.Source != nil {
			switch n := o.Status.Source.Servers; n {
			case 0:
				continue
			case 1:
				what = "The server that " + ref.String() + " found stays"
			default:
				what = fmt.Sprintf("The %d servers that %s found stay", n, ref)
			}
		}
		lines = append(lines, what+" as they are and take traffic: a source of the same name goes on with them, or delete them (weir delete server NAME…).")
	}
	return lines
}

func (c *client) allExist(ctx context.Context, refs []weir.Ref) error {
	for _, ref := range refs {
		kind, _ := weir.KindByName(ref.Kind)
		if _, err := c.one(ctx, kind, ref.Name); err != nil {
			return unchanged(err)
		}
	}
	return nil
}

// refsToDelete gives what the arguments or the manifests name, the referring before the referred to.
func refsToDelete(cmd *cobra.Command, args, files []string) ([]weir.Ref, error) {
	if len(files) > 0 {
		if len(args) > 0 {
			return nil, usagef("give either KIND NAME… or -f, not both")
		}
		m, err := readManifest(cmd, files)
		if err != nil {
			return nil, err
		}
		weir.SortObjects(m.objects)
		slices.Reverse(m.objects)
		refs := make([]weir.Ref, len(m.objects))
		for i, o := range m.objects {
			refs[i] = o.Ref()
		}
		return refs, nil
	}
	refs, err := refsOf(args)
	if err == nil && len(refs) == 0 {
		err = usagef("say what to delete: KIND NAME…, Kind/name…, or -f FILE")
	}
	return refs, err
}
