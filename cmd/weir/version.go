package main

import (
	"errors"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"weir/internal/api"
)

// version is set when a release is built.
var version string

// buildVersion gives the release, or else the commit that the program was built from.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "", false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if len(revision) < 12 {
		return "dev"
	}
	if revision = "dev-" + revision[:12]; modified {
		revision += "+"
	}
	return revision
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupRun,
		Short:   "Show the version of this program and of the control plane",
		Example: `  weir version
  weir version --client`,
		Args: noArgs,
	}
	only := cmd.Flags().Bool("client", false, "do not ask the control plane")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s := stdout(cmd)
		s.printf("weir %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		if *only {
			return nil
		}
		c, err := connect(cmd)
		if errors.Is(err, errNowhere) {
			return nil // whoever never logged in asks for this program's version only
		}
		if err != nil {
			return err
		}
		me := new(api.WhoAmI)
		if err := c.get(cmd.Context(), "whoami", nil, me); err != nil {
			return err
		}
		s.printf("control plane %s at %s, revision %d\n", clean(me.Version), c.base, me.Revision)
		return nil
	}
	return cmd
}
