package weirtest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// HeldHAProxy is a HAProxy that does not begin to start before it is let go; it checks configurations as ever.
type HeldHAProxy struct {
	// Path is what to start.
	Path string

	t              testing.TB
	begun, release string
}

// NewHeldHAProxy gives one that holds each start.
func NewHeldHAProxy(t testing.TB, h HAProxy) *HeldHAProxy {
	t.Helper()
	dir := TempDir(t)
	held := &HeldHAProxy{Path: filepath.Join(dir, "haproxy"), t: t, begun: filepath.Join(dir, "begun"), release: filepath.Join(dir, "go")}
	for _, fifo := range []string{held.begun, held.release} {
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = -W ]; then echo > '%s'; read -r _ < '%s'; fi\nexec '%s' \"$@\"\n", held.begun, held.release, h.Path)
	syscall.ForkLock.RLock() // a child that has it open for writing would keep it from being run
	err := os.WriteFile(held.Path, []byte(script), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// Begun waits until somebody has started it.
func (h *HeldHAProxy) Begun() {
	h.t.Helper()
	if _, err := os.ReadFile(h.begun); err != nil {
		h.t.Fatal(err)
	}
}

// Go lets the one that was started begin.
func (h *HeldHAProxy) Go() {
	h.t.Helper()
	if err := os.WriteFile(h.release, []byte("\n"), 0); err != nil {
		h.t.Fatal(err)
	}
}
