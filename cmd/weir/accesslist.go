package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newAccessList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "accesslist",
		GroupID: groupChange,
		Short:   "Replace the entries of an AccessList by those of a file",
		Long:    `Replace the entries of an AccessList by those of a file, at run time and all at once for every client.`,
		Example: `  weir accesslist upload crawlers -f networks.txt --dry-run
  weir accesslist upload crawlers -f agents.txt --strings --reason "feed of this morning"`,
	}
	cmd.AddCommand(newAccessListUpload())
	return cmd
}

func newAccessListUpload() *cobra.Command {
	cmd := &cobra.Command{
		Short: "Replace all networks, or strings, of an AccessList",
		Long: `Replace all networks of an AccessList by those of a file, as one change; with --strings its strings, of which the way
that they are matched stays. An entry is a line; of networks an address stands for itself alone, and what stands behind #
or ; is a comment. Of strings a line that begins with # is a comment. Doubles count once.

The AccessList must be there. What is wrong is told by the file's lines, and then nothing is changed. --dry-run says how
many entries come and go, and what every load balancer would do.`,
		Example: `  weir accesslist upload crawlers -f networks.txt --dry-run
  weir accesslist upload crawlers -f agents.txt --strings
  curl -s https://feed.example.com/drop.txt | weir accesslist upload drop -f - --wait`,
	}
	f := newUpload(cmd, "AccessList", "accesslists")
	cmd.Flags().BoolVar(&f.strings, "strings", false, "the file holds strings, not networks")
	return cmd
}

func newMap() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "map",
		GroupID: groupChange,
		Short:   "Replace the entries of a Map by those of a file",
		Long:    `Replace the entries of a Map by those of a file, at run time.`,
		Example: `  weir map upload moved -f moved.txt --dry-run
  weir map upload moved -f moved.txt --reason "shop moves"`,
	}
	cmd.AddCommand(newMapUpload())
	return cmd
}

func newMapUpload() *cobra.Command {
	cmd := &cobra.Command{
		Short: "Replace all entries of a Map",
		Long: `Replace all entries of a Map by those of a file, as one change. An entry is a line: the key, blanks and the value. A line
that begins with # is a comment. An entry that is repeated counts once; a key with two values is refused. How the keys are
matched stays, and of regexes the order of the lines counts.

The Map must be there. What is wrong is told by the file's lines, and then nothing is changed. --dry-run says how many
entries come and go, a key with another value being one of each, and what every load balancer would do.`,
		Example: `  weir map upload moved -f moved.txt --dry-run
  weir map upload moved -f - --wait < moved.txt`,
	}
	newUpload(cmd, "Map", "maps")
	return cmd
}

// uploadFlags are those of weir accesslist upload and weir map upload.
type uploadFlags struct {
	kind, plural   string
	file           string
	strings        bool
	reason, output *string
	dryRun, wait   *bool
}

// newUpload makes cmd one that uploads the entries of objects of a kind.
func newUpload(cmd *cobra.Command, kind, plural string) *uploadFlags {
	cmd.Use, cmd.Args, cmd.ValidArgsFunction = "upload NAME -f FILE", rangeArgs(1, 1, "say which "+kind), completeNames(kind)
	f := &uploadFlags{kind: kind, plural: plural}
	cmd.Flags().StringVarP(&f.file, "filename", "f", "", "the entries, one a line: a file, or - for standard input")
	f.reason, f.dryRun, f.wait = addReasonFlag(cmd), addDryRunFlag(cmd), addWaitFlag(cmd)
	f.output = addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) }
	return f
}

// what is the part of the object that is replaced, as its path ends.
func (f *uploadFlags) what() string {
	switch {
	case f.kind == "Map":
		return "entries"
	case f.strings:
		return "strings"
	}
	return "networks"
}

// listAnswer is api.ListAnswer as it is read.
type listAnswer struct {
	applied                 applied
	Entries, Added, Removed int
}

// UnmarshalJSON keeps the text too.
func (a *listAnswer) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, &a.applied); err != nil {
		return err
	}
	type fields listAnswer
	return json.Unmarshal(raw, (*fields)(a))
}

func (f *uploadFlags) run(cmd *cobra.Command, name string) error {
	if err := weir.CheckName(name); err != nil {
		return usagef("the name of the %s %s", f.kind, err)
	}
	list, err := readList(f.file, cmd.InOrStdin())
	if err != nil {
		return err
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	c.timeout = timeoutOf(cmd, applyWithin)
	what := f.what()
	o := writeOptions{reason: *f.reason, dryRun: *f.dryRun, wait: *f.wait, output: *f.output}
	answer := new(listAnswer)
	send := call{method: http.MethodPut, path: f.plural + "/" + name + "/" + what, query: o.query(url.Values{}), body: list.body, header: http.Header{"Content-Type": {api.ListType}}}
	if err := c.do(cmd.Context(), send, answer); err != nil {
		err = unchanged(list.located(err))
		if r := new(refusal); what == "networks" && errors.As(err, &r) && len(r.Errors) > 0 {
			r.Detail += "; strings, as of user agents, are uploaded with --strings"
		}
		return err
	}
	if o.output != "text" {
		return tell(cmd, c, &answer.applied, o)
	}
	s := stdout(cmd)
	s.printf("%s: %s %s; %s added, %s removed.\n", s.strong(f.kind+"/"+name), thousands(answer.Entries), what, thousands(answer.Added), thousands(answer.Removed))
	if o.dryRun {
		printEffects(s, planOr(answer.applied.Plan), groupSizes(cmd), false)
		s.line("Nothing was changed.")
		return nil
	}
	// Of so many entries nobody reads before and after, which were not asked for.
	if len(answer.applied.Change.Objects) > 0 {
		s.printf("%s\n", s.strong("Revision "+itoa(answer.applied.Revision)+"."))
	}
	if !o.wait {
		return nil
	}
	return c.follow(cmd, answer.applied.Revision, timeoutOf(cmd, convergeWithin), func() error {
		return c.unserved(cmd.Context(), &answer.applied, o.asked)
	})
}
