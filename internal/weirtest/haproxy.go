// Package weirtest helps the other packages' tests to use the real thing: HAProxy of every
// supported version, an address of its own per test, origins, and processes that end with
// the test.
package weirtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// series lists the HAProxy versions that every test of what HAProxy does runs against, newest first. A test of what the
// control plane or the agent does on its own needs the newest alone.
var series = []string{"3.4", "3.2"}

// HAProxy is one HAProxy binary that tests run against.
type HAProxy struct {
	Version string // the series, "3.4"
	Full    string // what the binary says of itself, "3.4.7-1"
	Path    string // the binary, absolute
}

// HAProxies returns every supported HAProxy, newest first. A missing one fails the test and
// names the command that gets it; nothing is skipped.
func HAProxies(t testing.TB) []HAProxy {
	t.Helper()
	found, err := haproxies()
	if err != nil {
		t.Fatalf("find haproxy: %v", err)
	}
	return append([]HAProxy(nil), found...)
}

// Each runs f as a parallel subtest for every supported HAProxy, named by its version.
func Each(t *testing.T, f func(t *testing.T, h HAProxy)) {
	t.Helper()
	for _, h := range HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			t.Parallel()
			f(t, h)
		})
	}
}

// Check runs haproxy -c on the configuration file with warnings fatal, and returns HAProxy's
// own words as the error when it refuses.
func (h HAProxy) Check(config string) error {
	out, err := exec.Command(h.Path, "-c", "-dW", "-f", config).CombinedOutput()
	if err != nil {
		return fmt.Errorf("haproxy %s -c -f %s: %w: %s", h.Version, config, err, strings.TrimSpace(string(out)))
	}
	return nil
}

var haproxies = sync.OnceValues(func() ([]HAProxy, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	return findHAProxies(root)
})

// Root returns the folder of the module, where go.mod is.
func Root(t testing.TB) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	return root
}

// moduleRoot walks up from the working folder, which go test sets to the package's own.
func moduleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module weir\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod of module weir at or above %s: run the test from inside the module", start)
		}
	}
}

func findHAProxies(root string) ([]HAProxy, error) {
	var (
		all  []HAProxy
		errs []error
	)
	for _, s := range series {
		h := HAProxy{Version: s, Path: filepath.Join(root, ".tools", "haproxy-"+s, "usr", "sbin", "haproxy")}
		full, err := askVersion(h.Path)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("haproxy %s: %w", s, err))
		case !strings.HasPrefix(full, s+"."):
			errs = append(errs, fmt.Errorf("haproxy %s: %s says it is %s", s, h.Path, full))
		}
		h.Full = full
		all = append(all, h)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w\nrun scripts/haproxy.sh in %s to get every version", err, root)
	}
	return all, nil
}

var versionLine = regexp.MustCompile(`^HAProxy version (\S+)`)

func askVersion(path string) (string, error) {
	out, err := exec.Command(path, "-v").CombinedOutput()
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s -v: no version in %q", path, out)
	}
	return string(m[1]), nil
}
