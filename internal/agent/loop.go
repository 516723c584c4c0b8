package agent

import (
	"context"
	"errors"
	"time"

	"weir/internal/hapctl"
	"weir/internal/link"
	"weir/internal/plan"
)

// delivery is a state with the word that it has been taken care of.
type delivery struct {
	state link.State
	done  chan struct{}
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
	have := false
	retry := firstRetry
	timer := time.NewTimer(farFuture)
	defer timer.Stop()
	pace := newLooks(a.opts.LookEvery)
	looks := time.NewTimer(farFuture)
	defer looks.Stop()
	pace.set(looks, time.Now(), pace.every)
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
			a.engine.interrupt = d.state.Newer
		case <-gone:
			a.log.Error("haproxy has ended", "error", a.engine.process.Err(), "output", a.engine.process.Output())
			a.engine.end()
			a.engine.hands.settle(nil, false, a.opts.Clock())
			a.report.process(nil)
		case <-timer.C:
		case <-a.engine.prover.wake:
			news := a.engine.proofs(ctx, 0)
			if have && a.engine.prover.tellNow(news, time.Now()) {
				a.report.proved(a, latest)
			}
			if have && news && len(a.engine.prover.failed) > 0 {
				timer.Reset(a.engine.prover.retry)
			}
			continue
		case <-a.moved.wake:
			now := time.Now()
			pace.hasten(looks, now, pace.wait(now, true, a.engine.acted))
			continue
		case <-looks.C:
			undo := have && !a.engine.maintained(latest.Resources) && a.look(ctx, pace)
			now := time.Now()
			pace.set(looks, now, pace.wait(now, a.moved.some() > 0, a.engine.acted))
			if !undo {
				continue
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
	if !a.engine.maintained(s.Resources) {
		a.displaced(ctx, nil) // nothing is written over before it is known that somebody's configuration runs
	}
	if err := a.engine.meetHost(ctx); err != nil && ctx.Err() == nil {
		a.say(s, outcome{}, err, begin)
		return pauseAfter(err, retry)
	}
	switch err := a.engine.resume(ctx, s.Resources); {
	case err == nil || ctx.Err() != nil:
	case !a.engine.resumed:
		a.say(s, outcome{}, err, begin)
		return next(retry)
	default:
		a.log.Warn("found haproxy running, but can't read it back; it is brought to what is wanted anew", "error", err)
	}
	if a.engine.maintained(s.Resources) {
		a.engine.hands.settle(nil, false, a.opts.Clock()) // a person may have a reason there
		a.say(s, outcome{}, nil, begin)
		return farFuture
	}
	if a.engine.leavesOut() {
		a.engine.retryBinds()
	}
	a.report.applying(s)
	out, err := a.engine.converge(ctx, s.Resources)
	if err == nil {
		a.engine.proofs(ctx, proofsAwaited)
	}
	if ctx.Err() != nil {
		return farFuture
	}
	if err != nil {
		a.displaced(ctx, err)
	}
	if errors.Is(err, hapctl.ErrInterrupted) {
		a.log.Info("waiting for new servers goes on with the newer state", "revision", s.Revision)
		a.report.interrupted(out)
		return firstRetry
	}
	a.report.process(a.engine.process)
	a.moved.expect(a.engine.hands.takeRestored())
	if a.engine.hands.news {
		a.keepHands()
	}
	a.say(s, out, err, begin)
	if err != nil {
		return pauseAfter(err, retry)
	}
	*retry = firstRetry
	wait := farFuture
	if !out.Expires.IsZero() {
		wait = min(wait, max(out.Expires.Sub(a.opts.Clock()), time.Millisecond))
	}
	if len(a.engine.waiting) > 0 {
		wait = min(wait, removalRetry)
	}
	if len(a.engine.prover.failed) > 0 {
		wait = min(wait, a.engine.prover.retry)
	}
	if a.engine.leavesOut() || a.engine.quarantine.mayPass() {
		wait = min(wait, bindRetry)
	}
	return wait
}

// pauseAfter gives the pause after a failure.
func pauseAfter(err error, retry *time.Duration) time.Duration {
	if h := (*hostError)(nil); errors.As(err, &h) {
		return h.again
	}
	return next(retry)
}

// next gives the pause before the next try, which doubles.
func next(retry *time.Duration) time.Duration {
	wait := *retry
	*retry = min(2*wait, longestRetry)
	return wait
}

// say logs the pass in one wide line and reports it. A pass that found nothing to do is for who debugs, unless it
// ends a failure.
func (a *Agent) say(s link.State, out outcome, err error, begin time.Time) {
	attrs := []any{
		"revision", s.Revision, "operations", len(out.Plan.Ops), "start", out.Started, "reload", out.Reloaded,
		"took", time.Since(begin).Round(10 * time.Microsecond), "quarantined", len(a.engine.quarantine.held),
		"starts", a.engine.reloads.Starts, "reloads", a.engine.reloads.Count,
	}
	if len(out.Plan.Reload) > 0 {
		attrs = append(attrs, "reasons", reasonTexts(out.Plan.Reload))
	}
	if len(out.Held) > 0 {
		attrs = append(attrs, "held", out.Held)
	}
	switch host := (*hostError)(nil); {
	case errors.As(err, &host):
		if a.waited != host.text { // it is the same again and again
			a.log.Warn("haproxy is not looked after", "revision", s.Revision, "reason", host.text)
		}
		a.waited = host.text
	case err != nil:
		a.log.Error("reconcile", append(attrs, "error", err)...)
	case out.idle() && !a.failing:
		a.log.Debug("reconcile", attrs...)
	default:
		a.log.Info("reconcile", attrs...)
	}
	if a.failing = err != nil; !a.failing {
		a.waited = ""
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
