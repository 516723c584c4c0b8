package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	maintainEvery = 10 * time.Minute
	// orphanAge is how long a large change may take to be staged before another server takes it for dead.
	orphanAge = 10 * time.Minute
	// squeezeAt is the part of the quota, in percent, from which old changes go early: a full etcd takes no more.
	squeezeAt = 70
	// defragFrom is the size below which it is not worth to stop everything for some free pages, in bytes.
	defragFrom = 256 << 20
)

func (s *Store) maintainLoop() {
	dead := s.opts.Clock().Add(-orphanAge)
	if s.embedded != nil && s.opts.Peers == nil {
		dead = s.opts.Clock() // the directory is ours alone: whoever staged something before is gone
	}
	for {
		if err := s.maintain(s.ctx, dead); err != nil && s.ctx.Err() == nil {
			s.opts.Logger.Warn("store: tidying is not done; it is tried again later", "error", err)
		}
		dead = s.opts.Clock().Add(-orphanAge)
		if !s.pause(maintainEvery) {
			return
		}
	}
}

// maintain removes what is no longer to be kept: old changes, secrets that nothing refers to any more, what
// was staged before dead and never taken; and gives the disk back.
func (s *Store) maintain(ctx context.Context, dead time.Time) error {
	full, err := s.usage(ctx)
	if err != nil {
		return err
	}
	return errors.Join(
		s.pruneChanges(ctx, full.squeeze),
		s.pruneSecrets(ctx),
		s.pruneOrphans(ctx, dead),
		s.shrink(ctx, full),
	)
}

// pruneChanges deletes changes that are both old and not among the last few.
func (s *Store) pruneChanges(ctx context.Context, squeeze bool) error {
	horizon := s.opts.Clock().Add(-s.opts.Retention.Age)
	if squeeze {
		horizon = s.opts.Clock().Add(time.Hour)
		s.opts.Logger.Warn("store: the database nears its quota; old changes go earlier than asked", "keep", s.opts.Retention.Least)
	}
	_, mat := s.present()
	last := min(s.Revision()-s.opts.Retention.Least, mat)
	if last < 1 {
		return nil
	}
	errEnough := errors.New("the rest is young")
	err := s.pages(ctx, prefixChange, changeKey(last+1), 0, maxTxnOps/2-1, func(kvs []*mvccpb.KeyValue) error {
		var ops []clientv3.Op
		end := ""
		for _, kv := range kvs {
			h, _, err := parseChangeValue(kv.Value)
			if err != nil {
				return err
			}
			if !h.At.Before(horizon) {
				break
			}
			end = changeKey(h.Revision + 1)
			if h.Staging != "" {
				ops = append(ops, clientv3.OpDelete(prefixBody+h.Staging+"/", clientv3.WithPrefix()), clientv3.OpDelete(prefixTaken+h.Staging))
			}
		}
		if end == "" {
			return errEnough
		}
		_, err := s.client.Txn(ctx).Then(append(ops, clientv3.OpDelete(prefixChange, clientv3.WithRange(end)))...).Commit()
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("remove old changes: %w", err)
	}
	return nil
}

// pruneSecrets deletes the generations that neither a present object nor a kept change refers to.
func (s *Store) pruneSecrets(ctx context.Context) error {
	view := s.View()
	idle := map[sealedName]bool{}
	err := s.pages(ctx, prefixSealed, clientv3.GetPrefixRangeEnd(prefixSealed), 0, 1000, func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			name, err := parseSealedKey(kv)
			if err != nil {
				return err
			}
			if ref := sealedRefOf(view.Get(name.Ref)); name.Generation <= view.Revision && (ref == nil || ref.Generation != name.Generation) {
				idle[name] = true
			}
		}
		return nil
	}, clientv3.WithKeysOnly())
	if err != nil {
		return fmt.Errorf("look for idle secrets: %w", err)
	}
	// A change that comes meanwhile may take one up again: go on from there until none comes in between.
	for from := int64(1); len(idle) > 0; {
		head := s.Revision()
		if err := s.spareReferred(ctx, from, head, idle); err != nil {
			return fmt.Errorf("look for idle secrets: %w", err)
		}
		done, err := s.deleteSecrets(ctx, head, idle)
		if err != nil || done {
			return err
		}
		if _, err := s.catchUp(ctx); err != nil {
			return err
		}
		from = head + 1
	}
	return nil
}

// spareReferred takes out of idle what the changes of revisions from to to refer to.
func (s *Store) spareReferred(ctx context.Context, from, to int64, idle map[sealedName]bool) error {
	return s.pages(ctx, changeKey(from), changeKey(to+1), 0, 64, func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			h, _, err := parseChangeValue(kv.Value)
			if err != nil {
				return err
			}
			names := h.Sealed
			if len(h.Refs) != h.Count {
				_, entries, err := s.decodeChange(ctx, kv.Value)
				if err != nil {
					return err
				}
				names = sealedNames(entries)
			}
			for _, n := range names {
				delete(idle, n)
			}
		}
		return nil
	})
}

// deleteSecrets deletes some, as long as no change came after head; done is true when none are left.
func (s *Store) deleteSecrets(ctx context.Context, head int64, idle map[sealedName]bool) (done bool, err error) {
	for len(idle) > 0 {
		ops := []clientv3.Op{clientv3.OpPut(keySwept, decimal(head))}
		var taken []sealedName
		for n := range idle {
			if len(ops) >= maxTxnOps {
				break
			}
			ops, taken = append(ops, clientv3.OpDelete(n.key())), append(taken, n)
		}
		got, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(keyHead), "=", decimal(head))).Then(ops...).Commit()
		if err != nil || !got.Succeeded {
			return false, err
		}
		for _, n := range taken {
			delete(idle, n)
		}
	}
	return true, nil
}

// pruneOrphans deletes what was staged before dead and that no change has taken.
func (s *Store) pruneOrphans(ctx context.Context, dead time.Time) error {
	latest := number(max(dead.Unix(), 0))
	ids := map[string]bool{}
	for _, prefix := range []string{prefixBody, prefixStaged} {
		err := s.pages(ctx, prefix, prefix+latest, 0, 1000, func(kvs []*mvccpb.KeyValue) error {
			for _, kv := range kvs {
				id, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), prefix), "/")
				ids[id] = true
			}
			return nil
		}, clientv3.WithKeysOnly())
		if err != nil {
			return fmt.Errorf("look for orphans: %w", err)
		}
	}
	for id := range ids {
		free := clientv3.Compare(clientv3.Version(prefixTaken+id), "=", 0)
		_, err := s.client.Txn(ctx).If(free).Then(
			clientv3.OpDelete(prefixBody+id+"/", clientv3.WithPrefix()),
			clientv3.OpDelete(prefixStaged+id+"/", clientv3.WithPrefix()),
		).Commit()
		if err != nil {
			return fmt.Errorf("remove orphans: %w", err)
		}
	}
	return nil
}

// usage is how full an embedded etcd is.
type usage struct {
	size, inUse int64
	squeeze     bool // it nears its quota, or has met it
	alarm       bool // it has met its quota and takes no more
}

func (s *Store) usage(ctx context.Context) (u usage, err error) {
	if s.embedded == nil {
		return u, nil // somebody else looks after it
	}
	status, err := s.client.Status(ctx, s.client.Endpoints()[0])
	if err != nil {
		return u, fmt.Errorf("ask etcd for its size: %w", err)
	}
	alarms, err := s.client.AlarmList(ctx)
	if err != nil {
		return u, fmt.Errorf("ask etcd for alarms: %w", err)
	}
	for _, a := range alarms.Alarms {
		u.alarm = u.alarm || a.Alarm == etcdserverpb.AlarmType_NOSPACE
	}
	u.size, u.inUse = status.DbSize, status.DbSizeInUse
	u.squeeze = u.alarm || u.inUse > s.opts.QuotaBytes/100*squeezeAt
	return u, nil
}

// shrink gives free pages back when there are many, and lets an etcd that was full write again.
func (s *Store) shrink(ctx context.Context, u usage) error {
	if s.embedded == nil {
		return nil
	}
	if u.squeeze {
		got, err := s.client.Get(ctx, keyHead)
		if err != nil {
			return err
		}
		_, err = s.client.Compact(ctx, got.Header.Revision, clientv3.WithCompactPhysical())
		if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
			return fmt.Errorf("compact etcd: %w", err)
		}
	}
	if !u.alarm && (u.size < defragFrom || u.inUse > u.size/2) {
		return nil
	}
	start := time.Now()
	if _, err := s.client.Defragment(ctx, s.client.Endpoints()[0]); err != nil {
		return fmt.Errorf("defragment etcd: %w", err)
	}
	s.opts.Logger.Info("store: defragmented", "before", u.size, "took", time.Since(start))
	if !u.alarm {
		return nil
	}
	if _, err := s.client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("lift etcd's alarm: %w", err)
	}
	return nil
}
