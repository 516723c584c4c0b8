package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"weir/internal/api"
	"weir/internal/haproxy"
)

// version is set when a release is built.
var version string

// buildVersion gives the release, or else the commit that the program was built from.
func buildVersion() string {
	if version != "" {
		return version
	}
	commit, _, changed := builtFrom()
	switch {
	case commit == "":
		return "dev"
	case changed:
		return "dev-" + commit + "+"
	}
	return "dev-" + commit
}

// builtFrom gives the commit that the program was built from, when it was made, and whether files had been changed
// since; "" when the build did not know.
func builtFrom() (commit, at string, changed bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", "", false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.time":
			at = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	if len(commit) < 12 {
		return "", "", false
	}
	return commit[:12], at, changed
}

// versionText says what this program is, and which HAProxy it runs.
func versionText() string {
	commit, at, changed := builtFrom()
	switch {
	case commit == "":
		commit = "unknown"
	case changed:
		commit += " of " + at + " and changes"
	default:
		commit += " of " + at
	}
	return fmt.Sprintf("weir %s\n  commit   %s\n  built    with %s for %s/%s\n  HAProxy  %s or newer; from %s on, new pools take no reload\n",
		buildVersion(), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, haproxy.Oldest, dynamicFrom())
}

// dynamicFrom gives the first version of HAProxy that makes pools at run time.
func dynamicFrom() haproxy.Version {
	v := haproxy.Oldest
	for !v.Capabilities().DynamicBackends {
		v.Minor++
	}
	return v
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupRun,
		Short:   "Show the version of this program and of the control plane",
		Long: `Show the version of this program with the commit that it was built from, the versions of HAProxy that it runs,
and the version of the control plane that you are logged in to. weir --version asks no control plane.`,
		Example: `  weir version
  weir version --client`,
		Args: noArgs,
	}
	only := cmd.Flags().Bool("client", false, "do not ask the control plane")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s := stdout(cmd)
		s.printf("%s", versionText())
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
