// Package agent runs one load balancer: it takes what the control plane wants, brings a real HAProxy to it at
// run time, reads back what HAProxy has, and reports that. It goes on without the control plane.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/plan"
)

// Options say what an agent runs, where.
type Options struct {
	// Dir is the agent's own folder; an agent that has joined has its identity there.
	Dir string
	// HAProxy is the path of the binary, 3.2 or newer.
	HAProxy string
	// URLs of the control plane.
	URLs []string
	// Version is the agent's own, for people.
	Version string
	Log     *slog.Logger
	Clock   func() time.Time
	// LookEvery is how often HAProxy is read back though nothing new is wanted, to find and take back what others
	// changed at its socket; 30 s when zero.
	LookEvery time.Duration
	// StopWithAgent ends HAProxy together with the agent; else it serves on and is found again.
	StopWithAgent bool
}

// The folders in Options.Dir.
const (
	linkDir    = "link"    // identity, resources, keys
	haproxyDir = "haproxy" // what HAProxy reads
	checkDir   = "check"   // a candidate that HAProxy is asked about first
)

// Join enrols with a join token, unless the agent has an identity already.
// It gives the load balancer's name.
func Join(ctx context.Context, o Options, join link.Join) (string, error) {
	return link.Enrol(ctx, link.Options{URLs: o.URLs, Dir: filepath.Join(o.Dir, linkDir), Log: o.Log}, join)
}

// Joined says whether the folder has an identity.
func Joined(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, linkDir, "agent.crt"))
	return err == nil
}

// Agent is one load balancer's agent.
type Agent struct {
	opts     Options
	log      *slog.Logger
	client   *link.Client
	receiver *accesslog.Receiver
	engine   *engine
	started  time.Time
	haproxy  string // its version

	states chan delivery
	report reporter
}

// delivery is a state with the word that it has been taken care of.
type delivery struct {
	state link.State
	done  chan struct{}
}

// Open reads the folder and opens the log receiver; nothing is started yet.
func Open(ctx context.Context, o Options) (*Agent, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	full, err := hapctl.Version(ctx, o.HAProxy)
	if err != nil {
		return nil, err
	}
	version, err := haproxy.ParseVersion(full)
	if err != nil {
		return nil, err
	}
	if !version.AtLeast(haproxy.Oldest.Major, haproxy.Oldest.Minor) {
		return nil, fmt.Errorf("%s is HAProxy %s; the oldest that Weir runs is %s", o.HAProxy, full, haproxy.Oldest)
	}
	client, err := link.Open(link.Options{URLs: o.URLs, Dir: filepath.Join(o.Dir, linkDir), Log: o.Log, Now: o.Clock})
	if err != nil {
		return nil, err
	}
	a := &Agent{opts: o, log: o.Log.With("loadbalancer", client.Name()), client: client, started: o.Clock(), haproxy: full, states: make(chan delivery)}
	if err := a.open(version); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return a, nil
}

func (a *Agent) open(version haproxy.Version) error {
	live, err := openFolder(filepath.Join(a.opts.Dir, haproxyDir))
	if err != nil {
		return err
	}
	staging, err := openFolder(filepath.Join(a.opts.Dir, checkDir))
	if err != nil {
		return err
	}
	for _, f := range []*folder{live, staging} {
		if err := placeholder(f); err != nil {
			return err
		}
	}
	held, err := openQuarantine(filepath.Join(a.opts.Dir, "quarantine.json"), a.haproxy, a.opts.Clock, a.log)
	if err != nil {
		return err
	}
	forms, err := openGoodForms(filepath.Join(a.opts.Dir, "good.jsonl"))
	if err != nil {
		return err
	}
	receiver, place, err := listenLog(filepath.Join(a.opts.Dir, "log.json"))
	if err != nil {
		return err
	}
	a.receiver = receiver
	a.engine = &engine{
		log: a.log, clock: a.opts.Clock, key: a.client.Key, keyRefs: map[string]weir.SealedRef{},
		options:   hapctl.Options{Path: a.opts.HAProxy, Dir: live.dir, Log: a.log, DieWithParent: a.opts.StopWithAgent},
		env:       haproxy.Env{Version: version, Log: place, Unbindable: map[netip.AddrPort]bool{}},
		interrupt: make(chan struct{}, 1), folder: live, staging: staging, quarantine: held, refusedBinds: map[netip.AddrPort]string{},
		forms: forms, good: forms.resources(),
	}
	return nil
}

// Name is the load balancer's.
func (a *Agent) Name() string { return a.client.Name() }

// Counts are the access log's counters since the agent began.
func (a *Agent) Counts() accesslog.Counts { return a.receiver.Snapshot() }

// Run serves until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	linked := make(chan error, 1)
	go func() {
		linked <- a.client.Run(ctx, func(s link.State) {
			d := delivery{s, make(chan struct{})}
			select {
			case a.engine.interrupt <- struct{}{}:
			default:
			}
			select {
			case a.states <- d:
			case <-ctx.Done():
				return
			}
			select {
			case <-d.done:
			case <-ctx.Done():
			}
		})
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		a.watchHealth(ctx)
	}()
	a.loop(ctx)
	cancel()
	<-watched
	err := <-linked
	if a.opts.StopWithAgent && a.engine.process != nil {
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer done()
		if serr := a.engine.process.Stop(stop); serr != nil && !errors.Is(serr, hapctl.ErrKilled) {
			err = errors.Join(err, serr)
		}
	}
	return errors.Join(err, a.receiver.Close(), a.client.Close())
}

// The pauses between tries.
const (
	firstRetry   = 500 * time.Millisecond
	longestRetry = 15 * time.Second
	removalRetry = time.Second
	bindRetry    = 10 * time.Second
	farFuture    = time.Hour
)

// loop takes one thing after the other: a newer state, the end of HAProxy, or time that has come.
func (a *Agent) loop(ctx context.Context) {
	var latest link.State
	have, resumed := false, false
	retry := firstRetry
	timer := time.NewTimer(farFuture)
	defer timer.Stop()
	looks := time.NewTimer(a.nextLook(0))
	defer looks.Stop()
	for {
		var gone <-chan struct{}
		if a.engine.process != nil {
			gone = a.engine.process.Done()
		}
		var done chan struct{}
		select {
		case <-ctx.Done():
			return
		case d := <-a.states:
			latest, have, done = d.state, true, d.done
			retry = firstRetry
			select {
			case <-a.engine.interrupt:
			default:
			}
		case <-gone:
			a.log.Error("haproxy has ended", "error", a.engine.process.Err(), "output", a.engine.process.Output())
			a.engine.process, a.engine.have = nil, haproxy.Config{}
			a.report.process(nil)
		case <-timer.C:
		case <-looks.C:
			begin := time.Now()
			drifted := have && !a.engine.maintained(latest.Resources) && a.look(ctx)
			looks.Reset(a.nextLook(time.Since(begin)))
			if !drifted {
				continue
			}
		}
		if have && !resumed {
			resumed = true
			if err := a.engine.resume(ctx, latest.Resources); err != nil {
				a.log.Warn("found haproxy running, but can't read it back; it is brought to what is wanted anew", "error", err)
			}
		}
		wait := farFuture
		if have {
			wait = a.pass(ctx, latest, &retry)
		}
		if done != nil {
			close(done)
		}
		timer.Reset(wait)
	}
}

// pass converges once, says so in one line, and tells when to look again.
func (a *Agent) pass(ctx context.Context, s link.State, retry *time.Duration) time.Duration {
	begin := time.Now()
	if a.engine.maintained(s.Resources) {
		a.say(s, outcome{}, nil, begin)
		return farFuture
	}
	if len(a.engine.refusedBinds) > 0 {
		a.engine.retryBinds()
	}
	a.report.applying(s)
	out, err := a.engine.converge(ctx, s.Resources)
	if ctx.Err() != nil {
		return farFuture
	}
	if errors.Is(err, hapctl.ErrInterrupted) {
		a.log.Info("waiting for new servers goes on with the newer state", "revision", s.Revision)
		return 0
	}
	a.report.process(a.engine.process)
	a.say(s, out, err, begin)
	if err != nil {
		wait := *retry
		*retry = min(2**retry, longestRetry)
		return wait
	}
	*retry = firstRetry
	wait := farFuture
	if !out.Expires.IsZero() {
		wait = min(wait, max(out.Expires.Sub(a.opts.Clock()), time.Millisecond))
	}
	if len(a.engine.waiting) > 0 {
		wait = min(wait, removalRetry)
	}
	if len(a.engine.refusedBinds) > 0 {
		wait = min(wait, bindRetry)
	}
	return wait
}

// say logs the pass in one wide line and reports it.
func (a *Agent) say(s link.State, out outcome, err error, begin time.Time) {
	attrs := []any{
		"revision", s.Revision, "operations", len(out.Plan.Ops), "reload", out.Reloaded, "took", time.Since(begin).Round(10 * time.Microsecond),
		"quarantined", len(a.engine.quarantine.held), "reloads", a.engine.reloads.Count,
	}
	if len(out.Plan.Reload) > 0 {
		attrs = append(attrs, "reasons", reasonTexts(out.Plan.Reload))
	}
	if len(out.Held) > 0 {
		attrs = append(attrs, "held", out.Held)
	}
	if err != nil {
		a.log.Error("reconcile", append(attrs, "error", err)...)
	} else {
		a.log.Info("reconcile", attrs...)
	}
	a.report.passed(a, s, out, err)
}

func reasonTexts(reasons []plan.Reason) []string {
	var list []string
	for _, r := range reasons {
		list = append(list, r.String())
	}
	return list
}
