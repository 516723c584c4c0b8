package weirtest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tailSize is how much is kept of what a program writes.
const tailSize = 256 << 10

// stopGrace is how long Stop waits after SIGTERM before it kills.
const stopGrace = Patience

// Process is a running program that ends with its test, whatever happens to the test.
type Process struct {
	cmd    *exec.Cmd
	out    *Buffer
	cancel context.CancelFunc
	done   chan struct{}
	err    error // set before done is closed
}

// Command starts a program. It and its children are killed when the test ends, also when the
// test process dies; what it wrote is logged if the test failed.
func Command(t testing.TB, name string, args ...string) *Process {
	t.Helper()
	return CommandFunc(t, nil, name, args...)
}

// CommandFunc is Command for a program that needs a folder, an environment or files: edit
// may change the command before it starts.
func CommandFunc(t testing.TB, edit func(*exec.Cmd), name string, args ...string) *Process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	p := &Process{cmd: cmd, out: &Buffer{limit: tailSize}, cancel: cancel, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	// A group of its own, so that a master's workers go too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	if edit != nil {
		edit(cmd)
	}
	if err := startOnLastingThread(cmd); err != nil {
		cancel()
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s %q wrote:\n%s", name, args, p.Output())
		}
	})
	return p
}

// Pid returns the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Output returns the last 256 KiB of what the program has written so far to standard output
// and standard error.
func (p *Process) Output() string { return p.out.String() }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the program to end and returns how it ended, nil for exit status 0.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Signal sends the program a signal; one that has ended is an error.
func (p *Process) Signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return fmt.Errorf("signal %s: %s has ended", s, p.cmd.Path)
	default:
		return syscall.Kill(p.Pid(), s)
	}
}

// Stop asks the program to end with SIGTERM, kills it when Patience is over, and returns how it
// ended; being ended by SIGTERM itself is no error.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return p.Wait()
	}
	late := time.NewTimer(stopGrace)
	defer late.Stop()
	select {
	case <-p.done:
	case <-late.C:
		p.Kill()
		return fmt.Errorf("stop %s: still running %s after SIGTERM", p.cmd.Path, stopGrace)
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGTERM {
			return nil
		}
	}
	return p.err
}

// Kill ends the program and its children at once and waits until it is gone.
func (p *Process) Kill() {
	select {
	case <-p.done:
		// Children may have outlived it.
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	default:
	}
	p.cancel()
	<-p.done
}

// startOnLastingThread starts the command from a thread that never ends: Pdeathsig fires
// when the thread that started the program ends, and threads of goroutines may.
func startOnLastingThread(cmd *exec.Cmd) error {
	starter.Do(func() {
		go func() {
			runtime.LockOSThread()
			for r := range starts {
				r.err <- r.cmd.Start()
			}
		}()
	})
	r := start{cmd: cmd, err: make(chan error, 1)}
	starts <- r
	return <-r.err
}

type start struct {
	cmd *exec.Cmd
	err chan error
}

var (
	starter sync.Once
	starts  = make(chan start)
)
