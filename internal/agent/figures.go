package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/plan"
	"weir/internal/secrets"
	"weir/internal/tally"
)

// maxCounted is up to how many servers each is counted by itself.
const maxCounted = 1000

// figures sum up what HAProxy's workers count: the one that serves, those that it has replaced, and those of before the
// agent began. Every worker has a session of its own from when it is met until nobody is left for it to serve; so it does
// not end before it was read for the last time, whoever it was that replaced it.
type figures struct {
	path  string
	log   *slog.Logger
	clock func() time.Time
	// began is when the agent did, in seconds since 1970.
	began int64

	mu   sync.Mutex
	book *tally.Book
	// fresh says that nothing was kept: a HAProxy from before the agent counts from where it is found.
	fresh     bool
	process   *hapctl.Process
	witnesses map[tally.Worker]*witness
	// servers says that each server is counted by itself.
	servers bool
	// moved says that sums are not what is on disk, changed that a worker has come or gone, told that somebody knows
	// what was on disk when the agent began, failing that sums could not be kept last time.
	moved, changed, told, failing bool
	woken                         chan struct{}
}

// witness is a session with a worker.
type witness struct {
	*hapctl.Witness
	leaving bool
}

func (w *witness) name() tally.Worker { return tally.Worker{Pid: w.Pid, Began: w.Began} }

// keptFigures is the file. Boot is the machine's start; Closed says that nothing was shown after it was written.
type keptFigures struct {
	Boot   string      `json:"boot"`
	Closed bool        `json:"closed,omitempty"`
	Book   *tally.Book `json:"book"`
}

// openFigures goes on with what is kept at path. What was kept before the machine started anew may lack what was shown
// afterwards, unless it was kept last of all: sums then begin anew, since one that goes back a little is taken for one
// that began at zero and counts twice.
func openFigures(path string, log *slog.Logger, clock func() time.Time) *figures {
	f := &figures{path: path, log: log, clock: clock, began: clock().Unix(), witnesses: map[tally.Worker]*witness{}, servers: true, woken: make(chan struct{}, 1)}
	kept := keptFigures{Book: tally.NewBook(clock())}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.fresh = true
	case err != nil || kept.Book == nil:
		log.Warn("HAProxy's counters begin anew, since what was kept of them can't be read", "file", path, "error", err)
		f.fresh, kept.Book = true, nil
	case kept.Boot != bootOf() && !kept.Closed:
		log.Info("HAProxy's counters begin anew with the machine")
		kept.Book = nil
	}
	if f.book = kept.Book; f.book == nil {
		f.book = tally.NewBook(clock())
	}
	return f
}

// bootOf names the start of the machine, "" when it can't be known.
func bootOf() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

// keep writes the file before its sums are shown, and syncs it when it is the last time.
func (f *figures) keep(closed bool) {
	raw, err := json.Marshal(keptFigures{Boot: bootOf(), Closed: closed, Book: f.book})
	if err == nil && closed {
		err = secrets.WriteFile(f.path, raw, 0o600)
	} else if err == nil {
		err = replace(f.path, string(raw))
	}
	if err != nil && !f.failing {
		f.log.Warn("HAProxy's counters can't be kept for an agent that starts anew; it is tried again and again", "error", err)
	}
	f.failing, f.moved, f.changed = err != nil, false, false
}

// attend makes sure of a session with the worker that serves, so that it can be replaced.
func (f *figures) attend(ctx context.Context, p *hapctl.Process) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.process = p
	f.ask(ctx)
	f.meet(ctx)
}

// wake lets the watch look again soon: there is a new worker.
func (f *figures) wake() {
	if f == nil {
		return
	}
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// ask learns which workers are leaving, and reads for the last time those that serve nobody any more.
func (f *figures) ask(ctx context.Context) {
	for name, w := range f.witnesses {
		info, err := w.Info(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil { // whether it has ended says its master
			f.dismiss(name)
			continue
		}
		w.leaving = info.Stopping
		if hapctl.Alone(info) && f.read(ctx, name) == nil {
			f.dismiss(name)
			f.end(name)
		}
	}
}

func (f *figures) end(name tally.Worker) {
	f.book.End(name)
	f.changed = true
}

func (f *figures) dismiss(name tally.Worker) {
	f.witnesses[name].Close()
	delete(f.witnesses, name)
}

// meet begins a session with the worker that serves, if there is none. A worker that is met only when it leaves is not
// counted: it may be one whose end was noted.
func (f *figures) meet(ctx context.Context) {
	if f.process == nil || f.serving() != nil {
		return
	}
	w, err := f.process.Witness(ctx)
	if err != nil {
		if ctx.Err() == nil {
			f.log.Debug("HAProxy's counters can't be read", "error", err)
		}
		return
	}
	met := &witness{Witness: w}
	name := met.name()
	info, err := w.Info(ctx)
	if err != nil || info.Stopping && !f.book.Knows(name) || f.witnesses[name] != nil {
		w.Close()
		return
	}
	met.leaving, f.witnesses[name] = info.Stopping, met
	if err := f.read(ctx, name); err != nil && ctx.Err() == nil {
		f.log.Debug("HAProxy's counters can't be read", "error", err)
	}
}

// serving gives the session with the worker that has not been replaced, nil when there is none.
func (f *figures) serving() *witness {
	for _, w := range f.witnesses {
		if !w.leaving {
			return w
		}
	}
	return nil
}

// read reads all that a worker counts.
func (f *figures) read(ctx context.Context, name tally.Worker) error {
	rows, err := f.witnesses[name].Counters(ctx, "", f.servers)
	if err == nil {
		f.enter(name, rows)
	}
	return err
}

func (f *figures) enter(name tally.Worker, rows []haproxy.CounterRow) {
	if f.fresh && !f.book.Knows(name) && name.Began < f.began {
		f.book.Found(name, rows)
		f.changed = true
		return
	}
	f.changed = f.changed || !f.book.Knows(name)
	f.moved = f.book.Read(name, rows, tally.Scope{Servers: f.servers}) || f.moved
}

// readAll reads every worker that is there, and notes which have ended.
func (f *figures) readAll(ctx context.Context, servers int) {
	f.heed(servers)
	for name := range maps.Clone(f.witnesses) {
		if err := f.read(ctx, name); err != nil && ctx.Err() == nil {
			f.log.Debug("HAProxy's counters can't be read", "worker", name.Pid, "error", err)
			f.dismiss(name)
		}
	}
	f.readStrangers(ctx)
	if f.serving() != nil && ctx.Err() == nil {
		f.book.Sweep()
	}
}

// heed takes over how many servers there are. Those that were read before anybody knew that they are thousands, or when
// they were fewer, are forgotten.
func (f *figures) heed(servers int) {
	f.servers = servers <= maxCounted
	if servers > 2*maxCounted {
		f.changed = f.book.ForgetServers() || f.changed
	}
}

// readStrangers reads those workers that no session is open with, by way of their master: they were replaced before the
// agent began, or hang. One that the master does not know has ended.
func (f *figures) readStrangers(ctx context.Context) {
	for _, name := range f.book.Workers() {
		if f.witnesses[name] != nil || f.process == nil || ctx.Err() != nil {
			continue
		}
		proc, err := f.process.Workers(ctx)
		if err != nil {
			return
		}
		here, old := false, false
		for _, w := range proc.Workers {
			here = here || w.Pid == name.Pid
		}
		for _, w := range proc.Old {
			old = old || w.Pid == name.Pid
		}
		info, err := haproxy.Info{}, error(nil)
		if old {
			if info, err = f.process.OldInfo(ctx, name.Pid); err == nil {
				if began, berr := hapctl.Began(info); berr != nil || began != name.Began {
					old = false // the pid has come again
				}
			}
		}
		switch {
		case old && err == nil:
			if rows, err := f.process.OldCounters(ctx, name.Pid, f.servers); err == nil {
				f.enter(name, rows)
			}
		case !old && !here:
			f.end(name)
		}
	}
}

// removal reads what is about to be removed from HAProxy for the last time.
type removal struct {
	f    *figures
	ctx  context.Context
	of   *hapctl.Process
	from *witness
	read map[string]bool // backends
}

func (f *figures) removal(ctx context.Context, p *hapctl.Process) *removal {
	return &removal{f: f, ctx: ctx, of: p, read: map[string]bool{}}
}

// leaving reads a backend before it, or servers of it, are removed; of several servers of a backend only before the
// first, since all of them have been disabled then.
func (r *removal) leaving(op plan.Op) {
	f := r.f
	if f == nil || r.read[op.Backend] && op.Kind == plan.RemoveServer {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.from == nil {
		f.process = r.of
		f.ask(r.ctx)
		f.meet(r.ctx)
		r.from = f.serving()
	}
	if r.from == nil || op.Kind == plan.RemoveServer && !f.servers {
		return
	}
	r.read[op.Backend] = true
	if rows, err := r.from.Counters(r.ctx, op.Backend, f.servers); err == nil && f.book.Knows(r.from.name()) {
		f.moved = f.book.Read(r.from.name(), rows, tally.Scope{Backend: op.Backend, Servers: f.servers}) || f.moved
	}
}

// done notes what was removed.
func (r *removal) done(ops []plan.Op) {
	if r.from == nil {
		return
	}
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	for _, op := range ops {
		if op.Kind == plan.RemoveServer || op.Kind == plan.RemoveBackend {
			r.f.book.Removed(r.from.name(), op.Backend, op.Server)
		}
	}
}
