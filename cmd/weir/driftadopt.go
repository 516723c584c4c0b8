package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newDriftAdopt() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adopt SERVER --reason WHY",
		Short: "Make what was done to a server by hand an Override",
		Long: `Make what somebody did to a server at the socket of one load balancer an Override: drained, in maintenance, or of
another weight. It then holds on every load balancer, is no drift any more, and ends by itself when its time is over.
What was undone in the last day can be adopted as well. It takes the right operator on the server's role, as drain
does.`,
		Example: `  weir drift adopt web-az1-017 --for 2h --reason "was drained at the socket, TICKET-42"
  weir drift adopt web-az1-017 --pool api --from lb-az1-1 --reason "slow"`,
		Args: exactArgs(1, "say which server"),
	}
	f := addOverrideFlags(cmd)
	from := cmd.Flags().String("from", "", "as it is, or was, at this load balancer")
	_ = cmd.RegisterFlagCompletionFunc("from", completeNames("LoadBalancer"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(*f.reason) == "" {
			return usagef("say why with --reason: the next person wants to know")
		}
		server, err := f.names(args[0])
		if err != nil {
			return err
		}
		if *from != "" {
			if *from, err = nameOf("LoadBalancer", *from); err != nil {
				return err
			}
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		fleet, err := c.fleet(cmd.Context())
		if err != nil {
			return err
		}
		found, err := toAdopt(driftsOf(fleet), server, *f.pool, *from)
		if err != nil {
			return err
		}
		*f.pool = found.Pool
		return f.run(cmd, server, adoption(found.Drift))
	}
	return cmd
}

// adoption gives what an Override is to say so that it asks for what was found; nil when none can.
func adoption(d api.Drift) func(*weir.Override) {
	switch {
	case d.Server == "":
	case d.Kind == "State" && d.Found == "drained":
		return func(o *weir.Override) { o.State = weir.StateDrain }
	case d.Kind == "State" && d.Found == "maintenance":
		return func(o *weir.Override) { o.State = weir.StateMaintenance }
	case d.Kind == "Weight":
		if n, err := strconv.Atoi(d.Found); err == nil {
			return func(o *weir.Override) { o.Weight = &n }
		}
	}
	return nil
}

// toAdopt finds the one thing by hand that is meant: what differs now comes before what was undone, and a drain before
// a weight of the same server.
func toAdopt(all []driftOn, server, pool, from string) (driftOn, error) {
	all = slices.DeleteFunc(slices.Clone(all), func(d driftOn) bool {
		return d.Server != server || adoption(d.Drift) == nil || pool != "" && d.Pool != pool || from != "" && d.LoadBalancer != from
	})
	if len(all) == 0 {
		return driftOn{}, fmt.Errorf("nothing of server %q was found to be drained, in maintenance or of another weight by hand; weir drift shows what was found, weir drain takes it out of traffic", server)
	}
	now := slices.DeleteFunc(slices.Clone(all), func(d driftOn) bool { return !d.Undone.IsZero() })
	if len(now) == 0 {
		now = all[:1] // the newest
	}
	states := slices.DeleteFunc(slices.Clone(now), func(d driftOn) bool { return d.Kind != "State" })
	if len(states) > 0 {
		now = states
	}
	first := now[0]
	for _, d := range now[1:] {
		switch {
		case d.Pool != first.Pool:
			return driftOn{}, fmt.Errorf("server %q was changed by hand in the pools %s and %s; say in which with --pool", server, first.Pool, d.Pool)
		case d.Found != first.Found:
			return driftOn{}, fmt.Errorf("server %q is otherwise on %s (%s) than on %s (%s); say which counts with --from", server, first.LoadBalancer, first.Text, d.LoadBalancer, d.Text)
		}
	}
	return first, nil
}
