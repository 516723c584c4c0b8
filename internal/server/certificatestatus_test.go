package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/acme"
	"weir/internal/api"
	"weir/internal/certs"
	"weir/internal/store"
)

// TestOrdersAreCounted: what was before the server began is not counted, nor the same twice.
func TestOrdersAreCounted(t *testing.T) {
	t.Parallel()
	begin := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	o := newOrders(begin)
	var was *certs.Record
	for _, r := range []certs.Record{
		{Serial: "1", At: begin.Add(-time.Hour), Retries: acme.Retries{Failures: 2, Last: begin.Add(-time.Minute)}},
		{Serial: "1", At: begin.Add(-time.Hour), Retries: acme.Retries{Failures: 3, Last: begin.Add(time.Minute)}},
		{Serial: "1", At: begin.Add(-time.Hour), Retries: acme.Retries{Failures: 3, Last: begin.Add(time.Minute)}, Order: &acme.Order{}},
		{Serial: "2", At: begin.Add(time.Hour)},
		{Serial: "2", At: begin.Add(time.Hour), RenewalOf: "2"},
	} {
		o.count("le", was, &r)
		was = &r
	}
	if got := o.counted("le"); got != (orderCounts{issued: 1, failed: 1}) {
		t.Errorf("%+v", got)
	}
	if got := o.counted("other"); got != (orderCounts{}) {
		t.Errorf("%+v", got)
	}
}

// TestIssuersAndTheirCertificatesTellHowTheyAre looks at status and metrics of one that failed and one that is good.
func TestIssuersAndTheirCertificatesTellHowTheyAre(t *testing.T) {
	t.Parallel()
	s, f := newTestFleet(t)
	now := time.Now()
	put := func(text string) weir.Write { return weir.Write{Put: decoded(t, text)} }
	if _, err := s.Apply(t.Context(), store.Request{Author: "ann", Writes: []weir.Write{
		put("kind: Role\nmetadata: {name: web}"),
		put("kind: Issuer\nmetadata: {name: le}\nspec: {type: acme, acme: {directory: \"https://le.example/\", budget: {certificates: 4, per: 1h}}}"),
		put("kind: Certificate\nmetadata: {name: www, role: web}\nspec: {issuer: le, names: [www.example.com]}"),
	}}); err != nil {
		t.Fatal(err)
	}
	issuer := weir.Find[weir.Issuer](s.View(), "Issuer", "le").KeyRef
	if issuer != nil {
		t.Fatal("the store made a key")
	}
	status := f.Status(s.View().Get(weir.Ref{Kind: "Certificate", Name: "www"}))
	if status.Certificate.Renewal.State != weir.RenewalStuck || status.Certificate.DaysLeft != nil || status.Issuer != nil {
		t.Errorf("%+v", status.Certificate)
	}
	if got := f.Fleet().NotIssued; len(got) != 1 || got[0].Object != "Certificate/www" || got[0].Message != "Issuer/le is not there" {
		t.Errorf("not issued: %+v", got)
	}
	record := &certs.Record{Failure: "no answer", Retries: acme.Retries{Failures: 3, Last: now}}
	summary := &weir.IssuerStatus{Certificates: map[string]int{}}
	outlookInto(summary, "www", weir.Renewal{State: weir.RenewalFailing, Error: record.Failure, Failures: 3}, record)
	outlookInto(summary, "b", weir.Renewal{State: weir.RenewalScheduled, At: now.Add(2 * time.Hour), IssuedAt: now}, &certs.Record{})
	outlookInto(summary, "a", weir.Renewal{State: weir.RenewalScheduled, At: now.Add(time.Hour), IssuedAt: now.Add(-time.Hour)}, &certs.Record{})
	outlookInto(summary, "c", weir.Renewal{State: weir.RenewalFailing, Error: "older"}, &certs.Record{Retries: acme.Retries{Last: now.Add(-time.Hour)}})
	if summary.NextName != "a" || !summary.IssuedAt.Equal(now) || summary.FailedName != "www" || summary.Error != "no answer" || summary.Certificates[weir.RenewalFailing] != 2 {
		t.Errorf("%+v", summary)
	}
	got := gathered(t, func(out chan<- prometheus.Metric) {
		issuerFigures("le", summary, []weir.IssuerBudget{{Limit: "orders in 1h", Of: 4, Used: 1}, {Limit: "orders in 3h", Of: 4, Used: 5}}, 2, orderCounts{7, 3}, out)
	})
	for name, want := range map[string]string{
		"weir_certificates Failing": "2", "weir_certificates Scheduled": "2", "weir_certificates Due": "0", "weir_certificates_overdue": "2",
		"weir_certificate_orders_total issued": "7", "weir_certificate_orders_total failed": "3",
		"weir_issuer_budget_left orders in 1h": "3", "weir_issuer_budget_left orders in 3h": "0", "weir_issuer_budget orders in 1h": "4",
		"weir_issuer_last_success_timestamp_seconds": fmt.Sprint(float64(now.Unix())),
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	// The fleet's own series have the same names.
	all := gathered(t, f.certificateFigures)
	if all["weir_certificates Stuck"] != "1" || all["weir_issuer_budget_left orders in 1h"] != "4" || all["weir_issuer_last_success_timestamp_seconds"] != "0" {
		t.Errorf("%v", all)
	}
}

// TestAnOrderSaysAtOnceWhatItWaitsFor: a name that no site has is told of while the order waits for it to be answered.
func TestAnOrderSaysAtOnceWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	s, f := newTestFleet(t)
	put := func(text string) weir.Write { return weir.Write{Put: decoded(t, text)} }
	if _, err := s.Apply(t.Context(), store.Request{Author: "ann", Writes: []weir.Write{
		put("kind: Role\nmetadata: {name: web}"),
		put("kind: Issuer\nmetadata: {name: le}\nspec: {type: acme, acme: {directory: \"https://le.example/\"}}"),
		put("kind: Certificate\nmetadata: {name: www, role: web}\nspec: {issuer: le, names: [nobody.example.com]}"),
	}}); err != nil {
		t.Fatal(err)
	}
	const want = "awaited: no load balancer that can be reached serves nobody.example.com and speaks http at port 80"
	for state, says := range map[acme.State]bool{acme.Begun: false, acme.Presenting: true, acme.Validating: false} {
		f.orders.records["www"] = &certs.Record{Order: &acme.Order{
			State: state, Challenge: acme.HTTP01,
			Authorizations: []acme.Authorization{{Name: "nobody.example.com", Token: "T1", KeyAuthorization: "T1.print"}},
		}}
		status := f.Status(s.View().Get(weir.Ref{Kind: "Certificate", Name: "www"}))
		at := slices.IndexFunc(status.Conditions, func(c weir.Condition) bool { return c.Type == weir.Issued })
		if got := strings.Contains(status.Conditions[at].Message, want); got != says {
			t.Errorf("%s: %s", state, status.Conditions[at].Message)
		}
	}
}

// gathered gives values by the name of the series and the labels after the first.
func gathered(t *testing.T, collect func(chan<- prometheus.Metric)) map[string]string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collected(collect))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			words := []string{family.GetName()}
			for _, l := range m.GetLabel()[1:] {
				words = append(words, l.GetValue())
			}
			value := m.GetGauge().GetValue()
			if m.GetCounter() != nil {
				value = m.GetCounter().GetValue()
			}
			got[strings.Join(words, " ")] = fmt.Sprint(value)
		}
	}
	return got
}

func TestCertificatesThatAreNotShownAreCounted(t *testing.T) {
	t.Parallel()
	lb := &api.LoadBalancerStatus{Deviations: []api.Deviation{{Object: "Certificate/a", Reason: "NotServed"}, {Object: "Certificate/b", Reason: "NotProven"}, {Object: "Site/a", Reason: "Refused"}}}
	if n := unserved(lb); n != 1 {
		t.Errorf("%d", n)
	}
}

func TestPartsOfACertificate(t *testing.T) {
	t.Parallel()
	v := &view{ready: 3, of: 5, laggards: []string{"lb1", "lb4"}}
	before := view{ready: 1, of: 2, laggards: []string{"lb1"}}
	if got := v.part("edge", before); got.Ready != 2 || got.Of != 3 || !slices.Equal(got.Missing, []string{"lb4"}) {
		t.Errorf("%+v", got)
	}
}
