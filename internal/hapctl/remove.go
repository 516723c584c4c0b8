package hapctl

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/plan"
)

// remove deletes a server or backend; false means that connections hold it. To ask at all ends connections that
// are idle.
func (c Executor) remove(ctx context.Context, op plan.Op, patience time.Duration) (bool, error) {
	condition, what, name := "srv-removable", "server", op.Backend+"/"+op.Server
	if op.Kind == plan.RemoveBackend {
		condition, what, name = "be-removable", "backend", op.Backend
	}
	wait, err := NewCommand("wait", strconv.FormatInt(max(patience.Milliseconds(), 1), 10)+"ms", condition, name)
	if err != nil {
		return false, err
	}
	var refused *Refused
	if _, err := c.Do(ctx, wait); errors.As(err, &refused) {
		// What is not there any more needs no removal.
		return strings.Contains(refused.Text, "No such") || strings.Contains(refused.Text, "not found"), nil
	} else if err != nil {
		return false, err
	}
	if c.Leaving != nil {
		c.Leaving(op)
	}
	if what == "backend" {
		return true, c.deleteBackend(ctx, name)
	}
	return true, c.run(ctx, "del", what, name)
}

// deleteBackend looks for itself when the answer tells nothing: HAProxy answers with all that happened to
// servers lately, cut at a kilobyte, and puts what became of the command last.
func (c *Client) deleteBackend(ctx context.Context, name string) error {
	err := c.run(ctx, "del", "backend", name)
	var refused *Refused
	if !errors.As(err, &refused) || !refused.Unexpected {
		return err
	}
	names, lerr := c.Backends(ctx)
	if lerr != nil || slices.Contains(names, name) {
		return errors.Join(err, lerr)
	}
	return nil
}
