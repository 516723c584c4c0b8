package server

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/link"
)

const (
	// checksOfServer and checksInAll bound the health check log, in events; what is oldest goes first.
	checksOfServer = 50
	checksInAll    = 200_000
	// checkPause is kept between two looks at the reports, of which there are hundreds a second in a large fleet.
	checkPause = 100 * time.Millisecond
)

// checkLog remembers how the health of servers changed on each load balancer, as far as agents told: in memory, for as long
// as this control plane runs. Of what changes to and fro between two reports nothing is known.
type checkLog struct {
	since time.Time
	most  int // events in all
	// has says which load balancers have a pool: only those are believed.
	has func(pool string) []string

	mu     sync.Mutex
	events map[string][]checkEvent // by the server's name, oldest first
	order  []checkMark             // of all, oldest first; some are gone already
	total  int
	count  uint64

	// last is what each load balancer told last; of the goroutine that follows.
	last map[string]seenHealth
}

// seenHealth is by pool and server.
type seenHealth = map[string]map[string]link.ServerHealth

type checkEvent struct {
	number uint64
	api.CheckEvent
}

// checkMark names an event.
type checkMark struct {
	server string
	number uint64
}

func newCheckLog(now time.Time, has func(pool string) []string) *checkLog {
	return &checkLog{since: now, most: checksInAll, has: has, events: map[string][]checkEvent{}, last: map[string]seenHealth{}}
}

// followReports hands over what agents report until ctx ends.
func followReports(ctx context.Context, reports *link.Reports, take ...func(map[string]link.Reported)) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		changed := reports.Changed()
		all := reports.All()
		for _, one := range take {
			one(all)
		}
		pause.Reset(checkPause)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func (l *checkLog) takeAll(all map[string]link.Reported) {
	for name, rep := range all {
		l.take(name, rep)
	}
	maps.DeleteFunc(l.last, func(name string, _ seenHealth) bool { _, there := all[name]; return !there })
}

// take compares what a load balancer says of its servers with what it said before. Pools of which nothing new was said are
// the same in memory.
func (l *checkLog) take(name string, rep link.Reported) {
	before, known := l.last[name]
	if sameMap(before, rep.Servers) && known {
		return
	}
	l.last[name] = rep.Servers
	if !known {
		return
	}
	for pool, servers := range rep.Servers {
		if sameMap(before[pool], servers) {
			continue
		}
		var events map[string]api.CheckEvent
		for server, now := range servers {
			was, ok := before[pool][server]
			if !ok || was.State == now.State {
				continue
			}
			if events == nil {
				events = map[string]api.CheckEvent{}
			}
			events[server] = api.CheckEvent{
				Time: changedAt(rep, was, now), LoadBalancer: name, Pool: pool, From: string(was.State), To: string(now.State), Said: now.Check,
			}
		}
		if events != nil && slices.Contains(l.has(pool), name) {
			l.note(events)
		}
	}
}

// changedAt is when a server's state changed, by this machine's clock: as HAProxy says, unless that is of an earlier change.
func changedAt(rep link.Reported, was, now link.ServerHealth) time.Time {
	if was.Since.IsZero() || !now.Since.After(was.Since) { // it had drained, or does now
		return rep.At.UTC()
	}
	at := now.Since
	if !rep.Now.IsZero() {
		at = at.Add(rep.At.Sub(rep.Now))
	}
	if at.After(rep.At) {
		at = rep.At
	}
	return at.UTC().Truncate(time.Millisecond)
}

// note adds events, by the servers' names.
func (l *checkLog) note(events map[string]api.CheckEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, server := range sortedNames(events) {
		l.count++
		list := append(l.events[server], checkEvent{l.count, events[server]})
		if l.total++; len(list) > checksOfServer {
			list = slices.Delete(list, 0, 1)
			l.total--
		}
		l.events[server] = list
		l.order = append(l.order, checkMark{server, l.count})
	}
	for l.total > l.most {
		l.drop()
	}
	if len(l.order) > 2*l.total+checksOfServer {
		l.order = slices.DeleteFunc(l.order, func(m checkMark) bool { return !l.there(m) })
	}
}

// drop forgets the oldest event.
func (l *checkLog) drop() {
	first := l.order[0]
	l.order = l.order[1:]
	if !l.there(first) {
		return
	}
	l.total--
	if list := l.events[first.server][1:]; len(list) > 0 {
		l.events[first.server] = list
	} else {
		delete(l.events, first.server)
	}
}

// there says that an event was not forgotten; a server's go in their order.
func (l *checkLog) there(m checkMark) bool {
	list := l.events[m.server]
	return len(list) > 0 && list[0].number <= m.number
}

// ServerChecks implements api.CheckSource.
func (l *checkLog) ServerChecks(server string) ([]api.CheckEvent, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Clone(l.events[server])
	slices.SortStableFunc(list, func(a, b checkEvent) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.number, a.number))
	})
	out := make([]api.CheckEvent, len(list))
	for i := range list {
		out[i] = list[i].CheckEvent
	}
	return out, l.since
}

// havers names the load balancers whose groups have a pool.
func (f *fleet) havers(pool string) []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.with(weir.Ref{Kind: "Pool", Name: pool})
}

// sameMap tells whether two maps are one in memory.
func sameMap[K comparable, V any](a, b map[K]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}
