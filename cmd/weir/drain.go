package main

import (
	"github.com/spf13/cobra"

	"weir"
)

func newDrain() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "drain SERVER --reason WHY",
		GroupID: groupOperate,
		Short:   "Take a server out of traffic for a while",
		Long: `Take a server out of traffic for a while: it gets no new requests and finishes those it has. With --maintenance
it is not even checked. It is an Override named after the server, so that a second drain replaces the first, and
it ends by itself when its time is over, also when the control plane is away.`,
		Example: `  weir drain web-az1-017 --for 2h --reason "disk swap, TICKET-42"
  weir drain web-az1-017 --pool api --reason "slow on the API" --wait
  weir drain web-az1-017 --maintenance --reason "rebuilt"`,
		Args: exactArgs(1, "say which server"),
	}
	f := addOverrideFlags(cmd)
	maintenance := cmd.Flags().Bool("maintenance", false, "no traffic at all and no health checks")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.run(cmd, args[0], func(o *weir.Override) {
			if o.State = weir.StateDrain; *maintenance {
				o.State = weir.StateMaintenance
			}
		})
	}
	return cmd
}
