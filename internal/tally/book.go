// Package tally sums up what HAProxy counts. Each of HAProxy's workers counts from zero and takes its counters with
// it when it ends; a Book is read to what the workers say, as often as somebody asks them, and adds up the differences.
package tally

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/internal/haproxy"
)

// Worker names a process of HAProxy's so that no other has the same name.
type Worker struct {
	Pid int `json:"pid"`
	// Began is in seconds since 1970, as the worker says it.
	Began int64 `json:"began"`
}

// Scope says what a reading is of: what is in it and not in the reading does not exist in the worker any more.
type Scope struct {
	// Backend is the only one that was asked about, by HAProxy's name for it; "" for everything.
	Backend string
	// Servers were asked about too.
	Servers bool
}

func (s Scope) holds(k key) bool {
	if k.kind == haproxy.StatServer && !s.Servers {
		return false
	}
	return s.Backend == "" || k.kind != haproxy.StatFrontend && k.proxy == s.Backend
}

// key names a row: as a worker has it, or without the digests of generations.
type key struct {
	kind        haproxy.StatType
	proxy, name string // name is a server's
}

// weirs says of a row that it is of Weir's own means: a request that was sent back counts where it went in the end.
func weirs(r haproxy.CounterRow) bool {
	return haproxy.Own(r.Proxy) || haproxy.Own(r.Service) || r.Type == haproxy.StatFrontend && strings.HasPrefix(r.Proxy, "again-")
}

func keyOf(r haproxy.CounterRow) key {
	if r.Type == haproxy.StatServer {
		return key{r.Type, r.Proxy, r.Service}
	}
	return key{r.Type, r.Proxy, ""}
}

// base is the key that all generations have in common.
func (k key) base() key { return key{k.kind, haproxy.BaseName(k.proxy), haproxy.BaseName(k.name)} }

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.kind, o.kind), cmp.Compare(k.proxy, o.proxy), cmp.Compare(k.name, o.name))
}

// maxGone is how many pools, servers and frontends that are gone a book remembers, should they come back.
const maxGone = 1000

// Book holds sums over workers and what each worker said last. Sums never get smaller.
type Book struct {
	// since is when the sums were zero.
	since time.Time
	sums  map[key]haproxy.Counters
	// total is the sum over all backends that ever were.
	total haproxy.Counters
	last  map[Worker]map[key]Row
	// gone says when, in turns, keys of sums were last found in no worker.
	gone map[key]uint64
	turn uint64
}

// NewBook has counted nothing.
func NewBook(now time.Time) *Book {
	return &Book{since: now, sums: map[key]haproxy.Counters{}, last: map[Worker]map[key]Row{}, gone: map[key]uint64{}}
}

// Workers gives those that have been read and have not ended, the oldest first.
func (b *Book) Workers() []Worker {
	return slices.SortedFunc(maps.Keys(b.last), func(v, w Worker) int { return cmp.Or(cmp.Compare(v.Began, w.Began), cmp.Compare(v.Pid, w.Pid)) })
}

// Knows says whether a worker has been read.
func (b *Book) Knows(w Worker) bool { return b.last[w] != nil }

// Empty says that nothing was ever read.
func (b *Book) Empty() bool { return len(b.sums) == 0 && len(b.last) == 0 }

// Found notes where the counters of a worker are that counted before anybody added up: it counts from here on.
func (b *Book) Found(w Worker, rows []haproxy.CounterRow) {
	b.last[w] = make(map[key]Row, len(rows))
	for _, r := range rows {
		if weirs(r) {
			continue
		}
		b.last[w][keyOf(r)] = rowOf(r)
		b.add(keyOf(r), haproxy.Counters{})
	}
}

// Read adds what a worker has counted since it was read last, and says whether there was anything. A row of which a
// counter is smaller than before has begun anew, as one that was not there before.
func (b *Book) Read(w Worker, rows []haproxy.CounterRow, scope Scope) (moved bool) {
	last := b.last[w]
	if last == nil {
		last = make(map[key]Row, len(rows))
		b.last[w], moved = last, true
	}
	seen := make(map[key]bool, len(rows))
	for _, r := range rows {
		if weirs(r) {
			continue
		}
		k, now := keyOf(r), rowOf(r)
		if !scope.holds(k) || seen[k] {
			continue
		}
		seen[k] = true
		before, known := last[k]
		moved = moved || !known || before != now
		b.add(k, since(before.Counters, now.Counters))
		last[k] = now
	}
	for k := range last {
		if scope.holds(k) && !seen[k] {
			delete(last, k)
			moved = true
		}
	}
	return moved
}

// Removed notes that a worker has no such backend any more, or server of it, so that one of the same name counts from
// zero.
func (b *Book) Removed(w Worker, backend, server string) {
	last := b.last[w]
	for k := range last {
		if k.kind != haproxy.StatFrontend && k.proxy == backend && (server == "" || k.name == server) {
			delete(last, k)
		}
	}
}

// ForgetServers forgets what each server counted, which nobody is told where there are too many, and says whether there
// was anything. What their pools counted stays.
func (b *Book) ForgetServers() bool {
	had := false
	for w, rows := range b.last {
		if rest, less := withoutServers(rows); less {
			b.last[w], had = rest, true
		}
	}
	if rest, less := withoutServers(b.sums); less {
		b.sums, had = rest, true
	}
	b.gone, _ = withoutServers(b.gone)
	return had
}

// withoutServers gives a map of the others, which takes no more room than those, if there are servers.
func withoutServers[V any](rows map[key]V) (rest map[key]V, less bool) {
	for k := range rows {
		less = less || k.kind == haproxy.StatServer
	}
	if !less {
		return rows, false
	}
	rest = map[key]V{}
	for k, v := range rows {
		if k.kind != haproxy.StatServer {
			rest[k] = v
		}
	}
	return rest, true
}

// End forgets a worker. What it counted stays.
func (b *Book) End(w Worker) { delete(b.last, w) }

// Sweep notes which pools, servers and frontends no worker has any more, and forgets those that are gone for longest
// when they are many. A backend's share of the total stays.
func (b *Book) Sweep() {
	if len(b.last) == 0 {
		return
	}
	b.turn++
	here := map[key]bool{}
	for _, rows := range b.last {
		for k := range rows {
			here[k.base()] = true
		}
	}
	for k := range b.sums {
		if _, gone := b.gone[k]; !here[k] && !gone {
			b.gone[k] = b.turn
		}
	}
	if len(b.gone) <= maxGone {
		return
	}
	order := slices.SortedFunc(maps.Keys(b.gone), func(j, k key) int { return cmp.Or(cmp.Compare(b.gone[j], b.gone[k]), j.compare(k)) })
	for _, k := range order[:len(order)-maxGone] {
		delete(b.gone, k)
		delete(b.sums, k)
	}
}

func (b *Book) add(k key, more haproxy.Counters) {
	base := k.base()
	delete(b.gone, base)
	b.sums[base] = plus(b.sums[base], more)
	if k.kind == haproxy.StatBackend {
		b.total = plus(b.total, more)
	}
}

// Figures gives the sums of what some worker has, with servers or without.
func (b *Book) Figures(servers bool) Figures {
	f := Figures{Since: b.since, Total: Row{Counters: b.total}, Frontends: map[string]Row{}, Pools: map[string]Row{}, Servers: map[string]map[string]Row{}}
	open := map[key]Row{}
	for _, rows := range b.last {
		for k, r := range rows {
			o := open[k.base()]
			o.Open, o.Queued = o.Open+r.Open, o.Queued+r.Queued
			open[k.base()] = o
		}
	}
	for k, sum := range b.sums {
		if _, gone := b.gone[k]; gone {
			continue
		}
		row := open[k]
		row.Counters = sum
		switch k.kind {
		case haproxy.StatFrontend:
			f.Frontends[k.proxy] = row
		case haproxy.StatBackend:
			f.Pools[k.proxy] = row
			f.Total.Open, f.Total.Queued = f.Total.Open+row.Open, f.Total.Queued+row.Queued
		case haproxy.StatServer:
			if !servers {
				continue
			}
			if f.Servers[k.proxy] == nil {
				f.Servers[k.proxy] = map[string]Row{}
			}
			f.Servers[k.proxy][k.name] = row
		}
	}
	return f
}

// since gives what was counted between two readings of one row.
func since(before, now haproxy.Counters) haproxy.Counters {
	var more haproxy.Counters
	for i := range now {
		if now[i] < before[i] {
			return now
		}
		more[i] = now[i] - before[i]
	}
	return more
}

func plus(a, b haproxy.Counters) haproxy.Counters {
	for i := range a {
		a[i] += b[i]
	}
	return a
}
