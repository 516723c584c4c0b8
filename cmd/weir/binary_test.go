package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// program writes a shell script that says it is some HAProxy.
func program(t *testing.T, says string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "haproxy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+says+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHAProxyIsLookedFor(t *testing.T) {
	old, other := program(t, "HAProxy version 2.6.12-1 2023/04/01"), program(t, "nginx")
	real := weirtest.HAProxies(t)[0].Path
	before := usualPlaces
	t.Cleanup(func() { usualPlaces = before })
	for _, c := range []struct {
		name, flag, env string
		usual           []string
		want            string
		says            []string
	}{
		{name: "the usual place", usual: []string{"/nonexistent", real}, want: real},
		{name: "one that is too old is passed by", usual: []string{old, real}, want: real},
		{name: "the environment", env: real, usual: []string{old}, want: real},
		{name: "the flag", flag: real, env: "/nonexistent", want: real},
		{name: "none", usual: []string{"/nonexistent", old, other}, says: []string{
			"looked for /nonexistent (there is no such program), " + old + " (it is HAProxy 2.6.12-1; the oldest that Weir runs is 3.2), " +
				other + " (it is no HAProxy: it does not tell its version)", "name it with --haproxy PATH or in $HAPROXY",
		}},
		{name: "the wrong flag", flag: "/nonexistent", usual: []string{real}, says: []string{"--haproxy names /nonexistent, and there is no such program"}},
		{name: "the wrong environment", env: filepath.Dir(old), usual: []string{real}, says: []string{"$HAPROXY names", "it can't be run"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("HAPROXY", c.env)
			usualPlaces = c.usual
			got, err := findHAProxy(t.Context(), c.flag)
			if got != c.want || (err == nil) != (c.says == nil) {
				t.Errorf("found %q, %v", got, err)
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%q does not say %q", err, says)
				}
			}
		})
	}
}
