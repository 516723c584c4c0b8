package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/server"
)

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

func contextWithin(cmd *cobra.Command, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(cmd.Context(), d, errTimeout)
}

// newServerRestore is weir server restore, which needs no running control plane.
func newServerRestore() *cobra.Command {
	var o server.Options
	var etcd etcdFlags
	var keyFile, identity string
	cmd := &cobra.Command{
		Use:   "restore BACKUP --data-dir DIR --identity KEYFILE",
		Short: "Put a backup into a store that is empty",
		Long: `Put a backup into a store that is empty: a data folder that holds nothing but the sealing key, or an etcd cluster
without a store of Weir. All servers of the store must be stopped.

The backup is read to its end before anything is written; one that was cut or changed, or that was made under another
sealing key, is refused. A restore that is interrupted leaves a store that no server serves from; run it again.

Tokens are left behind: a new first admin's token is made, as at a first start, and named. Agents keep their
certificates. A server started on the store then holds: agents connect and keep what they have, nothing is sent to
them, until somebody has looked at weir restore plan and run weir restore accept.`,
		Example: `  weir server restore weir-20300501T030000Z-r1041.age --data-dir /var/lib/weir --identity backup.key
  weir server restore weir.age --data-dir /var/lib/weir --identity backup.key --sealing-key-file /etc/weir/sealing.key \
    --etcd-endpoints https://etcd1:2379,https://etcd2:2379,https://etcd3:2379 \
    --etcd-ca /etc/weir/etcd-ca.crt --etcd-cert /etc/weir/etcd.crt --etcd-key /etc/weir/etcd.key`,
		Args: exactArgs(1, "say which backup"),
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "data-dir", "", "folder of the store and the keys (required)")
	f.StringVar(&identity, "identity", "", "file with the private key that opens the backup, as age-keygen writes it (required)")
	f.StringVar(&keyFile, "sealing-key-file", "", "file with the key that seals secrets, when not in the data folder")
	etcd.add(cmd)
	_ = cmd.MarkFlagRequired("data-dir")
	_ = cmd.MarkFlagRequired("identity")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := secrets.ReadPrivateFile(identity)
		if err != nil {
			return fmt.Errorf("read --identity: %w", err)
		}
		if o.Cluster, err = etcd.cluster(); err != nil {
			return err
		}
		if o.SealingKey, err = sealingKey(keyFile); err != nil {
			return err
		}
		backup, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer func() { _ = backup.Close() }()
		done, err := server.Restore(cmd.Context(), o, backup, string(ids))
		if err != nil {
			return err
		}
		printRestored(stdout(cmd), &done)
		return nil
	}
	return cmd
}

// sealingKey gives the text of the key that a file or the environment holds; empty when neither is named.
func sealingKey(file string) (string, error) {
	if file == "" {
		return os.Getenv("WEIR_SEALING_KEY"), nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read sealing key: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

func printRestored(s *screen, done *server.Restored) {
	total := 0
	for _, n := range done.Backup.Objects {
		total += n
	}
	s.printf("%s restored %s of revision %s from the backup of %s\n", s.good("✓"), count(total, "object", "objects"), itoa(done.Backup.Revision), clock(done.Backup.At))
	s.printf("  %s left behind; the new admin's is in %s\n", count(done.Tokens, "token was", "tokens were"), done.TokenFile)
	if n := done.Backup.Objects["Certificate"]; n > 0 {
		s.line(s.wrapped("  ", count(n, "certificate is", "certificates are")+" as of then, also where they were renewed or revoked since: weir restore plan names those of which load balancers have another one or none"))
	}
	s.line("  start the server: agents connect and keep what they have, and nothing is sent to them until")
	s.line("    weir restore plan                     shows what they would change, and")
	s.line("    weir restore accept --reason \"…\"      lets it happen")
}

func newRestore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Look at what a restored control plane would change, and let it",
		Long: `After weir server restore the control plane is held: agents connect, report and keep what they have, and nothing is
sent to them. Plan shows what each would change, accept lets that happen. What the backup lacks can be applied in
between, so that the plan gets shorter.`,
		Example: `  weir restore plan
  weir apply -f wishes/ --reason "what the backup did not have yet"
  weir restore plan
  weir restore accept --reason "disk of ctl1 lost, INC-42"`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRestorePlan(), newRestoreAccept())
	return cmd
}

func newRestorePlan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what load balancers would do if the restore were accepted",
		Long: `Show, load balancer by load balancer, what would be done if the restore were accepted now: the run-time commands, or
the one reload with its reasons, that lead from what each really has, as its agent tells, to what is wanted here.
Load balancers of which that isn't known are named, and so are agents that come and whose load balancer is not in
the backup: those serve on with what they have until they join again. Certificates of the backup that would be shown
again are named, since they may have been revoked after it: revoke those once more, or renew them.`,
		Example: `  weir restore plan
  weir restore plan --commands
  weir restore plan -o json | jq '.strangers[].name'`,
		Args: noArgs,
	}
	commands := cmd.Flags().Bool("commands", false, "show every run-time command, not only how many of which")
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		c.timeout = timeoutOf(cmd, applyWithin)
		plan := new(api.RestorePlan)
		if err := c.get(cmd.Context(), "restore/plan", nil, plan); err != nil {
			return err
		}
		if *output != "text" {
			return printValue(cmd.OutOrStdout(), *output, plan)
		}
		printRestorePlan(stdout(cmd), plan, groupSizes(cmd), *commands, c.now())
		return nil
	}
	return cmd
}

func newRestoreAccept() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept --reason REASON",
		Short: "Let the load balancers follow a restored control plane",
		Long: `Let the load balancers follow a restored control plane: each does what weir restore plan shows. It takes an admin, and
there is no way back but to change what is wanted.`,
		Example: `  weir restore accept --reason "disk of ctl1 lost, INC-42"`,
		Args:    noArgs,
	}
	reason := cmd.Flags().String("reason", "", "why; kept in the audit file and shown in the log (required)")
	_ = cmd.MarkFlagRequired("reason")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *reason == "" {
			return usagef("--reason must say something")
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		done := new(api.Restored)
		if err := c.do(cmd.Context(), call{method: http.MethodPost, path: "restore/accept", query: url.Values{"reason": {*reason}}}, done); err != nil {
			return err
		}
		s := stdout(cmd)
		s.printf("%s accepted: load balancers follow the backup of %s now; weir status --wait shows when all have\n", s.good("✓"), clock(done.BackupAt))
		return nil
	}
	return cmd
}
