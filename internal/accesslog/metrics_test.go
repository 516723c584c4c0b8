package accesslog

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// scrape returns what Prometheus would read.
func scrape(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

func TestCollector(t *testing.T) {
	counts := counted(t, maxSeries, httpLine, replaced(`"m":"GET"`, `"hs":[3,1,1],"m":"GET"`), replaced(`"m":"GET"`, `"hs":[7,1,-],"m":"GET"`), replaced(`"m":"GET"`, `"hs":[0,0,1],"m":"GET"`),
		replaced(`"e":"--"`, `"e":"SD"`, `"r":"0"`, `"r":"2"`, `[0,1,2,33,41]`, `[0,1,2,-1,70000]`), tcpLine)
	counts.Lost, counts.Foreign, counts.Malformed, counts.Overflowed, counts.ConnectionErrors = 3, 4, 5, 6, 7
	text := scrape(t, NewCollector(func() Counts { return counts }, prometheus.Labels{"lb": "lb-1"}))
	const place = `lb="lb-1",pool="web-az1",site="www",zone="az1"`
	for _, want := range []string{
		`weir_requests_total{class="2xx",` + place + `} 5`,
		`weir_requests_total{class="none",lb="lb-1",pool="ldap",site="ldap",zone=""} 1`,
		`weir_received_bytes_total{class="2xx",` + place + `} 395`,
		`weir_sent_bytes_total{class="2xx",` + place + `} 23555`,
		`weir_request_errors_total{cause="server",` + place + `} 1`,
		`weir_request_errors_total{cause="client",` + place + `} 0`,
		`weir_request_errors_total{cause="proxy",` + place + `} 0`,
		`weir_request_retries_total{` + place + `} 2`,
		`weir_request_duration_seconds_bucket{` + place + `,le="0.03"} 0`,
		`weir_request_duration_seconds_bucket{` + place + `,le="0.05"} 4`,
		`weir_request_duration_seconds_bucket{` + place + `,le="60"} 4`,
		`weir_request_duration_seconds_bucket{` + place + `,le="+Inf"} 5`,
		`weir_request_duration_seconds_sum{` + place + `} 70.164`,
		`weir_response_time_seconds_count{` + place + `} 4`,
		`weir_queue_time_seconds_bucket{` + place + `,le="0.001"} 0`,
		`weir_queue_time_seconds_bucket{` + place + `,le="0.005"} 5`,
		`weir_connect_time_seconds_count{` + place + `} 5`,
		`weir_tls_requests_total{` + place[:len(place)-len(`,zone="az1"`)] + `,version="1.3",zone="az1"} 5`,
		`weir_tls_handshakes_total{` + place[:len(place)-len(`,site="www",zone="az1"`)] + `,resumed="no",site="www",zone="az1"} 1`,
		`weir_tls_handshakes_total{` + place[:len(place)-len(`,site="www",zone="az1"`)] + `,resumed="yes",site="www",zone="az1"} 1`,
		`weir_tls_handshake_seconds_bucket{` + place + `,le="0.005"} 1`,
		`weir_tls_handshake_seconds_count{` + place + `} 2`,
		`weir_accesslog_lines_total{lb="lb-1"} 6`,
		`weir_accesslog_dropped_total{lb="lb-1",reason="lost"} 3`,
		`weir_accesslog_dropped_total{lb="lb-1",reason="foreign"} 4`,
		`weir_accesslog_dropped_total{lb="lb-1",reason="malformed"} 5`,
		`weir_accesslog_overflowed_total{lb="lb-1"} 6`,
		`weir_connection_errors_total{lb="lb-1"} 7`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, `class="5xx"`) || strings.Contains(text, `weir_response_time_seconds_count{lb="lb-1",pool="ldap"`) {
		t.Error("shows what never happened")
	}
	if t.Failed() {
		t.Log(text)
	}
}
