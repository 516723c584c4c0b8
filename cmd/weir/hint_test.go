package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"weir/internal/haproxy"
)

// TestHintInConfigWorks runs what the first line of every haproxy.cfg tells its reader to run.
func TestHintInConfigWorks(t *testing.T) {
	use(t, startControlPlane(t))
	text, _ := haproxy.Config{}.Text()
	head, _, _ := strings.Cut(text, "\n")
	_, command, found := strings.Cut(head, "wanted: weir ")
	if !found {
		t.Fatalf("%q names no command", head)
	}
	var out strings.Builder
	if status := run(context.Background(), strings.Fields(command), strings.NewReader(""), io.Discard, &out); status != exitOK {
		t.Errorf("weir %s ends with %d: %s", command, status, out.String())
	}
}
