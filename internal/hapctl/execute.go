package hapctl

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/haproxy"
	"weir/internal/plan"
)

// OpError says which operation HAProxy did not carry out; those after it were not tried, except for those of
// the same batch, which don't depend on it.
type OpError struct {
	Op  plan.Op
	Err error
}

// Error gives the object that the operation is for, and HAProxy's words.
func (e *OpError) Error() string {
	if e.Op.Owner == "" {
		return e.Err.Error()
	}
	return e.Op.Owner + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *OpError) Unwrap() error { return e.Err }

// Executor carries out plans on one HAProxy. It chooses nothing.
type Executor struct {
	*Client
	// File reads a file of the load balancer's folder: what is set at run time is on disk first.
	File func(path string) ([]byte, error)
	// Bound says how long a wait for servers may last.
	Bound func(op plan.Op) time.Duration
	// Interrupt, when it gives a value, ends a wait for servers: something newer is wanted.
	Interrupt <-chan struct{}
	// Patience is how long all removals of one Execute together may wait for connections to end.
	Patience time.Duration
}

// ErrInterrupted says that a wait for servers was ended by Executor.Interrupt; the operations after it were not
// tried.
var ErrInterrupted = errors.New("something newer is wanted")

// Execute carries out operations in order. It returns the removals that have to wait because connections are
// still open: what they remove takes no new traffic meanwhile.
func (c Executor) Execute(ctx context.Context, ops []plan.Op) ([]plan.Op, error) {
	var waiting []plan.Op
	rest := c.Patience
	for len(ops) > 0 {
		n := batchLength(ops)
		if n > 0 {
			if err := c.executeBatch(ctx, ops[:n]); err != nil {
				return waiting, err
			}
			ops = ops[n:]
			continue
		}
		done, err := true, error(nil)
		switch ops[0].Kind {
		case plan.RemoveServer, plan.RemoveBackend:
			begin := time.Now()
			done, err = c.remove(ctx, ops[0], rest)
			rest -= time.Since(begin)
		default:
			err = c.executeOne(ctx, ops[0])
		}
		if err != nil {
			return waiting, &OpError{ops[0], err}
		}
		if !done {
			waiting = append(waiting, ops[0])
		}
		ops = ops[1:]
	}
	return waiting, nil
}

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
	}
	return 0
}

func (c Executor) executeBatch(ctx context.Context, ops []plan.Op) error {
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

// executeOne carries out one operation that is no removal.
func (c Executor) executeOne(ctx context.Context, op plan.Op) error {
	switch op.Kind {
	case plan.SetCert:
		pem, err := c.File(op.Path)
		if err != nil {
			return err
		}
		return c.SetCert(ctx, op.Path, string(pem))
	case plan.SetCA:
		return c.setCA(ctx, op.Path)
	case plan.AddCrt:
		return c.addCrt(ctx, op)
	case plan.DelCrt:
		return c.delCrt(ctx, op)
	case plan.MapSwap:
		pairs := make([]haproxy.MapPair, len(op.Entries))
		for i, e := range op.Entries {
			pairs[i] = haproxy.MapPair{Key: e.Key, Value: e.Value}
		}
		return c.ReplaceMap(ctx, op.Path, pairs)
	case plan.WaitUp:
		return c.waitUp(ctx, op)
	}
	cmd, err := commandOf(op)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, cmd)
	return err
}

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

// setCA fills an authority file, in parts when one command can't hold it, and commits it.
func (c Executor) setCA(ctx context.Context, path string) error {
	bundle, err := c.File(path)
	if err != nil {
		return err
	}
	verb := "set"
	for _, part := range caParts(bundle) {
		cmd, err := NewCommand(verb, "ssl", "ca-file", path)
		if err != nil {
			return err
		}
		if cmd, err = cmd.WithPayload(part); err != nil {
			return err
		}
		if _, err := c.Do(ctx, cmd); err != nil {
			// Left open, the transaction would take the next change for its continuation.
			return errors.Join(err, c.abortCA(ctx, path, verb))
		}
		verb = "add"
	}
	return c.run(ctx, "commit", "ssl", "ca-file", path)
}

func (c Executor) abortCA(ctx context.Context, path, verb string) error {
	if verb == "set" {
		return nil
	}
	return c.run(ctx, "abort", "ssl", "ca-file", path)
}

// caParts cuts a bundle between its certificates into pieces that a command can hold.
func caParts(bundle []byte) []string {
	const most = 15_000
	var parts []string
	var b strings.Builder
	for {
		block, rest := pem.Decode(bundle)
		if block == nil {
			break
		}
		text := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})
		if b.Len() > 0 && b.Len()+len(text) > most {
			parts = append(parts, b.String())
			b.Reset()
		}
		b.Write(text)
		bundle = rest
	}
	return append(parts, b.String())
}

func (c *Client) addCrt(ctx context.Context, op plan.Op) error {
	add, err := NewCommand("add", "ssl", "crt-list", op.Path)
	if err != nil {
		return err
	}
	entry := haproxy.CrtEntry{File: op.File, Options: op.Options, SNI: op.SNI}
	if add, err = add.WithPayload(entry.Line() + "\n"); err != nil {
		return err
	}
	_, err = c.Do(ctx, add)
	return err
}

// delCrt finds the line of the entry first: a file may stand in a list more than once.
func (c *Client) delCrt(ctx context.Context, op plan.Op) error {
	lines, err := c.CrtList(ctx, op.Path)
	if err != nil {
		return err
	}
	entry := haproxy.CrtEntry{File: op.File, Options: op.Options, SNI: op.SNI}
	for _, l := range lines {
		if sameEntry(l, entry) {
			return c.run(ctx, "del", "ssl", "crt-list", op.Path, op.File+":"+strconv.Itoa(l.Line))
		}
	}
	return nil
}

func sameEntry(l haproxy.CrtListLine, want haproxy.CrtEntry) bool {
	a, b := slices.Clone(l.SNI), slices.Clone(want.SNI)
	slices.Sort(a)
	slices.Sort(b)
	return l.File == want.File && slices.Equal(a, b) && sameOptions(l.Options, want.Options)
}

// sameOptions compares crt-list options by their words: HAProxy shows them in an order of its own.
func sameOptions(have, want string) bool {
	a, b := strings.Fields(have), strings.Fields(want)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// waitSlice is how often the state of servers that are waited for is looked at.
const waitSlice = 25 * time.Millisecond

// waitUp waits for the checks of new servers, at most until each has been checked once more than it needs.
// Its end at the bound is no failure: a server that is not healthy must not hold up others.
func (c Executor) waitUp(ctx context.Context, op plan.Op) error {
	deadline := time.Now().Add(c.Bound(op))
	for {
		states, err := c.ServersState(ctx, op.Backend)
		if err != nil {
			return err
		}
		up := 0
		for _, s := range states {
			if slices.Contains(op.Servers, s.Server) && s.Up() {
				up++
			}
		}
		if up >= len(op.Servers) || time.Now().After(deadline) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.Interrupt:
			return ErrInterrupted
		case <-time.After(waitSlice):
		}
	}
}

var interOption = regexp.MustCompile(`\binter (\d+)ms`)

// CheckBound gives how long the first check of a server with these options may take: its interval, drawn out
// by the spread, and the time for an answer.
func CheckBound(options string) time.Duration {
	m := interOption.FindStringSubmatch(options)
	if m == nil {
		return time.Second
	}
	inter, _ := strconv.Atoi(m[1])
	return time.Duration(inter)*time.Millisecond*3/2 + 2*time.Second
}
