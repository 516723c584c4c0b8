package main

import (
	"context"

	"weir"
	"weir/internal/api"
)

// Restored implements api.RestoreSource.
func (s *standIn) Restored() *api.Restored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restored
}

// RestorePlan implements api.RestoreSource: the first load balancer would change, the last is not known.
func (s *standIn) RestorePlan(context.Context) (api.RestorePlan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := api.RestorePlan{Restored: *s.restored, Strangers: s.strangers, Same: []string{}, Unknown: []api.RestoreUnknown{}}
	var names []string
	for o := range s.store.View().All("LoadBalancer") {
		names = append(names, o.Metadata.Name)
	}
	p.Certificates = []api.RestoreCertificate{{Name: "www", Issuer: "le", Serial: "4d2", Now: api.CertificateOther}, {Name: "shop", Serial: "10e1", Now: api.CertificateNone}}
	for i, name := range names {
		lb := weir.Find[weir.LoadBalancer](s.store.View(), "LoadBalancer", name)
		switch i {
		case 0:
			p.Plan.LoadBalancers = append(p.Plan.LoadBalancers, api.LoadBalancerPlan{
				Name: name, Group: lb.Group, Zone: lb.Zone, Version: "3.4.7",
				Commands:  []string{"set server web-az1/web-az1-018 state maint", "del server web-az1/web-az1-018"},
				Sentences: []string{"remove server web-az1-018 from Pool/web-az1"},
			})
		case len(names) - 1:
			p.Unknown = append(p.Unknown, api.RestoreUnknown{Name: name, Group: lb.Group, Zone: lb.Zone, Why: "its agent has not come to this control plane since the restore"})
		default:
			p.Same = append(p.Same, name)
		}
	}
	return p, nil
}

// AcceptRestore implements api.RestoreSource.
func (s *standIn) AcceptRestore(_ context.Context, by, reason string) (api.Restored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.restored
	next.Held, next.AcceptedBy, next.Reason = false, by, reason
	s.restored = &next
	return next, nil
}
