package hapctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// SetCert puts a PEM (chain and key) into HAProxy's memory under a name, new or not, and makes it the one
// that is served wherever the name is used. When it fails, the former one stays and no transaction is left.
// HAProxy has one transaction for all certificates: only one SetCert may run at a time.
func (c *Client) SetCert(ctx context.Context, name, pem string) error {
	have, err := c.Certs(ctx)
	if err != nil {
		return err
	}
	if have.Transaction != "" {
		return fmt.Errorf("set certificate %s: a transaction about %s is open: abort it first", name, have.Transaction)
	}
	known := slices.Contains(have.Names, name)
	if !known {
		if err := c.run(ctx, "new", "ssl", "cert", name); err != nil {
			return err
		}
	}
	err = c.setAndCommit(ctx, name, pem)
	if err == nil {
		return nil
	}
	// What is left must not depend on the caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.patience)
	defer cancel()
	aborted := c.AbortCert(ctx)
	if !known && aborted == nil {
		aborted = c.run(ctx, "del", "ssl", "cert", name)
	}
	return errors.Join(err, aborted)
}

func (c *Client) setAndCommit(ctx context.Context, name, pem string) error {
	set, err := NewCommand("set", "ssl", "cert", name)
	if err != nil {
		return err
	}
	if set, err = set.WithPayload(pem); err != nil {
		return err
	}
	if _, err := c.Do(ctx, set); err != nil {
		return err
	}
	return c.run(ctx, "commit", "ssl", "cert", name)
}

// AbortCert ends the open certificate transaction, if there is one: what a crash in the middle of a change
// leaves behind would refuse every later change.
func (c *Client) AbortCert(ctx context.Context) error {
	have, err := c.Certs(ctx)
	if err != nil || have.Transaction == "" {
		return err
	}
	return c.run(ctx, "abort", "ssl", "cert", have.Transaction)
}

// run carries out one command of which the answer does not matter.
func (c *Client) run(ctx context.Context, words ...string) error {
	cmd, err := NewCommand(words...)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, cmd)
	return err
}
