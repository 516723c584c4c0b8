package hapctl

import (
	"context"
	"fmt"

	"weir/internal/haproxy"
)

// TicketKeys tells by digest which TLS ticket keys HAProxy has of the file of that path.
func (c *Client) TicketKeys(ctx context.Context, path string) (haproxy.TicketKeys, error) {
	files, err := ask(ctx, c, haproxy.ParseTicketKeys, "show", "tls-keys", path)
	if err != nil {
		return haproxy.TicketKeys{}, err
	}
	if len(files) != 1 || files[0].File != path {
		return haproxy.TicketKeys{}, fmt.Errorf("ask for the ticket keys of %s: HAProxy tells those of %d other files", path, len(files))
	}
	return files[0], nil
}

// PushTicketKeys makes keys, in base64, one after the other the next one of a file's in HAProxy's memory, in one go.
// Each drops the oldest, and has the one that was next encrypt from now on. The file is the caller's to write, before:
// a reload reads it. Neither errors nor logs show a key.
func (c *Client) PushTicketKeys(ctx context.Context, path string, keys ...string) error {
	cmds := make([]Command, len(keys))
	for i, key := range keys {
		cmd, err := NewCommand("set", "ssl", "tls-key", path)
		if err != nil {
			return err
		}
		if cmds[i], err = cmd.WithSecret(key); err != nil {
			return err
		}
	}
	if len(cmds) == 0 {
		return nil
	}
	_, err := c.DoAll(ctx, cmds...)
	return err
}
