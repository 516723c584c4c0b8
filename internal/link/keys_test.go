package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

func TestKeysComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.enrol("lb2")
	w.keys.setBroken("late", true)
	w.set("edge", 1, []*ir.Resource{cert("www", 1), cert("late", 1)}, "lb1")
	w.set("other", 1, []*ir.Resource{cert("theirs", 1)}, "lb2")
	a := w.agent(dir)
	a.at(1)
	if _, err := a.Key("late", weir.SealedRef{Generation: 1, Fingerprint: "f"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that can't be opened: %v", err)
	}
	w.keys.setBroken("late", false)
	want := func(files ...string) func() error {
		return func() error {
			entries, err := os.ReadDir(filepath.Join(dir, "keys"))
			if err != nil {
				return err
			}
			var have []string
			for _, e := range entries {
				name, _, _ := strings.Cut(e.Name(), ".")
				gen := strings.Split(e.Name(), ".")[1]
				have = append(have, name+"@"+gen)
				info, err := e.Info()
				if err != nil {
					return err // it went away just now
				}
				if info.Mode().Perm() != 0o600 {
					return fmt.Errorf("%s: mode %v", e.Name(), info.Mode())
				}
			}
			if !reflect.DeepEqual(have, files) {
				return fmt.Errorf("keys %v, not %v", have, files)
			}
			return nil
		}
	}
	weirtest.Eventually(t, patience, want("late@1", "www@1"))
	weirtest.Eventually(t, patience, func() error {
		if n := len(a.states()); n != 2 {
			return fmt.Errorf("%d states were delivered; a key that comes late is news", n)
		}
		return nil
	})
	w.set("edge", 2, []*ir.Resource{cert("www", 2), cert("late", 1)}, "lb1")
	a.at(2)
	weirtest.Eventually(t, patience, want("late@1", "www@2")) // the old one is gone once it is let go of
	w.set("edge", 3, []*ir.Resource{cert("www", 2)}, "lb1")
	weirtest.Eventually(t, patience, want("www@2"))

	// A key lost on disk comes again without a snapshot; a name that is not the group's brings nothing.
	a.stop()
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	token := http.Header{resumeHeader: {a.replica.resume().String()}, lacksHeader: {"www,theirs,../../etc/passwd"}}
	first, _, _ := w.raw(dir, token)
	if len(first) != 3 || first[0].Reset || len(first[1].Secrets) != 1 || first[1].Secrets[0].ID != "certificate/www" {
		t.Errorf("%+v", first)
	}
	w.agent(dir)
	weirtest.Eventually(t, patience, want("www@2"))
	for _, asked := range w.keys.opened() {
		if strings.HasPrefix(asked, "theirs") {
			t.Errorf("another group's key was opened: %s", asked)
		}
	}
	if journal, err := os.ReadFile(filepath.Join(dir, journalFile)); err != nil || strings.Contains(string(journal), "CANARY") {
		t.Errorf("the journal holds a key, %v", err)
	}
}

// TestKeysInUseStay holds a state in the sink while its key is replaced.
func TestKeysInUseStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, []*ir.Resource{cert("www", 1)}, "lb1")
	options := w.options(dir)
	var c *Client
	old, now := weir.SealedRef{Generation: 1, Fingerprint: "f"}, weir.SealedRef{Generation: 2, Fingerprint: "f"}
	swept := make(chan error, 10)
	options.Sweeping = func() error {
		_, err := c.Key("www", old)
		swept <- err
		return nil
	}
	var err error
	if c, err = Open(options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got, release, done := make(chan State), make(chan struct{}), make(chan error)
	go func() {
		done <- c.Run(ctx, func(s State) { got <- s; <-release })
	}()
	reached := func(revision int64) {
		t.Helper()
		weirtest.Eventually(t, patience, func() error {
			if s, _ := c.State(); s.Revision < revision {
				return fmt.Errorf("revision %d", s.Revision)
			}
			return nil
		})
	}
	<-got
	w.set("edge", 2, []*ir.Resource{cert("www", 2)}, "lb1")
	reached(2)
	for rev := int64(3); rev < 5; rev++ { // heartbeats come and go
		w.hub.Advance(rev)
		reached(rev)
	}
	if _, err := c.Key("www", old); err != nil || len(swept) > 0 {
		t.Errorf("the key of the state in use is gone: %v", err)
	}
	release <- struct{}{}
	<-got
	release <- struct{}{}
	weirtest.Eventually(t, patience, func() error {
		if _, err := c.Key("www", old); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the old key is still there: %v", err)
		}
		return nil
	})
	if _, err := c.Key("www", now); err != nil {
		t.Error(err)
	}
	if len(swept) != 1 || <-swept != nil {
		t.Error("nobody was asked while the key was there")
	}
	cancel()
	if err := errors.Join(<-done, c.Close()); err != nil {
		t.Error(err)
	}
}
