package server

import (
	"context"
	"net"
	"sync"
)

// leadSessions is the work of ending sessions that have lost what they rest on, which one server does.
const leadSessions = "sessions"

// once is the work that one server of the store does, by the name of its lease.
func (s *server) once() map[string]func(context.Context) error {
	work := map[string]func(context.Context) error{
		leadSweep: func(ctx context.Context) error {
			sweeper{s.store, s.opts.Clock, s.opts.Log}.run(ctx)
			return ctx.Err()
		},
		leadWaves:         s.fleet.driveWaves,
		leadSessions:      s.signIn.Tend,
		leadTickets:       s.fleet.tickets.drive,
		leadCertificates:  s.accepted(s.certificates().Run),
		leadSealing:       s.driveSealing,
		leadSources:       s.accepted(s.sources().Run),
		leadLists:         s.accepted(s.lists().Run),
		leadNames:         s.accepted(s.names().Run),
		leadRegistrations: s.accepted(s.registrar.Tend),
	}
	if s.backups != nil {
		work[leadBackup] = s.backups.run
	}
	return work
}

// lead does, until ctx ends, that of the work of one server which falls to this one; what it gives waits for its end.
func (s *server) lead(ctx context.Context) *sync.WaitGroup {
	var led sync.WaitGroup
	for name, work := range s.once() {
		led.Go(func() { s.store.Lead(ctx, name, work) })
	}
	return &led
}

// follow begins the work that every server of the store does, besides compiling, until ctx ends.
func (s *server) follow(ctx context.Context, at net.Addr, keeper *keeper) {
	changed := make(chan struct{}, 1)
	announceAgain := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	go s.followKeyFile(ctx, announceAgain)
	own := s.advertised(at)
	go s.announce(ctx, own, keeper.get, changed)
	go s.hearOthers(ctx, own)
	go s.followRestored(ctx)
	go s.fleet.followWaves(ctx)
	go followReports(ctx, s.hub.Reports(), s.checks.takeAll, s.fleet.work.takeAll)
	go s.annals.run(ctx)
	go s.fleet.refusals.follow(ctx, s.fleet)
	go s.fleet.partnerCalls.follow(ctx, s.fleet)
	go s.registrar.Follow(ctx)
	go s.signIn.Follow(ctx)
	go s.fleet.tickets.follow(ctx)
	go s.fleet.tickets.watch(ctx)
	go s.followChallenges(ctx)
	go s.followOrders(ctx)
	go s.followAccounts(ctx)
	go s.followSources(ctx)
	go s.followLists(ctx)
	go s.followNames(ctx)
	go s.followCA(ctx, func() {
		if err := keeper.renew(); err != nil {
			s.opts.Log.Error("renew the server's certificate", "error", err)
		}
		announceAgain()
	})
}
