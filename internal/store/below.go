package store

import (
	"context"
	"errors"
	"log/slog"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// followBelow tells, until ctx ends or the store closes, what lies below a prefix of etcd's: first all there is at a
// revision of etcd's, then every change in their order. When that breaks it begins anew. what says in the log what it is.
func (s *Store) followBelow(ctx context.Context, prefix, what string, all func(list []*mvccpb.KeyValue, at int64), changed func([]*clientv3.Event)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for ctx.Err() == nil {
		if err := s.followBelowOnce(ctx, prefix, all, changed); err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("store: "+what+" can't be followed; trying again", slog.Any("error", err))
		}
		if !s.pauseFor(ctx, retryPause) {
			return
		}
	}
}

func (s *Store) followBelowOnce(ctx context.Context, prefix string, all func([]*mvccpb.KeyValue, int64), changed func([]*clientv3.Event)) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	got, err := s.client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	all(got.Kvs, got.Header.Revision)
	for answer := range s.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1)) {
		if err := answer.Err(); err != nil {
			return err
		}
		changed(answer.Events)
	}
	return errors.New("the watch ended")
}
