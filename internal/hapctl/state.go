package hapctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weir/internal/haproxy"
)

// DumpServersState writes what HAProxy has of all servers to a file for load-server-state-from-file, so that
// after a reload or restart servers that were down stay down. The file is either the old one or the whole
// new one, also after a crash.
func (c *Client) DumpServersState(ctx context.Context, file string) error {
	text, err := c.ServersStateText(ctx)
	if err != nil {
		return err
	}
	if err := writeFile(file, text); err != nil {
		return fmt.Errorf("dump servers' state: %w", err)
	}
	return nil
}

// ServersStateText gives what HAProxy has of all servers as the text of a server-state file.
func (c *Client) ServersStateText(ctx context.Context) (string, error) {
	return ask(ctx, c, func(text string) (string, error) {
		_, err := haproxy.ParseServersState(text)
		return text + "\n", err
	}, "show", "servers", "state")
}

// writeFile writes beside, syncs and renames.
func writeFile(file, text string) (err error) {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, "."+filepath.Base(file)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
