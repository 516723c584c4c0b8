package main

import (
	"net/netip"

	"github.com/spf13/cobra"

	"weir"
)

func newTokenRegistration() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registration --role ROLE --names PATTERN",
		Short: "Make a token with which servers register themselves",
		Long: `Make a registration token. With it any number of servers register themselves (weir register), until it expires
or is deleted, which ends what they have registered. Each must have a name that fits, and asks from the address that
it registers, unless --any-address is given. Lay it on the servers as a file that only the user of weir register
can read.`,
		Example: `  weir token registration --role web --zone az1 --names 'web-az1-*' > register.token
  weir token registration --role web --names 'web-*' --clusters front --networks 10.1.0.0/16,2001:db8:1::/48 --expires 365d`,
		Args: noArgs,
	}
	terms := new(weir.RegistrationTerms)
	flags := cmd.Flags()
	flags.StringVar(&terms.Role, "role", "", "the role that owns the servers (required)")
	flags.StringSliceVar(&terms.Names, "names", nil, "names that may be registered, with * for any characters; may be repeated (required)")
	flags.StringVar(&terms.Zone, "zone", "", "the only zone of the servers; theirs to name when left out")
	flags.StringSliceVar(&terms.Clusters, "clusters", nil, "the clusters that the servers may be in; any when left out")
	networks := flags.StringSlice("networks", nil, "where servers may register from, and what addresses; anywhere when left out")
	flags.BoolVar(&terms.AnyAddress, "any-address", false, "servers may register another address than the one that they ask from")
	forget := flags.String("forget", "24h", "how long servers that are gone are kept before they are deleted, such as 30m or 7d; or never")
	expires := flags.String("expires", "90d", "how long it is valid, at most 366d")
	name := flags.String("name", "", "name of the Token object; made of the role when left out")
	reason := addReasonFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("role", completeNames("Role"))
	_ = cmd.RegisterFlagCompletionFunc("zone", completeNames("Zone"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if terms.Role == "" || len(terms.Names) == 0 {
			return usagef("--role and --names are required")
		}
		for _, text := range *networks {
			network, err := netip.ParsePrefix(text)
			if err != nil {
				return usagef("--networks: %q must be a network, such as 10.1.0.0/16", text)
			}
			terms.Networks = append(terms.Networks, network)
		}
		if terms.Forget = new(weir.Duration(0)); *forget != "never" {
			kept, err := parseSpan(*forget)
			if err != nil {
				return usagef("--forget: %w, or never", err)
			}
			*terms.Forget = weir.Duration(kept)
		}
		life, err := parseSpan(*expires)
		if err != nil {
			return usagef("--expires: %w", err)
		}
		if *name == "" {
			*name = freshName("registration-" + terms.Role)
		}
		return makeToken(cmd, *name, &weir.Token{Subject: "registration", Registration: terms}, life, *reason)
	}
	return cmd
}
