package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/plan"
)

// The pace of looking for what other hands did. A look at everything comes as often as it is cheap: where it takes
// five milliseconds or less, every other second; ten times as long, ten times as rarely. Where only a few pools were
// seen to move, those are looked at. What nobody sees move, as a map or a certificate, is looked at between looks at
// everything at a pace of its own: ten thousand servers take long to read, their few maps don't.
const (
	lookEvery = 2 * time.Second
	// lookCheap is what a look may take and come as often as that; one that takes longer comes as much more rarely, down
	// to lookRarely for everything and lookSeldom for what does not move.
	lookCheap  = 5 * time.Millisecond
	lookRarely = time.Minute
	lookSeldom = 30 * time.Second
	// lookShare bounds what looking costs: every pause is at least so many times as long as the look before it.
	lookShare = 50
	// lookAfter is how long a look at pools that moved waits after work of this agent's own: as a rule that is what was
	// seen, and more of it is under way.
	lookAfter = time.Second
	// mostMoved is how many pools that moved are looked at one by one.
	mostMoved = 100
)

// moved gathers the backends whose servers the health watch has seen to be set otherwise than before, by this agent
// or another hand.
type moved struct {
	mu    sync.Mutex
	names map[string]bool
	// again are those that count as moved when the watch looks next, whatever it sees.
	again []string
	wake  chan struct{}
}

func newMoved() *moved { return &moved{names: map[string]bool{}, wake: make(chan struct{}, 1)} }

// expect has backends count as moved when the watch looks next. Who has one's work undone may do it again before
// that, and then it looks as it did the last time.
func (m *moved) expect(names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.again = append(m.again, names...)
}

// expected gives what is to count as moved, and forgets it.
func (m *moved) expected() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := m.again
	m.again = nil
	return names
}

func (m *moved) add(names []string) {
	if len(names) == 0 {
		return
	}
	m.mu.Lock()
	for _, name := range names {
		m.names[name] = true
	}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take gives them, in order, and forgets them.
func (m *moved) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.names {
		names = append(names, name)
	}
	clear(m.names)
	slices.Sort(names)
	return names
}

func (m *moved) some() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.names)
}

// looks says when to look. The loop alone uses it.
type looks struct {
	every time.Duration
	// whole, still and part are from when on all may be looked at, what nobody sees move, and a part.
	whole, still, part time.Time
	// next is when the timer of looks goes off.
	next time.Time
}

// extent is how much a look takes in.
type extent int

const (
	aPart    extent = iota // pools that moved
	allStill               // those, and maps, certificates and their lists
	everything
)

func newLooks(every time.Duration) *looks {
	if every == 0 {
		every = lookEvery
	}
	return &looks{every: every}
}

// wait is how long it is to the next look, when something moved or nothing has; acted is when this agent last changed
// something itself.
func (l *looks) wait(now time.Time, moved bool, acted time.Time) time.Duration {
	wait := l.every
	if moved {
		wait = min(wait, max(l.part.Sub(now), acted.Add(lookAfter).Sub(now), 0))
	}
	return wait
}

// set has the timer go off after wait.
func (l *looks) set(t *time.Timer, now time.Time, wait time.Duration) {
	l.next = now.Add(wait)
	t.Reset(wait)
}

// hasten is set, unless the timer goes off before: what moves again and again must not put off looking for good.
func (l *looks) hasten(t *time.Timer, now time.Time, wait time.Duration) {
	if now.Add(wait).Before(l.next) {
		l.set(t, now, wait)
	}
}

// due says how much to look at.
func (l *looks) due(now time.Time, moved int) extent {
	switch {
	case !now.Before(l.whole) || moved > mostMoved:
		return everything
	case !now.Before(l.still):
		return allStill
	}
	return aPart
}

// took notes that a look ended now.
func (l *looks) took(what extent, took time.Duration, now time.Time) {
	l.part = now.Add(lookShare * took)
	next := func(rarely time.Duration) time.Time {
		calm := time.Duration(float64(l.every) * float64(took) / float64(lookCheap))
		return now.Add(max(l.every-took, min(rarely, calm), lookShare*took))
	}
	switch what {
	case everything:
		l.whole, l.still = next(lookRarely), now.Add(l.every)
	case allStill:
		l.still = next(lookSeldom)
	}
}

// look looks for what other hands did, at as much as it is time for, and says whether it must be undone. What it finds
// is reported.
func (a *Agent) look(ctx context.Context, l *looks) bool {
	e := a.engine
	if e.process == nil || len(e.want.Sections) == 0 {
		a.moved.take()
		return false
	}
	begin := time.Now()
	what := l.due(begin, a.moved.some())
	news, err := false, error(nil)
	if begin.Before(l.part) {
		news = e.lookFiles(false)
	} else {
		news, err = a.lookAtMuch(ctx, what)
		if err == nil { // waiting for an answer cost HAProxy nothing
			l.took(what, time.Since(begin), time.Now())
		} else if ctx.Err() == nil {
			a.log.Warn("look whether haproxy was changed by another hand", "error", err)
		}
	}
	if a.displaced(ctx, err) {
		return true
	}
	if e.hands.news {
		a.keepHands()
		a.report.drifted(a)
	}
	return news && e.mode != weir.DriftReport
}

// lookAtMuch looks at everything, or at what moved, at what would not be seen to move, and at the files that are few.
func (a *Agent) lookAtMuch(ctx context.Context, what extent) (news bool, err error) {
	moved := a.moved.take() // what moves from now on is looked at again
	if what == everything {
		return a.engine.lookWhole(ctx)
	}
	if what == allStill {
		known := union(a.engine.want, a.engine.have)
		news, err = a.engine.lookPart(ctx, haproxy.Config{Maps: known.Maps, Certs: known.Certs, CrtLists: known.CrtLists})
	}
	if len(moved) > 0 && err == nil {
		found := false
		found, err = a.engine.lookAt(ctx, moved)
		news = news || found
	}
	return a.engine.lookFiles(false) || news, err
}

// lookBefore reads back what a plan is about, where another hand's work is to be left alone: what a hand did since the
// last look would be undone unseen. It says whether there was anything.
func (e *engine) lookBefore(ctx context.Context, p plan.Plan) (bool, error) {
	if e.mode != weir.DriftReport || p.Empty() || e.process == nil {
		return false, nil
	}
	if len(p.Reload) > 0 {
		return e.lookWhole(ctx)
	}
	return e.lookPart(ctx, hapctl.Touched(e.have, p.Ops))
}
