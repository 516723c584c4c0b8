package hapctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// CheckError says that HAProxy refuses a configuration, or has a warning about it.
type CheckError struct {
	// Config is the file that was checked.
	Config string
	// Lines is why, at least one.
	Lines []LogLine
}

// Error gives the file and HAProxy's own words.
func (e *CheckError) Error() string {
	return fmt.Sprintf("check %s: %s", e.Config, joinLines(e.Lines))
}

// Check lets the haproxy at path read a configuration, in the folder dir from which its relative paths are
// meant. Warnings count as errors. The error is a *CheckError when HAProxy has something against the
// configuration. Addresses are not bound: see TestBind.
func Check(ctx context.Context, path, dir, config string) error {
	out, err := output(ctx, path, dir, "-c", "-dW", "-f", config)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit) || ctx.Err() != nil:
		return fmt.Errorf("check %s: %w", config, err)
	case endedOutside(err):
		return fmt.Errorf("check %s: %w: %w", config, ErrEnded, err)
	}
	lines := strings.Split(out, "\n")
	why := problems(lines, true)
	if onlySlow(why) {
		return nil
	}
	if len(why) == 0 {
		why = []LogLine{{Text: fmt.Sprintf("haproxy ended with %v: %s", err, strings.TrimSpace(out))}}
	}
	return &CheckError{Config: config, Lines: why}
}

// onlySlow says that HAProxy complains of nothing but how long this machine takes to verify a password (3.4), which is
// another time at each look: a busy moment is no fault of the configuration.
func onlySlow(why []LogLine) bool {
	slow := false
	for _, l := range why {
		switch {
		case l.Level == "WARNING" && strings.Contains(l.Text, "the hash algorithm used for this password takes"):
			slow = true
		case !strings.Contains(l.Text, "'zero-warning' is set"):
			return false
		}
	}
	return slow
}

var versionLine = regexp.MustCompile(`(?m)^HAProxy version (\S+)`)

// Version asks the haproxy at path for its version, such as "3.4.7-1".
func Version(ctx context.Context, path string) (string, error) {
	out, err := output(ctx, path, "", "-v")
	if err != nil {
		if said := strings.TrimSpace(out); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return "", fmt.Errorf("ask %s for its version: %w", path, err)
	}
	m := versionLine.FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("ask %s for its version: it says %q", path, out)
	}
	return m[1], nil
}

// output runs haproxy to its end and gives what it wrote.
func output(ctx context.Context, path, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, environment(nil)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return buf.String(), err
}

// environment is all that HAProxy gets of it: «show env» tells it to everybody who may use the socket, and
// configurations can read it.
func environment(extra []string) []string {
	return append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}, extra...)
}
