package hapctl

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"weir/internal/plan"
)

// SetCert puts a PEM (chain and key) into HAProxy's memory under a name, new or not, and makes it the one
// that is served wherever the name is used. When it fails, the former one stays and no transaction of its own is left.
// HAProxy has one transaction for all certificates: only one SetCert may run at a time.
func (c *Client) SetCert(ctx context.Context, name, pem string) error {
	// What HAProxy has is asked only when this fails: thousands of names are a long answer.
	err := c.setAndCommit(ctx, name, pem)
	if err == nil {
		return nil
	}
	known, aborted := c.mend(ctx, name)
	if known || aborted != nil || ctx.Err() != nil || !errors.As(err, new(*Refused)) {
		return errors.Join(err, aborted)
	}
	if err := c.run(ctx, "new", "ssl", "cert", name); err != nil {
		return err
	}
	if err = c.setAndCommit(ctx, name, pem); err == nil {
		return nil
	}
	if _, aborted = c.mend(ctx, name); aborted == nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.patience)
		defer cancel()
		aborted = c.run(clean, "del", "ssl", "cert", name)
	}
	return errors.Join(err, aborted)
}

// mend ends the transaction that a failed change of a certificate may have left, and says whether the name is known. A
// transaction about another one is somebody else's. What is left must not depend on the caller's patience.
func (c *Client) mend(ctx context.Context, name string) (known bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.patience)
	defer cancel()
	have, err := c.Certs(ctx)
	switch {
	case err != nil:
	case have.Transaction == name:
		err = c.run(ctx, "abort", "ssl", "cert", name)
	case have.Transaction != "":
		err = fmt.Errorf("set certificate %s: a transaction about %s is open: abort it first", name, have.Transaction)
	}
	return slices.Contains(have.Names, name), err
}

// setAndCommit sends both at once: the commit of what was refused is refused, too.
func (c *Client) setAndCommit(ctx context.Context, name, pem string) error {
	cmds, err := setAndCommit(name, pem)
	if err != nil {
		return err
	}
	_, err = c.DoAll(ctx, cmds...)
	return first(err)
}

func setAndCommit(name, pem string) ([]Command, error) {
	set, err := NewCommand("set", "ssl", "cert", name)
	if err != nil {
		return nil, err
	}
	if set, err = set.WithPayload(pem); err != nil {
		return nil, err
	}
	commit, err := NewCommand("commit", "ssl", "cert", name)
	return []Command{set, commit}, err
}

// setCertLength counts the operations at the front that bring certificates, and that can be sent together.
func setCertLength(ops []plan.Op) int {
	n := 0
	for n < len(ops) && n < maxCertBatch && (ops[n].Kind == plan.NewCert || ops[n].Kind == plan.SetCert) {
		n++
	}
	return n
}

// maxCertBatch is smaller than maxBatch: each command has a chain and a key with it.
const maxCertBatch = 64

// setCerts carries out operations that bring certificates. All go out at once; when one of them is refused each is tried by
// itself, since what follows a change that could not be committed is refused for that alone.
func (c Executor) setCerts(ctx context.Context, ops []plan.Op) error {
	var cmds []Command
	for _, op := range ops {
		some, err := c.certCommands(op)
		if err != nil {
			return opError(op, err)
		}
		cmds = append(cmds, some...)
	}
	_, err := c.DoAll(ctx, cmds...)
	if err = first(err); err == nil || !errors.As(err, new(*Refused)) {
		return err
	}
	have, err := c.Certs(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(ops, func(op plan.Op) bool { return op.Path == have.Transaction }) {
		if err := c.run(ctx, "abort", "ssl", "cert", have.Transaction); err != nil {
			return err
		}
	}
	for _, op := range ops {
		if op.Kind == plan.NewCert && slices.Contains(have.Names, op.Path) {
			continue
		}
		if err := c.executeOne(ctx, op); err != nil {
			return opError(op, err)
		}
	}
	return nil
}

func (c Executor) certCommands(op plan.Op) ([]Command, error) {
	if op.Kind != plan.SetCert {
		cmd, err := commandOf(op)
		return []Command{cmd}, err
	}
	pem, err := c.File(op.Path)
	if err != nil {
		return nil, err
	}
	return setAndCommit(op.Path, pem)
}

// first gives the first of the refusals of a batch; the others follow from it.
func first(err error) error {
	var refused *Refused
	if errors.As(err, &refused) && !errors.Is(err, ErrNoAnswer) && !errors.Is(err, ErrStaleWorker) {
		return refused
	}
	return err
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
