package hapctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/haproxy"
)

// ErrAway says that no HAProxy answers on the socket of its master.
var ErrAway = errors.New("no haproxy answers there")

// Foreign is a HAProxy that somebody else started, as its master and the kernel tell.
type Foreign struct {
	// Pid is the master's, Worker that of the worker that serves.
	Pid, Worker int
	// Version is the worker's, such as 3.4.7-1.
	Version string
	// UID is the account that the master runs as, Capabilities are those that it has in force, as capability(7)
	// numbers them.
	UID          int
	Capabilities uint64
	// Args is how the master was started, the program first. Folder is where, "" when this account may not know.
	Args   []string
	Folder string
}

// Can says whether the master has a capability.
func (f Foreign) Can(capability int) bool { return f.Capabilities&(1<<capability) != 0 }

// surveyLimit bounds each question: what is asked of a worker that only begins is never answered.
const surveyLimit = 3 * time.Second

var errSlow = fmt.Errorf("no answer within %s", surveyLimit)

// Survey asks the socket of a master who is behind it. The error is ErrAway when nobody is, and wraps
// fs.ErrPermission when this account may not use the socket.
func Survey(ctx context.Context, socket string) (Foreign, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, surveyLimit, errSlow)
	defer cancel()
	o := Options{Master: socket}
	proc, err := askProc(ctx, o)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Foreign{}, fmt.Errorf("survey haproxy: %w", err)
	case passes(err):
		return Foreign{}, fmt.Errorf("survey haproxy: %w: %w", ErrAway, err)
	case err != nil:
		return Foreign{}, fmt.Errorf("survey haproxy: %s is not the socket of a master, as given to haproxy -S (a stats socket is that of a worker): %w", socket, err)
	}
	serving := append(proc.Workers, proc.Old...)
	if len(serving) == 0 {
		return Foreign{}, fmt.Errorf("survey haproxy: %w: its master has no worker", ErrAway)
	}
	f := Foreign{Pid: proc.Master.Pid, Worker: serving[0].Pid, Version: serving[0].Version}
	dir := "/proc/" + strconv.Itoa(f.Pid)
	args, err := os.ReadFile(dir + "/cmdline")
	if err == nil {
		f.Args = strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")
		err = f.readStatus(dir + "/status")
	}
	if err != nil {
		return Foreign{}, fmt.Errorf("survey haproxy: process %d: %w", f.Pid, err)
	}
	f.Folder, _ = os.Readlink(dir + "/cwd")
	return f, nil
}

func (f *Foreign) readStatus(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	seen := 0
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "Uid:": // real, effective …
			if f.UID, err = strconv.Atoi(fields[min(2, len(fields)-1)]); err != nil {
				return err
			}
			seen++
		case "CapEff:":
			if f.Capabilities, err = strconv.ParseUint(fields[1], 16, 64); err != nil {
				return err
			}
			seen++
		}
	}
	if seen != 2 {
		return fmt.Errorf("%s lacks Uid or CapEff", path)
	}
	return nil
}

// ask asks the worker that serves.
func (f Foreign) ask(ctx context.Context, socket, command string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, surveyLimit, errSlow)
	defer cancel()
	text, err := askMaster(ctx, Options{Master: socket}, "@!"+strconv.Itoa(f.Worker)+" "+command)
	return strings.TrimRight(text, "\n") + "\n", err
}

// Environment gives the variables that the worker's configuration can name.
func (f Foreign) Environment(ctx context.Context, socket string) (map[string]string, error) {
	text, err := f.ask(ctx, socket, "show env")
	if err != nil {
		return nil, fmt.Errorf("survey haproxy: %w", err)
	}
	env := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			env[name] = value
		}
	}
	return env, nil
}

// Statistics gives the worker's rows of statistics: its frontends, backends and servers.
func (f Foreign) Statistics(ctx context.Context, socket string) ([]haproxy.StatRow, error) {
	text, err := f.ask(ctx, socket, "show stat")
	if err != nil {
		return nil, fmt.Errorf("survey haproxy: %w", err)
	}
	rows, err := haproxy.ParseStat(text)
	if err != nil {
		return nil, fmt.Errorf("survey haproxy: %w", err)
	}
	return rows, nil
}

// TakeOver lets a HAProxy that somebody else started read the configuration that was put in the place of its own. The
// listeners that both name pass from the old worker to the new one. The error is a *ReloadError when HAProxy did
// not take it; the old worker serves on.
func TakeOver(ctx context.Context, opts Options) (*Process, error) {
	opts, err := opts.filled()
	if err != nil {
		return nil, fmt.Errorf("take haproxy over: %w", err)
	}
	p := newProcess(opts)
	proc, err := p.Workers(ctx)
	if err != nil {
		p.release()
		return nil, fmt.Errorf("take haproxy over: %w", err)
	}
	p.pid = proc.Master.Pid
	if p.pidfd, err = openPidfd(p.pid); err != nil {
		p.release()
		return nil, fmt.Errorf("take haproxy over: master %d: %w", p.pid, err)
	}
	p.follow()
	if _, err := p.Reload(ctx); err != nil {
		p.LetGo()
		return nil, fmt.Errorf("take haproxy over: %w", err)
	}
	return p, nil
}

// LetGo ends the sessions with a HAProxy that goes on, and no longer waits for its end.
func (p *Process) LetGo() {
	p.client.Close()
	p.watch.Close()
	if p.pidfd != nil {
		_ = p.pidfd.Close()
	}
}

// HandBack lets a HAProxy read the configuration that was put back in the place of Weir's. The error is a
// *ReloadError when HAProxy did not take it, and goes on with the one before.
func HandBack(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reloadLimit, errors.New("haproxy did not finish in two minutes"))
	defer cancel()
	p := newProcess(Options{Master: socket, Foreign: true, Patience: Patience})
	defer p.release()
	// Nobody who is there is away for longer than it takes to ask; a reload is asked for until there is time for it.
	_, err := p.Workers(ctx)
	var answer haproxy.ReloadAnswer
	if err == nil {
		answer, err = p.askReload(ctx)
	}
	if err != nil {
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
			err = fmt.Errorf("%w: %w", ErrAway, err)
		}
		return fmt.Errorf("hand haproxy back: %w", err)
	}
	if !answer.Success {
		return fmt.Errorf("hand haproxy back: %w", &ReloadError{Lines: problems(answer.Logs, false), Logs: answer.Logs})
	}
	return nil
}
