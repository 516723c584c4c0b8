package hapctl

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"time"

	"weir/internal/plan"
)

// OpError says which operation could not be carried out, by what it is; those after it were not tried, except for
// those of the same batch, which don't depend on it.
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
	File func(path string) (string, error)
	// Bound says how long a wait for servers may last.
	Bound func(op plan.Op) time.Duration
	// Interrupt, when it gives a value, ends a wait for servers: something newer is wanted.
	Interrupt <-chan struct{}
	// Leaving, when it is not nil, is called before something is removed that no connection holds any more.
	Leaving func(op plan.Op)
	// Patience is how long all removals of one Execute together may wait for connections to end.
	Patience time.Duration
}

// opError names the operation as the one that failed, unless it has no part in it: HAProxy is not there, a newer
// state is wanted, a file can't be read.
func opError(op plan.Op, err error) error {
	for _, innocent := range []error{ErrNoAnswer, ErrStaleWorker, ErrInterrupted, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, innocent) {
			return err
		}
	}
	if errors.As(err, new(*fs.PathError)) {
		return err
	}
	return &OpError{op, err}
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
		if n := setCertLength(ops); n > 1 {
			if err := c.setCerts(ctx, ops[:n]); err != nil {
				return waiting, err
			}
			ops = ops[n:]
			continue
		}
		if n := delCrtLength(ops); n > 0 {
			if err := c.delCrts(ctx, ops[:n]); err != nil {
				return waiting, err
			}
			ops = ops[n:]
			continue
		}
		if n := waitLength(ops); n > 0 {
			if err := c.waitAll(ctx, ops[:n]); err != nil {
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
			return waiting, opError(ops[0], err)
		}
		if !done {
			waiting = append(waiting, ops[0])
		}
		ops = ops[1:]
	}
	return waiting, nil
}

// executeOne carries out one operation that is no removal.
func (c Executor) executeOne(ctx context.Context, op plan.Op) error {
	switch op.Kind {
	case plan.SetCert:
		pem, err := c.File(op.Path)
		if err != nil {
			return err
		}
		return c.SetCert(ctx, op.Path, pem)
	case plan.SetCA:
		return c.setCA(ctx, op.Path)
	case plan.MapSwap:
		return c.ReplaceMap(ctx, op.Path, pairsOf(op.Entries))
	}
	cmd, err := commandOf(op)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, cmd)
	return err
}

// waitSlice is how often the state of servers that are waited for is looked at.
const waitSlice = 25 * time.Millisecond

// waitLength counts the waits for servers that operations begin with.
func waitLength(ops []plan.Op) int {
	n := 0
	for n < len(ops) && ops[n].Kind == plan.WaitUp {
		n++
	}
	return n
}

// waitAll carries out waits for servers, whose bounds all begin now: many pools without a healthy server take no
// longer than one.
func (c Executor) waitAll(ctx context.Context, ops []plan.Op) error {
	deadlines := make([]time.Time, len(ops))
	for i, op := range ops {
		deadlines[i] = time.Now().Add(c.Bound(op))
	}
	for i, op := range ops {
		if err := c.waitUp(ctx, op, deadlines[i]); err != nil {
			return opError(op, err)
		}
	}
	return nil
}

// waitUp waits for the checks of new servers, at most until each has been checked once more than it needs.
// Its end at the deadline is no failure: a server that is not healthy must not hold up others.
func (c Executor) waitUp(ctx context.Context, op plan.Op, deadline time.Time) error {
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
