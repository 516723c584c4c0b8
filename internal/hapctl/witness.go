package hapctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"weir/internal/haproxy"
)

// Witness is a session with one worker for as long as that lives, whatever takes its place. An open session keeps a
// worker that was replaced from ending, so that nothing of what it has counted is missed; it must be closed when Alone
// says so. One goroutine uses it.
type Witness struct {
	conn *conn
	p    *Process
	// Pid is the worker's, Began its start in seconds since 1970, as it says it.
	Pid   int
	Began int64
}

// Witness begins a session with the worker that answers now.
func (p *Process) Witness(ctx context.Context) (*Witness, error) {
	c, err := openConn(ctx, p.opts.at(p.opts.Admin), p.opts.Patience)
	if err != nil {
		return nil, fmt.Errorf("witness a worker: %w: %w", ErrNoAnswer, err)
	}
	w := &Witness{conn: c, p: p}
	info, err := w.Info(ctx)
	if err == nil {
		w.Pid = info.Pid
		w.Began, err = Began(info)
	}
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("witness a worker: %w", err)
	}
	return w, nil
}

// Began reads when a worker has started, in seconds since 1970.
func Began(info haproxy.Info) (int64, error) {
	text := info.All["Start_time_sec"]
	began, err := strconv.ParseInt(text, 10, 64)
	if err != nil || began <= 0 {
		return 0, fmt.Errorf("worker %d: Start_time_sec: want seconds, not %q", info.Pid, text)
	}
	return began, nil
}

// Info asks the worker about itself.
func (w *Witness) Info(ctx context.Context) (haproxy.Info, error) {
	command, err := NewCommand("show", "info")
	if err != nil {
		return haproxy.Info{}, err
	}
	text, err := w.ask(ctx, command)
	if err != nil {
		return haproxy.Info{}, err
	}
	return haproxy.ParseInfo(text)
}

// Counters reads what the worker counts: of one backend, or of everything when backend is ""; with servers or
// without. A backend that does not exist has no rows.
func (w *Witness) Counters(ctx context.Context, backend string, servers bool) ([]haproxy.CounterRow, error) {
	command, err := counterCommand(backend, servers)
	if err != nil {
		return nil, err
	}
	text, err := w.ask(ctx, command)
	if err != nil || backend != "" && !strings.HasPrefix(text, "# ") {
		return nil, err // it says that there is no such proxy
	}
	return haproxy.ParseCounters(text)
}

func (w *Witness) ask(ctx context.Context, command Command) (string, error) {
	batch, err := command.appendTo(nil)
	if err != nil {
		return "", err
	}
	answers, err := w.conn.exchange(ctx, w.p.opts.Patience, w.conn.mark(batch), 1)
	if err != nil {
		return "", fmt.Errorf("run %q: %w: %w", command, ErrNoAnswer, err)
	}
	answer, err := classify(command, answers[0])
	if refused := (*Refused)(nil); errors.As(err, &refused) && command.is("show", "stat") {
		return refused.Text, nil
	}
	return answer.Text, err
}

// Close ends the session, and lets a worker end that waits for nothing else.
func (w *Witness) Close() { w.conn.Close() }

// Alone says that a worker which was replaced serves nobody any more but a session or less, so that its counters
// stay as they are.
func Alone(info haproxy.Info) bool {
	jobs, err := strconv.Atoi(info.All["Jobs"])
	lasting, lerr := strconv.Atoi(info.All["Unstoppable Jobs"])
	return info.Stopping && err == nil && lerr == nil && jobs-lasting <= 1
}

// OldInfo asks a worker that was replaced about itself, by way of the master.
func (p *Process) OldInfo(ctx context.Context, pid int) (haproxy.Info, error) {
	text, err := p.askOld(ctx, pid, "show info")
	if err != nil {
		return haproxy.Info{}, err
	}
	return haproxy.ParseInfo(text)
}

// OldCounters reads what a worker counts that was replaced, by way of the master.
func (p *Process) OldCounters(ctx context.Context, pid int, servers bool) ([]haproxy.CounterRow, error) {
	command, err := counterCommand("", servers)
	if err != nil {
		return nil, err
	}
	text, err := p.askOld(ctx, pid, command.String())
	if err != nil {
		return nil, err
	}
	return haproxy.ParseCounters(text)
}

func (p *Process) askOld(ctx context.Context, pid int, command string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.opts.Patience, os.ErrDeadlineExceeded)
	defer cancel()
	text, err := askMaster(ctx, p.opts, "@!"+strconv.Itoa(pid)+" "+command)
	return strings.TrimRight(text, "\n") + "\n", err
}

// counterCommand asks for rows by kind: 1 is frontends, 2 backends, 4 servers.
func counterCommand(backend string, servers bool) (Command, error) {
	kinds := 1 + 2
	if servers {
		kinds += 4
	}
	if backend == "" {
		backend = "-1"
	}
	return NewCommand("show", "stat", backend, strconv.Itoa(kinds), "-1")
}
