package api

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// recentWithin is how long the recent lines of all load balancers are waited for, so that they can be sorted.
	recentWithin = 3 * time.Second
	// logAgain is how long a load balancer that could not be asked is left alone.
	logAgain = time.Second
	// logRate is how many lines a second go to a client, and for a moment logBurst.
	logRate  = 200
	logBurst = 1000
	// maxLogged is how many load balancers a stream hears.
	maxLogged = 256
)

// logTail brings together what several load balancers log.
type logTail struct {
	source    LogSource
	ask       LogAsk
	balancers []string
	events    chan logEvent

	mu   sync.Mutex
	left int
}

// logEvent is what one load balancer has to say.
type logEvent struct {
	lines  []LogLine
	live   bool
	silent *LogStreamLine
}

// omit counts lines that are not sent.
func (t *logTail) omit(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left += n
}

// omitted gives the count, and begins anew.
func (t *logTail) omitted() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.left
	t.left = 0
	return n
}

// run gives batches of lines: the recent ones sorted, then what comes.
func (t *logTail) run(ctx context.Context) iter.Seq2[[]LogStreamLine, error] {
	return func(yield func([]LogStreamLine, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		asked := t.balancers[:min(len(t.balancers), maxLogged)]
		for _, lb := range asked {
			all.Go(func() { t.hear(ctx, lb) })
		}
		recent := t.recent(ctx, len(asked))
		for _, lb := range t.balancers[len(asked):] {
			recent = append(recent, LogStreamLine{Type: "silent", LoadBalancer: lb, Message: "a stream hears no more load balancers than " + strconv.Itoa(maxLogged)})
		}
		if !yield(append(recent, LogStreamLine{Type: "live"}), nil) || !t.ask.Follow {
			return
		}
		t.follow(ctx, yield)
	}
}

// recent waits for the recent lines of all, as long as that is no matter of long.
func (t *logTail) recent(ctx context.Context, waiting int) []LogStreamLine {
	within := time.NewTimer(recentWithin)
	defer within.Stop()
	var lines []LogLine
	var silent []LogStreamLine
	for late := false; waiting > 0 && !late; {
		select {
		case e := <-t.events:
			lines = append(lines, e.lines...)
			if e.silent != nil {
				silent = append(silent, *e.silent)
			}
			if e.live || e.silent != nil {
				waiting--
			}
		case <-within.C:
			late = true
		case <-ctx.Done():
			late = true
		}
	}
	slices.SortStableFunc(lines, func(a, b LogLine) int { return a.Time.Compare(b.Time) })
	lines = lines[max(0, len(lines)-t.ask.Recent):]
	return t.told(lines, silent...)
}

func (t *logTail) told(lines []LogLine, more ...LogStreamLine) []LogStreamLine {
	list := make([]LogStreamLine, 0, len(lines)+len(more)+1)
	for i := range lines {
		list = append(list, LogStreamLine{Type: "line", Line: &lines[i]})
	}
	if n := t.omitted(); n > 0 {
		list = append(list, LogStreamLine{Type: "left out", Count: n})
	}
	return append(list, more...)
}

// follow gives what comes, within the rate.
func (t *logTail) follow(ctx context.Context, yield func([]LogStreamLine, error) bool) {
	tokens, filled := float64(logBurst), time.Now()
	say := time.NewTicker(time.Second) // what was left out, though nothing else comes
	defer say.Stop()
	for {
		var e logEvent
		select {
		case <-ctx.Done():
			return
		case <-say.C:
		case e = <-t.events:
		}
		now := time.Now()
		tokens = min(logBurst, tokens+now.Sub(filled).Seconds()*logRate)
		filled = now
		n := min(len(e.lines), int(tokens))
		tokens -= float64(n)
		t.omit(len(e.lines) - n)
		var more []LogStreamLine
		if e.silent != nil {
			more = append(more, *e.silent)
		}
		if list := t.told(e.lines[:n], more...); len(list) > 0 && !yield(list, nil) {
			return
		}
	}
}

// hear asks one load balancer, again and again while it is followed.
func (t *logTail) hear(ctx context.Context, lb string) {
	ask := t.ask
	said := ""
	live := false
	for ctx.Err() == nil {
		err := t.source.Log(ctx, lb, ask, func(p LogPart) {
			t.omit(p.Left)
			if p.Run != "" {
				ask.Run, ask.After = p.Run, p.After
			}
			first := p.Live && !live
			live = live || p.Live
			said = ""
			if len(p.Lines) == 0 && !first {
				return
			}
			select {
			case t.events <- logEvent{lines: p.Lines, live: first}:
				return
			default:
			}
			if !first { // it is the client, or this machine, that is too slow
				t.omit(len(p.Lines))
				return
			}
			select {
			case t.events <- logEvent{lines: p.Lines, live: first}:
			case <-ctx.Done():
			}
		})
		if !t.ask.Follow && err == nil || ctx.Err() != nil {
			return
		}
		ask.Recent = mostRecent // what came meanwhile
		if err != nil && err.Error() != said {
			said = err.Error()
			_, e := publicKind(err)
			message := "it can't be asked"
			if e != nil {
				message = e.Message
			}
			select {
			case t.events <- logEvent{silent: &LogStreamLine{Type: "silent", LoadBalancer: lb, Message: message}}:
			case <-ctx.Done():
			}
			live = true
		}
		if !t.ask.Follow {
			return
		}
		wait := time.NewTimer(logAgain)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}
