package hapctl

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// TestAside: a HAProxy beside runs as long as it is used and no longer; one that gives up says why in its own words.
func TestAside(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		dir := weirtest.TempDir(t)
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("global\n    stats socket unix@run/admin.sock mode 600 level admin\n")
		enough := errors.New("enough")
		pid := 0
		err := Aside(t.Context(), Options{Path: h.Path, Dir: dir}, func(ctx context.Context, c *Client) (err error) {
			if pid, err = c.Pid(ctx); err != nil {
				return err
			}
			return enough
		})
		if !errors.Is(err, enough) || pid == 0 {
			t.Fatalf("%v, process %d", err, pid)
		}
		if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("process %d is left: %v", pid, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = Aside(ctx, Options{Path: h.Path, Dir: dir}, func(ctx context.Context, c *Client) error {
			cancel()
			_, err := c.Pid(ctx)
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		write("global\n    nonsense\n")
		err = Aside(t.Context(), Options{Path: h.Path, Dir: dir}, func(context.Context, *Client) error { return nil })
		if refused := new(StartError); !errors.As(err, &refused) || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("of a bad configuration: %v", err)
		}
	})
}
