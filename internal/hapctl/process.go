package hapctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Options say which HAProxy to run, and where.
type Options struct {
	// Path is the haproxy binary.
	Path string
	// Dir is the load balancer's folder. HAProxy runs in it, and every other path is relative to it, so that
	// neither its length nor a blank in it matters.
	Dir string
	// Config is the configuration file, haproxy.cfg when empty.
	Config string
	// Master and Admin are the sockets of the master and of the worker, run/master.sock and run/admin.sock
	// when empty. The configuration must have: stats socket unix@run/admin.sock mode 600 level admin
	Master, Admin string
	// Log gets what HAProxy writes to its standard error; nil drops it.
	Log *slog.Logger
	// DieWithParent lets the kernel end HAProxy when this program ends, however it does: for tests and
	// demonstrations. Without it HAProxy serves on and is found again by Attach.
	DieWithParent bool
	// Patience bounds how long the worker may take for one answer; the constant of that name when zero.
	Patience time.Duration
	// Env is added to the little environment that HAProxy gets.
	Env []string
	// Foreign says that somebody else starts and ends HAProxy, as systemd does: it is attached to or taken over, and
	// nothing here starts, stops or kills it. Master is then an absolute path, as the socket's of that HAProxy.
	Foreign bool
}

// at gives the path of a file or socket, which is relative to the folder unless it is absolute.
func (o Options) at(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(o.Dir, path)
}

// ErrForeign says that somebody else starts and ends this HAProxy.
var ErrForeign = errors.New("somebody else starts and ends this haproxy")

func (o Options) filled() (Options, error) {
	var err error
	// A relative binary would be looked for in Dir.
	if o.Path, err = filepath.Abs(o.Path); err != nil {
		return o, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	for _, d := range []struct {
		to *string
		is string
	}{{&o.Config, "haproxy.cfg"}, {&o.Master, "run/master.sock"}, {&o.Admin, "run/admin.sock"}} {
		if *d.to == "" {
			*d.to = d.is
		}
	}
	if o.Patience == 0 {
		o.Patience = Patience
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Process is a running HAProxy: a master and its workers.
type Process struct {
	opts   Options
	pid    int
	pidfd  *os.File
	client *Client
	watch  *Client
	output *stderr // nil for an attached one

	done chan struct{}
	err  error // why it ended; read after done

	reloading chan struct{} // holds a value while a reload runs
}

// ErrRunning says that a HAProxy already serves from the folder: Attach to it instead.
var ErrRunning = errors.New("a haproxy already runs in this folder")

// StartError says that HAProxy ended instead of beginning to serve.
type StartError struct {
	// Lines is why.
	Lines []LogLine
	// Err is how it ended.
	Err error
}

// Error gives HAProxy's own words.
func (e *StartError) Error() string {
	return fmt.Sprintf("start haproxy: it ended with %v: %s", e.Err, joinLines(e.Lines))
}

// Unwrap gives how the process ended.
func (e *StartError) Unwrap() error { return e.Err }

// startGrace is how long a HAProxy that outlives this program may still take to serve after it is no longer waited for:
// less than systemd gives the agent to end.
const startGrace = 8 * time.Second

// Start runs HAProxy with a master and waits until it serves: the master has a worker, and the worker answers
// on its socket. When ctx ends before, one that dies with this program is ended again. Another may have clients
// already, and is waited for 8 s more: so the process may be there although ctx has ended. The error
// is a *StartError when HAProxy gave up by itself, ErrEnded when it was ended, and ErrRunning when another one is
// there.
func Start(ctx context.Context, opts Options) (*Process, error) {
	opts, err := opts.filled()
	if err != nil {
		return nil, fmt.Errorf("start haproxy: %w", err)
	}
	if opts.Foreign {
		return nil, fmt.Errorf("start haproxy: %w", ErrForeign)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start haproxy: %w", context.Cause(ctx))
	}
	for _, socket := range []string{opts.Master, opts.Admin} {
		if c, err := dialUnix(ctx, opts.at(socket)); err == nil {
			c.Close()
			return nil, fmt.Errorf("start haproxy: %w: it answers on %s", ErrRunning, opts.at(socket))
		}
		if err := os.MkdirAll(filepath.Dir(opts.at(socket)), 0o700); err != nil {
			return nil, fmt.Errorf("start haproxy: %w", err)
		}
	}
	cmd := exec.Command(opts.Path, "-W", "-f", opts.Config, "-S", "unix@"+opts.Master+",mode,600")
	cmd.Dir, cmd.Env = opts.Dir, environment(opts.Env)
	// A group of its own, so that Ctrl-C on the terminal reaches this program alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if opts.DieWithParent {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	p := newProcess(opts)
	if p.output, err = newStderr(opts.Log); err != nil {
		return nil, fmt.Errorf("start haproxy: %w", err)
	}
	cmd.Stdout, cmd.Stderr = p.output.write, p.output.write
	if err := startLasting(cmd); err != nil {
		p.output.abandon()
		return nil, fmt.Errorf("start haproxy: %w", err)
	}
	p.output.started()
	p.pid = cmd.Process.Pid
	// Before anybody waits for it the pid is certainly its own.
	p.pidfd, err = openPidfd(p.pid)
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err == nil {
		err = p.readyOrLeft(ctx)
	}
	if err != nil {
		p.kill()
		<-p.done
		p.release()
		return nil, err
	}
	go p.afterEnd()
	return p, nil
}

func newProcess(opts Options) *Process {
	admin := opts.at(opts.Admin)
	return &Process{
		opts: opts, client: newClient(admin, opts.Patience), watch: newClient(admin, opts.Patience),
		done: make(chan struct{}), reloading: make(chan struct{}, 1),
	}
}

// readyOrLeft waits until HAProxy serves. It listens before it can be told that it does, so the end of ctx must not
// end one that is to serve on without this program; nor may it be left unseen, as another would be started beside it.
func (p *Process) readyOrLeft(ctx context.Context) error {
	err := p.ready(ctx)
	if err == nil || ctx.Err() == nil || p.opts.DieWithParent {
		return err
	}
	late, done := context.WithTimeoutCause(context.WithoutCancel(ctx), startGrace, context.Cause(ctx))
	defer done()
	return p.ready(late)
}

// ready waits until HAProxy serves.
func (p *Process) ready(ctx context.Context) error {
	wait := 2 * time.Millisecond
	for {
		_, err := p.serving(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			if endedOutside(p.err) {
				return fmt.Errorf("start haproxy: %w: %w", ErrEnded, p.err)
			}
			return &StartError{Lines: problems(p.output.rest(), false), Err: p.err}
		case <-ctx.Done():
			return fmt.Errorf("start haproxy: %w: %w", context.Cause(ctx), err)
		case <-time.After(wait):
			wait = min(2*wait, 50*time.Millisecond)
		}
	}
}

// serving gives the pid of the worker that serves: one that the master has and that answers itself.
func (p *Process) serving(ctx context.Context) (int, error) {
	proc, err := p.Workers(ctx)
	if err != nil {
		return 0, err
	}
	pid, err := p.client.Pid(ctx)
	if err != nil {
		return 0, err
	}
	for _, w := range proc.Workers {
		if w.Pid == pid {
			return pid, nil
		}
	}
	// After a reload that failed, the worker that serves on stands among the old ones.
	if len(proc.Workers) == 0 {
		for _, w := range proc.Old {
			if w.Pid == pid {
				return pid, nil
			}
		}
	}
	p.client.Reset()
	return 0, fmt.Errorf("worker %d answers, which is not the master's present one", pid)
}

// Pid is the master's.
func (p *Process) Pid() int { return p.pid }

// Client speaks to the worker that serves.
func (p *Process) Client() *Client { return p.client }

// Watch is another session with the worker that serves, for long looks: commands of Client don't wait for their
// answers.
func (p *Process) Watch() *Client { return p.watch }

// Done is closed when HAProxy has ended, for whatever reason.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how HAProxy ended; nil before, and for exit status 0.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Output gives the last lines that HAProxy wrote, at most 200.
func (p *Process) Output() []string {
	if p.output == nil {
		return nil
	}
	return p.output.all()
}
