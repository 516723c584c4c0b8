package server

import (
	"slices"
	"strings"
	"time"

	"weir/internal/accesslog"
	"weir/internal/haproxy"
	"weir/internal/series"
	"weir/internal/tally"
)

// tallied is what HAProxy counted, by objects.
type tallied struct {
	// since is when all counters were zero.
	since  time.Time
	counts map[string]series.Values
	open   map[string]series.Values
}

// tallyColumns are the columns of HAProxy's counters; what is left out here is told elsewhere.
var tallyColumns = map[haproxy.Counter]series.Column{
	haproxy.Sessions:        series.Connections,
	haproxy.BytesIn:         series.BytesIn,
	haproxy.BytesOut:        series.BytesOut,
	haproxy.Responses1xx:    series.Requests1xx,
	haproxy.Responses2xx:    series.Requests2xx,
	haproxy.Responses3xx:    series.Requests3xx,
	haproxy.Responses4xx:    series.Requests4xx,
	haproxy.Responses5xx:    series.Requests5xx,
	haproxy.ResponsesOther:  series.RequestsNone,
	haproxy.DeniedRequests:  series.Denied,
	haproxy.DeniedResponses: series.Denied,
	haproxy.ConnectErrors:   series.ConnectErrors,
	haproxy.ResponseErrors:  series.ResponseErrors,
	haproxy.Retries:         series.Retries,
	haproxy.Redispatches:    series.Redispatches,
	haproxy.CheckFailures:   series.CheckFailures,
	haproxy.ChecksDown:      series.ChecksDown,
	haproxy.TLSHandshakes:   series.Handshakes,
	haproxy.TLSResumed:      series.Resumed,
	haproxy.TLSFailures:     series.HandshakeFailures,
}

func put(into *series.Dense, r tally.Row) {
	requests := uint64(0)
	for c, n := range r.Counters {
		if column, ok := tallyColumns[haproxy.Counter(c)]; ok {
			into[column] += n
		}
		if c >= int(haproxy.Responses1xx) && c <= int(haproxy.ResponsesOther) || c == int(haproxy.Requests) {
			requests += n
		}
	}
	if requests == 0 { // of mode tcp: each session is what a request is elsewhere
		into[series.RequestsNone] += r.Counters[haproxy.Sessions]
	}
}

func openOf(r tally.Row) series.Values {
	var d series.Dense
	d[series.Open], d[series.Queued] = r.Open, r.Queued
	return d.Values()
}

// tallyOf gives what HAProxy counted by objects. A load balancer is what its frontends count, and what pools count that
// frontends don't.
func tallyOf(lb string, f tally.Figures) tallied {
	t := tallied{since: f.Since, counts: map[string]series.Values{}, open: map[string]series.Values{}}
	var front series.Dense
	sessions := tally.Row{Queued: f.Total.Queued}
	for _, r := range f.Frontends {
		put(&front, r)
		sessions.Open += r.Open
	}
	for _, c := range []haproxy.Counter{haproxy.ConnectErrors, haproxy.ResponseErrors, haproxy.Retries, haproxy.Redispatches} {
		front[tallyColumns[c]] = f.Total.Counters[c]
	}
	t.counts["LoadBalancer/"+lb], t.open["LoadBalancer/"+lb] = front.Values(), openOf(sessions)
	for pool, r := range f.Pools {
		var d series.Dense
		put(&d, r)
		d[series.ChecksDown] = 0
		for _, s := range f.Servers[pool] {
			d[series.CheckFailures] += s.Counters[haproxy.CheckFailures]
			d[series.ChecksDown] += s.Counters[haproxy.ChecksDown]
		}
		t.counts["Pool/"+pool], t.open["Pool/"+pool] = d.Values(), openOf(r)
	}
	for pool, servers := range f.Servers {
		for name, r := range servers {
			var d series.Dense
			put(&d, r)
			object := "Pool/" + pool + "/Server/" + name
			t.counts[object], t.open[object] = d.Values(), openOf(r)
		}
	}
	return t
}

// logged gives what the access log counted as columns.
func logged(s *accesslog.Series) series.Values {
	var d series.Dense
	for i, c := range s.Classes {
		d[series.RequestsNone+series.Column(i)] = c.Requests
		d[series.BytesIn] += c.BytesIn
		d[series.BytesOut] += c.BytesOut
	}
	d[series.ErrorsClient], d[series.ErrorsServer], d[series.ErrorsProxy] = s.Errors.Client, s.Errors.Server, s.Errors.Proxy
	d[series.Retries], d[series.Redispatches] = s.Retries, s.Redispatches
	for timing, h := range map[series.Column]*accesslog.Histogram{series.TotalTime: &s.Total, series.ResponseTime: &s.Response} {
		for i, n := range h.Buckets {
			d[series.Bucket(timing, i)] = n
		}
		d[series.Sum(timing)] = h.SumMS
	}
	return d.Values()
}

// ofPools and ofFronts are what only the access log knows of pools, and of load balancers; all else HAProxy counts itself,
// and loses nothing of it while no agent listens.
var (
	ofPools  = []series.Column{series.ErrorsClient, series.ErrorsServer, series.ErrorsProxy}
	ofFronts = slices.Concat(ofPools, []series.Column{series.TLS10, series.TLS11, series.TLS12, series.TLS13})
)

// only gives the columns listed, and timings.
func only(all series.Values, columns []series.Column) series.Values {
	var list series.Values
	for _, v := range all {
		if v.Column >= series.TotalTime || slices.Contains(columns, v.Column) {
			list = append(list, v)
		}
	}
	return list
}

// cutObject takes a name such as Pool/web/Server/a apart.
func cutObject(object string) (kind, name, member string) {
	kind, name, _ = strings.Cut(object, "/")
	name, member, _ = strings.Cut(name, "/Server/")
	return kind, name, member
}
