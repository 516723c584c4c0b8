package server

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/tally"
)

// maxFigureSeries bounds how many series of HAProxy's own counters one scrape gives. Beyond it first servers are left
// out, then pools, by the names of the load balancers.
const maxFigureSeries = 200_000

// figureDescs are the series of one kind of row.
type figureDescs struct{ counts, sessions *prometheus.Desc }

func newFigureDescs(of, what string, labels ...string) figureDescs {
	desc := func(name, help, label string) *prometheus.Desc {
		return prometheus.NewDesc("weir_haproxy_"+of+name, help, slices.Concat([]string{"loadbalancer"}, labels, []string{label}), nil)
	}
	return figureDescs{
		desc("counts_total", "What HAProxy itself has counted over all its workers, "+what+".", "counter"),
		desc("sessions", "Sessions open and queued when HAProxy was read last, "+what+".", "state"),
	}
}

var (
	totalFigures    = newFigureDescs("", "of all pools together")
	frontendFigures = newFigureDescs("frontend_", "by mode and port", "frontend")
	poolFigures     = newFigureDescs("pool_", "by pool", "pool")
	serverFigures   = newFigureDescs("server_", "by server", "pool", "server")
	leftOutDesc     = prometheus.NewDesc("weir_haproxy_series_left_out", "Series of pools and servers that were left out since there are too many.", nil, nil)
)

// seriesOfRow is how many series one row has.
const seriesOfRow = int(haproxy.NumCounters) + 2

func (d *figureDescs) collect(out chan<- prometheus.Metric, r tally.Row, labels ...string) {
	put := func(desc *prometheus.Desc, kind prometheus.ValueType, n uint64, last string) {
		out <- prometheus.MustNewConstMetric(desc, kind, float64(n), append(slices.Clip(labels), last)...)
	}
	put(d.sessions, prometheus.GaugeValue, r.Open, "open")
	put(d.sessions, prometheus.GaugeValue, r.Queued, "queued")
	for i, n := range r.Counters {
		put(d.counts, prometheus.CounterValue, n, haproxy.Counter(i).String())
	}
}

// collectFigures gives HAProxy's own counters of every load balancer: those of all pools together and of frontends
// always, of pools and of servers as long as there is room.
func collectFigures(reports map[string]link.Reported, room int, out chan<- prometheus.Metric) {
	names := slices.Sorted(maps.Keys(reports))
	all := make(map[string]tally.Figures, len(names))
	for _, name := range names {
		var f tally.Figures
		if raw := reports[name].Figures; len(raw) == 0 || json.Unmarshal(raw, &f) != nil {
			continue
		}
		all[name] = f
		totalFigures.collect(out, f.Total, name)
		for frontend, r := range f.Frontends {
			frontendFigures.collect(out, r, name, frontend)
		}
	}
	left := 0
	fits := func(rows int) bool {
		if rows*seriesOfRow > room {
			left += rows * seriesOfRow
			return false
		}
		room -= rows * seriesOfRow
		return true
	}
	for _, name := range names {
		if pools := all[name].Pools; fits(len(pools)) {
			for pool, r := range pools {
				poolFigures.collect(out, r, name, pool)
			}
		}
	}
	for _, name := range names {
		rows := 0
		for _, servers := range all[name].Servers {
			rows += len(servers)
		}
		if !fits(rows) {
			continue
		}
		for pool, servers := range all[name].Servers {
			for server, r := range servers {
				serverFigures.collect(out, r, name, pool, server)
			}
		}
	}
	out <- prometheus.MustNewConstMetric(leftOutDesc, prometheus.GaugeValue, float64(left))
}
