package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"weir"
)

func newDiscoverySource() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "discoverysource",
		GroupID: groupChange,
		Aliases: []string{"source"},
		Short:   "Let servers go that a source has lost",
		Long: `Let servers go that a discovery source has lost. Where servers are learned from is written in objects: see weir get
discoverysources and weir describe discoverysource.`,
		Example: `  weir get discoverysources
  weir describe discoverysource consul
  weir discoverysource confirm consul --reason "we scale down for the night"`,
	}
	cmd.AddCommand(newConfirmSource())
	return cmd
}

func newConfirmSource() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "confirm SOURCE",
		Short: "Confirm that the servers are gone that a source has lost",
		Long: `Confirm that the servers are gone that a source has lost, or has as not ready. When more is gone at once than the
source's floor allows, nothing is changed before somebody says so, the source has it again, or the floor's hold has
passed. What is confirmed is what is shown: when more is gone by then, nothing is done.

It takes the right owner on the role of the servers. The change that it makes has the reason.`,
		Example: `  weir discoverysource confirm consul --dry-run
  weir discoverysource confirm consul --reason "we scale down for the night"`,
		Args:              exactArgs(1, "say of which source"),
		ValidArgsFunction: completeNames("DiscoverySource"),
	}
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := nameOf("DiscoverySource", args[0])
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		return confirmSource(cmd, c, name, *reason, *dryRun)
	}
	return cmd
}

func confirmSource(cmd *cobra.Command, c *client, name, reason string, dryRun bool) error {
	kind, _ := weir.KindByName("DiscoverySource")
	o, err := c.one(cmd.Context(), kind, name)
	if err != nil {
		return err
	}
	if o.Status == nil || o.Status.Source == nil || o.Status.Source.Doubt == nil {
		return fmt.Errorf("nothing is doubted of DiscoverySource/%s: there is nothing to confirm", name)
	}
	doubt, s := o.Status.Source.Doubt, stdout(cmd)
	s.line(s.wrapped("", fmt.Sprintf("%s of %d: %s", doubtedOf(doubt), o.Status.Source.Servers, oneLine(doubt.Why))))
	s.line(s.wrapped("  ", doubtedNames(doubt)))
	if dryRun {
		s.printf("%s\n", s.faint("Nothing is changed."))
		return nil
	}
	query := url.Values{"doubt": {strconv.FormatInt(doubt.Number, 10)}}
	if reason != "" {
		query.Set("reason", reason)
	}
	var now weir.SourceStatus
	if err := c.do(cmd.Context(), call{method: http.MethodPost, path: "discoverysources/" + name + "/confirm", query: query}, &now); err != nil {
		return err
	}
	if now.Doubt != nil && now.Doubt.Number == doubt.Number {
		s.printf("%s %s is told to let them go; weir describe discoverysource %s says when it has\n", s.warning("!"), s.strong(name), name)
		return nil
	}
	s.printf("%s %s lets them go: they are drained\n", s.good("✓"), s.strong(name))
	return nil
}

// doubtedOf counts the servers that are kept.
func doubtedOf(d *weir.SourceDoubt) string {
	if d.Servers == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", d.Servers)
}

// doubtedNames names the servers that are kept, or the first of them.
func doubtedNames(d *weir.SourceDoubt) string {
	text := clean(list(d.Names))
	if n := d.Servers - len(d.Names); n > 0 && len(d.Names) > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return text
}
