package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/server"
)

func newServer() *cobra.Command {
	var o server.Options
	var etcd etcdFlags
	var backup backupFlags
	var grow growFlags
	var logFormat string
	var people server.People
	var addresses []string
	cmd := &cobra.Command{
		Use:     "server --data-dir DIR",
		Short:   "Run the control plane",
		GroupID: groupRun,
		Long: `Run the control plane: the store, the API, and the link to the agents.

The first start makes an authority, a sealing key and the first admin's token in the data folder; the
token's file is named in the log. Secrets are sealed with a key that is kept in the data folder unless
--sealing-key-file names another place or WEIR_SEALING_KEY holds it.

Several servers can share a store, with the same sealing key on each; agents and people may then use any of them.
Either it is an etcd cluster outside (--etcd-endpoints), or the servers hold it themselves: the first is started
again with --store-peer, each further one with that, --store-join and a token of weir token server. Three stand the
loss of one.`,
		Example: `  weir server --data-dir /var/lib/weir --listen :7443 --name weir.example.com
  weir server --data-dir /var/lib/weir --name weir.example.com --console-listen :443 \
    --console-certificate /etc/weir/console.pem --console-key /etc/weir/console.key
  weir server --data-dir ./weir --listen 127.0.0.1:7443 --metrics-listen 127.0.0.1:7444
  weir server --data-dir /var/lib/weir --sealing-key-file /etc/weir/sealing.key \
    --etcd-endpoints https://etcd1:2379,https://etcd2:2379,https://etcd3:2379 \
    --etcd-ca /etc/weir/etcd-ca.crt --etcd-cert /etc/weir/etcd.crt --etcd-key /etc/weir/etcd.key
  weir server --data-dir /var/lib/weir --sealing-key-file /etc/weir/sealing.key \
    --store-peer https://weir2.example.com:2380 \
    --store-join https://weir1.example.com:7443 --store-join-token-file server.token`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLog(cmd.ErrOrStderr(), logFormat)
			if err != nil {
				return err
			}
			if lease := o.RegistrationLease; lease < 3*time.Second || lease > 10*time.Minute {
				return usagef("--registration-lease must be from 3s to 10m, not %s", lease)
			}
			if o.Cluster, err = etcd.cluster(); err != nil {
				return err
			}
			if o.Grow, err = grow.grow(o.Cluster != nil); err != nil {
				return err
			}
			if o.Backups, err = backup.backups(); err != nil {
				return err
			}
			if people != (server.People{}) {
				if people.Listen == "" || people.Certificate == "" || people.Key == "" {
					return usagef("--console-listen, --console-certificate and --console-key go together")
				}
				o.People = &people
			}
			o.Log, o.Version, o.SealingKey = log, buildVersion(), os.Getenv("WEIR_SEALING_KEY")
			for _, a := range addresses {
				parsed, err := netip.ParseAddr(a)
				if err != nil {
					return usageError{fmt.Errorf("--address %s: %w", a, err)}
				}
				o.Addresses = append(o.Addresses, parsed)
			}
			o.Ready = func(at server.Listening) {
				told := []any{"url", at.URL, "ca", at.CAHash, "metrics", at.Metrics}
				if at.People != "" {
					told = append(told, "console", at.People)
				}
				if at.TokenFile != "" {
					told = append(told, "token", at.TokenFile)
				}
				log.Info("ready", told...)
				// Most of what is in memory now stays there: a little more work for the collector saves half of it
				// again. While it was being read, agents were waiting.
				collect(55, 32<<20)
			}
			return server.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "data-dir", "", "folder of the store, the authority and the keys (required)")
	f.StringVar(&o.Listen, "listen", ":7443", "address of API and agents")
	f.StringVar(&people.Listen, "console-listen", "", "address of console and API for people, with a certificate that browsers believe")
	f.StringVar(&people.Certificate, "console-certificate", "", "file with that certificate and what signed it, in PEM; it is read again when it changes")
	f.StringVar(&people.Key, "console-key", "", "file with that certificate's key, which only its owner may read")
	f.StringVar(&o.MetricsListen, "metrics-listen", "127.0.0.1:7444", "address of /metrics, /healthz and /readyz without TLS; empty for none")
	f.StringSliceVar(&o.Names, "name", nil, "host name that clients and agents use, for the server's certificate; may be repeated")
	f.StringSliceVar(&addresses, "address", nil, "IP address that clients and agents use, for the server's certificate; may be repeated")
	f.StringVar(&o.SealingKeyFile, "sealing-key-file", "", "file with the key that seals secrets, when not in the data folder")
	f.StringVar(&o.Advertise, "advertise", "", "URL at which the other servers of the store reach this one")
	f.StringSliceVar(&o.DiscoveryDestinations, "discovery-destinations", nil, "networks and hosts of the inside that discovery sources may ask, besides public ones")
	f.StringVar(&o.Prometheus, "prometheus", "", "URL of a Prometheus that scrapes the servers of the store; it is asked for figures of more than the last hour")
	f.StringSliceVar(&o.Resolvers, "resolvers", nil, "name servers that hosts of partners are asked of, address or address:port; the machine's when left out")
	f.StringVar(&o.DiscoveryFiles, "discovery-files", "", "folder of the lists of servers that discovery sources may read")
	f.DurationVar(&o.RegistrationLease, "registration-lease", 30*time.Second, "how long a server that registers itself may be silent, from 3s to 10m")
	f.StringVar(&o.ChallengePrograms, "challenge-programs", "", "folder of the programs that issuers may name to answer dns-01 challenges")
	etcd.add(cmd)
	backup.add(cmd)
	grow.add(cmd)
	f.StringVar(&logFormat, "log", "text", "format of the log: text or json")
	_ = cmd.MarkFlagRequired("data-dir")
	cmd.AddCommand(newServerList(), newServerRemove(), newServerRestore(), newSealingKey())
	return cmd
}

func newLog(w io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, usageError{fmt.Errorf("--log %s: must be text or json", format)}
}
