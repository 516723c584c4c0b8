// Command weir is load balancing as a service in one binary: the control plane, the agent beside each HAProxy,
// and the command line that talks to the control plane.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// commands make the subcommands. One that sets no GroupID is listed among those that run things.
var commands = []func() *cobra.Command{
	newGet, newDescribe, newPool, newEgress, newSearch, newStatus, newWaves, newTicketKeys, newHistory, newSiteLog, newExplain, newRender, newExport,
	newPlan, newApply, newDelete, newUndo, newInventory, newAccessList, newMap, newDiscoverySource, newCertificate,
	newDrain, newEnable, newWeight, newFailover, newDrift,
	newLogin, newContext, newToken, newGrant, newCA,
	newBackup, newRestore,
	newVersion,
	newServer, newAgent, newRegister, newDemo,
}

// The groups of commands in the help.
const (
	groupLook    = "look"
	groupChange  = "change"
	groupOperate = "operate"
	groupAccess  = "access"
	groupRun     = "run"
)

// The exit statuses that scripts may rely on.
const (
	exitOK          = 0
	exitRefused     = 1   // refused, or failed
	exitUsage       = 2   // the command line can't be understood
	exitDiffers     = 3   // plan --exit-code: there is something to do
	exitInterrupted = 130 // ended by Ctrl-C
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once, whatever hangs.
	context.AfterFunc(ctx, stop)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run carries out one command line and gives the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	interrupted := interruptedError("interrupted")
	if errors.As(err, &interrupted) || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintln(errOut, interrupted)
		return exitInterrupted
	}
	return report(cmd, err)
}

const rootExample = `  weir demo
  weir login https://weir.example.com:7443 --ca sha256:9f86d0…
  weir plan -f site.yaml
  weir apply -f site.yaml --reason "shop moves to its own name" --wait
  weir get sites
  weir status
  weir drain web-az1-017 --for 2h --reason "disk swap, TICKET-42"`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "Load balancing as a service on HAProxy",
		Long: `Weir is load balancing as a service for people who run HAProxy on their own machines.
You declare sites, pools and servers; agents beside each HAProxy make it so at run time,
and every command here says what would happen, what happened, and what is so.`,
		Example:       rootExample,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       buildVersion(),
	}
	root.SetVersionTemplate(versionText())
	root.SetHelpFunc(showHelp)
	root.AddGroup(
		&cobra.Group{ID: groupLook, Title: "See what is wanted and what is so:"},
		&cobra.Group{ID: groupChange, Title: "Change what is wanted:"},
		&cobra.Group{ID: groupOperate, Title: "Move traffic by hand, for a while:"},
		&cobra.Group{ID: groupAccess, Title: "Access:"},
		&cobra.Group{ID: groupRun, Title: "Run and more:"},
	)
	flags := root.PersistentFlags()
	flags.String("context", "", "the control plane to talk to, by its name in the configuration (WEIR_CONTEXT)")
	flags.Duration("timeout", 0, "how long to wait for an answer, and with --wait for the load balancers (30s, 60s)")
	flags.String("color", "auto", "colours: auto, always or never; NO_COLOR is respected")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		cmd.Root().SetContext(context.WithValue(cmd.Context(), started{}, true))
		return checkGlobal(cmd)
	}
	root.SetFlagErrorFunc(unknownFlag)
	for _, command := range commands {
		cmd := command()
		if cmd.GroupID == "" {
			cmd.GroupID = groupRun
		}
		cmd.SuggestFor = otherWords[cmd.Name()]
		if !cmd.Runnable() { // it only gathers others: a word behind it is a mistyped one of those
			cmd.Args = noArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		root.AddCommand(cmd)
	}
	root.SetHelpCommandGroupID(groupRun)
	root.SetCompletionCommandGroupID(groupRun)
	completeGlobal(root)
	return root
}

// started marks a context of a command that got as far as running: what fails before is a mistake of usage.
type started struct{}

func checkGlobal(cmd *cobra.Command) error {
	switch color, _ := cmd.Flags().GetString("color"); color {
	case "", "auto", "always", "never":
	default:
		return usagef("--color must be auto, always or never, not %q", color)
	}
	if d, _ := cmd.Flags().GetDuration("timeout"); d < 0 {
		return usagef("--timeout must be positive, not %s", d)
	}
	return nil
}

// timeoutOf gives what --timeout says, or what the command waits when it says nothing.
func timeoutOf(cmd *cobra.Command, otherwise time.Duration) time.Duration {
	if d, _ := cmd.Flags().GetDuration("timeout"); d > 0 {
		return d
	}
	return otherwise
}
