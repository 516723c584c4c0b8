package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func newHistory() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "history [KIND [NAME] | REVISION]",
		GroupID: groupLook,
		Short:   "List who changed what, when and why, or show one change",
		Long: `List the changes, the newest first: of everything, of one kind or of one object. With a revision it shows that
change: author, time, reason, each object before and after as a unified diff, and of the last 200 changes what each load
balancer did for it and when that was read back.`,
		Example: `  weir history
  weir history site www
  weir history 1041
  weir history --author ann -n 10 -o yaml`,
		Args:              rangeArgs(0, 2, ""),
		ValidArgsFunction: completeObject,
	}
	author := cmd.Flags().String("author", "", "only changes by this author")
	limit := cmd.Flags().IntP("number", "n", 20, "how many changes to list, at most 1000")
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if revision, err := strconv.ParseInt(args[0], 10, 64); err == nil {
				return showChange(cmd, revision, *output)
			}
		}
		if *limit < 1 || *limit > 1000 {
			return usagef("--number must be 1 to 1000")
		}
		query := url.Values{"limit": {strconv.Itoa(*limit)}}
		if *author != "" {
			query.Set("author", *author)
		}
		if len(args) > 0 {
			kind, names, err := kindAndNames(args)
			if err != nil {
				return err
			}
			query.Set("kind", kind.Name)
			if len(names) > 1 {
				return usagef("%q is one name too many", names[1])
			}
			if len(names) == 1 {
				query.Set("name", names[0])
			}
		}
		return listChanges(cmd, query, *output)
	}
	return cmd
}

// changeList is a page of changes as it is read.
type changeList struct {
	Items    []*change `json:"items"`
	Continue int64     `json:"continue,omitempty"`
}

func listChanges(cmd *cobra.Command, query url.Values, output string) error {
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	page, err := c.listed(cmd.Context(), query)
	if err != nil {
		return err
	}
	if output != "text" {
		return printValue(cmd.OutOrStdout(), output, page)
	}
	if len(page.Items) == 0 {
		noted(cmd.ErrOrStderr(), "There are no such changes.")
		return nil
	}
	s := stdout(cmd)
	changesTable(page.Items).print(s)
	if page.Continue > 0 {
		s.line(s.faint(fmt.Sprintf("There are older ones; -n %d lists more.", min(1000, 5*len(page.Items)))))
	}
	return nil
}

// listed reads as many changes as the query's limit asks for: who meets large changes, or may see few, gets short
// pages, empty ones too.
func (c *client) listed(ctx context.Context, query url.Values) (*changeList, error) {
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	list := new(changeList)
	for {
		page := new(changeList)
		if err := c.get(ctx, "changes", query, page); err != nil {
			return nil, err
		}
		list.Items, list.Continue = append(list.Items, page.Items...), page.Continue
		if page.Continue == 0 || len(list.Items) >= limit {
			return list, nil
		}
		query.Set("before", strconv.FormatInt(page.Continue, 10))
		query.Set("limit", strconv.Itoa(limit-len(list.Items)))
	}
}

func changesTable(changes []*change) *table {
	t := &table{columns: []column{{title: "REVISION", right: true}, {title: "WHEN"}, {title: "WHO", shrinks: true}, {title: "WHAT", shrinks: true}, {title: "WHY", shrinks: true}}}
	for _, c := range changes {
		t.add([]cell{{itoa(c.Revision), strong}, {text: clock(c.At)}, {text: c.Author}, {text: whatText(c)}, {text: whyText(c)}})
	}
	return t
}

// whatText says in a few words what a change wrote.
func whatText(c *change) string {
	var parts []string
	for i, o := range c.Objects {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("%d more", len(c.Objects)+c.Omitted-i))
			break
		}
		parts = append(parts, signOf(o)+o.String())
	}
	return strings.Join(parts, " ")
}

func whyText(c *change) string {
	if c.Undoes == 0 {
		return c.Reason
	}
	undo := "undoes " + itoa(c.Undoes)
	if c.Reason != "" {
		undo += ": " + c.Reason
	}
	return undo
}

func showChange(cmd *cobra.Command, revision int64, output string) error {
	if revision < 1 {
		return usagef("revisions are numbered from 1")
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	ch := new(change)
	if err := c.get(cmd.Context(), "changes/"+itoa(revision), nil, ch); err != nil {
		return err
	}
	if output != "text" {
		return printValue(cmd.OutOrStdout(), output, ch)
	}
	s := stdout(cmd)
	s.printf("%s by %s, %s\n", s.strong("Revision "+itoa(ch.Revision)), s.strong(oneLine(ch.Author)), clock(ch.At))
	if why := whyText(ch); why != "" {
		s.line(s.wrapped("    ", oneLine(why)))
	}
	for _, w := range ch.Waves {
		s.line(s.wrapped("    ", s.warning(w.State)+" in the waves of group "+clean(w.Group)+because(w.Message)))
	}
	for i := range ch.Objects {
		if err := printDiff(s, &ch.Objects[i]); err != nil {
			return err
		}
	}
	if ch.Omitted > 0 {
		s.printf("\n%s\n", s.faint(count(ch.Omitted, "object", "objects")+" of this change you may not see."))
	}
	printWork(s, ch.Work)
	return nil
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return ": " + oneLine(message)
}

// printDiff shows one object before and after.
func printDiff(s *screen, o *objectChange) error {
	before, err := wishText(o.Before)
	if err != nil {
		return err
	}
	after, err := wishText(o.After)
	if err != nil {
		return err
	}
	s.line("")
	for i, line := range unifiedDiff(o.String(), before, after) {
		t := plain
		switch {
		case i < 2:
			t = strong
		case line[0] == '@':
			t = title
		case line[0] == '+':
			t = good
		case line[0] == '-':
			t = bad
		}
		s.line(s.paint(t, clean(line)))
	}
	return nil
}

func wishText(o *object) (string, error) {
	if o == nil {
		return "", nil
	}
	text, err := toYAML(o.wish())
	return string(text), err
}

// revisionArg reads the revision of a change.
func revisionArg(text string) (int64, error) {
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision < 1 {
		return 0, usagef("%q must be the revision of a change, as weir history lists them", text)
	}
	return revision, nil
}
