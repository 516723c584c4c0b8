package server

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/internal/accesslog"
)

var (
	readyDesc    = prometheus.NewDesc("weir_loadbalancer_ready", "1 when the load balancer was read back to have what is wanted.", []string{"group", "loadbalancer", "zone"}, nil)
	heardDesc    = prometheus.NewDesc("weir_loadbalancer_reachable", "1 when the agent was heard lately.", []string{"group", "loadbalancer", "zone"}, nil)
	reloadsDesc  = prometheus.NewDesc("weir_loadbalancer_reloads_total", "Reloads of HAProxy since its agent began.", []string{"group", "loadbalancer", "zone"}, nil)
	heldDesc     = prometheus.NewDesc("weir_loadbalancer_quarantined", "Resources that HAProxy refuses.", []string{"group", "loadbalancer", "zone"}, nil)
	driftDesc    = prometheus.NewDesc("weir_loadbalancer_drift", "Things at the load balancer that another hand has changed and that are so still.", []string{"group", "loadbalancer", "zone"}, nil)
	undoneDesc   = prometheus.NewDesc("weir_loadbalancer_drift_undone_total", "Changes by other hands that were undone since the agent began.", []string{"group", "loadbalancer", "zone"}, nil)
	waveDesc     = prometheus.NewDesc("weir_wave_halted", "1 when a wave of the group has gone back or was stopped, and waits for somebody.", []string{"group"}, nil)
	revisionDesc = prometheus.NewDesc("weir_revision", "The newest change that is compiled.", nil, nil)
)

// metricsPage shows what is registered. A figure that can't be told takes no other one with it: whoever watches would be
// blind on the day that matters. It is logged, and counted as promhttp_metric_handler_errors_total.
func metricsPage(r *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), Registry: r,
	})
}

// Describe says nothing, since the series depend on the fleet: the registry takes what Collect gives.
func (f *fleet) Describe(chan<- *prometheus.Desc) {}

// Collect gives the state of the fleet and the counters of the access logs.
func (f *fleet) Collect(out chan<- prometheus.Metric) {
	status, groups := f.standing()
	out <- prometheus.MustNewConstMetric(revisionDesc, prometheus.GaugeValue, float64(status.Revision))
	for _, g := range status.Groups {
		out <- prometheus.MustNewConstMetric(waveDesc, prometheus.GaugeValue, one(halted(g.Waves)), g.Name)
		ticketFigures(g.Name, g.TicketKeys, out)
		f.uncoveredFigure(groups[g.Name], out)
		for i := range g.LoadBalancers {
			lb := &g.LoadBalancers[i]
			labels := []string{g.Name, lb.Name, lb.Zone}
			out <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, one(lb.Ready), labels...)
			out <- prometheus.MustNewConstMetric(heardDesc, prometheus.GaugeValue, one(lb.Reachable), labels...)
			out <- prometheus.MustNewConstMetric(reloadsDesc, prometheus.CounterValue, float64(lb.Reloads.Count), labels...)
			out <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, float64(lb.Quarantined), labels...)
			out <- prometheus.MustNewConstMetric(unservedDesc, prometheus.GaugeValue, float64(unserved(lb)), labels...)
			differs, undone := 0, uint64(0)
			if lb.Drift != nil {
				differs, undone = lb.Drift.Total, lb.Drift.Undone
			}
			out <- prometheus.MustNewConstMetric(driftDesc, prometheus.GaugeValue, float64(differs), labels...)
			out <- prometheus.MustNewConstMetric(undoneDesc, prometheus.CounterValue, float64(undone), labels...)
		}
	}
	f.certificateFigures(out)
	shownToPartners(f.store.View(), out)
	f.sourceFigures(out)
	f.admissionFigures(groups, out)
	reports := f.hub.Reports().All()
	collectFigures(reports, maxFigureSeries, out)
	collectMachines(reports, out)
	for name, rep := range reports {
		if counts, ok := countsOf(rep); ok {
			accesslog.NewCollector(func() accesslog.Counts { return counts }, prometheus.Labels{"loadbalancer": name}).Collect(out)
		}
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
