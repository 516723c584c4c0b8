package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"weir"
)

func newWeight() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "weight SERVER WEIGHT --reason WHY",
		GroupID: groupOperate,
		Short:   "Give a server more or less traffic for a while",
		Long: `Give a server another weight for a while, 0 to 256 relative to the others of its pools; 0 takes no new traffic.
It is an Override named after the server, as drain makes: the last command counts, and it ends by itself.`,
		Example: `  weir weight web-az1-017 10 --for 30m --reason "cold cache"
  weir weight web-az1-017 200 --pool web-az1 --reason "bigger machine, trying"`,
		Args: rangeArgs(2, 2, "say which server and which weight"),
	}
	f := addOverrideFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 0 || n > 256 {
			return usagef("the weight must be 0 to 256, not %q", args[1])
		}
		return f.run(cmd, args[0], func(o *weir.Override) { o.Weight = &n })
	}
	return cmd
}
