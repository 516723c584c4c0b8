package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newApply() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "apply -f FILE",
		GroupID: groupChange,
		Short:   "Make what the manifests say so, as one change",
		Long: `Make what the manifests say so. Everything that is read becomes one atomic change: all of it or nothing.
Folders are read with all that is below them: *.yaml, *.yml and *.json in the order of their names.
Objects that are not in the manifests stay as they are; --delete takes some away in the same change.

The exit status is 0 when the change was made or nothing differs, and 1 when it was refused. With --wait it is 1 too
when a load balancer does not have it in time, when HAProxy refuses what was written, and when a certificate that the
change has ordered is not issued and served in time.`,
		Example: `  weir apply -f site.yaml --reason "shop moves to its own name"
  weir apply -f manifests/ --wait
  weir apply -f new.yaml --delete Pool/old --dry-run
  generate-manifests | weir apply -f -`,
		Args: onlyFiles,
	}
	files := addFileFlag(cmd)
	deletes := addDeleteFlag(cmd)
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	wait := addWaitFlag(cmd)
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w, err := readWrites(cmd, *files, *deletes)
		if err != nil {
			return err
		}
		return write(cmd, w, writeOptions{reason: *reason, dryRun: *dryRun, wait: *wait, output: *output})
	}
	return cmd
}

func addReasonFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("reason", "", "why; kept with the change and shown in the history")
}

func addDryRunFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("dry-run", false, "show what would happen, as plan does, and change nothing")
}

func addWaitFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("wait", false, "wait until every load balancer has it, and the certificates that it has ordered, and show how far they are")
}

func addDeleteFlag(cmd *cobra.Command) *[]string {
	deletes := cmd.Flags().StringArray("delete", nil, "an object to delete in the same change, as Pool/old; may be given several times")
	_ = cmd.RegisterFlagCompletionFunc("delete", completeRefs)
	return deletes
}

// writes is what one change is to write: objects out of manifests, and deletions.
type writes struct {
	manifest *manifest
	body     []byte
	deletes  []weir.Ref
}

func readWrites(cmd *cobra.Command, files, deletes []string) (*writes, error) {
	w := new(writes)
	for _, word := range deletes {
		ref, err := parseRef(word)
		if err != nil {
			return nil, err
		}
		w.deletes = append(w.deletes, ref)
	}
	if len(files) == 0 && len(deletes) > 0 {
		return w, nil
	}
	m, err := readManifest(cmd, files)
	if err != nil {
		return nil, err
	}
	w.manifest = m
	w.body, err = m.body()
	return w, err
}

// mostInAddress is how many bytes of deletions are put into an address.
const mostInAddress = 8 << 10

// request makes the call with this query besides: deletions are in the address, or alone in the body when they are
// too many for one.
func (w *writes) request(path string, query url.Values) (call, error) {
	what := call{method: http.MethodPost, path: path, query: query, body: w.body}
	names := strings.Join(refNames(w.deletes), "\n")
	if len(names) <= mostInAddress {
		for _, ref := range w.deletes {
			what.query.Add("delete", ref.String())
		}
		return what, nil
	}
	if len(w.body) > 0 {
		return what, usagef("%d deletions are too many to go with manifests; make them a change of their own, with weir delete", len(w.deletes))
	}
	what.body, what.header = []byte(names), http.Header{"Content-Type": {api.DeletionsType}}
	return what, nil
}

func (w *writes) located(err error) error {
	if w.manifest == nil {
		return err
	}
	return w.manifest.located(err)
}

// locate puts the user's files and lines into the problems of a plan.
func (w *writes) locate(answer *applied) {
	if w.manifest == nil {
		return
	}
	w.manifest.locate(answer.Warnings)
	if answer.Plan != nil {
		w.manifest.locate(answer.Plan.Problems)
	}
}

// writeOptions say how a change is made and told about.
type writeOptions struct {
	reason       string
	dryRun, wait bool
	output       string
	// told says that people have been told of the change already.
	told bool
	// note is said to people once the change is made.
	note string
	// asked are the objects that were to be written, changed by it or not.
	asked []weir.Ref
	// certificates are those that were asked for by name, changed by it or not.
	certificates []string
}

func (o *writeOptions) query(query url.Values) url.Values {
	if o.reason != "" {
		query.Set("reason", o.reason)
	}
	if o.dryRun {
		query.Set("dryRun", "true")
		query.Set("plan", "true")
	}
	return query
}

// write makes one change, or shows what it would do, and tells about it.
func write(cmd *cobra.Command, w *writes, o writeOptions) error {
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	c.timeout = timeoutOf(cmd, applyWithin)
	what, err := w.request("apply", o.query(url.Values{}))
	if err != nil {
		return err
	}
	answer := new(applied)
	if err := c.do(cmd.Context(), what, answer); err != nil {
		return unchanged(w.located(err))
	}
	w.locate(answer)
	if w.manifest != nil {
		for _, object := range w.manifest.objects {
			o.asked = append(o.asked, object.Ref())
		}
	}
	return tell(cmd, c, answer, o)
}

// tell shows what became of a write, and waits for it when asked.
func tell(cmd *cobra.Command, c *client, answer *applied, o writeOptions) error {
	if o.dryRun {
		if err := showPlan(cmd, answer, o.output, false); err != nil {
			return err
		}
		if o.output == "text" && len(answer.Change.Objects) > 0 {
			stdout(cmd).line("Nothing was changed.")
		}
		return nil
	}
	switch {
	case o.told:
	case o.output != "text":
		if err := printValue(cmd.OutOrStdout(), o.output, answer); err != nil {
			return err
		}
	default:
		tellApplied(stdout(cmd), answer)
		if o.note != "" {
			stdout(cmd).line(o.note)
		}
	}
	if !o.wait {
		return nil
	}
	within, start := timeoutOf(cmd, convergeWithin), wallClock()
	if err := c.follow(cmd, answer.Revision, within, func() error {
		return c.unserved(cmd.Context(), answer, o.asked)
	}); err != nil {
		return err
	}
	if cmd.Flags().Changed("timeout") { // it bounds the whole; else orders have their own time
		within = max(within-wallClock().Sub(start).Round(time.Millisecond), certificatePause)
	}
	return c.awaitCertificates(cmd, answer.Revision, orderedBy(answer.Change.Objects, o.certificates...), within)
}

func tellApplied(s *screen, answer *applied) {
	if len(answer.Change.Objects) == 0 {
		s.printf("Nothing changed: everything was as asked already, at revision %d.\n", answer.Revision)
		return
	}
	printChange(s, answer.Change.Objects)
	s.printf("%s %s.\n", s.strong("Revision "+itoa(answer.Revision)+":"), tallyOf(answer.Change.Objects))
	if len(answer.Skipped) > 0 {
		s.printf("Left alone, because tokens are never restored: %s.\n", list(refNames(answer.Skipped)))
	}
	printOrders(s, answer.Change.Objects)
	printWarnings(s, answer.Warnings)
}

func refNames(refs []weir.Ref) []string {
	names := make([]string, len(refs))
	for i, r := range refs {
		names[i] = r.String()
	}
	return names
}
