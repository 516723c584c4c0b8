package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"weir/internal/agent"
	"weir/internal/hapctl"
	"weir/internal/link"
)

func newAgent() *cobra.Command {
	var o agent.Options
	var join link.Join
	var joinFile, logFormat string
	cmd := &cobra.Command{
		Use:     "agent --dir DIR --server URL",
		Short:   "Run a load balancer: HAProxy and the agent beside it",
		GroupID: groupRun,
		Long: `Run a load balancer: an agent that brings its HAProxy to what the control plane wants.

The first time it needs a join token, which "weir token join" makes: in a file, or in WEIR_JOIN_TOKEN. The
agent makes its key itself and keeps it, its certificate and everything that it must do in its folder; it
goes on, and starts again, without the control plane. HAProxy serves on when the agent ends, and is found
again.`,
		Example: `  weir agent --dir /var/lib/weir-agent --server https://weir.example.com:7443 --join-file /run/join-token
  weir agent --dir /var/lib/weir-agent --server https://weir.example.com:7443`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLog(cmd.ErrOrStderr(), logFormat)
			if err != nil {
				return err
			}
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(75) // HAProxy needs the machine's memory more than an agent its processor
			}
			o.Log, o.Version = log, buildVersion()
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
			return a.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "", "the agent's folder (required)")
	f.StringSliceVar(&o.URLs, "server", nil, "URL of the control plane; may be repeated (required)")
	f.StringVar(&o.HAProxy, "haproxy", "", haproxyUsage)
	f.StringVar(&joinFile, "join-file", "", "file with the join token, needed once; or set WEIR_JOIN_TOKEN")
	f.StringVar(&join.Name, "name", hostname(), "name of the load balancer, needed once")
	f.BoolVar(&o.StopWithAgent, "stop-haproxy", false, "end HAProxy together with the agent")
	f.StringVar(&logFormat, "log", "text", "format of the log: text or json")
	_ = cmd.MarkFlagRequired("dir")
	_ = cmd.MarkFlagRequired("server")
	return cmd
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
