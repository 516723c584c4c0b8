package main

import (
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir"
)

// renewal NAME STATE [MINUTES FAILURES ERROR] says how it stands with the next one of a certificate.
func renewal(ts *testscript.TestScript, _ bool, args []string) {
	r := &weir.Renewal{State: args[1], Why: "two thirds of its life are over", IssuedAt: theNow.Add(-time.Hour)}
	if len(args) > 2 {
		minutes, err := strconv.Atoi(args[2])
		ts.Check(err)
		r.At = theNow.Add(time.Duration(minutes) * time.Minute)
	}
	if len(args) > 4 {
		failures, err := strconv.Atoi(args[3])
		ts.Check(err)
		r.Failures, r.Error = failures, args[4]
	}
	planeOf(ts).status.set(func(s *standIn) {
		if s.renewals == nil {
			s.renewals = map[string]*weir.Renewal{}
		}
		s.renewals[args[0]] = r
	})
}

// certificate is what is so of a certificate, nil for other objects; s.mu is held.
func (s *standIn) certificate(o *weir.Object) *weir.CertificateStatus {
	spec, ok := o.Spec.(*weir.Certificate)
	if !ok {
		return nil
	}
	view := s.store.View()
	status := &weir.CertificateStatus{Renewal: s.renewals[o.Metadata.Name]}
	if status.Renewal == nil && spec.Issuer != "" {
		status.Renewal = &weir.Renewal{State: weir.RenewalDue, Why: "it is the first"}
	}
	for from := range view.Referrers(o.Ref()) {
		status.Uses, status.UsedBy = status.Uses+1, append(status.UsedBy, from.String())
	}
	for g := range view.All("LoadBalancerGroup") {
		part := weir.ServedGroup{Name: g.Metadata.Name}
		for lb := range view.ReferrersOf("LoadBalancer", g.Ref()) {
			if part.Of++; s.lags[lb.Name] == "" {
				part.Ready++
			} else {
				part.Missing = append(part.Missing, lb.Name)
			}
		}
		status.Groups = append(status.Groups, part)
	}
	return status
}

// issuer is what is so of an issuer, nil for other objects; s.mu is held.
func (s *standIn) issuer(o *weir.Object) *weir.IssuerStatus {
	if o.Kind != "Issuer" {
		return nil
	}
	status := &weir.IssuerStatus{Certificates: map[string]int{}}
	if o.Spec.(*weir.Issuer).ACME != nil {
		status.Budgets = []weir.IssuerBudget{
			{Limit: "orders in 3h", Of: 300, Used: 3},
			{Limit: "orders in 7 days by domain", Of: 50, Used: 50, By: "shop.example.com", Free: theNow.Add(50 * time.Hour)},
		}
	}
	for ref := range s.store.View().ReferrersOf("Certificate", o.Ref()) {
		r := s.renewals[ref.Name]
		if r == nil {
			r = &weir.Renewal{State: weir.RenewalDue}
		}
		status.Certificates[r.State]++
		switch {
		case r.State == weir.RenewalScheduled:
			status.Next, status.NextName, status.IssuedAt = r.At, ref.Name, r.IssuedAt
		case r.Error != "":
			status.Error, status.FailedName, status.FailedAt = r.Error, ref.Name, theNow.Add(-3*time.Minute)
		}
	}
	return status
}
