package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	"weir/internal/accesslog"
	"weir/internal/haproxy"
	"weir/internal/link"
)

const (
	// maxTails is how many follow the log at once: each looks at every line.
	maxTails = 16
	// maxRecent is how many lines of before somebody is given, and entriesAtOnce how many bytes of them are told on one line.
	maxRecent     = 1000
	entriesAtOnce = 64 << 10
)

// logErrand gives the lines of one site's log; see link.LogErrand.
func (a *Agent) logErrand(ctx context.Context, body json.RawMessage, say func(any) error) error {
	var ask link.LogAsk
	if err := json.Unmarshal(body, &ask); err != nil {
		return fmt.Errorf("read what is asked: %w", err)
	}
	if ask.Site == "" {
		return errors.New("a site must be named")
	}
	if n := a.errands.tails.Add(1); n > maxTails {
		a.errands.tails.Add(-1)
		return fmt.Errorf("%w: %d follow its log already; try again when one has ended", link.ErrBusy, maxTails)
	}
	defer a.errands.tails.Add(-1)
	after := ask.After
	if ask.Run != a.errands.run {
		after = 0
	}
	tail, recent, left := a.receiver.Tail(a.logFilter(&ask), min(max(0, ask.Recent), maxRecent), after)
	defer tail.Close()
	if after == 0 {
		left = 0 // who asks for the last lines knows that there are more
	}
	teller := logTeller{say: say, run: a.errands.run, after: after}
	if err := teller.tell(recent, left, true, tail.Start()); err != nil || !ask.Follow {
		return err
	}
	for {
		list, left, err := tail.Next(ctx)
		if err != nil {
			return nil // nobody waits any more, the time is over, or the agent ends
		}
		if err := teller.tell(list, left, false, 0); err != nil {
			return err
		}
	}
}

// logFilter reads what is wanted. Which pool serves which zone is that of this moment.
func (a *Agent) logFilter(ask *link.LogAsk) accesslog.Filter {
	a.report.mu.Lock()
	zones := maps.Clone(a.report.zones)
	a.report.mu.Unlock()
	return accesslog.Filter{
		Site: ask.Site, Mark: haproxy.Redirecting, Pool: ask.Pool, Zone: ask.Zone, Status: ask.Status, Method: ask.Method,
		Path: ask.Path, Client: ask.Client, Errors: ask.Errors, Since: ask.Since,
		Place: func(backend, zone string) (pool, inZone string) {
			pool = haproxy.BaseName(backend)
			if zone == "" {
				zone = zones[pool]
			}
			return pool, zone
		},
	}
}

// logTeller tells entries in lines of the wire's length.
type logTeller struct {
	say   func(any) error
	run   string
	after uint64
}

// tell says entries; after the recent ones, live, all up to a number are told of.
func (t *logTeller) tell(list []accesslog.Numbered, left int, live bool, upTo uint64) error {
	for {
		answer := link.LogAnswer{Left: left, Run: t.run, After: t.after}
		for size := 0; len(list) > 0 && size < entriesAtOnce; list = list[1:] {
			e := &list[0].Entry
			if e.Server = haproxy.BaseName(e.Server); haproxy.Own(e.Server) || e.Server == "<NOSRV>" {
				e.Server = ""
			}
			text, err := json.Marshal(e)
			if err != nil {
				return err
			}
			size += len(text)
			answer.Entries = append(answer.Entries, text)
			t.after, answer.After = list[0].Number, list[0].Number
		}
		if answer.Live = live && len(list) == 0; answer.Live {
			t.after, answer.After = upTo, upTo
		}
		if err := t.say(answer); err != nil {
			return err
		}
		if left = 0; len(list) == 0 {
			return nil
		}
	}
}

// errandState is what errands share.
type errandState struct {
	// run names this run of the agent.
	run   string
	tails atomic.Int64
	// trying is held by the one check that is tried; tries counts those that wait for that, too.
	trying chan struct{}
	tries  atomic.Int64
}

func newErrandState() *errandState {
	return &errandState{run: rand.Text(), trying: make(chan struct{}, 1)}
}
