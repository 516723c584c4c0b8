package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"weir/internal/api"
)

// logFlags are those of weir log.
type logFlags struct {
	status, method, path, client, zone, pool, since string
	errors, follow                                  bool
	lines                                           int
	output                                          *string
}

func newSiteLog() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "log SITE",
		GroupID: groupLook,
		Short:   "Show the last requests of a site, and those that come",
		Long: `Show the last requests of a site, or connections of a tcp site, from all its load balancers, in the order in which they
began; with --follow also each that comes, until Ctrl-C. Load balancers keep the last lines only, in memory, some
thousand of all sites together: for more, logs are to be shipped.

A line tells when the request began, the load balancer, the client, the status, the method, host and path, the zone, pool
and server, how long it took, HAProxy's two letters when it did not end as it should and what they mean, retries, and headers that the site
captures. Of a call to a partner it has the EgressClient (caller), why it was refused and by which EgressRule, the
partner's address (at), and why there was no connection to it (unmade). When there are more lines than can be shown, it is said how many were left out.`,
		Example: `  weir log www
  weir log www --follow --status 5xx
  weir log www --errors --since 10m
  weir log www --path /api/ --client 203.0.113.0/24 --pool web-az1
  weir log www -f -o json | jq -r .path`,
		Args:              exactArgs(1, "say which site"),
		ValidArgsFunction: completeNames("Site"),
	}
	f := new(logFlags)
	flags := cmd.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with each request that comes")
	flags.StringVar(&f.status, "status", "", "only answers of this status or class, as 503 or 5xx")
	flags.StringVar(&f.method, "method", "", "only requests of this method")
	flags.StringVar(&f.path, "path", "", "only requests whose paths begin so")
	flags.StringVar(&f.client, "client", "", "only clients of this address or network")
	flags.StringVar(&f.zone, "zone", "", "only what went to this zone")
	flags.StringVar(&f.pool, "pool", "", "only what went to this pool")
	flags.BoolVar(&f.errors, "errors", false, "only answers of class 5xx, and what did not end as it should, whoever caused that")
	flags.StringVar(&f.since, "since", "", "of the last requests only those since this moment, as 10m ago or 2026-12-06T10:00:00Z")
	flags.IntVar(&f.lines, "lines", 100, "the most of the last requests to show")
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions([]string{"2xx", "3xx", "4xx", "5xx"}, noFiles))
	_ = cmd.RegisterFlagCompletionFunc("zone", completeNames("Zone"))
	_ = cmd.RegisterFlagCompletionFunc("pool", completeNames("Pool"))
	f.output = addOutputFlag(cmd, "lines", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := nameOf("Site", args[0])
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		v := &logView{screen: stdout(cmd), cmd: cmd, flags: f}
		err = c.siteLog(cmd.Context(), name, f.query(), v.show)
		if errors.Is(err, errEnded) && !f.follow {
			return nil
		}
		return err
	}
	return cmd
}

func (f *logFlags) query() url.Values {
	q := url.Values{"lines": {fmt.Sprint(f.lines)}, "follow": {fmt.Sprint(f.follow)}}
	for name, value := range map[string]string{"status": f.status, "method": f.method, "path": f.path, "client": f.client, "zone": f.zone, "pool": f.pool, "since": f.since} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.errors {
		q.Set("errors", "true")
	}
	return q
}

// siteLog reads a stream of log lines until it ends, which is errEnded, or says why not.
func (c *client) siteLog(ctx context.Context, site string, query url.Values, show func(raw json.RawMessage, line *api.LogStreamLine) error) error {
	resp, err := c.send(ctx, call{method: http.MethodGet, path: "sites/" + url.PathEscape(site) + "/log", query: query})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	for lines.Scan() {
		var line api.LogStreamLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read the stream of %s: %w", c.base.Host, err)
		}
		if line.Type == "error" && line.Problem != nil {
			return &refusal{*line.Problem}
		}
		if err := show(lines.Bytes(), &line); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errEnded
}

// logView prints log lines as they come.
type logView struct {
	*screen
	cmd   *cobra.Command
	flags *logFlags
	shown int
}

func (v *logView) show(raw json.RawMessage, line *api.LogStreamLine) error {
	switch {
	case line.Line != nil && *v.flags.output == "json":
		var whole struct {
			Line json.RawMessage `json:"line"`
		}
		if err := json.Unmarshal(raw, &whole); err != nil {
			return err
		}
		v.shown++
		v.line(quiet(string(whole.Line)))
	case line.Line != nil:
		v.shown++
		v.line(v.text(line.Line))
	case line.Type == "left out":
		noted(v.cmd.ErrOrStderr(), "… %s more were left out: there are too many at once; choose fewer", thousands(line.Count))
	case line.Type == "silent":
		noted(v.cmd.ErrOrStderr(), "Nothing comes from %s: %s", line.LoadBalancer, oneLine(line.Message))
	case line.Type == "live" && v.shown == 0:
		noted(v.cmd.ErrOrStderr(), "There was no such request lately.")
	}
	return nil
}

// text is a line for people. Every word in it may be a client's.
func (v *logView) text(l *api.LogLine) string {
	status, tone := "-", plain
	if l.Status > 0 {
		status = fmt.Sprint(l.Status)
	}
	switch {
	case l.Status >= 500:
		tone = bad
	case l.Status >= 400:
		tone = warning
	}
	where := strings.Trim(oneLine(l.Zone)+" "+oneLine(l.Pool)+"/"+oneLine(l.Server), " /")
	words := []string{
		v.faint(l.Time.UTC().Format("2006-01-02T15:04:05.000Z")), oneLine(l.LoadBalancer), oneLine(l.Client), v.paint(tone, status),
		oneLine(l.Method), oneLine(l.Host + l.Path), cmp.Or(where, "-"), took(l.Timers.Total),
	}
	if l.Termination != "--" && l.Termination != "" {
		words = append(words, v.paint(warning, oneLine(l.Termination)))
		if l.Why != "" {
			words = append(words, v.paint(warning, "("+oneLine(l.Why)+")"))
		}
	}
	if l.Retries > 0 {
		words = append(words, v.paint(warning, count(int(l.Retries), "retry", "retries")))
	}
	refused, by := whyRefused(l)
	for _, w := range [][2]string{{"caller", l.Caller}, {"refused", refused}, {"by", by}, {"at", l.At}, {"unmade", l.Unmade}} {
		if w[1] != "" {
			words = append(words, v.faint(w[0]+"=")+oneLine(w[1]))
		}
	}
	if l.Limited != "" {
		words = append(words, "limited="+oneLine(strings.TrimSuffix(l.Limited, ",")))
	}
	for _, headers := range []map[string]string{l.RequestHeaders, l.ResponseHeaders} {
		for _, name := range sortedNames(headers) {
			words = append(words, v.faint(oneLine(name)+"=")+fmt.Sprintf("%q", oneLine(headers[name])))
		}
	}
	var there []string
	for _, w := range words {
		if w != "" {
			there = append(there, w)
		}
	}
	return strings.Join(there, " ")
}

// whyRefused gives the reason for which a load balancer let a call to a partner not through, as weir_calls_refused_total
// counts it, and the EgressRule that stood for it, where one did; nothing of what was let through.
func whyRefused(l *api.LogLine) (reason, rule string) {
	if _, reason, refused := strings.Cut(l.Route, "/!"); refused {
		return reason, l.Rule
	}
	if _, reason, refused := strings.Cut(l.Route, "+"); refused && l.Caller != "" {
		return reason, l.Rule
	}
	return "", ""
}

// quiet writes what clean would take out of JSON as escapes, which mean the same.
func quiet(text string) string {
	var b strings.Builder
	for _, r := range text {
		if one := string(r); clean(one) == one {
			b.WriteString(one)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func took(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return fmt.Sprintf("%dms", ms)
}
