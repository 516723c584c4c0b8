package hapctl

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

func TestTestBind(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, "frontend f from base\n bind ADDR:8080\n bind 0.0.0.0:"+wildPort(h)+"\n")
		at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(strings.ReplaceAll(s, "ADDR", l.addr)) }
		ours := []netip.AddrPort{at("ADDR:8080"), at("0.0.0.0:" + wildPort(h))}
		for _, s := range []string{"ADDR:8081", "ADDR:8080", "ADDR:" + wildPort(h), "[::1]:" + wildPort(h)} {
			if err := TestBind(at(s), ours); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
		// The same, when it is somebody else's.
		for _, s := range []string{"ADDR:8080", "ADDR:" + wildPort(h), "0.0.0.0:8080"} {
			if err := TestBind(at(s), nil); !errors.Is(err, ErrTaken) {
				t.Errorf("%s: %v, want taken", s, err)
			}
		}
		if err := TestBind(netip.MustParseAddrPort("192.0.2.1:80"), ours); !errors.Is(err, ErrNoAddress) {
			t.Errorf("an address that is not here: %v", err)
		}
		if _, err := os.Stat(filepath.Join(l.dir, "haproxy.cfg")); err != nil {
			t.Error(err)
		}
	})
}

// wildPort differs by version, since both run at once.
func wildPort(h weirtest.HAProxy) string {
	if h.Version == "3.4" {
		return "18534"
	}
	return "18532"
}
