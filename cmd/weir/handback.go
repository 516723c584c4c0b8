package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"weir/internal/agent"
)

// lookOver tells what taking HAProxy over would change; the error is why it would not be taken over.
func lookOver(cmd *cobra.Command, a *agent.Agent) error {
	look, err := a.LookOver(cmd.Context())
	if err != nil {
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), clean(look.String()))
	if why := look.Refusal(); why != "" {
		return errors.New(clean(why))
	}
	fmt.Fprintln(cmd.OutOrStdout(), "It can be taken over.")
	return nil
}

// newAgentHandBack is weir agent handback, which works at the agent's folder, while the agent is stopped.
func newAgentHandBack() *cobra.Command {
	var o agent.HandBackOptions
	var dir string
	cmd := &cobra.Command{
		Use:   "handback --dir DIR",
		Short: "Give a HAProxy back that the agent has taken over",
		Long: `Give a HAProxy back that the agent has taken over. The agent must be stopped.

The configuration that was found is put back in its place, and HAProxy reads it; the listeners that both name
pass from one worker to the other, and no request is lost. If HAProxy refuses it, everything stays as it was.
With --keep Weir's configuration stays in place instead, as a plain file, and nothing is reloaded.

An agent that is started afterwards leaves HAProxy alone and says so in the status of its load balancer, until
--undo.`,
		Example: `  systemctl stop weir-agent@lb-az1-1
  sudo -u weir-agent weir agent handback --dir /var/lib/weir-agent/lb-az1-1
  sudo -u weir-agent weir agent handback --dir /var/lib/weir-agent/lb-az1-1 --undo`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Keep && o.Undo {
				return usageError{errors.New("--keep and --undo exclude each other")}
			}
			said, err := agent.HandBack(cmd.Context(), dir, o)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), said)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "", "the agent's folder (required)")
	f.BoolVar(&o.Keep, "keep", false, "leave Weir's configuration in place, as a plain file")
	f.BoolVar(&o.Undo, "undo", false, "let the agent take HAProxy over again when it starts next")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}
