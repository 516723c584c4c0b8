package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/internal/haproxy"
)

// makeJail makes what HAProxy's workers have for a root when root started them: nothing but the socket at which they hand
// on what they have counted. HAProxy calls it by the name that it has outside, from the folder or from anywhere, so
// inside there is a link by each of these names that leads back to the root.
func (f *folder) makeJail() error {
	jail := filepath.Join(f.dir, haproxy.Jail)
	whole, err := filepath.Abs(jail)
	if err != nil {
		return err
	}
	if err := makeOpen(jail); err != nil {
		return err
	}
	for _, name := range []string{haproxy.Jail, whole} {
		at := jail
		for _, part := range strings.Split(strings.Trim(filepath.Dir("/"+name), "/"), "/") {
			at = filepath.Join(at, part)
			if err := makeOpen(at); err != nil {
				return err
			}
		}
		link := filepath.Join(at, haproxy.Jail)
		if to, err := os.Readlink(link); err == nil && to == "/" {
			continue
		}
		if err := os.RemoveAll(link); err != nil {
			return err
		}
		if err := os.Symlink("/", link); err != nil {
			return err
		}
	}
	return nil
}

// makeOpen makes a folder which an account may pass that its owner does not know: HAProxy's workers have one of their own.
func makeOpen(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.IsDir() {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(path, 0o711)
}
