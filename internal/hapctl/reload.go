package hapctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/haproxy"
)

// Reloaded is a reload that worked.
type Reloaded struct {
	// Worker is the pid of the new worker, which has been seen to answer.
	Worker int
	// Logs is what it said when it started.
	Logs []string
	// Took is from asking the master to the new worker's first answer.
	Took time.Duration
}

// ReloadError says that HAProxy did not take the new configuration; the former worker serves on. When it was
// an address that could not be bound, all listeners were closed to new connections for about two seconds.
type ReloadError struct {
	// Lines is why.
	Lines []LogLine
	// Logs is all that the new worker said.
	Logs []string
}

// Error gives HAProxy's own words.
func (e *ReloadError) Error() string {
	return "reload haproxy: refused: " + joinLines(e.Lines)
}

// reloadLimit bounds one reload: 5,000 certificates take a second.
const reloadLimit = 2 * time.Minute

// Reload lets HAProxy read its files again and waits until the new worker serves. One runs at a time; while
// HAProxy is still busy with an earlier one it is asked again. The error is a *ReloadError when HAProxy did
// not take the configuration. The Client goes on with the new worker by itself.
func (p *Process) Reload(ctx context.Context) (Reloaded, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, reloadLimit, errors.New("haproxy did not finish in two minutes"))
	defer cancel()
	select {
	case p.reloading <- struct{}{}:
		defer func() { <-p.reloading }()
	case <-ctx.Done():
		return Reloaded{}, fmt.Errorf("reload haproxy: %w", context.Cause(ctx))
	}
	before, err := p.Workers(ctx)
	if err != nil {
		return Reloaded{}, fmt.Errorf("reload haproxy: %w", err)
	}
	// An open session would keep the old worker.
	p.client.Reset()
	start := time.Now()
	answer, err := p.askReload(ctx)
	if err != nil {
		return Reloaded{}, fmt.Errorf("reload haproxy: %w", err)
	}
	p.client.Reset()
	if !answer.Success && loadEnded(answer.Logs) {
		return Reloaded{}, fmt.Errorf("reload haproxy: the new worker: %w", ErrEnded)
	}
	if !answer.Success {
		return Reloaded{}, &ReloadError{Lines: problems(answer.Logs, false), Logs: answer.Logs}
	}
	worker, err := p.newWorker(ctx, before)
	if err != nil {
		return Reloaded{}, fmt.Errorf("reload haproxy: it says success, but %w", err)
	}
	return Reloaded{Worker: worker, Logs: answer.Logs, Took: time.Since(start)}, nil
}

// askReload asks until HAProxy has time.
func (p *Process) askReload(ctx context.Context) (haproxy.ReloadAnswer, error) {
	for {
		text, err := askMaster(ctx, p.opts, "reload")
		var answer haproxy.ReloadAnswer
		if err == nil {
			answer, err = haproxy.ParseReload(text)
		}
		if !answer.Busy() && !passes(err) {
			return answer, err
		}
		select {
		case <-p.done:
			return answer, fmt.Errorf("haproxy has ended: %w", errors.Join(p.err))
		default:
		}
		if perr := pause(ctx, 20*time.Millisecond); perr != nil {
			return answer, errors.Join(perr, err)
		}
	}
}

// newWorker waits for a worker that was not there before.
func (p *Process) newWorker(ctx context.Context, before haproxy.Proc) (int, error) {
	old := map[int]bool{}
	for _, w := range append(before.Workers, before.Old...) {
		old[w.Pid] = true
	}
	for {
		pid, err := p.serving(ctx)
		if err == nil && !old[pid] {
			return pid, nil
		}
		if err == nil {
			err = fmt.Errorf("worker %d is still the one that serves", pid)
			p.client.Reset()
		}
		select {
		case <-p.done:
			return 0, errors.Join(err, errors.New("haproxy has ended"))
		default:
		}
		if perr := pause(ctx, 5*time.Millisecond); perr != nil {
			return 0, errors.Join(perr, err)
		}
	}
}

// masterGap bounds how long a master may not be there: at the end of a reload it executes itself anew.
const masterGap = 5 * time.Second

// Workers asks the master for its processes.
func (p *Process) Workers(ctx context.Context) (haproxy.Proc, error) {
	end := time.Now().Add(masterGap)
	for {
		proc, err := askProc(ctx, p.opts)
		if err == nil || !passes(err) || time.Now().After(end) {
			return proc, err
		}
		select {
		case <-p.done:
			return proc, fmt.Errorf("haproxy has ended: %w", err)
		default:
		}
		if perr := pause(ctx, 5*time.Millisecond); perr != nil {
			return proc, errors.Join(perr, err)
		}
	}
}

// passes says whether an error is one of those while the master executes itself anew.
func passes(err error) bool {
	for _, e := range []error{unix.ECONNREFUSED, unix.ECONNRESET, unix.EPIPE, unix.ENOENT, errMasterLeft} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// errMasterLeft says that the master closed the connection without an answer.
var errMasterLeft = errors.New("no answer")

func askProc(ctx context.Context, o Options) (haproxy.Proc, error) {
	text, err := askMaster(ctx, o, "show proc")
	if err != nil {
		return haproxy.Proc{}, err
	}
	return haproxy.ParseProc(text)
}

// askMaster runs one command on the master's socket and gives its answer. The master does not close the
// connection after most commands, and the logs in the answer to a reload may hold empty lines; so a reload's
// answer ends with the connection, unless it was refused at once.
func askMaster(ctx context.Context, o Options, command string) (string, error) {
	path := o.at(o.Master)
	c, err := dialUnix(ctx, path)
	if err != nil {
		return "", fmt.Errorf("dial haproxy's master: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return "", fmt.Errorf("ask haproxy's master to %q: %w", command, err)
	}
	var text []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		text = append(text, buf[:n]...)
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return "", fmt.Errorf("ask haproxy's master to %q: %w", command, errMasterLeft)
		case errors.Is(err, io.EOF) && command == "reload":
			return string(text), nil
		case err != nil:
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return "", fmt.Errorf("ask haproxy's master to %q: %w", command, err)
		case bytes.HasPrefix(text, []byte("Can't find the target")) && bytes.HasSuffix(text, []byte("\n")):
			return "", fmt.Errorf("ask haproxy's master to %q: %s", command, bytes.TrimSpace(text))
		case !bytes.HasSuffix(text, []byte("\n\n")):
		case command != "reload" || strings.Contains(string(text), "reload is still in progress"):
			return string(text), nil
		}
		if len(text) > maxAnswer {
			return "", fmt.Errorf("ask haproxy's master to %q: answer is longer than %d bytes", command, maxAnswer)
		}
	}
}
