package haproxy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestPortsOfFastOpen: ports that are opened with TCP Fast Open take connections as ever.
func TestPortsOfFastOpen(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) { n.Tuning.FastOpen = true })
		text, err := os.ReadFile(filepath.Join(p.dir, "haproxy.cfg"))
		if err != nil {
			t.Fatal(err)
		}
		binds := 0
		for line := range strings.SplitSeq(string(text), "\n") {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "bind ") && !strings.Contains(line, "abns@") {
				binds++
				if !strings.HasSuffix(line, " tfo") {
					t.Errorf("without: %s", line)
				}
			}
		}
		if binds < 3 {
			t.Errorf("%d bind lines", binds)
		}
		if status, origin, _ := p.get(t, 17, "GET / HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n"); status != 200 || origin != "web1" {
			t.Errorf("status %d from %q", status, origin)
		}
	})
}
