package agent

import (
	"os"
	"path/filepath"
	"testing"

	"weir/internal/haproxy"
)

// TestWhoWaitsForTicketKeys: only a HAProxy that reads them from a file; for any other a wait would be time without
// service for nothing.
func TestWhoWaitsForTicketKeys(t *testing.T) {
	own, found := t.TempDir(), filepath.Join(t.TempDir(), "found.cfg")
	if err := os.Mkdir(filepath.Join(own, haproxyDir), 0o700); err != nil {
		t.Fatal(err)
	}
	managed := Options{Dir: own}
	if managed.sharesTickets() {
		t.Error("an agent without a configuration waits")
	}
	for text, want := range map[string]bool{
		"frontend f\n  bind :80\n": false,
		"frontend f\n  bind :443 ssl crt-list 443.list tls-ticket-keys '/run/weir/ticket.keys'\n": true,
	} {
		for path, o := range map[string]Options{
			filepath.Join(own, haproxyDir, haproxy.ConfigFile): managed,
			found: {Dir: t.TempDir(), TakeOver: TakeOver{Config: found}},
		} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := o.sharesTickets(); got != want {
				t.Errorf("with %q the agent waits: %v, want %v", text, got, want)
			}
		}
	}
}
