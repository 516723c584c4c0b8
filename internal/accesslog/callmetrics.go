package accesslog

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// callDescs are the series of calls to partners.
type callDescs struct {
	requests, errors, refused, retries, reused, bytesIn, bytesOut *prometheus.Desc
	total, connect, tls, firstByte                                *prometheus.Desc
	presented                                                     *prometheus.Desc
}

func newCallDescs(desc func(name, help string, variable ...string) *prometheus.Desc) callDescs {
	of := func(name, help string, more ...string) *prometheus.Desc {
		return desc(name, help, append([]string{"site", "client", "partner", "environment", "service", "sla"}, more...)...)
	}
	return callDescs{
		requests:  of("calls_total", "Calls of applications to partners that were let through, by status class.", "class"),
		errors:    of("call_errors_total", "Calls to partners that failed, by whose fault it was.", "fault"),
		refused:   of("calls_refused_total", "Calls to partners that were refused, by why and by which EgressRule.", "reason", "rule"),
		retries:   of("call_retries_total", "Attempts of calls to partners that were made again."),
		reused:    of("calls_reused_total", "Calls to partners over a connection of an earlier call."),
		bytesIn:   of("call_received_bytes_total", "Bytes of calls that came from applications."),
		bytesOut:  of("call_sent_bytes_total", "Bytes of calls that went to applications."),
		total:     of("call_duration_seconds", "Duration of calls to partners."),
		connect:   of("call_connect_seconds", "Time that a new connection to a partner took before TLS, by the kernel's figure."),
		tls:       of("call_tls_seconds", "Time that TLS took on a new connection to a partner."),
		firstByte: of("call_first_byte_seconds", "Time until a partner began to answer, from the connection on."),
		presented: desc("partner_certificate_expiry_timestamp_seconds", "When the certificate ends that a partner showed in the last day, the first of its addresses.",
			"partner", "environment", "service"),
	}
}

func (d *callDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.requests, d.errors, d.refused, d.retries, d.reused, d.bytesIn, d.bytesOut, d.total, d.connect, d.tls, d.firstByte, d.presented}
}

func (d *callDescs) collect(counts *Counts, out chan<- prometheus.Metric) {
	for i := range counts.Calls {
		d.call(&counts.Calls[i], out)
	}
	for _, r := range counts.RefusedCalls {
		out <- prometheus.MustNewConstMetric(d.refused, prometheus.CounterValue, float64(r.Requests), r.labels(r.Reason, r.Rule)...)
	}
	first := map[string]time.Time{}
	for _, p := range counts.Presented {
		if was, ok := first[p.Service]; !ok || p.Until.Before(was) {
			first[p.Service] = p.Until
		}
	}
	for name, until := range first {
		partner, environment, service := partsOf(name)
		out <- prometheus.MustNewConstMetric(d.presented, prometheus.GaugeValue, float64(until.Unix()), partner, environment, service)
	}
}

func (k CallKey) labels(more ...string) []string {
	partner, environment, service := k.Partner()
	return append([]string{k.Site, k.Client, partner, environment, service, k.SLA}, more...)
}

func (d *callDescs) call(c *Call, out chan<- prometheus.Metric) {
	count := func(desc *prometheus.Desc, n uint64, more ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), c.labels(more...)...)
	}
	var sum Class
	for i, class := range c.Classes {
		sum.add(class)
		if class.Requests > 0 {
			count(d.requests, class.Requests, ClassName(i))
		}
	}
	count(d.bytesIn, sum.BytesIn)
	count(d.bytesOut, sum.BytesOut)
	count(d.errors, c.Faults.Client, "client")
	count(d.errors, c.Faults.Weir, "weir")
	count(d.errors, c.Faults.Partner, "partner")
	count(d.retries, c.Retries)
	count(d.reused, c.Reused)
	for _, t := range []struct {
		of   *Histogram
		desc *prometheus.Desc
	}{{&c.Total, d.total}, {&c.Connect, d.connect}, {&c.TLS, d.tls}, {&c.FirstByte, d.firstByte}} {
		if t.of.Count() > 0 {
			out <- t.of.metric(t.desc, coarse, c.labels()...)
		}
	}
}
