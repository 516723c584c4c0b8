package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count requests by route, so that no client can make new series.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	streams  prometheus.Gauge
}

func newMetrics(to prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_api_requests_total", Help: "API requests by method, route and status.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_api_request_seconds", Help: "Time to answer an API request, streams left out.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"method", "route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_api_streams", Help: "Streams open now."}),
	}
	if to != nil {
		to.MustRegister(m.requests, m.seconds, m.streams)
	}
	return m
}

func (m *metrics) done(c *call, took time.Duration) {
	method := c.route.method
	if method == "" {
		method = "other"
	}
	m.requests.WithLabelValues(method, c.route.pattern, strconv.Itoa(c.w.status)).Inc()
	if !c.streamed {
		m.seconds.WithLabelValues(method, c.route.pattern).Observe(took.Seconds())
	}
}
