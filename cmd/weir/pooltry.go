package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

// tryFlags are those of weir pool try.
type tryFlags struct {
	file, loadBalancer string
	servers            []string
	output             *string
}

func newPoolTry() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "try [NAME]",
		Short: "Run a pool's health check once, before it is saved",
		Long: `Have a load balancer run a pool's health check once against its servers, and show what it said: the pool is one that
is there or one in a manifest, which need not be saved. A HAProxy of its own runs the very check that the pool would
have, beside the one that serves and without traffic. Nothing is changed; that it was tried is recorded.

It takes the right by which the pool would be saved, and the exit status is 1 when a server did not pass.`,
		Example: `  weir pool try -f pool.yaml
  weir pool try web-az1 --server web-az1-017
  weir pool try -f pool.yaml --load-balancer lb-az2-1 -o json`,
		Args:              rangeArgs(0, 1, ""),
		ValidArgsFunction: completeNames("Pool"),
	}
	f := new(tryFlags)
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "filename", "f", "", "a manifest of one Pool, or - for standard input")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json")
	flags.StringArrayVar(&f.servers, "server", nil, "try this server or member only, or several")
	flags.StringVar(&f.loadBalancer, "load-balancer", "", "the load balancer that tries; one near the servers when left out")
	_ = cmd.RegisterFlagCompletionFunc("server", completeNames("Server"))
	_ = cmd.RegisterFlagCompletionFunc("load-balancer", completeNames("LoadBalancer"))
	f.output = addOutputFlag(cmd, "table", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }
	return cmd
}

func (f *tryFlags) run(cmd *cobra.Command, args []string) error {
	if (len(args) == 1) == (f.file != "") {
		return usagef("say which pool: NAME, or -f FILE")
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	body, file, err := f.pool(cmd, c, args)
	if err != nil {
		return err
	}
	query := url.Values{"server": f.servers}
	if f.loadBalancer != "" {
		query.Set("loadBalancer", f.loadBalancer)
	}
	answer := new(api.TryAnswer)
	if err := c.do(cmd.Context(), call{method: http.MethodPost, path: "pools/try", query: query, body: body}, answer); err != nil {
		if file != nil {
			err = file.located(err)
		}
		return err
	}
	if *f.output != "table" {
		err = printValue(cmd.OutOrStdout(), *f.output, answer)
	} else {
		triedTable(answer).print(stdout(cmd))
		if answer.Omitted > 0 {
			noted(cmd.ErrOrStderr(), "%s more were not tried; --server chooses others", thousands(answer.Omitted))
		}
	}
	failed := 0
	for _, t := range answer.Tried {
		if !t.Passed {
			failed++
		}
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %s did not pass the check", failed, count(len(answer.Tried), "server", "servers"))
	}
	return err
}

// pool gives the pool that is tried, as JSON, and the file that it is from.
func (f *tryFlags) pool(cmd *cobra.Command, c *client, args []string) (json.RawMessage, *manifest, error) {
	if f.file == "" {
		name, err := nameOf("Pool", args[0])
		if err != nil {
			return nil, nil, err
		}
		kind, _ := weir.KindByName("Pool")
		o, err := c.one(cmd.Context(), kind, name)
		if err != nil {
			return nil, nil, err
		}
		return o.wish(), nil, nil
	}
	file, err := readManifest(cmd, []string{f.file})
	if err != nil {
		return nil, nil, err
	}
	pools := slices.DeleteFunc(slices.Clone(file.objects), func(o *weir.Object) bool { return o.Kind != "Pool" })
	if len(pools) != 1 {
		return nil, nil, fmt.Errorf("%s: holds %s; one is tried", f.file, count(len(pools), "Pool", "Pools"))
	}
	body, err := json.Marshal(pools[0])
	return body, file, err
}

func triedTable(answer *api.TryAnswer) *table {
	t := &table{columns: []column{{title: "SERVER"}, {title: "ADDRESS"}, {title: "PASSED"}, {title: "CHECK"}, {title: "CODE", right: true}, {title: "TOOK", right: true}, {title: "FROM"}, {title: "IT SAID", folds: true}}}
	for _, r := range answer.Tried {
		passed, at, code := cell{"no", bad}, r.Address, ""
		if r.Passed {
			passed = cell{"yes", good}
		}
		if r.Address != "" {
			at = net.JoinHostPort(r.Address, fmt.Sprint(r.Port))
		}
		if r.Code > 0 {
			code = fmt.Sprint(r.Code)
		}
		t.add([]cell{{text: r.Server}, {text: at}, passed, {text: r.Status}, {text: code}, {text: took(int64(r.TookMs))}, {text: r.LoadBalancer}, {text: r.Said}})
	}
	return t
}
