package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

func TestTicketFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(weirtest.MemoryDir(t), "lb1")
	f := openTicketFile(dir)
	keys := f.holds()
	if name := f.name(); name != filepath.Join(dir, "ticket.keys") || f.why() != "" {
		t.Fatalf("%q %s", name, f.why())
	}
	if again := openTicketFile(dir); again.holds().Digests() != keys.Digests() {
		t.Error("an agent that starts anew has other keys than before")
	}
	// Somebody tidies up below /run; then somebody breaks what is there.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if name := f.name(); name == "" || openTicketFile(dir).holds().Digests() != keys.Digests() {
		t.Errorf("after it was removed: %q %s", name, f.why())
	}
	if err := os.WriteFile(f.path, []byte("no keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	if broken := openTicketFile(dir); broken.name() == "" || broken.holds().Digests() == keys.Digests() {
		t.Errorf("of a broken file came %s", broken.why())
	}
	if text, err := secrets.ReadPrivateFile(f.path); err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestTicketFileNowhereElse(t *testing.T) {
	t.Parallel()
	others := filepath.Join(weirtest.MemoryDir(t), "others")
	if err := os.Mkdir(others, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(others, 0o722); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(weirtest.MemoryDir(t), "linked")
	if err := os.Symlink(others, linked); err != nil {
		t.Fatal(err)
	}
	for dir, says := range map[string]string{
		"":         "--ticket-keys-dir",
		"relative": "whole path",
		others:     "nobody else may write",
		linked:     "must be a folder",
		"/proc":    "the agent's own account",
	} {
		f := openTicketFile(dir)
		if name := f.name(); name != "" || !strings.Contains(f.why(), says) && !strings.Contains(f.why(), "not in memory") {
			t.Errorf("in %q: %q %s", dir, name, f.why())
		}
	}
}

// TestWithoutMemoryForTicketKeys: HAProxy draws its own keys, and the agent says that clients resume with it alone.
func TestWithoutMemoryForTicketKeys(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	a := newAgentBed(t, h, func(o *Options) { o.TicketDir = "/proc/self/no" })
	a.wish()
	a.await(func(r link.Report) error {
		if r.Tickets == nil || r.Tickets.Off == "" || len(r.Warnings) != 1 || r.Warnings[0].Reason != link.TicketKeys {
			return fmt.Errorf("told %+v, warnings %+v", r.Tickets, r.Warnings)
		}
		return nil
	})
	text, err := os.ReadFile(a.engine.folder.path(haproxy.ConfigFile))
	if err != nil || strings.Contains(string(text), "tls-ticket-keys") {
		t.Errorf("the configuration names ticket keys: %v", err)
	}
}
