package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/api"
	"weir/internal/certs"
	"weir/internal/compile"
	"weir/internal/link"
)

// Certificates have one series each, of when they end. All else is by issuer, group or load balancer, so that thousands
// of them cost no more than that; which one it is says weir get certificates.
var (
	expiryDesc     = prometheus.NewDesc("weir_certificate_expiry_timestamp_seconds", "When the certificate ends, in seconds since 1970.", []string{"certificate"}, nil)
	renewalsDesc   = prometheus.NewDesc("weir_certificates", "Certificates of the issuer, by how it stands with the next one.", []string{"issuer", "state"}, nil)
	overdueDesc    = prometheus.NewDesc("weir_certificates_overdue", "Certificates of the issuer that were to be renewed more than an hour ago.", []string{"issuer"}, nil)
	ordersDesc     = prometheus.NewDesc("weir_certificate_orders_total", "Orders of the issuer that ended since this server began, by result.", []string{"issuer", "result"}, nil)
	issuedDesc     = prometheus.NewDesc("weir_issuer_last_success_timestamp_seconds", "When the issuer gave a certificate last, in seconds since 1970; 0 when that is not known.", []string{"issuer"}, nil)
	budgetLeftDesc = prometheus.NewDesc("weir_issuer_budget_left", "How much of a limit of the issuer is left; of one by domain, where least is.", []string{"issuer", "limit"}, nil)
	budgetDesc     = prometheus.NewDesc("weir_issuer_budget", "A limit of the issuer.", []string{"issuer", "limit"}, nil)
	unservedDesc   = prometheus.NewDesc("weir_loadbalancer_certificates_unserved", "Certificates that HAProxy has and that its agent is not shown.", []string{"group", "loadbalancer", "zone"}, nil)
	uncoveredDesc  = prometheus.NewDesc("weir_group_names_without_certificate", "Host names of the group's sites that TLS clients ask for in vain.", []string{"group"}, nil)
)

// overdueAfter is how long after its moment a renewal counts as overdue.
const overdueAfter = time.Hour

// certificateFigures gives how it stands with certificates and their issuers.
func (f *fleet) certificateFigures(out chan<- prometheus.Metric) {
	set, now := f.store.View(), f.clock()
	expiries(set, out)
	for o := range set.All("Issuer") {
		name, spec := o.Metadata.Name, o.Spec.(*weir.Issuer)
		status, overdue := &weir.IssuerStatus{Certificates: map[string]int{}}, 0
		for ref := range set.ReferrersOf("Certificate", o.Ref()) {
			c, record := weir.Find[weir.Certificate](set, ref.Kind, ref.Name), f.orders.of(ref.Name)
			if c == nil {
				continue
			}
			r := certs.Outlook(ref.Name, c, spec, record, now)
			outlookInto(status, ref.Name, r, record)
			if !r.Due.IsZero() && now.Sub(r.Due) > overdueAfter {
				overdue++
			}
		}
		issuerFigures(name, status, f.orders.account(name).Budgets(spec, now), overdue, f.orders.counted(name), out)
	}
}

func issuerFigures(name string, s *weir.IssuerStatus, budgets []weir.IssuerBudget, overdue int, counts orderCounts, out chan<- prometheus.Metric) {
	put := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, more ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, append([]string{name}, more...)...)
	}
	for _, state := range weir.RenewalStates {
		put(renewalsDesc, prometheus.GaugeValue, float64(s.Certificates[state]), state)
	}
	put(overdueDesc, prometheus.GaugeValue, float64(overdue))
	put(ordersDesc, prometheus.CounterValue, float64(counts.issued), "issued")
	put(ordersDesc, prometheus.CounterValue, float64(counts.failed), "failed")
	issued := 0.0
	if !s.IssuedAt.IsZero() {
		issued = float64(s.IssuedAt.Unix())
	}
	put(issuedDesc, prometheus.GaugeValue, issued)
	for _, b := range budgets {
		put(budgetLeftDesc, prometheus.GaugeValue, float64(max(0, b.Of-b.Used)), b.Limit)
		put(budgetDesc, prometheus.GaugeValue, float64(b.Of), b.Limit)
	}
}

// expiries gives when each certificate that there is ends; one that is deleted has no series any more.
func expiries(view *weir.Set, out chan<- prometheus.Metric) {
	for o := range view.All("Certificate") {
		if info := o.Spec.(*weir.Certificate).Info; info != nil {
			out <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(info.NotAfter.Unix()), o.Metadata.Name)
		}
	}
}

// uncoveredFigure counts the host names of a group's sites that have no certificate.
func (f *fleet) uncoveredFigure(g *groupState, out chan<- prometheus.Metric) {
	set, now, names := f.store.View(), f.clock(), 0
	for i := range g.node.Sites {
		for _, gap := range compile.Gaps(set, &g.node, &g.node.Sites[i], now) {
			names += len(gap.Hosts)
		}
	}
	out <- prometheus.MustNewConstMetric(uncoveredDesc, prometheus.GaugeValue, float64(names), g.node.Group.Name)
}

// unserved counts the certificates that HAProxy has and that a client is not shown.
func unserved(lb *api.LoadBalancerStatus) (n int) {
	for _, d := range lb.Deviations {
		if d.Reason == link.NotServed {
			n++
		}
	}
	return n
}
