package certs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/acme"
)

// TestOutlook goes through how it can stand with the next certificate.
func TestOutlook(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	issuer := &weir.Issuer{Type: "acme", KeyRef: &weir.SealedRef{}, ACME: &weir.ACME{Challenge: "http-01"}}
	first := &weir.Certificate{Issuer: "i", Names: []string{"a.example"}, KeyType: "ecdsa-256"}
	have := func(age time.Duration) *weir.Certificate {
		return &weir.Certificate{Issuer: "i", Names: []string{"a.example"}, KeyType: "ecdsa-256", Info: &weir.CertificateInfo{
			Names: []string{"a.example"}, KeyType: "ECDSA 256", Serial: "1", NotBefore: now.Add(-age), NotAfter: now.Add(90*day - age),
		}}
	}
	gone := have(10 * day)
	gone.Revoked = &weir.Revocation{At: now, Reason: "cessationOfOperation"}
	failed := func(spec *weir.Certificate, ago time.Duration) Record {
		of := Digest(spec, issuer)
		return Record{Of: of, Failure: "no answer", Retries: acme.Retries{Of: of, Failures: 3, Last: now.Add(-ago)}}
	}
	for name, c := range map[string]struct {
		spec   *weir.Certificate
		r      Record
		orphan bool
		want   weir.Renewal
		in     [2]time.Duration // At is between; both 0 for none
		due    time.Duration    // Due is about; 0 for none
	}{
		"good":             {spec: have(10 * day), r: Record{Serial: "1", At: now.Add(-day)}, want: weir.Renewal{State: weir.RenewalScheduled, IssuedAt: now.Add(-day)}, in: [2]time.Duration{47 * day, 53 * day}, due: 50 * day},
		"another's record": {spec: have(10 * day), r: Record{Serial: "0", At: now.Add(-day)}, want: weir.Renewal{State: weir.RenewalScheduled}, in: [2]time.Duration{47 * day, 53 * day}, due: 50 * day},
		"old":              {spec: have(70 * day), want: weir.Renewal{State: weir.RenewalDue}, due: -10 * day},
		"the first":        {spec: first, want: weir.Renewal{State: weir.RenewalDue}},
		"no issuer":        {spec: first, orphan: true, want: weir.Renewal{State: weir.RenewalStuck}},
		"failed":           {spec: have(70 * day), r: failed(have(70*day), 0), want: weir.Renewal{State: weir.RenewalFailing, Failures: 3, Error: "no answer"}, in: [2]time.Duration{3 * time.Minute, 5 * time.Minute}, due: -10 * day},
		"failed long ago":  {spec: first, r: failed(first, time.Hour), want: weir.Renewal{State: weir.RenewalFailing, Failures: 3, Error: "no answer"}},
		"changed since":    {spec: first, r: failed(have(day), 0), want: weir.Renewal{State: weir.RenewalDue, Failures: 3, Error: "no answer"}},
		"a limit":          {spec: first, r: Record{Of: Digest(first, issuer), Waits: "300 orders", WaitsTo: now.Add(time.Hour)}, want: weir.Renewal{State: weir.RenewalWaiting, Why: "300 orders"}, in: [2]time.Duration{time.Hour, time.Hour}},
		"ordered":          {spec: first, r: Record{Of: Digest(first, issuer), Order: &acme.Order{State: acme.Validating}, Failure: "a hiccup"}, want: weir.Renewal{State: weir.RenewalOrdering, Why: "the authority looks at the answers", Error: "a hiccup"}},
		"given up":         {spec: gone, r: Record{Told: []string{"1"}}, want: weir.Renewal{State: weir.RenewalNone}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			by := issuer
			if c.orphan {
				by = nil
			}
			got := Outlook("www", c.spec, by, &c.r, now)
			if got.State != c.want.State || got.Failures != c.want.Failures || got.Error != c.want.Error || !got.IssuedAt.Equal(c.want.IssuedAt) || c.want.Why != "" && got.Why != c.want.Why {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
			switch at := got.At.Sub(now); {
			case c.in == [2]time.Duration{}:
				if !got.At.IsZero() {
					t.Errorf("at %s", got.At)
				}
			case at < c.in[0] || at > c.in[1]:
				t.Errorf("in %s; want %s", at, c.in)
			}
			if off := got.Due.Sub(now) - c.due; (c.due == 0) != got.Due.IsZero() || c.due != 0 && off.Abs() > 4*day {
				t.Errorf("due %s, %s from what is wanted", got.Due, off)
			}
		})
	}
}

func TestBudgetsOfAnIssuer(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	spec := &weir.Issuer{ACME: &weir.ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory", Budget: &weir.Budget{Certificates: 2, Per: weir.Duration(time.Hour)}}}
	budget := acme.Budget{}
	for _, names := range [][]string{{"a.shop.example"}, {"b.shop.example"}, {"other.example"}} {
		budget = budget.Spend(now, limitsOf(spec.ACME), names, acme.Fresh)
	}
	raw, err := json.Marshal(account{Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	a, err := ReadAccount(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := []weir.IssuerBudget{
		{Limit: "orders in 3h", Of: 300, Used: 3},
		{Limit: "orders in 7 days by domain", Of: 50, Used: 2, By: "shop.example"},
		{Limit: "orders in 7 days by names", Of: 5, Used: 1},
		{Limit: "refusals in 1h by name", Of: 5},
		{Limit: "orders in 1h", Of: 2, Used: 3, Free: now.Add(time.Hour + time.Second)},
	}
	for i, b := range a.Budgets(spec, now) {
		if b != want[i] {
			t.Errorf("%+v\nwant %+v", b, want[i])
		}
	}
	if list := (*Account)(nil).Budgets(spec, now); len(list) != len(want) || list[0].Used != 0 {
		t.Errorf("of an account that has spent nothing: %+v", list)
	}
	if list := a.Budgets(&weir.Issuer{CA: &weir.PrivateCA{}}, now); len(list) > 0 {
		t.Errorf("of an authority of our own: %+v", list)
	}
	if _, err := ReadAccount([]byte("x")); err == nil || !strings.Contains(err.Error(), "account") {
		t.Errorf("%v", err)
	}
}
