package hapctl

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"weir/internal/plan"
)

// maxBatch is how many commands go out before answers are read.
const maxBatch = 256

// batchLength counts the operations at the front that are one plain command each and can be sent together.
func batchLength(ops []plan.Op) int {
	family := batchFamily(ops[0])
	if family == 0 {
		return 0
	}
	n := 1
	for n < len(ops) && n < maxBatch && batchFamily(ops[n]) == family {
		n++
	}
	return n
}

// batchFamily gives operations of one kind of risk the same number: what takes something away never goes out
// before the answers to what is to take its place, since HAProxy carries out what follows a refused command.
func batchFamily(op plan.Op) int {
	switch op.Kind {
	case plan.AddServer, plan.EnableHealth, plan.EnableServer:
		return 1
	case plan.DisableServer, plan.SetWeight, plan.SetMaxConnections:
		return 2
	case plan.MapAdd:
		return 3
	case plan.MapSet:
		return 4
	case plan.MapDel:
		return 5
	case plan.AddCrt:
		return 6
	case plan.DelCert:
		return 7
	}
	return 0
}

func (c Executor) executeBatch(ctx context.Context, ops []plan.Op) error {
	if ops[0].Kind == plan.MapDel {
		return c.deleteEntries(ctx, ops)
	}
	return c.executeCommands(ctx, ops)
}

func (c Executor) executeCommands(ctx context.Context, ops []plan.Op) error {
	cmds := make([]Command, len(ops))
	for i, op := range ops {
		cmd, err := commandOf(op)
		if err != nil {
			return &OpError{op, err}
		}
		cmds[i] = cmd
	}
	_, err := c.DoAll(ctx, cmds...)
	if err == nil {
		return nil
	}
	var refused *Refused
	if errors.As(err, &refused) {
		return &OpError{ops[refused.Index], refused}
	}
	return err
}

// commandOf gives the one command that an operation is.
func commandOf(op plan.Op) (Command, error) {
	at := op.Backend + "/" + op.Server
	switch op.Kind {
	case plan.AddServer:
		words := []string{"add", "server", at, op.Address, "id", strconv.Itoa(op.ID), "weight", strconv.Itoa(op.Weight)}
		if op.MaxConnections > 0 {
			words = append(words, "maxconn", strconv.Itoa(op.MaxConnections))
		}
		return NewCommand(append(words, strings.Fields(op.Options)...)...)
	case plan.EnableHealth:
		return NewCommand("enable", "health", at)
	case plan.EnableServer:
		return NewCommand("enable", "server", at)
	case plan.DisableServer:
		return NewCommand("disable", "server", at)
	case plan.SetWeight:
		return NewCommand("set", "server", at, "weight", strconv.Itoa(op.Weight))
	case plan.SetMaxConnections:
		return NewCommand("set", "maxconn", "server", at, strconv.Itoa(op.MaxConnections))
	case plan.MapAdd:
		return NewCommand("add", "map", op.Path, op.Key, op.Value)
	case plan.MapSet:
		return NewCommand("set", "map", op.Path, op.Key, op.Value)
	case plan.MapDel:
		return NewCommand("del", "map", op.Path, op.Key)
	case plan.PublishBackend:
		return NewCommand("publish", "backend", op.Backend)
	case plan.UnpublishBackend:
		return NewCommand("unpublish", "backend", op.Backend)
	case plan.AddBackend:
		return NewCommand("add", "backend", op.Backend, "from", op.Profile, "mode", op.Mode)
	case plan.AddCrt:
		return addCrt(op)
	case plan.NewCert:
		return NewCommand("new", "ssl", "cert", op.Path)
	case plan.DelCert:
		return NewCommand("del", "ssl", "cert", op.Path)
	case plan.NewCA:
		return NewCommand("new", "ssl", "ca-file", op.Path)
	case plan.DelCA:
		return NewCommand("del", "ssl", "ca-file", op.Path)
	}
	return Command{}, fmt.Errorf("operation %q is no single command", op.Kind)
}
