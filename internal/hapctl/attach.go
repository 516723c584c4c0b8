package hapctl

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrNotRunning says that no HAProxy serves from the folder.
var ErrNotRunning = errors.New("no haproxy runs in this folder")

// Attach finds the HAProxy that an earlier run of this program left serving in the folder. What it writes to
// its standard error is lost until it is started anew. The error is ErrNotRunning when there is none; after any other
// one there is, and it may be tried again.
func Attach(ctx context.Context, opts Options) (*Process, error) {
	opts, err := opts.filled()
	if err != nil {
		return nil, fmt.Errorf("attach to haproxy: %w", err)
	}
	p := newProcess(opts)
	// The worker's socket tells a master that executes itself anew from one that is not there.
	if _, err := p.client.Pid(ctx); err != nil {
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
			err = fmt.Errorf("%w: %w", ErrNotRunning, err)
		}
		return nil, fmt.Errorf("attach to haproxy: %w", err)
	}
	proc, err := p.Workers(ctx)
	if err != nil {
		p.client.Close()
		return nil, fmt.Errorf("attach to haproxy: %w", err)
	}
	p.pid = proc.Master.Pid
	if p.pidfd, err = openPidfd(p.pid); err != nil {
		p.client.Close()
		return nil, fmt.Errorf("attach to haproxy: master %d: %w", p.pid, err)
	}
	if _, err := p.serving(ctx); err != nil {
		p.release()
		return nil, fmt.Errorf("attach to haproxy: %w", err)
	}
	p.follow()
	return p, nil
}

// follow waits for the end of a HAProxy that this program did not start.
func (p *Process) follow() {
	go func() {
		waitPidfd(p.pidfd)
		p.err = errors.New("its exit status is another process's to know")
		close(p.done)
		p.afterEnd()
	}()
}
