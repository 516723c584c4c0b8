package server

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// serveOnce starts a control plane and ends it when it is ready.
func serveOnce(t *testing.T, dir string) error {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	ready := errors.New("ready")
	listen := net.JoinHostPort(weirtest.Addr(t), "7443")
	err := Run(ctx, Options{Dir: dir, Listen: listen, Ready: func(Listening) { cancel(ready) }})
	if err == nil && context.Cause(ctx) != ready {
		t.Fatal("it ended before it was ready")
	}
	cancel(nil)
	return err
}

// A control plane whose store is gone must not begin a new one beside what is left of the old one.
func TestALostStoreIsNoFirstStart(t *testing.T) {
	for _, lost := range []string{"etcd", "etcd/etcd", "etcd/etcd/member/wal"} {
		t.Run(lost, func(t *testing.T) {
			dir := filepath.Join(weirtest.TempDir(t), "data")
			if err := serveOnce(t, dir); err != nil {
				t.Fatal(err)
			}
			token, err := os.ReadFile(filepath.Join(dir, tokenFile))
			if err != nil {
				t.Fatal(err)
			}
			kept := filepath.Join(weirtest.TempDir(t), "kept")
			if err := os.Rename(filepath.Join(dir, lost), kept); err != nil {
				t.Fatal(err)
			}
			if err := serveOnce(t, dir); err == nil || !strings.Contains(err.Error(), "has been in use") {
				t.Fatalf("without %s: %v", lost, err)
			}
			after, err := os.ReadFile(filepath.Join(dir, tokenFile))
			if err != nil || string(after) != string(token) {
				t.Errorf("the admin's token was written over: %v", err)
			}
			// Put back, it is as before.
			if err := os.RemoveAll(filepath.Join(dir, lost)); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(kept, filepath.Join(dir, lost)); err != nil {
				t.Fatal(err)
			}
			if err := serveOnce(t, dir); err != nil {
				t.Error(err)
			}
		})
	}
}
