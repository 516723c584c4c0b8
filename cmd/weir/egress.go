package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newEgress() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "egress",
		GroupID: groupLook,
		Short:   "Compose and list the calls to partners",
		Long: `Compose the address by which an application calls a partner, and list everything that an application may call. An
application is an EgressClient; what it may call is what EgressRules say.`,
		Example: `  weir egress url --client myback --partner example --service www --sla high
  weir egress calls myback`,
	}
	cmd.AddCommand(newEgressURL(), newEgressCalls())
	return cmd
}

func newEgressURL() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "url --client NAME --partner NAME --service NAME --sla NAME",
		Short: "Compose the address of a call",
		Long: `Compose the address by which an application calls a service of a partner: one line for each way out that its
environment has, or with --as a whole program that makes the call. It is refused when no EgressRule lets the call through,
with what the rules do let through.`,
		Example: `  weir egress url --client myback --partner example --service www --sla high
  weir egress url --client myback --partner example --service www --sla high --rest '/orders?open=1' --as curl
  weir egress url --client myback --partner example --service www --sla high --rest /orders -X POST --as java > Call.java`,
		Args: exactArgs(0, ""),
	}
	flags := cmd.Flags()
	var asked weir.EgressCall
	client := flags.String("client", "", "the EgressClient that calls; required")
	flags.StringVar(&asked.Partner, "partner", "", "the Partner that is called; required")
	flags.StringVar(&asked.Environment, "environment", "", "the partner's environment; the client's own when left out, or the only one")
	flags.StringVar(&asked.Service, "service", "", "the service; required")
	flags.StringVar(&asked.SLA, "sla", "", "the service level; required")
	rest := flags.String("rest", "", "what the partner sees as path and query")
	method := flags.StringP("method", "X", "", "the method; GET when left out, where rules let it through")
	as := flags.String("as", "url", "url, or a program that makes the call: curl, java, python, go")
	for name, kind := range map[string]string{"client": "EgressClient", "partner": "Partner", "sla": "SLA"} {
		_ = cmd.RegisterFlagCompletionFunc(name, completeNames(kind))
	}
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(append([]string{"url"}, weir.EgressLanguages...), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *as != "url" && !slices.Contains(weir.EgressLanguages, *as) {
			return usagef("--as %q is none of url, %s", *as, strings.Join(weir.EgressLanguages, ", "))
		}
		if err := required([][2]string{{"--client", *client}, {"--partner", asked.Partner}, {"--service", asked.Service}, {"--sla", asked.SLA}}); err != nil {
			return err
		}
		if *rest != "" {
			if err := weir.CheckURLPath(*rest); err != nil {
				return usagef("--rest %s", err)
			}
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		query := url.Values{}
		for name, value := range map[string]string{"partner": asked.Partner, "environment": asked.Environment, "service": asked.Service, "sla": asked.SLA, "rest": *rest, "method": strings.ToUpper(*method)} {
			if value != "" {
				query.Set(name, value)
			}
		}
		composed := new(api.EgressURLAnswer)
		if err := c.get(cmd.Context(), "egressclients/"+url.PathEscape(*client)+"/url", query, composed); err != nil {
			return err
		}
		if len(composed.URLs) == 0 {
			return fmt.Errorf("no Site that you may see is a way out for EgressClient/%s; an admin makes one with spec.egress", *client)
		}
		if composed.Refused != "" && (*rest != "" || *method != "" || len(composed.Schedules) > 0 || composed.Certificate != "") {
			noted(cmd.ErrOrStderr(), "As it stands it will be refused: %s.", clean(composed.Refused))
		}
		if composed.Certificate != "" {
			noted(cmd.ErrOrStderr(), "It takes the certificate of %s; %s and %s stand for its files in programs.", clean(composed.Certificate), weir.EgressCertificateFile, weir.EgressKeyFile)
		}
		if len(composed.Schedules) > 0 {
			noted(cmd.ErrOrStderr(), "It is let through only while Schedule/%s holds.", clean(strings.Join(composed.Schedules, " or Schedule/")))
		}
		return printCall(cmd, composed, *as)
	}
	return cmd
}

// required names the flags of a call, each with its value, that were left out, in one go.
func required(flags [][2]string) error {
	var missing []string
	for _, f := range flags {
		if f[1] == "" {
			missing = append(missing, f[0])
		}
	}
	is := "is"
	switch len(missing) {
	case 0:
		return nil
	case 1:
	default:
		is = "are"
	}
	return usagef("%s %s required; weir get egressclients lists who calls, weir egress calls CLIENT what may be called", list(missing), is)
}

// printCall prints a call by each way out, or the program that makes it by the first.
func printCall(cmd *cobra.Command, composed *api.EgressURLAnswer, as string) error {
	for i, one := range composed.URLs {
		text := one.URL + "\n"
		for _, s := range one.Snippets {
			if s.Language == as {
				text = s.Text
			}
		}
		if i > 0 && as != "url" && as != "curl" {
			noted(cmd.ErrOrStderr(), "By Site/%s it is %s.", clean(one.Site), clean(one.URL))
			continue
		}
		if _, err := fmt.Fprint(cmd.OutOrStdout(), text); err != nil {
			return err
		}
	}
	return nil
}

func egressCalls(cmd *cobra.Command, client string) (*api.EgressCallsAnswer, error) {
	c, err := connect(cmd)
	if err != nil {
		return nil, err
	}
	all := new(api.EgressCallsAnswer)
	return all, c.get(cmd.Context(), "egressclients/"+url.PathEscape(client)+"/calls", url.Values{"limit": {"100000"}}, all)
}

// whileText says which Schedule a rule goes by, and whether that holds.
func whileText(call *weir.EgressCall, now time.Time) string {
	switch {
	case call.Schedule == "" || call.From.IsZero() && call.Until.IsZero():
		return call.Schedule // whose ends may be for others to see
	case call.Holds(now):
		return call.Schedule + ", now"
	case now.Before(call.From):
		return call.Schedule + ", from " + call.From.Format(time.RFC3339)
	}
	return call.Schedule + ", which is over"
}

func newEgressCalls() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "calls CLIENT",
		Short: "List what an application may call",
		Long:  "List every service of every partner that an application may call, at each level, with the rule that lets it.",
		Example: `  weir egress calls myback
  weir egress calls myback -o json | jq -r '.calls[].path'`,
		Args:              exactArgs(1, "say which EgressClient"),
		ValidArgsFunction: completeNames("EgressClient"),
	}
	output := addOutputFlag(cmd, "table", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		all, err := egressCalls(cmd, args[0])
		if err != nil {
			return err
		}
		s, now := stdout(cmd), wallClock()
		switch {
		case *output != "table":
			return printValue(cmd.OutOrStdout(), *output, all)
		case len(all.Calls) == 0:
			noted(cmd.ErrOrStderr(), "No EgressRule that you may see lets EgressClient/%s call anybody.", args[0])
			return nil
		}
		for _, way := range all.Ways {
			s.printf("%s %s\n", s.faint("at"), clean(way.URL))
		}
		t := &table{columns: []column{{title: "PATH", folds: true}, {title: "METHODS", shrinks: true}, {title: "PATHS", shrinks: true}, {title: "BY"}}}
		timely := slices.ContainsFunc(all.Calls, func(c weir.EgressCall) bool { return c.Schedule != "" })
		if timely {
			t.columns = append(t.columns, column{title: "WHILE"})
		}
		for _, call := range all.Calls {
			cells := []cell{{text: call.Path}, {text: strings.Join(call.Methods, " ")}, {text: strings.Join(call.Paths, " ")}, {text: "EgressRule/" + call.Rule}}
			if timely {
				cells = append(cells, cell{text: whileText(&call, now)})
			}
			t.add(cells)
		}
		t.print(s)
		return nil
	}
	return cmd
}
