package server

import (
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
)

// collected is a collector out of a function.
type collected func(chan<- prometheus.Metric)

func (collected) Describe(chan<- *prometheus.Desc)       {}
func (c collected) Collect(out chan<- prometheus.Metric) { c(out) }

func TestCertificatesTellWhenTheyEnd(t *testing.T) {
	at := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	certificate := func(name string, info *weir.CertificateInfo) *weir.Object {
		return &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: name}, Spec: &weir.Certificate{Info: info}}
	}
	view := weir.NewSet(
		certificate("www", &weir.CertificateInfo{NotAfter: at}),
		certificate("gone", &weir.CertificateInfo{NotAfter: at}),
		certificate("unread", nil),
		certificate("authority", &weir.CertificateInfo{NotAfter: at.Add(time.Hour)}),
	)
	view.Delete(weir.Ref{Kind: "Certificate", Name: "gone"})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collected(func(out chan<- prometheus.Metric) { expiries(view, out) }))
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "weir_certificate_expiry_timestamp_seconds" {
		t.Fatalf("%v: %v", families, err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	want := map[string]float64{"www": float64(at.Unix()), "authority": float64(at.Unix() + 3600)}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestPartnersAreShownCertificatesThatEnd: by service, those that it is shown and no others.
func TestPartnersAreShownCertificatesThatEnd(t *testing.T) {
	at := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	view := weir.NewSet(
		&weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: "ours"}, Spec: &weir.Certificate{Info: &weir.CertificateInfo{NotAfter: at}}},
		&weir.Object{Kind: "Partner", Metadata: weir.Metadata{Name: "example"}, Spec: &weir.Partner{Endpoints: []weir.PartnerEndpoint{
			{Environment: "prod", Service: "www", TLS: &weir.PartnerTLS{ClientCertificate: "ours"}},
			{Environment: "prod", Service: "files", TLS: &weir.PartnerTLS{CA: "ours"}},
			{Environment: "prod", Service: "mail", TLS: &weir.PartnerTLS{ClientCertificate: "missing"}},
			{Environment: "prod", Service: "old", Plain: true},
		}}},
	)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collected(func(out chan<- prometheus.Metric) { shownToPartners(view, out) }))
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("%v: %v", families, err)
	}
	m := families[0].GetMetric()[0]
	var labels []string
	for _, l := range m.GetLabel() {
		labels = append(labels, l.GetValue())
	}
	if got := strings.Join(labels, " "); got != "ours prod example www" || m.GetGauge().GetValue() != float64(at.Unix()) {
		t.Errorf("%s until %v", got, m.GetGauge().GetValue())
	}
}

// TestABadFigureHarmsNoOther: what is told twice is left out and logged, and all else is there.
func TestABadFigureHarmsNoOther(t *testing.T) {
	good := prometheus.NewDesc("weir_good", "Told once.", nil, nil)
	bad := prometheus.NewDesc("weir_bad", "Told twice.", nil, nil)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collected(func(out chan<- prometheus.Metric) {
		for _, d := range []*prometheus.Desc{good, bad, bad} {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, 7)
		}
	}))
	var log bytes.Buffer
	page := metricsPage(registry, slog.New(slog.NewTextHandler(&log, nil)))
	for _, want := range []string{"weir_good 7", `promhttp_metric_handler_errors_total{cause="gathering"} 1`} {
		got := httptest.NewRecorder()
		page.ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), want) {
			t.Errorf("%d without %q:\n%s", got.Code, want, got.Body)
		}
	}
	if !strings.Contains(log.String(), "weir_bad") {
		t.Errorf("the log says %q", log.String())
	}
}
