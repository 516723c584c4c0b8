package agent

import (
	"context"
	"time"

	"weir/internal/plan"
)

// lookEvery is how often HAProxy is read back though nothing new is wanted.
const lookEvery = 30 * time.Second

// lookShare bounds what looking costs: the pause is at least so many times as long as the last look.
const lookShare = 50

// look reads HAProxy back and says whether somebody else has changed it since, and how long reading took. What was
// seen is then what HAProxy is taken to have, so that the next pass brings it back.
func (a *Agent) look(ctx context.Context) (drifted bool, took time.Duration) {
	e := a.engine
	if e.process == nil || len(e.want.Sections) == 0 {
		return false, 0
	}
	begin := time.Now()
	before := e.have
	known := union(e.want, before)
	known.Sections = before.Sections
	if err := e.observe(ctx, known); err != nil {
		e.have = before
		if ctx.Err() == nil {
			a.log.Warn("look whether haproxy was changed by another hand", "error", err)
		}
		return false, 0 // waiting for an answer cost HAProxy nothing
	}
	took = time.Since(begin)
	back := plan.Diff(e.have, before)
	if back.Empty() {
		e.have = before
		return false, took
	}
	lines := planLines(back)
	a.log.Warn("haproxy was changed by another hand and is brought back", "operations", len(lines), "first", lines[:min(len(lines), 10)])
	return true, took
}

// nextLook is when to look again after a look that took so long.
func (a *Agent) nextLook(took time.Duration) time.Duration {
	every := a.opts.LookEvery
	if every == 0 {
		every = lookEvery
	}
	return max(every, lookShare*took)
}
