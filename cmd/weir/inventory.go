package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"weir"
	"weir/internal/api"
)

func newInventory() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "inventory",
		GroupID: groupChange,
		Short:   "Take over what a CMDB knows of servers",
		Long: `Take over what a CMDB knows of servers. Servers that came this way are managed by the inventory: a later list changes
them, and --replace deletes those that it lacks.`,
		Example: `  weir inventory apply -f servers.csv --dry-run
  weir inventory apply -f servers.csv --replace web --reason "nightly export"`,
	}
	cmd.AddCommand(newInventoryApply())
	return cmd
}

// inventoryFlags are those of weir inventory apply.
type inventoryFlags struct {
	file, format, zone string
	replace            []string
	remove             int
	reason, output     *string
	dryRun, wait       *bool
}

func newInventoryApply() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make a list of servers so, as one change",
		Long: `Make a list of servers so: all of it, as one atomic change, or nothing. The list is CSV, whose first line names its
columns, or a JSON or YAML list, with the fields name, role, address, zone, clusters, ports, weight and labels. Several
clusters, ports (http=8080) or labels (rack=r12) in one field of CSV have blanks or semicolons between.

An entry says all of a server; what it leaves out is as for a Server. Whom a server is shared with and its registration
stay as they are. Servers that a person, a DiscoverySource or a registration made are left alone: a list that names one
is refused.

With --replace the list has all servers of a role: what the inventory wrote of it before and the list lacks is deleted,
which drains it. When that is more than half of them the list is refused, unless --remove says how many go.`,
		Example: `  weir inventory apply -f servers.csv --dry-run
  weir inventory apply -f servers.csv --replace web --reason "nightly export"
  weir inventory apply -f az1.csv --replace web --zone az1 --remove 40
  cmdb-export | weir inventory apply -f - --format json --wait`,
		Args: onlyFiles,
	}
	f := new(inventoryFlags)
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "filename", "f", "", "the list: a file, or - for standard input")
	_ = cmd.MarkFlagFilename("filename", "csv", "json", "yaml", "yml")
	flags.Var(&form{forms: []string{"csv", "json", "yaml"}}, "format", "what the list is written in: csv, json, yaml; the file's name says it when left out")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"csv", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	flags.StringArrayVar(&f.replace, "replace", nil, "a role of whose servers the list has all; may be given several times")
	flags.StringVar(&f.zone, "zone", "", "with --replace: only the servers of this zone")
	flags.IntVar(&f.remove, "remove", -1, "with --replace: how many servers go; needed when that is more than half of them")
	_ = cmd.RegisterFlagCompletionFunc("replace", completeNames("Role"))
	_ = cmd.RegisterFlagCompletionFunc("zone", completeNames("Zone"))
	f.reason, f.dryRun, f.wait = addReasonFlag(cmd), addDryRunFlag(cmd), addWaitFlag(cmd)
	f.output = addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f.format = cmd.Flags().Lookup("format").Value.String()
		if cmd.Flags().Changed("remove") && f.remove < 0 {
			return usagef("--remove must be a number of servers, not %d", f.remove)
		}
		if len(f.replace) == 0 && (f.zone != "" || f.remove >= 0) {
			return usagef("--zone and --remove belong to --replace")
		}
		return f.run(cmd)
	}
	return cmd
}

// largeList is from where of a change only the numbers are asked for.
const largeList = 1 << 20

func (f *inventoryFlags) run(cmd *cobra.Command) error {
	list, err := f.read(cmd.InOrStdin())
	if err != nil {
		return err
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	c.timeout = timeoutOf(cmd, applyWithin)
	if len(list.body) > largeList {
		noted(cmd.ErrOrStderr(), "Sending %s (%.1f MB) to %s, which takes a while…", list.name, float64(len(list.body))/1e6, c.base.Host)
	}
	answer := new(inventoryAnswer)
	what := call{method: http.MethodPost, path: "inventory", query: f.query(list), body: list.body, header: http.Header{"Content-Type": {list.media}}}
	if err := c.do(cmd.Context(), what, answer); err != nil {
		return unchanged(list.located(err))
	}
	return f.tell(cmd, c, answer, list)
}

func (f *inventoryFlags) query(list *serverList) url.Values {
	query := (&writeOptions{reason: *f.reason, dryRun: *f.dryRun}).query(url.Values{"replace": f.replace})
	if f.zone != "" {
		query.Set("zone", f.zone)
	}
	if f.remove >= 0 {
		query.Set("remove", fmt.Sprint(f.remove))
	}
	if len(list.body) > largeList {
		query.Set("brief", "true")
	}
	return query
}

// inventoryAnswer is api.InventoryAnswer as it is read.
type inventoryAnswer struct {
	applied                                       applied
	Entries, Created, Updated, Deleted, Unchanged int
}

// UnmarshalJSON keeps the text too.
func (a *inventoryAnswer) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, &a.applied); err != nil {
		return err
	}
	type fields inventoryAnswer
	return json.Unmarshal(raw, (*fields)(a))
}

func (f *inventoryFlags) tell(cmd *cobra.Command, c *client, answer *inventoryAnswer, list *serverList) error {
	o := writeOptions{dryRun: *f.dryRun, wait: *f.wait, output: *f.output}
	s := stdout(cmd)
	if o.output == "text" {
		s.printf("%s: %s %s; %s.\n", s.strong(clean(list.name)), thousands(answer.Entries), plural(answer.Entries, "server", "servers"), answer.counts())
		if len(list.body) > largeList { // before and after were not asked for
			o.told = true
			if !o.dryRun && len(answer.applied.Change.Objects) > 0 {
				s.printf("%s\n", s.strong("Revision "+itoa(answer.applied.Revision)+"."))
			}
		}
	}
	if o.told && o.dryRun {
		printEffects(s, planOr(answer.applied.Plan), groupSizes(cmd), false)
		s.line("Nothing was changed.")
		return nil
	}
	return tell(cmd, c, &answer.applied, o)
}

func planOr(plan *api.PlanAnswer) *api.PlanAnswer {
	if plan == nil {
		return &api.PlanAnswer{}
	}
	return plan
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (a *inventoryAnswer) counts() string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{a.Created, "new"}, {a.Updated, "changed"}, {a.Deleted, "no longer in the list"}, {a.Unchanged, "as they were"}} {
		if p.n > 0 {
			parts = append(parts, thousands(p.n)+" "+p.word)
		}
	}
	if len(parts) == 0 {
		return "nothing differs"
	}
	return strings.Join(parts, ", ")
}

// serverList is what is sent, and how its lines are those of the user's file.
type serverList struct {
	name, media string
	body        []byte
	lines       []int // by line of the body less one; nil when they are the same
}

func (f *inventoryFlags) read(in io.Reader) (*serverList, error) {
	l, err := readList(f.file, in)
	if err != nil {
		return nil, err
	}
	l.media = "application/json"
	switch format := f.formatOf(); format {
	case "csv":
		l.media = api.CSVType
	case "json":
	case "yaml":
		return l, l.fromYAML()
	default:
		return nil, usagef("say with --format whether %s is csv, json or yaml", l.name)
	}
	return l, nil
}

// readList reads what -f names: a file, or - for standard input.
func readList(file string, in io.Reader) (*serverList, error) {
	l := &serverList{name: file}
	switch file {
	case "":
		return nil, usagef("say what to read: -f FILE, or -f - for standard input")
	case "-":
		l.name = stdinName
	default:
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the list: %w", err)
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	text, err := io.ReadAll(io.LimitReader(in, weir.MaxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read the list: %w", err)
	}
	l.body = text
	return l, nil
}

func (f *inventoryFlags) formatOf() string {
	if f.format != "" {
		return f.format
	}
	switch end := strings.ToLower(filepath.Ext(f.file)); end {
	case ".csv", ".json", ".yaml":
		return end[1:]
	case ".yml":
		return "yaml"
	}
	return ""
}

// fromYAML writes a YAML list as JSON, an entry a line.
func (l *serverList) fromYAML() error {
	refused := func(line int, message string) error {
		return &weir.Error{Kind: weir.Invalid, Message: "the list can't be read; nothing was changed", Problems: []weir.Problem{{File: l.name, Line: line, Message: message}}}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(l.body, &doc); err != nil {
		return refused(0, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.SequenceNode {
		return refused(1, "must be a list of servers: - {name: web-1, …}")
	}
	var out bytes.Buffer
	for i, n := range doc.Content[0].Content {
		var v any
		if err := n.Decode(&v); err != nil {
			return refused(n.Line, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return refused(n.Line, "keys must be plain words")
		}
		out.WriteByte("[,"[min(i, 1)])
		out.Write(raw)
		out.WriteByte('\n')
		l.lines = append(l.lines, n.Line)
	}
	if out.Len() == 0 {
		out.WriteByte('[')
	}
	out.WriteByte(']')
	l.body = out.Bytes()
	return nil
}

// located gives an error of the control plane with the user's file and lines.
func (l *serverList) located(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	for i := range r.Errors {
		p := &r.Errors[i]
		if p.File == "" {
			continue
		}
		p.File = l.name
		if l.lines != nil && p.Line > 0 {
			p.Line = l.lines[min(p.Line, len(l.lines))-1]
		}
	}
	return err
}
