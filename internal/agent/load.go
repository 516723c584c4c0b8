package agent

import (
	"context"
	"errors"
	"os"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/plan"
	"weir/internal/secrets"
)

// reloads counts what the agent did to HAProxy as a whole.
type reloads struct {
	Count, Starts int
	Last          time.Time
	Reasons       []string
}

func (e *engine) start(ctx context.Context, want haproxy.Config) error {
	e.stateFile.Lock()
	defer e.stateFile.Unlock()
	if text, err := os.ReadFile(e.folder.path(haproxy.StateFile)); err == nil {
		if err := e.carry(string(text), want, want); err != nil {
			e.log.Warn("HAProxy starts with what was known of the servers some time ago", "error", err)
		}
	}
	read := e.tickets.reading()
	process, err := hapctl.Start(ctx, e.options)
	read()
	if errors.Is(err, hapctl.ErrRunning) {
		e.resumed = false // it came, or came to itself, after it was looked for
	}
	if err != nil {
		return err
	}
	e.lost, e.worker = false, worker{}
	if err := e.began(ctx, process, want.Sections); err != nil {
		return err
	}
	return e.loaded(ctx, want)
}

// notePatience bounds how long an agent that ends waits to hear which worker has read what it started.
const notePatience = 2 * time.Second

// began takes a HAProxy that was started here for the engine's and notes what it has read, even while the agent ends: its
// successor would reload for want of that.
func (e *engine) began(ctx context.Context, process *hapctl.Process, sections []haproxy.Section) error {
	e.process = process
	e.tickets.runs(process)
	e.reloads.Starts++
	noting, done := context.WithTimeout(context.WithoutCancel(ctx), notePatience)
	defer done()
	pid, err := process.Client().Pid(noting)
	if err != nil {
		return err
	}
	e.unnoted = &running{Worker: pid, Sections: sections}
	e.note()
	return nil
}

func (e *engine) reload(ctx context.Context, want, target haproxy.Config, reasons []plan.Reason) error {
	e.stateFile.Lock()
	defer e.stateFile.Unlock()
	// Without this every checked server would come up at once, dead ones too.
	text, err := e.process.Client().ServersStateText(ctx)
	if err == nil {
		err = e.carry(text, want, target)
	}
	if err != nil {
		return e.unkept(err)
	}
	e.noteNext(ctx, want)
	e.figures.attend(ctx, e.process)
	read := e.tickets.reading()
	reloaded, err := e.process.Reload(ctx)
	read()
	e.worker = worker{pid: reloaded.Worker} // nobody, when it is not known how it went
	if err != nil {
		e.note()
		return errors.Join(err, e.restore())
	}
	e.figures.wake()
	e.reloads.Count++
	e.reloads.Last = e.clock()
	e.reloads.Reasons = nil
	for _, r := range reasons {
		e.reloads.Reasons = append(e.reloads.Reasons, r.String())
	}
	return e.loaded(ctx, want)
}

// carry writes what is known of the servers for a HAProxy that reads want, and what of target is not in its files. What can't be read is no loss: every
// server then waits for its first check.
func (e *engine) carry(text string, want, target haproxy.Config) error {
	carried, err := haproxy.CarryState(text, e.have, want)
	if err == nil {
		carried, err = haproxy.CarryHands(carried, text, want, target)
	}
	if err != nil {
		e.log.Debug("servers' state is left out", "error", err)
		carried = ""
	}
	return secrets.WriteFile(e.folder.path(haproxy.StateFile), []byte(carried), 0o600)
}

// restore puts the files of what HAProxy runs with back on disk.
func (e *engine) restore() error {
	if len(e.want.Sections) == 0 {
		return nil
	}
	return e.folder.save(e.want, e.keys)
}

// loaded reads back what HAProxy has after it has read its files, and notes which text that was.
func (e *engine) loaded(ctx context.Context, want haproxy.Config) error {
	if err := e.observe(ctx, want); err != nil {
		return err
	}
	info, err := e.process.Client().Info(ctx)
	if err != nil {
		return err
	}
	e.meet(info)
	e.prover.forget()
	e.countFiles(info, want)
	e.unnoted = &running{Worker: info.Pid, Sections: want.Sections, Beside: e.beside}
	e.note()
	return nil
}
