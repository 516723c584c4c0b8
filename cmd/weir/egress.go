package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

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

// snippets show how a program calls an address, by the word of --as.
var snippets = map[string]string{
	"url":    "%s\n",
	"curl":   "curl --fail-with-body '%s'\n",
	"java":   "HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(\"%s\")).build(), BodyHandlers.ofString())\n",
	"python": "requests.get(\"%s\", timeout=60).raise_for_status()\n",
	"go":     "resp, err := http.Get(\"%s\")\n",
}

func newEgressURL() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "url --client NAME --partner NAME --service NAME --sla NAME",
		Short: "Compose the address of a call",
		Long: `Compose the address by which an application calls a service of a partner: one line for each way out that its
environment has. It is refused when no EgressRule lets the call through, with what the rules do let through.`,
		Example: `  weir egress url --client myback --partner example --service www --sla high
  weir egress url --client myback --partner example --service www --sla high --rest '/orders?open=1' --as curl`,
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
	as := flags.String("as", "url", "url, or how a program calls it: curl, java, python, go")
	for name, kind := range map[string]string{"client": "EgressClient", "partner": "Partner", "sla": "SLA"} {
		_ = cmd.RegisterFlagCompletionFunc(name, completeNames(kind))
	}
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions([]string{"url", "curl", "java", "python", "go"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		snippet, ok := snippets[*as]
		if !ok {
			return usagef("--as %q is none of url, curl, java, python, go", *as)
		}
		for name, value := range map[string]string{"client": *client, "partner": asked.Partner, "service": asked.Service, "sla": asked.SLA} {
			if value == "" {
				return usagef("--%s is required; weir egress calls CLIENT lists what may be called", name)
			}
		}
		if *rest != "" {
			if err := weir.CheckURLPath(*rest); err != nil {
				return usagef("--rest %s", err)
			}
		}
		all, err := egressCalls(cmd, *client)
		if err != nil {
			return err
		}
		path, err := callOf(*client, all.Calls, asked)
		if err != nil {
			return err
		}
		if len(all.Ways) == 0 {
			return fmt.Errorf("no Site that you may see is a way out for EgressClient/%s; an admin makes one with spec.egress", *client)
		}
		for _, way := range all.Ways {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), snippet, way.URL+path+strings.TrimPrefix(*rest, "/")); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// callOf gives the path of the one call that is meant.
func callOf(client string, calls []weir.EgressCall, asked weir.EgressCall) (string, error) {
	var paths, others []string
	for _, c := range calls {
		switch {
		case c.Partner == asked.Partner && c.Service == asked.Service && c.SLA == asked.SLA && (asked.Environment == "" || c.Environment == asked.Environment):
			if asked.Environment == "" && strings.Split(c.Path, "/")[2] == c.Environment { // the client's own, as in rules
				return c.Path, nil
			}
			paths = append(paths, c.Path)
		case c.Partner == asked.Partner:
			others = append(others, c.Environment+"/"+c.Service+" at "+c.SLA)
		}
	}
	paths, others = slices.Compact(paths), slices.Compact(others)
	what := strings.Trim(asked.Environment+"/"+asked.Service, "/")
	switch {
	case len(paths) > 1:
		return "", usagef("Partner/%s has %s in several environments that EgressClient/%s may call; say --environment", asked.Partner, asked.Service, client)
	case len(paths) == 1:
		return paths[0], nil
	case len(others) > 0:
		return "", fmt.Errorf("no EgressRule lets EgressClient/%s call %s of Partner/%s at %s; it may call %s", client, what, asked.Partner, asked.SLA, strings.Join(others, ", "))
	}
	return "", fmt.Errorf("no EgressRule lets EgressClient/%s call Partner/%s; weir egress calls %s lists what it may call", client, asked.Partner, client)
}

func egressCalls(cmd *cobra.Command, client string) (*api.EgressCallsAnswer, error) {
	c, err := connect(cmd)
	if err != nil {
		return nil, err
	}
	all := new(api.EgressCallsAnswer)
	return all, c.get(cmd.Context(), "egressclients/"+url.PathEscape(client)+"/calls", url.Values{"limit": {"100000"}}, all)
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
		s := stdout(cmd)
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
		for _, call := range all.Calls {
			t.add([]cell{{text: call.Path}, {text: strings.Join(call.Methods, " ")}, {text: strings.Join(call.Paths, " ")}, {text: "EgressRule/" + call.Rule}})
		}
		t.print(s)
		return nil
	}
	return cmd
}
