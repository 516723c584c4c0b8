package server

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/api"
	"weir/internal/link"
	"weir/internal/registrar"
	"weir/internal/secrets"
	"weir/internal/signin"
)

func (s *server) build(ctx context.Context) error {
	epoch, err := s.epoch(ctx)
	if err != nil {
		return err
	}
	book := newTicketBook(s.opts.Clock)
	s.hub, err = link.NewHub(link.HubOptions{
		Epoch: epoch, CA: s.ca, Registry: &registry{store: s.store, audit: s.audit, clock: s.opts.Clock, log: s.opts.Log, restored: s.Restored},
		Keys: func(ctx context.Context, certificate string, generation int64) (secrets.Secret, error) {
			return s.store.Secret(ctx, weir.Ref{Kind: "Certificate", Name: certificate}, generation)
		},
		Tickets: book, Held: s.held(), Log: s.opts.Log, Now: s.opts.Clock,
	})
	if err != nil {
		return err
	}
	s.fleet = newFleet(s.store, s.hub, s.opts)
	s.fleet.restored = s.Restored
	s.fleet.tickets, book.fleet = book, s.fleet
	s.annals = newAnnals(s.hub.Reports().All, s.fleet.believed, s.opts.Clock)
	if s.annals.prometheus, err = newPrometheusSource(s.opts.Prometheus); err != nil {
		return err
	}
	s.metrics = prometheus.NewRegistry()
	s.metrics.MustRegister(s.fleet, s.annals)
	s.registerBackups(s.metrics)
	s.registrar = registrar.New(registrar.Options{Store: s.store, CA: s.ca, Lease: s.opts.RegistrationLease, Clock: s.opts.Clock, Log: s.opts.Log})
	s.registerRegistrations(s.metrics)
	s.signIn = signin.New(signin.Options{Store: s.store, Dial: s.reach.Destinations.Dial, Audit: s.audit, Clock: s.opts.Clock, Log: s.opts.Log})
	s.checks = newCheckLog(s.opts.Clock(), s.fleet.havers)
	s.handler = api.New(api.Options{
		Store: s.store, Planner: s.fleet, Status: s.fleet, Audit: s.audit, Clock: s.opts.Clock, Logger: s.opts.Log,
		Version: s.opts.Version, CAHash: s.ca.CAHash, Metrics: s.metrics,
		Restore: s, Spool: s.opts.Dir, Waves: s.fleet, TicketKeys: book, Sources: s.fleet, Series: s.annals,
		Members: memberSource{s.store}, Registrar: s.registrar, SignIn: s.signIn,
		Logs:   errands{s.hub, s.opts.Clock},
		Tries:  errands{s.hub, s.opts.Clock},
		Checks: s.checks,
		Work:   s.fleet.work,
		CA:     &authority{ca: s.ca, store: s.store, hub: s.hub, clock: s.opts.Clock, unaware: s.registrar.Unaware},
		Ready:  func(context.Context) error { return s.fleet.ready() },
	})
	return s.fleet.load(ctx)
}
