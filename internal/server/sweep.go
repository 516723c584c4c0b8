package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weir"
	"weir/internal/store"
)

// sweepEvery is how often expired objects are looked for, and sweepAfter how long they are kept for people who
// wonder where they went.
const (
	sweepEvery = time.Minute
	sweepAfter = 10 * time.Minute
)

// sweeper deletes Overrides, ZoneShifts and Tokens that have expired: they do nothing any more, and would stand in the way
// of deleting what they refer to.
type sweeper struct {
	store *store.Store
	clock func() time.Time
	log   *slog.Logger
}

func (s sweeper) run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n, err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("delete what has expired", "error", err)
		} else if n > 0 {
			s.log.Info("deleted what has expired", "objects", n)
		}
	}
}

// sweep deletes what has expired long enough ago and tells how many that were.
func (s sweeper) sweep(ctx context.Context) (int, error) {
	before := s.clock().Add(-sweepAfter)
	view := s.store.View()
	var errs []error
	n := 0
	for _, kind := range []string{"Override", "ZoneShift", "Token"} {
		for o := range view.All(kind) {
			if at := expiryOf(view, o); at.IsZero() || at.After(before) {
				continue
			}
			// One by one: what somebody has just changed stays, and holds up nothing else.
			_, err := s.store.Apply(ctx, store.Request{
				Author: firstAuthor, Reason: "expired at " + expiryOf(view, o).UTC().Format(time.RFC3339),
				Writes: []weir.Write{{Delete: o.Ref(), IfMatch: o.Revision}},
			})
			switch weir.KindOf(err) {
			case "":
				n++
			case weir.Stale, weir.NotFound:
			default:
				errs = append(errs, err)
			}
		}
	}
	return n, errors.Join(errs...)
}

func expiryOf(view *weir.Set, o *weir.Object) time.Time {
	switch spec := o.Spec.(type) {
	case *weir.Override:
		return spec.ExpiresAt
	case *weir.ZoneShift:
		_, until := spec.Window(view)
		return until
	case *weir.Token:
		return spec.ExpiresAt
	}
	return time.Time{}
}
