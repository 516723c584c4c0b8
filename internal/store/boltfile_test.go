package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A database that was cut, or whose beginning is gone, is refused in words that say what to do; a whole one is not.
func TestDamagedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]struct {
		do   func(path string, size int64) error
		want string
	}{
		"whole":  {func(string, int64) error { return nil }, ""},
		"cut":    {func(path string, _ int64) error { return os.Truncate(path, 4*4096) }, "it was cut"},
		"a page": {func(path string, _ int64) error { return os.Truncate(path, 4096) }, "it was cut"},
		"no beginning": {func(path string, size int64) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt(make([]byte, 8192), 0)
			}
			if err == nil {
				err = f.Close()
			}
			return err
		}, "its beginning can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := tryOpen(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			putZone(t, s, "az1")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "etcd", "member", "snap", "db")
			info, err := os.Stat(path)
			if err == nil {
				err = damage.do(path, info.Size())
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err = tryOpen(t, dir)
			if err == nil {
				defer s.Close()
			}
			if damage.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, word := range []string{damage.want, path, "restore a backup"} {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("%v, want %q", err, word)
				}
			}
		})
	}
}
