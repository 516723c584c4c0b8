package hapctl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// ErrKilled says that HAProxy did not end in time by itself.
var ErrKilled = errors.New("haproxy had to be killed")

// Stop lets HAProxy close its listeners and finish what it is doing. When ctx ends before that, it is killed
// with all its connections, and the error is ErrKilled. One that somebody else looks after is ErrForeign.
func (p *Process) Stop(ctx context.Context) error {
	if p.opts.Foreign {
		return fmt.Errorf("stop haproxy: %w", ErrForeign)
	}
	p.client.Close() // an open session would keep the worker
	p.watch.Close()
	if err := p.signal(unix.SIGUSR1); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("stop haproxy: %w", err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	// On SIGTERM the master ends its workers, also those of before.
	_ = p.signal(unix.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(time.Second):
		p.kill()
		<-p.done
	}
	return fmt.Errorf("stop haproxy: %w", ErrKilled)
}

func (p *Process) signal(s unix.Signal) error {
	if p.pidfd == nil {
		return unix.ESRCH
	}
	rc, err := p.pidfd.SyscallConn()
	if err != nil {
		return unix.ESRCH // closed: it has ended
	}
	serr := unix.ESRCH
	err = rc.Control(func(fd uintptr) {
		if e := unix.PidfdSendSignal(int(fd), s, nil, 0); e == nil {
			serr = 0
		} else {
			errors.As(e, &serr)
		}
	})
	if err != nil || serr == unix.ESRCH {
		return unix.ESRCH
	}
	if serr != 0 {
		return serr
	}
	return nil
}

// kill ends master and workers at once.
func (p *Process) kill() {
	if p.opts.Foreign {
		return
	}
	if err := p.signal(unix.SIGKILL); err == nil {
		// The workers are of the master's group, which is its own when it was started here.
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
}

func (p *Process) afterEnd() {
	<-p.done
	p.client.Reset()
	p.release()
}

func (p *Process) release() {
	p.client.Close()
	p.watch.Close()
	if p.pidfd != nil {
		p.pidfd.Close()
	}
}
