package server

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/api"
	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/series"
	"weir/internal/tally"
)

// annalsBed feeds annals with reports that it makes up.
type annalsBed struct {
	t       *testing.T
	annals  *annals
	now     time.Time
	reports map[string]link.Reported
}

func newAnnalsBed(t *testing.T) *annalsBed {
	b := &annalsBed{t: t, now: time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC), reports: map[string]link.Reported{}}
	believed := func(lb string) func(weir.Ref) bool {
		return func(ref weir.Ref) bool { return lb != "liar" && ref.Name != "gone" }
	}
	b.annals = newAnnals(nil, believed, func() time.Time { return b.now })
	return b
}

// report lets time pass and a load balancer report what it has counted.
func (b *annalsBed) report(lb string, after time.Duration, counts accesslog.Counts, figures tally.Figures) {
	b.t.Helper()
	b.now = b.now.Add(after)
	rep := link.Reported{Name: lb, At: b.now}
	if lb != "lb2" { // whose agent is of the version before
		rows := link.Reported{}
		rows.Counts, _ = json.Marshal(counts)
		rep.Traffic = trafficOf(rows)
		counts.Series = nil
	}
	var err error
	if rep.Counts, err = json.Marshal(counts); err != nil {
		b.t.Fatal(err)
	}
	if rep.Figures, err = json.Marshal(figures); err != nil {
		b.t.Fatal(err)
	}
	b.reports[lb] = rep
	b.annals.take(b.reports, b.now)
}

// sum gives how much of a rate there was in the last ten minutes.
func (b *annalsBed) sum(object, figure string) float64 {
	b.t.Helper()
	now := b.now.Add(time.Minute)
	q := api.SeriesQuery{Objects: []string{object}, Figures: []string{figure}, From: b.now.Add(-10 * time.Minute).Truncate(10 * time.Second), Step: 10 * time.Second, Points: 70}
	before := b.now
	b.now = now
	s, err := b.annals.Series(b.t.Context(), q)
	b.now = before
	if err != nil || len(s.Of) != 1 {
		b.t.Fatalf("%+v %v", s, err)
	}
	var all float64
	for _, v := range s.Of[0].Figures[figure] {
		if !math.IsNaN(float64(v)) {
			all += float64(v) * 10
		}
	}
	return math.Round(all)
}

func logOf(site, pool string, ok, failed uint64) accesslog.Counts {
	s := accesslog.Series{Key: accesslog.Key{Site: site, Pool: pool, Zone: "az1"}}
	s.Classes[2], s.Classes[5] = accesslog.Class{Requests: ok, BytesOut: 100 * ok}, accesslog.Class{Requests: failed}
	s.Errors.Server = failed
	s.Total.Buckets[4] = ok + failed
	return accesslog.Counts{Series: []accesslog.Series{s}}
}

func tallyOfPool(since time.Time, pool string, ok, failed uint64) tally.Figures {
	row := tally.Row{Open: 3, Counters: haproxy.Counters{haproxy.Requests: ok + failed, haproxy.Responses2xx: ok, haproxy.Responses5xx: failed, haproxy.Sessions: ok + failed}}
	front := row
	front.Counters[haproxy.TLSHandshakes], front.Counters[haproxy.TLSResumed] = 10, 4
	return tally.Figures{
		Since: since, Total: row, Frontends: map[string]tally.Row{"https-443": front, "tcp-25": {Counters: haproxy.Counters{haproxy.Sessions: ok}}},
		Pools: map[string]tally.Row{pool: row}, Servers: map[string]map[string]tally.Row{pool: {"a": row}},
	}
}

// What several load balancers count over restarts of their agents is added up by object; what was before is nobody's, and a
// load balancer says nothing of what it does not have.
func TestAnnalsAddUpReports(t *testing.T) {
	t.Parallel()
	b := newAnnalsBed(t)
	begin := b.now
	for _, lb := range []string{"lb1", "lb2", "liar"} {
		b.report(lb, time.Second, logOf("www", "web", 1000, 100), tallyOfPool(begin, "web", 1000, 100))
	}
	for _, lb := range []string{"lb1", "lb2", "liar"} {
		b.report(lb, 7*time.Second, logOf("www", "web", 1600, 110), tallyOfPool(begin, "web", 1600, 110))
	}
	// lb1's agent is new, and counts from zero, by now more than before; HAProxy's counters go on.
	anew := logOf("www", "web", 1650, 111)
	anew.Since = b.now
	b.report("lb1", 8*time.Second, anew, tallyOfPool(begin, "web", 1650, 111))
	// lb2's folder is new, and its counters too.
	b.report("lb2", 8*time.Second, logOf("www", "web", 1700, 120), tallyOfPool(b.now, "web", 70, 2))
	gone := logOf("gone", "gone", 5, 0)
	gone.Since = anew.Since
	b.report("lb1", 8*time.Second, gone, tallyOfPool(begin, "web", 1650, 111))
	for of, want := range map[string]float64{
		"Site/www requests": 1200 + 20 + 1761 + 110, "Site/www requests.5xx": 20 + 111 + 10, "Site/www errors.server": 20 + 111 + 10, "Site/www bytes.out": 100 * (1200 + 1650 + 100),
		"Pool/web requests.2xx": 1200 + 50 + 70, "Pool/web/Server/a requests.2xx": 1200 + 50 + 70, "Pool/web errors.server": 141,
		"LoadBalancer/lb2 requests.2xx": 600 + 70, "LoadBalancer/lb2 requests.none": 600 + 70,
		"LoadBalancer/liar requests.2xx": 600, "Fleet requests.2xx": 1800 + 50 + 70, "Site/gone requests": 0,
		"LoadBalancer/lb1 tls.handshakes": 0, "LoadBalancer/lb2 tls.handshakes": 10,
	} {
		var object, figure string
		_, _ = fmt.Sscan(of, &object, &figure)
		if got := b.sum(object, figure); got != want {
			t.Errorf("%s: %.0f, want %.0f", of, got, want)
		}
	}
	b.now = b.now.Add(30 * time.Second)
	all := b.annals.Traffic("Site/www", "Pool/web", "Server/a", "Site/gone", "Zone/az1")
	if www := all["Site/www"]; len(all) != 3 || www.Requests <= 0 || www.P95MS <= 5 || www.P95MS > 7 || len(www.Spark) != 30 || all["Server/a"].Requests <= 0 {
		t.Errorf("%+v", all)
	}
	if minute := b.annals.Minute("Site/www")["Site/www"]; minute.Requests != all["Site/www"].Requests || minute.Spark != nil {
		t.Errorf("%+v", minute)
	}
	delete(b.reports, "lb2")
	b.annals.take(b.reports, b.now)
	if b.annals.heard["lb2"] != nil {
		t.Error("a load balancer that is gone is remembered")
	}
}

// Percentiles of figures over time are those of the access log.
func TestPercentilesAreThoseOfTheLog(t *testing.T) {
	t.Parallel()
	b := newAnnalsBed(t)
	b.report("lb1", time.Second, accesslog.Counts{}, tally.Figures{})
	counts := logOf("www", "web", 0, 0)
	s := &counts.Series[0]
	s.Classes[2].Requests = 1000
	for i := range s.Total.Buckets {
		s.Total.Buckets[i] = uint64(i * i % 17)
	}
	b.report("lb1", 10*time.Second, counts, tally.Figures{})
	b.now = b.now.Add(30 * time.Second)
	got := float64(b.annals.Minute("Site/www")["Site/www"].P95MS)
	if want := s.Total.Quantile(0.95).Seconds() * 1000; math.Abs(got-want) > 0.01*want {
		t.Errorf("p95 is %f, want %f", got, want)
	}
}

// How machines are off is told of each and of all together; what they count begins anew with the machine.
func TestAnnalsOfMachines(t *testing.T) {
	t.Parallel()
	b := newAnnalsBed(t)
	idle := 0
	tell := func(lb string, after time.Duration, user, free uint64) {
		b.now = b.now.Add(after)
		b.reports[lb] = link.Reported{Name: lb, At: b.now, Report: link.Report{Reloads: link.ReloadReport{Count: int(user / 1000)}, Machine: &link.MachineReport{
			CPU: link.CPUTime{User: user, Idle: free}, MemoryUsed: 6 << 30, MemoryTotal: 8 << 30, Received: user, Load: 1.5, HAProxyIdle: &idle,
		}}}
		b.annals.take(b.reports, b.now)
	}
	tell("lb1", 0, 5000, 95_000)
	tell("lb2", 0, 5000, 95_000)
	tell("lb1", 10*time.Second, 8000, 102_000) // 30 %
	tell("lb2", 0, 1000, 9000)                 // started anew, 10 %
	tell("lb1", 10*time.Second, 8000, 102_000)
	tell("lb1", 5*time.Second, 8000, 112_000)
	b.now = b.now.Add(10 * time.Second)
	for of, want := range map[string]float64{
		"LoadBalancer/lb1 cpu": 0.3, "LoadBalancer/lb2 cpu": 0.1, "Fleet cpu": 0.2, "LoadBalancer/lb1 network.in": 300,
		"LoadBalancer/lb1 memory.used": 6 << 30, "Fleet memory.total": 16 << 30, "Fleet load": 3, "LoadBalancer/lb1 haproxy.idle": 0,
		"LoadBalancer/lb1 reloads": 0.3,
	} {
		var object, figure string
		_, _ = fmt.Sscan(of, &object, &figure)
		s, err := b.annals.Series(t.Context(), api.SeriesQuery{Objects: []string{object}, Figures: []string{figure}, From: b.now.Add(-35 * time.Second), Step: 10 * time.Second, Points: 2})
		if err != nil {
			t.Fatal(err)
		}
		got := float64(s.Of[0].Figures[figure][0])
		if object == "Fleet" && figure != "cpu" { // before, lb2 had not reported yet
			got = float64(s.Of[0].Figures[figure][1])
		}
		if math.Abs(got-want) > 1e-4*want || math.IsNaN(got) {
			t.Errorf("%s: %f, want %f", of, got, want)
		}
	}
}

// What a running machine takes back of what it has counted is nothing; one that began anew counts from zero.
func TestMachineCountersGoBack(t *testing.T) {
	t.Parallel()
	before := link.MachineReport{CPU: link.CPUTime{User: 9_000_000, Idle: 90_000_000, Wait: 500}, Received: 7 << 40, Sent: 3 << 40}
	for name, c := range map[string]struct {
		now  link.MachineReport
		want series.Values
	}{
		"waits were taken back": {
			link.MachineReport{CPU: link.CPUTime{User: 9_000_100, Idle: 90_000_900, Wait: 490}, Received: 7<<40 + 5, Sent: 3<<40 + 6},
			series.Values{{Column: series.CPUUser, N: 100}, {Column: series.CPUIdle, N: 900}, {Column: series.NetworkIn, N: 5}, {Column: series.NetworkOut, N: 6}},
		},
		"an interface is gone": {
			link.MachineReport{CPU: link.CPUTime{User: 9_000_100, Idle: 90_000_900, Wait: 500}, Received: 1 << 40, Sent: 1 << 40},
			series.Values{{Column: series.CPUUser, N: 100}, {Column: series.CPUIdle, N: 900}},
		},
		"it began anew": {
			link.MachineReport{CPU: link.CPUTime{User: 100, Idle: 900}, Received: 5},
			series.Values{{Column: series.CPUUser, N: 100}, {Column: series.CPUIdle, N: 900}, {Column: series.NetworkIn, N: 5}},
		},
	} {
		if got := machineGrown(&c.now, &before); !slices.Equal(got, c.want) {
			t.Errorf("%s: it has counted %v, want %v", name, got, c.want)
		}
	}
}
