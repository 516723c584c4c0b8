package hapctl

import (
	"errors"
	"os"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, twoServers)
		if err := Check(bounded(t), h.Path, l.dir, "haproxy.cfg"); err != nil {
			t.Errorf("a good one: %v", err)
		}
		lines := func(config string) []LogLine {
			t.Helper()
			l.file("bad.cfg", config)
			err := Check(bounded(t), h.Path, l.dir, "bad.cfg")
			var check *CheckError
			if !errors.As(err, &check) {
				t.Fatalf("error = %v", err)
			}
			return check.Lines
		}
		two := lines("backend a\n bogus 1\nbackend b\n balance nonsense\n")
		if len(two) != 2 || two[0].Line != 2 || two[1].Line != 4 || two[0].File != "bad.cfg" || two[0].Text != "unknown keyword 'bogus' in 'backend' section" {
			t.Errorf("%+v", two)
		}
		warned := lines("global\ndefaults\n mode http\nfrontend f\n bind 127.0.0.1:1\n")
		if len(warned) != 1 || warned[0].Level != "WARNING" || !strings.Contains(warned[0].Text, "missing timeouts") {
			t.Errorf("%+v", warned)
		}
		if gone := Check(bounded(t), h.Path, l.dir, "gone.cfg"); gone == nil || !strings.Contains(gone.Error(), "gone.cfg") {
			t.Errorf("no file: %v", gone)
		}
		var check *CheckError
		if err := Check(bounded(t), "/nowhere", l.dir, "haproxy.cfg"); errors.As(err, &check) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no binary: %v", err)
		}
		if v, err := Version(bounded(t), h.Path); v != h.Full || err != nil {
			t.Errorf("version %q, %v", v, err)
		}
	})
}
