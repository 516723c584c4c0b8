package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
)

const haproxyUsage = "path of HAProxy, 3.2 or newer; else $HAPROXY, else the machine's"

// usualPlaces are where HAProxy is looked for when nobody says.
var usualPlaces = []string{"/usr/sbin/haproxy", "haproxy", "/usr/local/sbin/haproxy"}

var errNoHAProxy = errors.New("HAProxy is not there")

// findHAProxy gives the path of the HAProxy that --haproxy names, else $HAPROXY, else the first of the usual places
// that is one and not too old. An error says where it looked and how to name another.
func findHAProxy(ctx context.Context, named string) (string, error) {
	for _, by := range []struct{ path, whence string }{{named, "--haproxy"}, {os.Getenv("HAPROXY"), "$HAPROXY"}} {
		if by.path == "" {
			continue
		}
		path, err := usableHAProxy(ctx, by.path)
		if err != nil {
			return "", fmt.Errorf("%w: %s names %s, and %w", errNoHAProxy, by.whence, by.path, err)
		}
		return path, nil
	}
	var looked []string
	for _, place := range usualPlaces {
		path, err := usableHAProxy(ctx, place)
		if err == nil {
			return path, nil
		}
		if place == "haproxy" {
			place = "haproxy in the PATH"
		}
		looked = append(looked, place+" ("+err.Error()+")")
	}
	return "", fmt.Errorf("%w: looked for %s; name it with --haproxy PATH or in $HAPROXY", errNoHAProxy, strings.Join(looked, ", "))
}

// usableHAProxy finds a program as shells do and asks it what it is.
func usableHAProxy(ctx context.Context, name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return "", errors.New("there is no such program")
	case err != nil:
		return "", errors.New("it can't be run")
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	full, err := hapctl.Version(ctx, path)
	if err != nil {
		return "", errors.New("it is no HAProxy: it does not tell its version")
	}
	version, err := haproxy.ParseVersion(full)
	if err != nil || !version.AtLeast(haproxy.Oldest.Major, haproxy.Oldest.Minor) {
		return "", fmt.Errorf("it is HAProxy %s; the oldest that Weir runs is %s", full, haproxy.Oldest)
	}
	return path, nil
}
