package series

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	begin  = time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)
	bounds = []int64{1, 2, 5, 10, 100, 1000}
)

func figure(t testing.TB, kind, name string) Figure {
	t.Helper()
	f, ok := Named(kind, name)
	if !ok {
		t.Fatalf("%s has no figure %s", kind, name)
	}
	return f
}

// What was added over any stretches of time is there again, all of it, in whatever points it is asked for.
func TestSumsAreAsAdded(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	s := New(bounds, begin)
	columns := []Column{Requests2xx, Requests5xx, BytesOut, Bucket(TotalTime, 3), Sum(HandshakeTime)}
	sums := map[Column]uint64{}
	now, from := begin, begin
	for now.Before(begin.Add(Kept - 2*time.Minute)) {
		now = now.Add(time.Duration(1+random.IntN(40_000)) * time.Millisecond)
		s.Advance(now)
		var d Dense
		for _, c := range columns {
			if random.IntN(3) > 0 {
				d[c] = random.Uint64N(1 << random.IntN(40))
				sums[c] += d[c]
			}
		}
		s.Add("Site/www", from, now, d.Values())
		s.Know("Site/www", from, now)
		from = now
	}
	now = now.Add(time.Minute)
	for _, step := range []time.Duration{Step, time.Minute, 10 * time.Minute} {
		r := Range{From: begin, Step: step, Points: int(Kept / step)}
		for _, c := range columns {
			total := 0.0
			for p, v := range s.Query("Site/www", []Figure{{sum: []Column{c}}}, r, now)[0] {
				if !Known(v) {
					continue
				}
				known := 0
				for at := begin.Add(time.Duration(p) * step); at.Before(begin.Add(time.Duration(p+1) * step)); at = at.Add(Step) {
					if at.Before(from) {
						known++
					}
				}
				total += v * float64(known) * Step.Seconds()
			}
			if math.Abs(total-float64(sums[c])) > 1e-6*float64(sums[c]) {
				t.Errorf("steps of %s, column %d: %f of %d", step, c, total, sums[c])
			}
		}
	}
}

// What comes evenly is even, and a stretch is spread over the steps that it touches.
func TestAddsAreSpread(t *testing.T) {
	t.Parallel()
	s := New(bounds, begin)
	s.Know("Pool/web", begin, begin.Add(time.Minute))
	s.Add("Pool/web", begin.Add(5*time.Second), begin.Add(25*time.Second), Values{{Requests2xx, 200}})
	got := s.Query("Pool/web", []Figure{figure(t, "Pool", "requests")}, Range{begin, Step, 7}, begin.Add(time.Hour))[0]
	if want := []float64{5, 10, 5, 0, 0, 0}; !slices.Equal(got[:6], want) || Known(got[6]) {
		t.Errorf("%v, want %v and an unknown one", got, want)
	}
	s.Advance(begin.Add(20 * time.Minute))
	s.Add("Pool/web", begin, begin.Add(time.Second), Values{{Requests2xx, 10}})
	late := s.Query("Pool/web", []Figure{{sum: []Column{Requests2xx}}}, Range{begin, time.Hour, 1}, begin.Add(time.Hour))[0]
	if late[0]*60 != 210 {
		t.Errorf("with what came late %f, want 210", late[0]*60)
	}
}

// A clock that was wrong for a while leaves neither a hole after it nor anything twice.
func TestClockIsSetBack(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{2 * time.Minute, 10 * time.Minute, 24 * time.Hour} {
		s, now, from := New(bounds, begin), begin, begin
		play := func(until time.Time) {
			for now.Before(until) {
				now = now.Add(5 * time.Second)
				s.Advance(now)
				s.Know("Site/www", from, now)
				s.Add("Site/www", from, now, Values{{Requests2xx, 50}})
				from = now
			}
		}
		play(begin.Add(20 * time.Minute))
		now = now.Add(ahead)
		play(begin.Add(20*time.Minute + ahead + 3*time.Minute))
		now = begin.Add(20 * time.Minute) // three minutes ago, in truth
		s.Advance(now)
		back, lost := now, now.Add(-settles*Step)
		play(begin.Add(30 * time.Minute))
		got := s.Query("Site/www", []Figure{{sum: []Column{Requests2xx}}}, Range{begin, Step, 180}, now)[0]
		for p, v := range got[:len(got)-1] {
			at := begin.Add(time.Duration(p) * Step)
			kept := !at.Before(back) || at.Before(lost) && ahead < 20*time.Minute
			if kept && at != back && v != 10 || Known(v) && (v < 0 || v > 10) && at != back {
				t.Errorf("%s ahead: at %s %f requests a second", ahead, at.Sub(begin), v)
			}
		}
	}
	// What was counted while the clock was set back is counted.
	s := New(bounds, begin)
	for _, until := range []time.Time{begin.Add(20 * time.Second), begin.Add(21 * time.Second)} {
		s.Know("Pool/web", begin, begin.Add(time.Minute))
		s.Add("Pool/web", begin.Add(50*time.Second), until, Values{{Requests2xx, 300}})
	}
	if got := s.Query("Pool/web", []Figure{{sum: []Column{Requests2xx}}}, Range{begin, time.Minute, 1}, begin.Add(time.Hour))[0][0] * 60; got != 600 {
		t.Errorf("%f requests, want 600", got)
	}
}

// Nothing is not zero: of what was not seen, or has not come in yet, nothing is known.
func TestUnknownIsNotZero(t *testing.T) {
	t.Parallel()
	s := New(bounds, begin)
	requests, ratio, p95, open, memory := figure(t, "LoadBalancer", "requests"), figure(t, "LoadBalancer", "errorRatio"), figure(t, "LoadBalancer", "p95"), figure(t, "LoadBalancer", "connections.open"), figure(t, "LoadBalancer", "memory.used")
	list := []Figure{requests, ratio, p95, open, memory}
	const lb = "LoadBalancer/lb1"
	s.Know(lb, begin.Add(20*time.Second), begin.Add(50*time.Second))
	s.Add(lb, begin.Add(20*time.Second), begin.Add(30*time.Second), Values{{Requests2xx, 9}, {Requests5xx, 1}, {Bucket(TotalTime, 2), 10}})
	s.Measure(lb, begin.Add(21*time.Second), Values{{Open, 3}, {MemoryUsed, 1 << 30}})
	got := s.Query(lb, list, Range{begin, Step, 5}, begin.Add(55*time.Second))
	nan := math.NaN()
	for i, want := range [][]float64{{nan, nan, 1, 0, nan}, {nan, nan, 0.1, nan, nan}, {nan, nan, 4.85, nan, nan}, {nan, nan, 3, 0, nan}, {nan, nan, 1 << 30, nan, nan}} {
		if fmt.Sprint(got[i]) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", list[i].Name, got[i], want)
		}
	}
	if got := s.Query("Site/none", []Figure{requests}, Range{begin, Step, 1}, begin.Add(time.Hour)); Known(got[0][0]) {
		t.Errorf("of a site that nobody told of %v is known", got)
	}
}

// Counters that began anew count whole, measures don't count at all.
func TestSince(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ was, now, want Values }{
		{Values{{Requests2xx, 5}, {Open, 9}}, Values{{Requests2xx, 8}, {Open, 2}}, Values{{Requests2xx, 3}, {Open, 2}}},
		{Values{{Requests2xx, 5}, {BytesIn, 4}}, Values{{Requests2xx, 8}, {BytesIn, 3}}, Values{{Requests2xx, 8}, {BytesIn, 3}}},
		{Values{{Requests2xx, 5}}, Values{{Requests2xx, 5}}, Values{}},
		{nil, Values{{Requests2xx, 5}}, Values{{Requests2xx, 5}}},
	} {
		if got := c.now.Since(c.was); !slices.Equal(got, c.want) {
			t.Errorf("%v since %v: %v, want %v", c.now, c.was, got, c.want)
		}
	}
}

// However long a range is and wherever it lies, only steps are looked at that may be kept, and others are not taken for them.
func TestRangesAreBounded(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	s := New(bounds, begin)
	s.Know("Site/www", begin, begin.Add(time.Minute))
	s.Add("Site/www", begin, begin.Add(time.Minute), Values{{Requests2xx, 600}})
	now := begin.Add(30 * time.Minute)
	around := begin.Unix() + 1<<32*int64(Step/time.Second) // where numbers of steps of 32 bits come around again
	for name, c := range map[string]struct {
		r     Range
		known int
	}{
		"400 days":      {Range{begin.Add(-400 * day).Add(time.Minute), day, 400}, 1},
		"long ago":      {Range{begin.Add(-400 * day), day, 100}, 0},
		"the last hour": {Range{begin, Step, 360}, 6},
		"to come":       {Range{begin.Add(day), day, 400}, 0},
		"centuries":     {Range{time.Unix(around, 0), Step, 360}, 0},
	} {
		if _, first, last := c.r.steps(now); int64(last)-int64(first) > int64(hour)+settles {
			t.Errorf("%s: steps %d to %d are looked at", name, first, last)
		}
		n := 0
		for _, v := range s.Query("Site/www", []Figure{figure(t, "Site", "requests")}, c.r, now)[0] {
			if Known(v) {
				n++
			}
		}
		if n != c.known {
			t.Errorf("%s: %d points are known, want %d", name, n, c.known)
		}
	}
}

// A server is told of by pool, and in all its pools together.
func TestServersOfPools(t *testing.T) {
	t.Parallel()
	s := New(bounds, begin)
	for _, pool := range []string{"web", "api"} {
		name := "Pool/" + pool + "/Server/a"
		s.Know(name, begin, begin.Add(Step))
		s.Add(name, begin, begin.Add(Step), Values{{Requests2xx, 20}})
		s.Measure(name, begin, Values{{Open, 4}})
	}
	list := []Figure{figure(t, "Server", "requests"), figure(t, "Server", "connections.open")}
	for name, want := range map[string][2]float64{"Server/a": {4, 8}, "Pool/web/Server/a": {2, 4}} {
		got := s.Query(name, list, Range{begin, Step, 1}, begin.Add(time.Minute))
		if got[0][0] != want[0] || got[1][0] != want[1] {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	s.Advance(begin.Add(2 * Kept))
	s.Advance(begin.Add(3 * Kept))
	if left := s.Objects(); len(left)+len(s.places) != 0 {
		t.Errorf("after hours %v and %v are left", left, s.places)
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"Fleet": "Fleet", "Site/www": "Site", "Pool/web/Server/a": "Server", "Server/a": "Server", "Pool/web": "Pool", "LoadBalancer/l": "LoadBalancer", "": "", "Fleet/x": "", "Site/": "", "Pool//Server/a": "", "Pool/a/Server/": "", "Zone/az1": "", "Site/www/Server/a": ""} {
		if got := KindOf(name); got != want {
			t.Errorf("%q is a %q, want %q", name, got, want)
		}
	}
}

// Figures have names of their own, words, and units that the console knows.
func TestFigures(t *testing.T) {
	t.Parallel()
	units := []string{"1/s", "B/s", "B", "ms", "share", ""}
	for _, kind := range Kinds() {
		seen := map[string]bool{}
		for _, f := range FiguresOf(kind) {
			if seen[f.Name] || !slices.Contains(units, f.Unit) || !strings.HasSuffix(f.Doc, ".") && !strings.HasSuffix(f.Doc, "longer.") {
				t.Errorf("%s: %+v", kind, f)
			}
			seen[f.Name] = true
		}
		if !seen["requests"] || !seen["errorRatio"] {
			t.Errorf("%s has no requests or share of errors", kind)
		}
	}
}

// fill plays an hour of a large fleet.
func fill(s *Store, sites, pools, servers, lbs int, busy float64) time.Time {
	random := rand.New(rand.NewPCG(3, 4))
	now := begin
	timings := func(d *Dense, list ...Column) {
		for _, timing := range list {
			for i := range 8 {
				d[Bucket(timing, 2+i)] = 1 + random.Uint64N(300)
			}
			d[Sum(timing)] = random.Uint64N(1 << 16)
		}
	}
	one := func(name string, site, timed bool) {
		s.Know(name, now, now.Add(Step))
		if random.Float64() >= busy {
			return
		}
		var d Dense
		d[Requests2xx], d[Requests4xx], d[BytesIn], d[BytesOut], d[Connections] = random.Uint64N(3000), random.Uint64N(40), random.Uint64N(1<<20), random.Uint64N(1<<26), random.Uint64N(3000)
		if timed {
			timings(&d, TotalTime, ResponseTime, QueueTime, ConnectTime)
		}
		if site {
			d[TLS12], d[TLS13], d[Handshakes], d[Resumed] = random.Uint64N(1000), random.Uint64N(2000), random.Uint64N(500), random.Uint64N(300)
			timings(&d, HandshakeTime)
		}
		s.Add(name, now, now.Add(Step), d.Values())
		s.Measure(name, now, Values{{Open, random.Uint64N(30)}})
	}
	for range int(Kept / Step) {
		s.Advance(now)
		for i := range sites {
			one(fmt.Sprint("Site/site-", i), true, true)
		}
		for i := range pools {
			one(fmt.Sprint("Pool/pool-", i), false, true)
		}
		for i := range servers {
			one(fmt.Sprintf("Pool/pool-%d/Server/server-%d", i%max(pools, 1), i), false, false)
		}
		for i := range lbs {
			one(fmt.Sprint("LoadBalancer/lb-", i), true, true)
		}
		now = now.Add(Step)
	}
	return now
}

// BenchmarkMemory tells what an hour of 10,000 servers, 1,000 sites, 1,000 pools and 50 load balancers takes.
func BenchmarkMemory(b *testing.B) {
	for _, busy := range []float64{0.02, 0.3, 1} {
		b.Run(fmt.Sprintf("busy=%.2f", busy), func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				s := New(bounds, begin)
				now := fill(s, 1000, 1000, 10_000, 50, busy)
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
				start := time.Now()
				for i := range 1000 {
					s.Minute(fmt.Sprint("Site/site-", i), now)
				}
				b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms/1000-minutes")
				start = time.Now()
				for i := range 50 {
					s.Summary(fmt.Sprint("Site/site-", i), now)
				}
				b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms/50-sparks")
			}
		})
	}
}
