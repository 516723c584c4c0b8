package agent

import (
	"context"
	"encoding/json"
	"time"

	"weir/internal/hapctl"
)

// The pace of the figures: HAProxy's counters are read every so often, and for at most a thousandth of the time, unless
// they would come too late for the steps that they are of (series.Store). In between, workers are asked whether they
// leave; those that do, more often, so that they need not stay for long.
const (
	figuresPace  = 5 * time.Second
	figuresShare = 1000
	figuresLate  = 30 * time.Second
	askPace      = time.Second
	leavePace    = 50 * time.Millisecond
)

// watchFigures reads what HAProxy counts until ctx ends, and once more then.
func (a *Agent) watchFigures(ctx context.Context) {
	f, every := a.figures, a.opts.CountEvery
	if every == 0 {
		every = figuresPace
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause, due := leavePace, time.Time{}
	for {
		select {
		case <-ctx.Done():
			f.close(a.counted())
			return
		case <-f.woken:
			pause = leavePace
		case <-timer.C:
		}
		process, servers := a.counted()
		text, leaving, took := f.look(ctx, process, servers, !time.Now().Before(due))
		if took > 0 {
			due = time.Now().Add(max(every, min(figuresShare*took, figuresLate)))
		}
		if text != nil {
			a.report.summed(text)
		}
		if pause = min(2*pause, askPace); !leaving {
			pause = askPace
		}
		timer.Reset(min(pause, max(time.Until(due), leavePace)))
	}
}

// counted is what there is to be counted: a HAProxy, nil when none runs, and how many servers it has.
func (a *Agent) counted() (*hapctl.Process, int) {
	r := &a.report
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, servers := range r.report.Servers {
		n += len(servers)
	}
	return r.runs, n
}

// look asks the workers and, when all is due, reads everything. It gives what is to be shown now, nil for the same as
// before, whether a worker is leaving, and how long reading took if anything was read.
func (f *figures) look(ctx context.Context, p *hapctl.Process, servers int, due bool) (text json.RawMessage, leaving bool, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.process = p
	f.heed(servers)
	f.ask(ctx)
	f.meet(ctx)
	began := time.Now()
	if due {
		f.readAll(ctx, servers)
	}
	switch {
	case ctx.Err() != nil:
	case f.changed || due && (f.moved || f.failing):
		f.keep(false)
		text, f.told = f.text(), true
	case !f.told:
		text, f.told = f.text(), true
	}
	if due {
		took = time.Since(began)
	}
	for _, w := range f.witnesses {
		leaving = leaving || w.leaving
	}
	return text, leaving, took
}

// text is what is told of the sums; those of no worker ever are not worth telling.
func (f *figures) text() json.RawMessage {
	if f.book.Empty() {
		return nil
	}
	text, err := json.Marshal(f.book.Figures(f.servers))
	if err != nil {
		f.log.Warn("HAProxy's counters can't be told", "error", err)
	}
	return text
}

// lastLook bounds how long the agent's end waits for HAProxy's counters.
const lastLook = time.Second

// close reads once more and ends all sessions, so that HAProxy may end.
func (f *figures) close(p *hapctl.Process, servers int) {
	ctx, cancel := context.WithTimeout(context.Background(), lastLook)
	defer cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.process = p
	f.readAll(ctx, servers)
	for name := range f.witnesses {
		f.dismiss(name)
	}
	if !f.book.Empty() {
		f.keep(true)
	}
}
