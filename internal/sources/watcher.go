package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/discovery"
	"weir/internal/store"
)

const (
	// together is how long is waited for more once something was told, so that what comes together is one change.
	together = 20 * time.Millisecond
	// batch is how many servers are written in one change, at the most.
	batch = 2000
	// keepPause is the shortest pause between two writings of what is known of a source, keepSeldom how often it is
	// written though only the time of the last answer is new.
	keepPause  = time.Second
	keepSeldom = 30 * time.Second
	// retryPause is the pause before what could not be done is tried again.
	retryPause = time.Second
	// refusedPause is the pause before the store is asked again for what it refused.
	refusedPause = time.Minute
)

// watcher watches one source.
type watcher struct {
	runner *Runner
	name   string
	spec   *weir.DiscoverySource
	as     string // its stamp
	log    *slog.Logger
	inbox  *inbox
	stop   func()
	done   chan struct{}

	// What follows is the watcher's own goroutine's alone, but for confirmation.
	roster *discovery.Roster
	view   *weir.Set
	status weir.SourceStatus
	step   time.Time // when something is due
	again  time.Time // when what was refused is tried again
	dirty  bool      // something may have to be written down
	savedT time.Time
	saved  string

	mu           sync.Mutex
	confirmation *discovery.Confirmation
	generation   int64 // of the confirmation's value
}

func newWatcher(r *Runner, o *weir.Object, as string) *watcher {
	return &watcher{
		runner: r, name: o.Metadata.Name, spec: o.Spec.(*weir.DiscoverySource), as: as,
		log: r.opts.Log.With("source", o.Metadata.Name), inbox: newInbox(r.opts.Clock), done: make(chan struct{}),
	}
}

// Server, Zone and Room make the store as it was looked at last the roster's.
func (w *watcher) Server(name string) *weir.Object {
	return w.view.Get(weir.Ref{Kind: "Server", Name: name})
}

// Zone implements discovery.Servers.
func (w *watcher) Zone(name string) bool {
	return w.view.Get(weir.Ref{Kind: "Zone", Name: name}) != nil
}

// Room implements discovery.Servers.
func (w *watcher) Room() (room, quota int, bound bool) {
	role := weir.Find[weir.Role](w.view, "Role", w.spec.Role)
	if role == nil {
		return 0, 0, false
	}
	quota, bound = role.Quotas["Server"]
	return quota - w.view.Owned(w.spec.Role, "Server"), quota, bound
}

// ours are the servers that the source has in the store.
func (w *watcher) ours() iter.Seq[string] {
	return func(yield func(string) bool) {
		for o := range w.view.All("Server") {
			if o.Metadata.ManagedBy == weir.ManagedByDiscovery+w.name && !yield(o.Metadata.Name) {
				return
			}
		}
	}
}

// run watches until ctx ends. What a source says can be a fault of this program's: that costs the one source, and is
// told, and all is begun anew after a while.
func (w *watcher) run(ctx context.Context) {
	for {
		fault := w.watch(ctx)
		if fault == nil || ctx.Err() != nil {
			return
		}
		w.log.Error("a fault of this program ended the watch of a source; it begins anew", "in", refusedPause, "fault", fault.what, "stack", fault.stack)
		w.inbox.Failed(fmt.Errorf("a fault of Weir itself, which the log of server %s shows in full: %v", w.status.Watcher, fault.what))
		if !w.begin() {
			return
		}
		w.dirty, w.savedT = true, time.Time{}
		w.keep(ctx)
		if !pause(ctx, refusedPause) {
			return
		}
	}
}

// fault is what a goroutine stumbled over.
type fault struct {
	what  any
	stack string
}

// begin makes the roster of what the store has and what was kept.
func (w *watcher) begin() bool {
	kept := w.runner.lastKept(w.name)
	w.status = kept.Status
	w.status.Watcher, w.status.WatchedSince = w.runner.opts.Server, w.runner.opts.Clock()
	w.view = w.runner.opts.Store.View()
	var err error
	w.roster, err = discovery.NewRoster(discovery.RosterOptions{
		Source: w.name, Spec: w.spec, Store: w, Damping: discovery.UsualDamping(), Record: kept.Record,
	}, w.ours())
	if err != nil {
		w.log.Error("source can't be watched", "error", err) // it was checked when it was written
	}
	return err == nil
}

// watch watches until ctx ends, or a fault does that.
func (w *watcher) watch(ctx context.Context) *fault {
	if !w.begin() {
		return nil
	}
	driver := w.driver(ctx)
	if driver == nil {
		return nil
	}
	within, end := context.WithCancel(ctx)
	defer end()
	faults := make(chan *fault, 2)
	var both sync.WaitGroup
	for _, work := range []func(){func() { driver.Watch(within, w.inbox) }, func() { w.loop(within) }} {
		both.Go(func() {
			defer end()
			defer func() {
				if what := recover(); what != nil {
					faults <- &fault{what, string(debug.Stack())}
				}
			}()
			work()
		})
	}
	both.Wait()
	select {
	case f := <-faults:
		return f
	default:
		return nil
	}
}

// driver makes the driver, as soon as what it needs is there; nil when ctx has ended.
func (w *watcher) driver(ctx context.Context) discovery.Source {
	for {
		with, err := w.runner.needs(ctx, w.spec)
		if err == nil {
			var driver discovery.Source
			if driver, err = w.runner.opts.Reach.driver(w.spec, with, w.log); err == nil {
				return driver
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		w.inbox.Failed(err)
		w.dirty = true
		w.keep(ctx)
		if !pause(ctx, refusedPause) {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// loop brings the store to what the source has, whenever something has changed or is due.
func (w *watcher) loop(ctx context.Context) {
	for {
		timer := time.NewTimer(w.sleep())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-w.inbox.wake:
			timer.Stop()
			if !pause(ctx, together) {
				return
			}
			w.dirty = true
		case <-timer.C:
		}
		err := w.tend(ctx)
		if ctx.Err() != nil {
			return
		}
		if w.status.Unwritten = ""; err != nil {
			w.status.Unwritten = err.Error()
			w.log.Warn("servers that a source has can't be written; trying again", "error", err)
		}
		w.keep(ctx)
		if err != nil {
			w.inbox.edit(func() {})
			if !pause(ctx, retryPause) {
				return
			}
		}
	}
}

// sleep is how long nothing is due.
func (w *watcher) sleep() time.Duration {
	d, now := keepSeldom, w.runner.opts.Clock()
	var save time.Time
	if w.dirty {
		save = w.savedT.Add(keepPause)
	}
	for _, at := range []time.Time{w.step, w.again, save} {
		if !at.IsZero() {
			d = min(d, max(0, at.Sub(now)))
		}
	}
	return d
}

// tend makes steps until there is nothing left to write.
func (w *watcher) tend(ctx context.Context) error {
	now := w.runner.opts.Clock()
	if !w.again.IsZero() && !now.Before(w.again) {
		w.roster.Retry()
		w.again = time.Time{}
	}
	w.dirty = w.dirty || !w.step.IsZero() && !now.Before(w.step)
	for {
		w.inbox.empty(w.roster)
		w.view = w.runner.opts.Store.View()
		confirmation := w.pendingConfirmation()
		step := w.roster.Step(now, confirmation)
		w.step = step.Next
		w.answerConfirmation(ctx, confirmation, &step)
		if len(step.Names) == 0 {
			return nil
		}
		if err := w.write(ctx, &step, now); err != nil {
			return err
		}
		now = w.runner.opts.Clock()
	}
}

// write writes the servers of a step.
func (w *watcher) write(ctx context.Context, step *discovery.Step, now time.Time) error {
	for names := range slices.Chunk(step.Names, batch) {
		if err := w.apply(ctx, names, step.Reason(), now); err != nil {
			return err
		}
	}
	w.status.Came += int64(step.Came)
	w.status.Went += int64(step.Went)
	w.status.Change, w.status.ChangedAt = step.Reason(), w.runner.opts.Clock()
	w.log.Info("discovery", "came", step.Came, "went", step.Went, "changed", step.Changed, "believed", step.Believed, "took", w.runner.opts.Clock().Sub(now))
	return nil
}

// apply makes one change; what the store refuses of it is left out and told.
func (w *watcher) apply(ctx context.Context, names []string, reason string, now time.Time) error {
	for len(names) > 0 {
		w.view = w.runner.opts.Store.View()
		writes := w.roster.Writes(names, now)
		if len(writes) == 0 {
			return nil
		}
		_, err := w.runner.opts.Store.Apply(ctx, store.Request{
			Author: w.roster.ManagedBy(), Reason: reason, Writes: writes, Registers: true,
		})
		if weir.KindOf(err) == weir.Stale {
			return nil // somebody else was at one of them: all are looked at again
		}
		if weir.KindOf(err) != weir.Invalid {
			return err
		}
		names = w.refuse(names, err)
		w.again = w.runner.opts.Clock().Add(refusedPause)
	}
	return nil
}

// refuse leaves out what the store refuses by name, or else all, and gives what is left.
func (w *watcher) refuse(names []string, err error) []string {
	why := map[string]string{}
	var refusal *weir.Error
	if errors.As(err, &refusal) {
		for _, p := range refusal.Problems {
			if name, ok := strings.CutPrefix(p.Object, "Server/"); ok && why[name] == "" {
				why[name] = strings.TrimPrefix(p.Path+": "+p.Message, ": ")
			}
		}
	}
	rest := make([]string, 0, len(names))
	for _, name := range names {
		if why[name] == "" {
			rest = append(rest, name)
			continue
		}
		w.roster.Refused(name, why[name])
	}
	if len(rest) < len(names) {
		return rest
	}
	for _, name := range names {
		w.roster.Refused(name, err.Error())
	}
	return nil
}

// confirm takes what a person has confirmed.
func (w *watcher) confirm(c *discovery.Confirmation, generation int64) {
	w.mu.Lock()
	w.confirmation, w.generation = c, generation
	w.mu.Unlock()
	w.inbox.edit(func() {})
}

func (w *watcher) pendingConfirmation() *discovery.Confirmation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.confirmation
}

// answerConfirmation forgets a confirmation once it was heeded, or is of something that is doubted no more.
func (w *watcher) answerConfirmation(ctx context.Context, c *discovery.Confirmation, step *discovery.Step) {
	if c == nil || step.Believed == "" && !w.roster.Complete() {
		return // what was doubted is not known again yet
	}
	if step.Believed == "" {
		w.log.Warn("what was confirmed is not what is missing now", "by", c.By, "confirmed", c.Number, "doubt", w.roster.Doubt().Number)
	}
	w.mu.Lock()
	generation := w.generation
	if w.confirmation == c {
		w.confirmation = nil
	}
	w.mu.Unlock()
	if err := w.runner.opts.Store.SetPlatform(ctx, ConfirmPrefix+w.name, nil, generation); err != nil && weir.KindOf(err) != weir.Stale && ctx.Err() == nil {
		w.log.Warn("a confirmation that was heeded stays for now", "error", err)
	}
}

// keep writes down what is known of the source, if that is another thing than was written last, and not too often.
func (w *watcher) keep(ctx context.Context) {
	now := w.runner.opts.Clock()
	answered, failed, err := w.inbox.health()
	if past := now.Sub(w.savedT); past < keepPause || !w.dirty && past < keepSeldom {
		return
	}
	w.status.Error, w.status.FailedAt = "", failed
	if err != nil {
		w.status.Error = err.Error()
	}
	kept := Kept{Record: w.roster.Record(), Status: statusOf(w.status, w.roster.Summary(now), w.roster.Doubt())}
	raw, merr := json.Marshal(kept)
	if merr == nil && string(raw) == w.saved && (answered.Equal(w.status.AnsweredAt) || now.Sub(w.savedT) < keepSeldom) {
		w.dirty = false
		return
	}
	if answered.After(w.status.AnsweredAt) {
		w.status.AnsweredAt, kept.Status.AnsweredAt = answered, answered
	}
	if raw, merr = json.Marshal(kept); merr == nil {
		merr = w.runner.keep(ctx, w.name, kept)
	}
	if merr != nil {
		if ctx.Err() == nil {
			w.log.Warn("source", "error", merr)
		}
		return
	}
	w.saved, w.savedT, w.dirty = string(raw), now, false
}

// statusOf says for people what a roster has.
func statusOf(s weir.SourceStatus, sum discovery.Summary, doubt discovery.Doubt) weir.SourceStatus {
	s.Found, s.Parts, s.Ready, s.NotReady, s.Draining = sum.Found, sum.Parts, sum.Ready, sum.NotReady, sum.Draining
	s.Unread, s.Servers, s.Healthy, s.LeftOut, s.Damped = !sum.Complete, sum.Servers, sum.Good, sum.LeftOut, sum.DampedCount
	s.Left, s.DampedServers, s.Doubt = nil, nil, nil
	for _, l := range sum.Left {
		s.Left = append(s.Left, weir.SourceLeftOut(l))
	}
	for _, d := range sum.Damped {
		s.DampedServers = append(s.DampedServers, weir.SourceDamped{Server: d.Name, Until: d.Until})
	}
	if doubt.Count > 0 {
		s.Doubt = &weir.SourceDoubt{Number: doubt.Number, Why: doubt.Why, Servers: doubt.Count, Names: doubt.Names, Since: doubt.Since, Until: doubt.Until}
	}
	return s
}
