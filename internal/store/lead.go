package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const (
	// leaseSeconds is how long after its death a server's work is left alone.
	leaseSeconds = 5
	// retryPause is the pause before another try at etcd.
	retryPause = time.Second
)

// Lead does work on one server of those that share the store: it waits until it is this one's turn, and runs
// work with a context that ends when the turn is lost, with ctx, or when the store closes. When work returns an
// error, or the turn is lost, it queues up again; when work returns nil, or ctx ends, Lead returns. Of two
// servers both may be at work for as long as it takes the first one's work to heed its context: what must not
// be done twice says so in the store itself.
func (s *Store) Lead(ctx context.Context, name string, work func(ctx context.Context) error) {
	log := s.opts.Logger.With("work", name)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for ctx.Err() == nil {
		err := s.lead(ctx, name, work, log)
		if err == nil || ctx.Err() != nil {
			return
		}
		log.Warn("store: work that one server does was given up; queueing up again", "error", err)
		if !s.pauseFor(ctx, retryPause) {
			return
		}
	}
}

var errTurnLost = errors.New("etcd did not hear of this server in time")

func (s *Store) lead(ctx context.Context, name string, work func(ctx context.Context) error, log *slog.Logger) error {
	session, err := s.session(ctx)
	if err != nil {
		return err
	}
	defer s.endSession(session)
	election := concurrency.NewElection(session, prefixLead+name)
	turn, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case <-session.Done():
			end(errTurnLost)
		case <-turn.Done():
		}
	}()
	// Cancelled, a campaign tidies up for as long as etcd doesn't answer: the lease does that for it, and nobody
	// waits.
	elected := make(chan error, 1)
	go func() { elected <- election.Campaign(turn, s.id) }()
	select {
	case err := <-elected:
		if err != nil {
			return err
		}
	case <-turn.Done():
		return context.Cause(turn)
	}
	log.Debug("store: it is this server's turn")
	err = work(turn)
	if cause := context.Cause(turn); errors.Is(cause, errTurnLost) {
		return errTurnLost
	}
	return err
}

// Leader tells which server does a work now; empty when none does.
func (s *Store) Leader(ctx context.Context, name string) (string, error) {
	got, err := s.client.Get(ctx, prefixLead+name+"/", clientv3.WithFirstCreate()...)
	if err != nil || len(got.Kvs) == 0 {
		return "", err
	}
	return string(got.Kvs[0].Value), nil
}

func (s *Store) session(ctx context.Context) (*concurrency.Session, error) {
	// Not ctx itself: the lease must still be given back when that has ended.
	granting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lease, err := s.client.Grant(granting, leaseSeconds)
	if err != nil {
		return nil, err
	}
	return concurrency.NewSession(s.client, concurrency.WithLease(lease.ID), concurrency.WithTTL(leaseSeconds), concurrency.WithContext(context.WithoutCancel(ctx)))
}

// endSession gives the lease back, so that nobody has to wait until it runs out.
func (s *Store) endSession(session *concurrency.Session) {
	session.Orphan()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 2*time.Second)
	defer cancel()
	_, _ = s.client.Revoke(ctx, session.Lease()) // else it runs out by itself
}

// pauseFor is pause that ends with ctx, too.
func (s *Store) pauseFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return false
}
