package accesslog

import "github.com/prometheus/client_golang/prometheus"

// Collector shows counts to Prometheus. Series appear with the first request of theirs.
type Collector struct {
	source func() Counts

	requests, bytesIn, bytesOut, errors, retries, redispatches *prometheus.Desc
	total, response, queue, connect, handshake                 *prometheus.Desc
	tlsRequests, handshakes                                    *prometheus.Desc
	limited, aborts, diverted                                  *prometheus.Desc
	lines, dropped, overflowed, connections                    *prometheus.Desc
	calls                                                      callDescs
}

// NewCollector returns a collector that asks source at every scrape and puts the labels on
// all that it shows, as to tell load balancers apart.
func NewCollector(source func() Counts, labels prometheus.Labels) *Collector {
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("weir_"+name, help, variable, labels)
	}
	return &Collector{
		source:       source,
		requests:     desc("requests_total", "Requests, or tcp connections (class none), by status class.", "site", "pool", "zone", "class"),
		bytesIn:      desc("received_bytes_total", "Bytes that came from clients.", "site", "pool", "zone", "class"),
		bytesOut:     desc("sent_bytes_total", "Bytes that went to clients.", "site", "pool", "zone", "class"),
		errors:       desc("request_errors_total", "Requests and connections that ended early, by who caused it.", "site", "pool", "zone", "cause"),
		retries:      desc("request_retries_total", "Attempts to reach a server that were repeated.", "site", "pool", "zone"),
		redispatches: desc("request_redispatches_total", "Requests that ended on another server than the first.", "site", "pool", "zone"),
		total:        desc("request_duration_seconds", "Duration of requests from their first byte to the end, or of tcp connections.", "site", "pool", "zone"),
		response:     desc("response_time_seconds", "Time that servers took to begin their answer.", "site", "pool", "zone"),
		queue:        desc("queue_time_seconds", "Time that requests waited for a server's slot.", "site", "pool", "zone"),
		connect:      desc("connect_time_seconds", "Time that connections to servers took.", "site", "pool", "zone"),
		handshake:    desc("tls_handshake_seconds", "Time that TLS handshakes of clients took, until the first request could come.", "site", "pool", "zone"),
		tlsRequests:  desc("tls_requests_total", "Requests over TLS, by version.", "site", "pool", "zone", "version"),
		handshakes:   desc("tls_handshakes_total", "TLS handshakes of clients after which a request came: whole ones, and those that resumed a session.", "site", "pool", "zone", "resumed"),
		limited:      desc("rate_limited_total", "Requests and connections that were over a rate limit: answered with a page (soft), closed (hard), or in shadow mode only counted.", "site", "rate_limit", "level", "mode"),
		aborts:       desc("split_aborts_total", "How often a Split took out a leg that failed.", "site", "split", "backend"),
		diverted:     desc("split_diverted_total", "Requests that went to the first leg of a Split because their own, backend, is out.", "site", "split", "backend"),
		lines:        desc("accesslog_lines_total", "Log lines of HAProxy that were counted."),
		dropped:      desc("accesslog_dropped_total", "Log lines that were not counted: lost on the way, malformed, or foreign (without the token).", "reason"),
		overflowed:   desc("accesslog_overflowed_total", "Log lines counted under site other because there were too many series."),
		connections:  desc("connection_errors_total", "Connections that ended before any request, as by a failed TLS handshake."),
		calls:        newCallDescs(desc),
	}
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.requests, c.bytesIn, c.bytesOut, c.errors, c.retries, c.redispatches, c.total, c.response, c.queue, c.connect,
		c.handshake, c.tlsRequests, c.handshakes, c.limited, c.aborts, c.diverted,
		c.lines, c.dropped, c.overflowed, c.connections,
	} {
		out <- d
	}
	for _, d := range c.calls.all() {
		out <- d
	}
}

// Collect sends the metrics of one snapshot.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	counts := c.source()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	counter(c.lines, counts.Lines)
	counter(c.dropped, counts.Lost, "lost")
	counter(c.dropped, counts.Malformed, "malformed")
	counter(c.dropped, counts.Foreign, "foreign")
	counter(c.overflowed, counts.Overflowed)
	counter(c.connections, counts.ConnectionErrors)
	for _, l := range counts.Limited {
		counter(c.limited, l.Soft, l.Site, l.RateLimit, "soft", "enforce")
		counter(c.limited, l.Hard, l.Site, l.RateLimit, "hard", "enforce")
		counter(c.limited, l.ShadowSoft, l.Site, l.RateLimit, "soft", "shadow")
		counter(c.limited, l.ShadowHard, l.Site, l.RateLimit, "hard", "shadow")
	}
	for _, d := range counts.Diverted {
		counter(c.aborts, d.Aborts, d.Site, d.Split, d.Backend)
		counter(c.diverted, d.Diverts, d.Site, d.Split, d.Backend)
	}
	c.calls.collect(&counts, out)
	for i := range counts.Series {
		s := &counts.Series[i]
		c.collectSeries(s, counter)
		out <- s.Total.metric(c.total, 1, s.Site, s.Pool, s.Zone)
		for _, t := range []struct {
			of    *Histogram
			desc  *prometheus.Desc
			every int
		}{{&s.Response, c.response, 1}, {&s.Queue, c.queue, coarse}, {&s.Connect, c.connect, coarse}, {&s.Handshake, c.handshake, coarse}} {
			if t.of.Count() > 0 {
				out <- t.of.metric(t.desc, t.every, s.Site, s.Pool, s.Zone)
			}
		}
	}
}

func (c *Collector) collectSeries(s *Series, counter func(*prometheus.Desc, uint64, ...string)) {
	for i, n := range s.Classes {
		if n.Requests == 0 {
			continue
		}
		counter(c.requests, n.Requests, s.Site, s.Pool, s.Zone, ClassName(i))
		counter(c.bytesIn, n.BytesIn, s.Site, s.Pool, s.Zone, ClassName(i))
		counter(c.bytesOut, n.BytesOut, s.Site, s.Pool, s.Zone, ClassName(i))
	}
	counter(c.errors, s.Errors.Client, s.Site, s.Pool, s.Zone, "client")
	counter(c.errors, s.Errors.Server, s.Site, s.Pool, s.Zone, "server")
	counter(c.errors, s.Errors.Proxy, s.Site, s.Pool, s.Zone, "proxy")
	counter(c.retries, s.Retries, s.Site, s.Pool, s.Zone)
	counter(c.redispatches, s.Redispatches, s.Site, s.Pool, s.Zone)
	for _, v := range []struct {
		version string
		n       uint64
	}{{"1.0", s.TLS.V10}, {"1.1", s.TLS.V11}, {"1.2", s.TLS.V12}, {"1.3", s.TLS.V13}} {
		if v.n > 0 {
			counter(c.tlsRequests, v.n, s.Site, s.Pool, s.Zone, v.version)
		}
	}
	if s.TLS.Handshakes > 0 {
		counter(c.handshakes, s.TLS.Handshakes-min(s.TLS.Resumed, s.TLS.Handshakes), s.Site, s.Pool, s.Zone, "no")
		counter(c.handshakes, s.TLS.Resumed, s.Site, s.Pool, s.Zone, "yes")
	}
}

// coarse is of how many buckets one is shown, where all of them would be more series than they are worth.
const coarse = 3

// metric returns the histogram as Prometheus wants it: cumulative, in seconds, with one of so many bounds.
func (h *Histogram) metric(d *prometheus.Desc, every int, labels ...string) prometheus.Metric {
	var below uint64
	buckets := make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		below += h.Buckets[i]
		if i%every == 0 {
			buckets[float64(bound)/1000] = below
		}
	}
	return prometheus.MustNewConstHistogram(d, h.Count(), float64(h.SumMS)/1000, buckets, labels...)
}
