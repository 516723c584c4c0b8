package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"weir/internal/agent"
	"weir/internal/hapctl"
	"weir/internal/link"
	"weir/internal/systemd"
)

func newAgent() *cobra.Command {
	var o agent.Options
	var join link.Join
	var joinFile, logFormat string
	var look bool
	var ticketDir string
	cmd := &cobra.Command{
		Use:     "agent --dir DIR --server URL",
		Short:   "Run a load balancer: HAProxy and the agent beside it",
		GroupID: groupRun,
		Long: `Run a load balancer: an agent that brings its HAProxy to what the control plane wants.

The first time it needs a join token, which "weir token join" makes: in a file, or in WEIR_JOIN_TOKEN. The
agent makes its key itself and keeps it, its certificate and everything that it must do in its folder; it
goes on, and starts again, without the control plane. HAProxy serves on when the agent ends, and is found
again.

With --haproxy-master-socket and --haproxy-config the agent takes over a HAProxy that somebody else starts and
ends, as systemd does: it keeps the configuration that it finds, puts Weir's in its place and lets HAProxy read
it, without a request lost. It refuses while nobody would answer any more where HAProxy listens; --look tells,
and changes nothing. weir agent handback gives HAProxy back.`,
		Example: `  weir agent --dir /var/lib/weir-agent --server https://weir.example.com:7443 --join-file /run/join-token
  weir agent --dir /var/lib/weir-agent --server https://weir.example.com:7443
  weir agent --dir /var/lib/weir-agent --server https://weir.example.com:7443 --look \
    --haproxy-master-socket /run/haproxy-master.sock --haproxy-config /etc/haproxy/haproxy.cfg`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (o.TakeOver.Master == "") != (o.TakeOver.Config == "") {
				return usageError{errors.New("--haproxy-master-socket and --haproxy-config go together")}
			}
			if o.TakeOver.Master == "" && (look || len(o.TakeOver.LetGo) > 0) {
				return usageError{errors.New("--look and --let-go are about a HAProxy that is taken over: say which, with --haproxy-master-socket and --haproxy-config")}
			}
			if o.TakeOver.Master != "" && o.StopWithAgent {
				return usageError{errors.New("--stop-haproxy is for a HAProxy of the agent's own: one that is taken over is somebody else's to end")}
			}
			var err error
			if o.TicketDir, err = ticketFolder(ticketDir, o); err != nil {
				return err
			}
			log, err := newLog(cmd.ErrOrStderr(), logFormat)
			if err != nil {
				return err
			}
			collect(65, 16<<20) // HAProxy needs the machine's memory more than an agent its processor
			o.Log, o.Version, o.Manager = log, buildVersion(), systemd.FromEnvironment()
			// One that has joined asks a HAProxy that is named for its version only while that starts.
			if !filepath.IsAbs(o.HAProxy) || !agent.Joined(o.Dir) {
				if o.HAProxy, err = findHAProxy(cmd.Context(), o.HAProxy); err != nil {
					return err
				}
			}
			if !agent.Joined(o.Dir) {
				if join.Token, err = joinToken(joinFile); err != nil {
					return err
				}
				join.Agent = buildVersion()
				if join.HAProxy, err = hapctl.Version(cmd.Context(), o.HAProxy); err != nil {
					return err
				}
				name, err := agent.Join(cmd.Context(), o, join)
				if err != nil {
					return err
				}
				log.Info("joined", "loadbalancer", name)
			}
			a, err := agent.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			if look {
				return lookOver(cmd, a)
			}
			return a.Run(cmd.Context())
		},
	}
	cmd.AddCommand(newAgentHandBack())
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "", "the agent's folder (required)")
	f.StringSliceVar(&o.URLs, "server", nil, "URL of the control plane; may be repeated (required)")
	f.StringVar(&o.HAProxy, "haproxy", "", haproxyUsage)
	f.StringVar(&joinFile, "join-file", "", "file with the join token, needed once; or set WEIR_JOIN_TOKEN")
	f.StringVar(&join.Name, "name", hostname(), "name of the load balancer, needed once")
	f.BoolVar(&o.StopWithAgent, "stop-haproxy", false, "end HAProxy together with the agent")
	f.StringVar(&o.TakeOver.Master, "haproxy-master-socket", "", "socket of the master of a HAProxy to take over (haproxy -S)")
	f.StringVar(&o.TakeOver.Config, "haproxy-config", "", "the configuration that this HAProxy reads (haproxy -f)")
	f.StringSliceVar(&o.TakeOver.LetGo, "let-go", nil, "ADDRESS:PORT of that configuration at which nobody need answer any more, or all; may be repeated")
	f.StringVar(&ticketDir, "ticket-keys-dir", "", "folder in memory (tmpfs) for the keys of TLS session tickets, or none; systemd's RUNTIME_DIRECTORY or one below /dev/shm when left out, none for a HAProxy that is taken over")
	f.BoolVar(&look, "look", false, "say what taking HAProxy over would change, and end")
	f.StringVar(&logFormat, "log", "text", "format of the log: text or json")
	_ = cmd.MarkFlagRequired("dir")
	_ = cmd.MarkFlagRequired("server")
	return cmd
}

// ticketFolder is where an agent keeps TLS ticket keys. A HAProxy of somebody else's is started without the agent, and
// would not start while the file is missing that its configuration names: there somebody must ask for it.
func ticketFolder(named string, o agent.Options) (string, error) {
	switch {
	case named == "none", named == "" && o.TakeOver.Master != "":
		return "", nil
	case named != "":
		return filepath.Abs(named)
	}
	runtime, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	return agent.DefaultTicketDir(o.Dir, runtime)
}

func joinToken(file string) (string, error) {
	if file == "" {
		if text := os.Getenv("WEIR_JOIN_TOKEN"); text != "" {
			return text, nil
		}
		return "", errors.New("this folder has no identity yet: make a join token with weir token join, and give it by --join-file or in WEIR_JOIN_TOKEN")
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read join token: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// hostname gives the machine's name up to the first dot.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	return name
}
