package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"weir"
)

// shownDesc is of what partners are shown; what they show comes from the logs of calls.
var shownDesc = prometheus.NewDesc("weir_partner_client_certificate_expiry_timestamp_seconds", "When the certificate ends that a partner is shown, in seconds since 1970.",
	[]string{"partner", "environment", "service", "certificate"}, nil)

// shownToPartners gives when our certificates end, by the services that are shown them.
func shownToPartners(view *weir.Set, out chan<- prometheus.Metric) {
	for o := range view.All("Partner") {
		for _, e := range o.Spec.(*weir.Partner).Endpoints {
			if e.TLS == nil || e.TLS.ClientCertificate == "" {
				continue
			}
			if c := weir.Find[weir.Certificate](view, "Certificate", e.TLS.ClientCertificate); c != nil && c.Info != nil {
				out <- prometheus.MustNewConstMetric(shownDesc, prometheus.GaugeValue, float64(c.Info.NotAfter.Unix()), o.Metadata.Name, e.Environment, e.Service, e.TLS.ClientCertificate)
			}
		}
	}
}
