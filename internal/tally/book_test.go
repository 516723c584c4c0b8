package tally

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/internal/haproxy"
)

// world is a fleet of workers that count, and what somebody who sees all knows: how much was counted of each thing up
// to when it was last read.
type world struct {
	t       *testing.T
	random  *rand.Rand
	book    *Book
	kept    []byte
	workers map[Worker]map[key]haproxy.Counters // what they count now
	unread  map[Worker]map[key]haproxy.Counters // since they were last read
	truth   map[key]haproxy.Counters
	total   haproxy.Counters
	shown   map[key]haproxy.Counters
	most    haproxy.Counters // of the total
	next    int
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 3)), book: NewBook(time.Unix(int64(seed), 0)),
		workers: map[Worker]map[key]haproxy.Counters{}, unread: map[Worker]map[key]haproxy.Counters{},
		truth: map[key]haproxy.Counters{}, shown: map[key]haproxy.Counters{},
	}
	w.show()
	return w
}

func pick[K comparable, V any](w *world, m map[K]V, less func(a, b K) int) (k K, ok bool) {
	if len(m) == 0 {
		return k, false
	}
	return slices.SortedFunc(maps.Keys(m), less)[w.random.IntN(len(m))], true
}

func (w *world) worker() (Worker, bool) {
	return pick(w, w.workers, func(a, b Worker) int { return a.Pid - b.Pid })
}

// start gives a worker; pids come again, as those of machines do.
func (w *world) start() {
	w.next++
	name := Worker{Pid: w.next % 5, Began: int64(w.next)}
	w.workers[name], w.unread[name] = map[key]haproxy.Counters{}, map[key]haproxy.Counters{}
	for i := range 3 {
		w.grow(name, i)
	}
}

// grow adds a pool of some generation with a server, and its port.
func (w *world) grow(name Worker, i int) {
	backend := fmt.Sprintf("pool%d.%04d", i%4, w.random.IntN(2))
	for _, k := range []key{{haproxy.StatFrontend, fmt.Sprintf("http-%d", i%3), ""}, {haproxy.StatBackend, backend, ""}, {haproxy.StatServer, backend, fmt.Sprintf("s%d.%04d", i%3, w.random.IntN(2))}} {
		if _, ok := w.workers[name][k]; !ok {
			w.workers[name][k] = haproxy.Counters{}
		}
	}
}

func (w *world) serve(name Worker) {
	for k := range w.workers[name] {
		var more haproxy.Counters
		for i := range more {
			more[i] = uint64(w.random.IntN(5))
		}
		w.workers[name][k] = plus(w.workers[name][k], more)
		w.unread[name][k] = plus(w.unread[name][k], more)
	}
}

// read is a reading of a worker, and knowing what was counted in what was asked about.
func (w *world) read(name Worker, scope Scope) {
	var rows []haproxy.CounterRow
	for k, c := range w.workers[name] {
		if !scope.holds(k) {
			continue
		}
		service := k.name
		if service == "" {
			service = "BACKEND"
		}
		rows = append(rows, haproxy.CounterRow{Proxy: k.proxy, Service: service, Type: k.kind, Counters: c})
		w.truth[k.base()] = plus(w.truth[k.base()], w.unread[name][k])
		if k.kind == haproxy.StatBackend {
			w.total = plus(w.total, w.unread[name][k])
		}
		delete(w.unread[name], k)
	}
	w.book.Read(name, rows, scope)
}

// show is keeping the book and telling what is in it, in this order.
func (w *world) show() {
	w.t.Helper()
	var err error
	if w.kept, err = json.Marshal(w.book); err != nil {
		w.t.Fatal(err)
	}
	f := w.book.Figures(true)
	seen := map[key]haproxy.Counters{}
	for name, r := range f.Frontends {
		seen[key{haproxy.StatFrontend, name, ""}] = r.Counters
	}
	for name, r := range f.Pools {
		seen[key{haproxy.StatBackend, name, ""}] = r.Counters
	}
	for pool, servers := range f.Servers {
		for name, r := range servers {
			seen[key{haproxy.StatServer, pool, name}] = r.Counters
		}
	}
	for k, c := range seen {
		if c != w.truth[k] {
			w.t.Fatalf("%+v: %v, but %v were counted", k, c, w.truth[k])
		}
		if back(w.shown[k], c) {
			w.t.Fatalf("%+v goes back from %v to %v", k, w.shown[k], c)
		}
		w.shown[k] = c
	}
	if f.Total.Counters != w.total || back(w.most, w.total) {
		w.t.Fatalf("total: %v, but %v were counted", f.Total.Counters, w.total)
	}
	w.most = w.total
	for _, rows := range w.book.last {
		for k := range rows {
			if _, ok := seen[k.base()]; !ok {
				w.t.Fatalf("%+v was read and is not shown", k)
			}
		}
	}
}

func back(before, now haproxy.Counters) bool {
	for i := range now {
		if now[i] < before[i] {
			return true
		}
	}
	return false
}

// step is anything that happens to a load balancer.
func (w *world) step() {
	name, ok := w.worker()
	if !ok || w.random.IntN(15) == 0 {
		w.start()
		return
	}
	switch w.random.IntN(9) {
	case 0, 1, 2:
		w.serve(name)
	case 3:
		w.read(name, Scope{Servers: w.random.IntN(3) > 0})
		w.book.Sweep()
	case 4: // one that was replaced has served its last connection
		w.read(name, Scope{Servers: true})
		w.end(name)
	case 5: // it dies, and takes what was not read with it
		if w.random.IntN(3) == 0 {
			w.end(name)
		}
	case 6:
		w.grow(name, w.random.IntN(12))
	case 7: // a pool is removed, and perhaps comes back at once
		k, ok := pick(w, w.workers[name], key.compare)
		if !ok || k.kind != haproxy.StatBackend {
			return
		}
		w.read(name, Scope{Backend: k.proxy, Servers: true})
		maps.DeleteFunc(w.workers[name], func(o key, _ haproxy.Counters) bool { return o.kind != haproxy.StatFrontend && o.proxy == k.proxy })
		w.book.Removed(name, k.proxy, "")
		if w.random.IntN(2) == 0 {
			w.workers[name][k] = haproxy.Counters{}
			w.serve(name)
		}
	case 8: // the agent starts anew
		w.book = NewBook(time.Time{})
		if err := json.Unmarshal(w.kept, w.book); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) end(name Worker) {
	delete(w.workers, name)
	delete(w.unread, name)
	w.book.End(name)
}

// Whatever happens, sums are what all workers together had counted when they were last read, and never go back.
func TestSumsAreWhatWasCounted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(80) {
		w := newWorld(t, seed)
		for range 150 {
			w.step()
			w.show()
		}
	}
}

func TestCountersThatBeginAnew(t *testing.T) {
	t.Parallel()
	row := func(n ...uint64) []haproxy.CounterRow {
		r := haproxy.CounterRow{Proxy: "web.abcd", Service: "BACKEND", Type: haproxy.StatBackend, Open: 2}
		copy(r.Counters[:], n)
		return []haproxy.CounterRow{r}
	}
	b, w := NewBook(time.Unix(1, 0)), Worker{7, 1}
	b.Found(w, row(1000, 5))
	b.Read(w, row(1010, 5), Scope{})
	b.Read(w, row(3, 6), Scope{}) // somebody cleared them
	if got := b.Figures(true); got.Pools["web"].Counters[0] != 13 || got.Pools["web"].Counters[1] != 6 || got.Pools["web"].Open != 2 || got.Total.Open != 2 {
		t.Errorf("%+v", got)
	}
	b.Read(Worker{7, 2}, row(1), Scope{}) // the same pid, another process
	if got := b.Figures(true).Pools["web"]; got.Counters[0] != 14 || got.Open != 4 {
		t.Errorf("%+v", got)
	}
	if b.Read(w, row(3, 6), Scope{}) {
		t.Error("nothing has moved")
	}
}

// What is gone is not shown, and is remembered should it come back, but not for ever.
func TestWhatIsGone(t *testing.T) {
	t.Parallel()
	rows := func(names ...string) (list []haproxy.CounterRow) {
		for _, name := range names {
			list = append(list, haproxy.CounterRow{Proxy: name, Service: "BACKEND", Type: haproxy.StatBackend, Counters: haproxy.Counters{5}})
		}
		return list
	}
	b, w := NewBook(time.Unix(1, 0)), Worker{7, 1}
	b.Read(w, rows("a.aaaa", "b.aaaa"), Scope{})
	b.Read(w, rows("a.aaaa"), Scope{})
	b.Sweep()
	if f := b.Figures(true); len(f.Pools) != 1 || f.Total.Counters[0] != 10 {
		t.Errorf("%+v", f)
	}
	b.Read(w, rows("a.aaaa", "b.bbbb"), Scope{})
	b.Sweep()
	if f := b.Figures(true); f.Pools["b"].Counters[0] != 10 || f.Total.Counters[0] != 15 {
		t.Errorf("%+v", f)
	}
	for i := range maxGone + 100 {
		b.Read(w, rows("a.aaaa", fmt.Sprintf("p%d.aaaa", i)), Scope{})
		b.Sweep()
	}
	if len(b.sums) > maxGone+2 || len(b.gone) > maxGone {
		t.Errorf("%d sums, %d gone", len(b.sums), len(b.gone))
	}
	if _, known := b.sums[key{haproxy.StatBackend, "b", ""}]; known {
		t.Error("what is gone for longest is remembered")
	}
	b.End(w)
	b.Sweep()
	if f := b.Figures(true); len(f.Pools) != 2 || f.Pools["a"].Counters[0] != 5 || f.Total.Counters[0] != 15+5*(maxGone+100) {
		t.Errorf("without a worker: %+v", f)
	}
}

func TestServersAreForgotten(t *testing.T) {
	t.Parallel()
	row := func(kind haproxy.StatType, proxy, service string, requests uint64) haproxy.CounterRow {
		r := haproxy.CounterRow{Type: kind, Proxy: proxy, Service: service}
		r.Counters[0] = requests
		return r
	}
	w, whole := Worker{Pid: 1, Began: 1}, Scope{Servers: true}
	rows := func(requests uint64) []haproxy.CounterRow {
		return []haproxy.CounterRow{
			row(haproxy.StatFrontend, "http", "FRONTEND", requests), row(haproxy.StatServer, "web", "a", requests),
			row(haproxy.StatBackend, "web", "BACKEND", requests),
		}
	}
	b := NewBook(time.Unix(0, 0))
	if b.Read(w, rows(5), whole); !b.ForgetServers() || b.ForgetServers() {
		t.Fatal("there was a server once")
	}
	f := b.Figures(true)
	if len(f.Servers) > 0 || f.Pools["web"].Counters[0] != 5 || f.Frontends["http"].Counters[0] != 5 || f.Total.Counters[0] != 5 {
		t.Fatalf("%+v", f)
	}
	// One that is read again has counted since its worker began; pools go on.
	b.Read(w, rows(7), whole)
	if f = b.Figures(true); f.Servers["web"]["a"].Counters[0] != 7 || f.Pools["web"].Counters[0] != 7 || f.Total.Counters[0] != 7 {
		t.Fatalf("%+v", f)
	}
}
