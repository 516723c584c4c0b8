package main

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir/internal/api"
)

func newSearch() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "search TEXT",
		GroupID: groupLook,
		Short:   "Find objects by names, addresses and fingerprints",
		Long: `Find objects by a part of their name, host names, labels, or the fingerprint or serial number of a certificate; by an
address, which finds who has it and the lists and ranges that hold it; by a network, for the addresses in it; by a port,
as :8443; by a URL, for its host. Kind/TEXT looks among one kind. The best comes first.`,
		Example: `  weir search shop.example.com
  weir search 10.1.20.17
  weir search https://www.example.com/cart
  weir search server/az1
  weir search :8443 -o name`,
		Args: exactArgs(1, "say what to look for"),
	}
	limit := cmd.Flags().IntP("number", "n", 20, "the most to show, at most 200")
	output := addOutputFlag(cmd, "table", "json", "yaml", "name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *limit < 1 || *limit > 200 {
			return usagef("--number must be 1 to 200")
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		found := new(api.SearchAnswer)
		if err := c.get(cmd.Context(), "search", url.Values{"q": {args[0]}, "limit": {strconv.Itoa(*limit)}}, found); err != nil {
			return err
		}
		return showHits(cmd, *output, args[0], found)
	}
	return cmd
}

func showHits(cmd *cobra.Command, output, text string, found *api.SearchAnswer) error {
	s := stdout(cmd)
	switch {
	case output == "name":
		for _, h := range found.Hits {
			s.line(h.Kind + "/" + h.Name)
		}
		return nil
	case output != "table":
		return printValue(cmd.OutOrStdout(), output, found)
	case len(found.Hits) == 0:
		noted(cmd.ErrOrStderr(), "Nothing that this token may see has %s in it.", strconv.Quote(oneLine(text)))
		return nil
	}
	t := &table{columns: []column{{title: "OBJECT"}, {title: "ROLE", optional: true}, {title: "STATE"}, {title: "FOUND BY", shrinks: true}, {title: "WHY", folds: true}}}
	for _, h := range found.Hits {
		by := h.Field
		if h.Text != strings.ToLower(h.Name) {
			by += " " + h.Text
		}
		t.add([]cell{{text: h.Kind + "/" + h.Name}, {text: h.Role}, {string(h.State), toneOf(h.State)}, {text: by}, {text: h.Why}})
	}
	t.print(s)
	if found.More > 0 {
		s.printf("%s\n", s.faint("… and "+thousands(found.More)+" more; a longer text finds fewer, --number shows more"))
	}
	return nil
}

// toneOf is how a state is shown.
func toneOf(state api.State) tone {
	switch state {
	case api.StateServing:
		return good
	case api.StateDown:
		return bad
	case api.StateDegraded:
		return warning
	}
	return faint
}
