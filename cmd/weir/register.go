package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/register"
)

func newRegister() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "register -f FILE",
		Short:   "Run beside a service: check it, and register its server",
		GroupID: groupRun,
		Long: `Run on an application server: look at the service there as a file says, and keep the control plane told.

While all checks pass, the server is registered and takes traffic in the pools that it belongs to. When one fails, it
is withdrawn at once. When this command is told to stop, load balancers send nothing new, what runs has the drain
time, and then the server is withdrawn. When the machine dies, the registration runs out by itself. While no control
plane can be reached nothing changes, and it is tried again.

The first time it needs a registration token (weir token registration) in the file that tokenFile names, which only
its user may read. It is exchanged for a certificate of a day; that and its key are kept in the state folder.`,
		Example: `  weir register -f /etc/weir/service.yaml --state-dir /var/lib/weir-register
  weir register check -f /etc/weir/service.yaml
  weir register pools -f /etc/weir/service.yaml --state-dir /var/lib/weir-register`,
		Args: noArgs,
	}
	file := addServiceFlag(cmd)
	state := addStateFlag(cmd)
	logFormat := cmd.Flags().String("log", "text", "format of the log: text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := newLog(cmd.ErrOrStderr(), *logFormat)
		if err != nil {
			return err
		}
		dir, err := stateFolder(*state)
		if err != nil {
			return err
		}
		service, err := register.Read(*file)
		if err != nil {
			return err
		}
		return register.Run(cmd.Context(), register.Options{Service: service, State: dir, Log: log})
	}
	cmd.AddCommand(newRegisterCheck(), newRegisterPools())
	return cmd
}

func addServiceFlag(cmd *cobra.Command) *string {
	file := cmd.Flags().StringP("file", "f", "", "what to register and how to check it (required)")
	_ = cmd.MarkFlagRequired("file")
	return file
}

func addStateFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("state-dir", "", "folder for key and certificate; systemd's STATE_DIRECTORY when left out")
}

func stateFolder(named string) (string, error) {
	first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	if dir := cmp.Or(named, first); dir != "" {
		return dir, nil
	}
	return "", usagef("--state-dir is required: the folder for key and certificate")
}

func newRegisterPools() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pools -f FILE",
		Short: "Ask the control plane which pools this server belongs to",
		Long: `Ask the control plane which pools this server belongs to, as its certificate says who it is: a line for each, with
the pool, the address at which it reaches the server, and whether the server may take traffic there.`,
		Example: "  weir register pools -f /etc/weir/service.yaml --state-dir /var/lib/weir-register",
		Args:    noArgs,
	}
	file, state := addServiceFlag(cmd), addStateFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := stateFolder(*state)
		if err != nil {
			return err
		}
		service, err := register.Read(*file)
		if err != nil {
			return err
		}
		pools, err := register.Pools(cmd.Context(), service, dir)
		if err != nil {
			return fmt.Errorf("ask for the pools of server %s: %w", service.Name, err)
		}
		for _, p := range pools {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s: %s\n", p.Name, cmp.Or(p.Address, "-"), clean(p.State), clean(p.Reason)); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func newRegisterCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check -f FILE",
		Short: "Read the file, make every check once, and say how it went",
		Long: `Read the file, make every check once, and say how it went. The control plane hears nothing of it. The exit status
is 1 when the file has a mistake, the token's file can't be used, or a check fails.`,
		Example: "  weir register check -f /etc/weir/service.yaml",
		Args:    noArgs,
	}
	file := addServiceFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		service, err := register.Read(*file)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		_, _ = fmt.Fprintf(out, "server %s\n", service.Name)
		bad := 0
		for _, one := range register.LookOnce(cmd.Context(), service) {
			if one.Err != nil {
				bad++
				_, _ = fmt.Fprintf(out, "fails  %s: %s\n", clean(one.Name), clean(one.Err.Error()))
				continue
			}
			_, _ = fmt.Fprintf(out, "passes %s in %s\n", clean(one.Name), one.Took.Round(time.Millisecond))
		}
		tokenErr := register.CheckToken(service)
		if tokenErr != nil {
			_, _ = fmt.Fprintf(out, "fails  tokenFile: %s\n", clean(tokenErr.Error()))
		}
		if bad > 0 {
			return fmt.Errorf("%d of %d checks fail: the server would not take traffic", bad, len(service.Checks))
		}
		if tokenErr != nil {
			return fmt.Errorf("the token in %s can't be used", service.TokenFile)
		}
		if len(service.Checks) == 0 {
			noted(cmd.ErrOrStderr(), "There are no checks: the server takes traffic for as long as weir register runs.")
		}
		return nil
	}
	return cmd
}
