package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/agent"
	"weir/internal/weirtest"
)

// TestHandsBackOnABadNight: whatever became of the configuration that was found, of the one in place, of whoever handed HAProxy
// back before and of HAProxy, what is left in place is one that HAProxy has or can start with.
func TestHandsBackOnABadNight(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		page := filepath.Join(w.dir, "sorry.http")
		write := func(path, text string) {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write(page, "HTTP/1.0 503 Sorry\r\n\r\n")
		u := w.newUnit(h, fmt.Sprintf("  errorfile 503 %s\n", page))
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		w.apply(w.oneZone())
		a := w.joinUnit(u)
		w.converged(1)
		a.stop()
		ours := u.text()
		back := func() (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), waitLong)
			defer cancel()
			said, err := agent.HandBack(ctx, a.dir, agent.HandBackOptions{})
			if ctx.Err() != nil {
				t.Errorf("it took too long: %v", err)
			}
			return said, err
		}
		refused := func(when string) {
			t.Helper()
			if said, err := back(); err == nil || u.text() != ours {
				t.Errorf("%s: %s, %v; in place is\n%s", when, said, err, u.text())
			}
			w.serves(at, "www.example.com", "/")
		}
		// HAProxy can't read any more what was found.
		if err := os.Remove(page); err != nil {
			t.Fatal(err)
		}
		refused("what was found is bad")
		// The same, after somebody who was killed when it was in place and HAProxy had not read it.
		write(filepath.Join(a.dir, "found", "weir.cfg"), ours)
		u.write(u.found)
		refused("after another who was killed")
		// Somebody has removed the configuration in place.
		write(page, "HTTP/1.0 503 Sorry\r\n\r\n")
		if err := os.Remove(u.path("haproxy.cfg")); err != nil {
			t.Fatal(err)
		}
		if said, err := back(); err != nil || u.text() != u.found {
			t.Fatalf("nothing is in place: %s, %v", said, err)
		}
		w.serves(at, "www.example.com", "/")
		// Taken over anew, and HAProxy is not there on the night.
		if _, err := agent.HandBack(t.Context(), a.dir, agent.HandBackOptions{Undo: true}); err != nil {
			t.Fatal(err)
		}
		w.startAgent(a)
		weirtest.Eventually(t, waitLong, func() error {
			if u.text() == u.found {
				return errors.New("HAProxy is not taken over anew")
			}
			return nil
		})
		w.converged(1)
		a.stop()
		u.end()
		if said, err := back(); err != nil || !strings.Contains(said, "HAProxy is not running") || u.text() != u.found {
			t.Fatalf("HAProxy is not running: %s, %v", said, err)
		}
		u.start()
		w.serves(at, "www.example.com", "/")
	})
}
