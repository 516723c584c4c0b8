package main

import "github.com/spf13/cobra"

// exactArgs asks for so many arguments and says what is missing in words.
func exactArgs(n int, missing string) cobra.PositionalArgs { return rangeArgs(n, n, missing) }

// rangeArgs asks for a number of arguments between two bounds.
func rangeArgs(least, most int, missing string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least {
			return usagef("%s", missing)
		}
		if len(args) > most {
			return usagef("%q is one argument too many", args[most])
		}
		return nil
	}
}
