package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/api"
	"weir/internal/explain"
)

func newExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain URL",
		GroupID: groupLook,
		Short:   "Tell what a load balancer does with a request, and why",
		Long: `Tell what a load balancer does with a request: every decision in order with the object that made it, and what
answers in the end. It is worked out from what load balancers are told, and from what their checks see now; nothing is
sent. What hangs on how much a client has asked for before, as rate limits do, is told and not decided.

What is not said is assumed and told: a client of no network, an address of the site, now. With --at something else than
now counts for what ends or begins by itself; the checks are those of now, or with --healthy good ones.

With --live the request is also sent from here, with all that it does, and what comes back is held against what was
explained. Which server answered can be seen only where pools or sites leave cookies.

For connections that are passed on as they are the URL is tcp://ADDRESS:PORT, or tls://NAME:PORT.`,
		Example: `  weir explain https://www.example.com/api/x
  weir explain https://www.example.com/ --from 203.0.113.9 --zone az2 --at 2026-12-06T10:00Z
  weir explain https://www.example.com/ -X POST -H 'X-Canary: 1' -H 'Cookie: WEIRZONE=az1' --all
  weir explain https://www.example.com/ --live
  weir explain https://www.example.com/ --live --connect 127.0.0.1:8443 --ca-of-site ca.pem
  weir explain tcp://203.0.113.1:389 --lb lb-az1-1
  weir explain https://www.example.com/ -o json`,
		Args: exactArgs(1, "say which URL"),
	}
	f := addExplainFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) }
	return cmd
}

type explainFlags struct {
	method, from, zone, address, group, lb, at, output *string
	certificate                                        *string
	headers                                            *[]string
	healthy, all, live, insecure                       *bool
	connect, ca                                        *string
}

func addExplainFlags(cmd *cobra.Command) *explainFlags {
	flags := cmd.Flags()
	f := &explainFlags{
		method:  flags.StringP("method", "X", "GET", "the method"),
		headers: flags.StringArrayP("header", "H", nil, "a header, as 'Name: value'; may be given several times"),
		from:    flags.String("from", "", "the client's address"),
		zone:    flags.String("zone", "", "the client comes to an address at home in this zone"),
		address: flags.String("address", "", "the IPAddress that the client comes to, by name or address"),
		group:   flags.String("group", "", "the group of load balancers that is asked"),
		lb:      flags.String("lb", "", "the load balancer that is asked"),
		at:      flags.String("at", "", "when the request comes, such as 2026-12-06T10:00Z; now when left out"),
		healthy: flags.Bool("healthy", false, "take every server for healthy"),
		all:     flags.Bool("all", false, "show the routes too that the request does not take, and why"),
	}
	f.certificate = flags.String("certificate-subject", "", "the subject of the certificate that the client shows, such as CN=myback,O=Example; none for none")
	f.live = flags.Bool("live", false, "send the request too, and compare")
	f.connect = flags.String("connect", "", "with --live: where to send it, as HOST:PORT; the IPAddress when left out")
	f.ca = flags.String("ca-of-site", "", "with --live: a file with the authorities of the site's certificate; the system's when left out")
	f.insecure = flags.Bool("insecure", false, "with --live: believe any certificate")
	_ = cmd.MarkFlagFilename("ca-of-site")
	f.output = addOutputFlag(cmd, "text", "json", "yaml")
	for flag, kind := range map[string]string{"zone": "Zone", "address": "IPAddress", "group": "LoadBalancerGroup", "lb": "LoadBalancer"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, completeNames(kind))
	}
	return f
}

func (f *explainFlags) run(cmd *cobra.Command, target string) error {
	if err := f.check(target); err != nil {
		return err
	}
	query, err := f.query(target)
	if err != nil {
		return err
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	answer := new(api.Explanation)
	if err := c.get(cmd.Context(), "explain", query, answer); err != nil {
		return err
	}
	var live *liveAnswer
	if *f.live {
		if live, answer, err = f.ask(cmd, c, query, answer); err != nil {
			return err
		}
	}
	if *f.output != "text" {
		if err := printValue(cmd.OutOrStdout(), *f.output, struct {
			*api.Explanation
			Live *liveAnswer `json:"live,omitempty"`
		}{answer, live}); err != nil {
			return err
		}
	} else {
		printExplanation(stdout(cmd), answer, *f.all)
		if live != nil {
			printLive(stdout(cmd), live)
		}
	}
	if live != nil && len(live.Differs) > 0 {
		return fmt.Errorf("what came back is not what was explained")
	}
	return nil
}

// ask sends the request that was explained. Where nobody said who the client is, it is explained once more for who it is.
func (f *explainFlags) ask(cmd *cobra.Command, c *client, query url.Values, answer *api.Explanation) (*liveAnswer, *api.Explanation, error) {
	flags := &liveFlags{connect: *f.connect, ca: *f.ca, insecure: *f.insecure, within: timeoutOf(cmd, c.timeout)}
	conn, to, err := flags.dial(cmd.Context(), &answer.Request)
	if conn == nil && to == "" {
		return nil, nil, err
	}
	live := &liveAnswer{}
	if err != nil {
		live.Closed = err.Error()
	} else {
		if from := fromOf(conn); *f.from == "" && from != "" {
			query.Set("from", from)
			again := new(api.Explanation)
			if err := c.get(cmd.Context(), "explain", query, again); err != nil {
				_ = conn.Close()
				return nil, nil, err
			}
			answer = again
		}
		if live, err = flags.send(conn, &answer.Request); err != nil {
			return nil, nil, fmt.Errorf("send the request to %s: %w", to, err)
		}
	}
	live.To = to
	live.hold(&answer.Answer)
	return live, answer, nil
}

// check refuses what can't be asked live.
func (f *explainFlags) check(target string) error {
	switch {
	case !*f.live && (*f.connect != "" || *f.ca != "" || *f.insecure):
		return usagef("--connect, --ca-of-site and --insecure are for --live")
	case *f.live && (*f.at != "" || *f.healthy):
		return usagef("--live asks now, and whoever is up; leave out --at and --healthy")
	case *f.live && !strings.HasPrefix(target, "http"):
		return usagef("--live sends requests of http and https alone")
	}
	return nil
}

func (f *explainFlags) query(target string) (url.Values, error) {
	if !strings.Contains(target, "://") {
		return nil, usagef("%q is no URL: say https:// or http:// before it", target)
	}
	query := url.Values{"url": {target}, "method": {strings.ToUpper(*f.method)}}
	for name, value := range map[string]string{"from": *f.from, "address": *f.address, "certificate": *f.certificate} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, of := range map[string]struct{ kind, value string }{"zone": {"Zone", *f.zone}, "group": {"LoadBalancerGroup", *f.group}, "lb": {"LoadBalancer", *f.lb}} {
		if of.value == "" {
			continue
		}
		value, err := nameOf(of.kind, of.value)
		if err != nil {
			return nil, err
		}
		query.Set(name, value)
	}
	if *f.at != "" {
		at, err := parseMoment(*f.at)
		if err != nil {
			return nil, usagef("--at: %w", err)
		}
		query.Set("at", at.UTC().Format(time.RFC3339))
	}
	if *f.healthy {
		query.Set("healthy", "true")
	}
	for _, h := range *f.headers {
		query.Add("header", h)
	}
	return query, nil
}

// parseMoment reads a moment with its zone, seconds or not.
func parseMoment(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no moment; write it as 2026-12-06T10:00Z", text)
}

// printExplanation shows the decisions and, in the last line, what comes of them.
func printExplanation(s *screen, e *api.Explanation, all bool) {
	q := &e.Request
	where := q.Address
	if q.IP != "" {
		where += " (" + q.IP + ")"
	}
	s.line(s.wrapped("", fmt.Sprintf("%s from %s to %s port %d of %s at %s", s.title(q.Method+" "+clean(q.URL)), q.From, orNobody(where), q.Port, e.LoadBalancer, clock(q.At))))
	for _, a := range e.Assumed {
		s.line(s.wrapped("", s.faint("Assumed: "+clean(a))))
	}
	s.line("")
	t := &table{columns: []column{{title: "#", right: true}, {title: "OBJECT"}, {title: "DECISION", folds: true}}}
	passed := func() {
		for _, p := range e.Passed {
			t.add([]cell{{text: " "}, {objectField(p.Object, p.Field), faint}, {"not taken, " + p.Match + ": " + p.Why, faint}})
		}
	}
	shown := false
	for i, step := range e.Steps {
		if all && !shown && step.About == "route" {
			passed()
			shown = true
		}
		t.add([]cell{{text: itoa(int64(i + 1))}, {text: objectField(step.Object, step.Field)}, {text: step.Says}})
	}
	t.print(s)
	for _, u := range e.Unsure {
		s.line(s.wrapped("", s.warning("!")+" "+clean(u)))
	}
	s.line("")
	s.line(s.wrapped("", s.strong(verdict(&e.Answer))))
	for _, share := range e.Answer.Zones {
		s.line(s.wrapped("  ", shareLine(&share)))
	}
	if fallback := e.Answer.Fallback; fallback != nil {
		s.line(s.wrapped("  ", "then "+shareLine(fallback)))
	}
	if e.Hidden > 0 {
		s.line(s.faint(fmt.Sprintf("  The servers of %s are not yours to see.", count(e.Hidden, "pool", "pools"))))
	}
}

func orNobody(where string) string {
	if where == "" {
		return "an address of nobody"
	}
	return where
}

func objectField(object, field string) string {
	return strings.TrimLeft(object+" "+field, " ")
}

// verdict says in a sentence what becomes of a request.
func verdict(a *explain.Verdict) string {
	page := ""
	if a.Page != "" {
		page = " and ErrorPage/" + a.Page
	}
	switch {
	case a.Text != "":
		return fmt.Sprintf("The answer is %d: %s.", a.Status, a.Text)
	case a.Call != nil && a.Outcome == explain.Served:
		return callVerdict(a)
	}
	switch a.Outcome {
	case explain.Served:
		text := "A server answers"
		if a.Target != "" {
			text = fmt.Sprintf("A server is asked for %s", a.Target)
		}
		return text + fmt.Sprintf(", of backend %s of Site/%s.", a.Backend, a.Site)
	case explain.Tried:
		return fmt.Sprintf("No server of backend %s of Site/%s is up; the first that can be reached all the same is asked, else the answer is 503.", a.Backend, a.Site)
	case explain.Redirected:
		return fmt.Sprintf("The client is sent to %s with %d.", a.Location, a.Status)
	case explain.Maintenance:
		return fmt.Sprintf("The answer is %d%s, and that the client may come back in %ss.", a.Status, page, a.RetryAfter)
	case explain.Challenge:
		return "The load balancer answers the authority itself."
	case explain.Closed:
		return "The connection is closed without an answer."
	case explain.Unserved:
		if a.Status == 0 {
			return "Nobody is there to serve it: the connection is closed."
		}
		return fmt.Sprintf("Nobody is there to serve it: the answer is %d%s.", a.Status, page)
	}
	return fmt.Sprintf("The answer is %d%s.", a.Status, page)
}

// callVerdict says what becomes of a call that a rule lets pass.
func callVerdict(a *explain.Verdict) string {
	text := "It passes"
	if a.Call.Rule != "" {
		text = fmt.Sprintf("EgressRule/%s lets it pass", a.Call.Rule)
	}
	if a.Target == "" {
		return fmt.Sprintf("%s: %s is called at level %s.", text, a.Call.Service, a.Call.SLA)
	}
	return fmt.Sprintf("%s: %s is asked for %s at level %s.", text, a.Call.Service, a.Target, a.Call.SLA)
}

// shareLine tells a pool that may serve with its chance and its servers.
func shareLine(s *explain.Share) string {
	text := strings.TrimSuffix(fmt.Sprintf("%.1f", s.Percent), ".0") + " % "
	if s.Backend != "" {
		text += "backend " + s.Backend + ", "
	}
	if s.Zone != "" {
		text += "zone " + s.Zone + ", "
	}
	text += "pool " + s.Pool
	if len(s.Servers) == 0 {
		return text
	}
	return text + ": " + some(s.Servers, 8)
}
