package store

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// follow brings other servers' changes into memory, in order, until the store closes. There is one etcd watch,
// whoever watches the store; own changes come the short way, through advance, and are passed over here.
func (s *Store) follow(next int64) {
	for s.ctx.Err() == nil {
		err := s.followFrom(next)
		if s.ctx.Err() != nil {
			return
		}
		s.opts.Logger.Warn("store: the watch on etcd broke; reading what was missed", "error", err)
		for {
			next, err = s.catchUp(s.ctx)
			if err == nil || !s.pause(time.Second) {
				break
			}
			s.opts.Logger.Warn("store: etcd does not answer", "error", err)
		}
	}
}

// pause waits, and is false when the store closes.
func (s *Store) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *Store) followFrom(next int64) error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.mu.Lock()
	s.breakWatch = cancel
	s.mu.Unlock()
	watch := s.client.Watch(clientv3.WithRequireLeader(ctx), prefixChange, clientv3.WithPrefix(), clientv3.WithRev(next), clientv3.WithFilterDelete(), clientv3.WithFragment())
	for answer := range watch {
		if err := answer.Err(); err != nil {
			return err
		}
		for _, ev := range answer.Events {
			if err := s.take(ctx, ev.Kv); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the watch ended")
}

// take moves memory by one stored change, unless it is there already.
func (s *Store) take(ctx context.Context, kv *mvccpb.KeyValue) error {
	revision, err := parseRevision(string(kv.Key[len(prefixChange):]))
	if err != nil {
		return err
	}
	if revision <= s.Revision() {
		return nil
	}
	h, entries, err := s.decodeChange(ctx, kv.Value)
	if err != nil {
		return err
	}
	return s.advance(h, entries, nil)
}

// catchUp reads the changes that memory lacks and gives etcd's revision from which to watch.
func (s *Store) catchUp(ctx context.Context) (next int64, err error) {
	got, err := s.client.Get(ctx, keyHead)
	if err != nil {
		return 0, err
	}
	head, err := revisionIn(got.Kvs, keyHead)
	if err != nil {
		return 0, err
	}
	err = s.eachChange(ctx, s.Revision()+1, head, 0, func(h header, entries []entry) error {
		return s.advance(h, entries, nil)
	})
	if err == nil && s.Revision() < head {
		err = fmt.Errorf("change %d is no longer kept, memory is at %d: start the server again", s.Revision()+1, s.Revision())
	}
	return got.Header.Revision + 1, err
}

// advance makes the next change the present, for readers and watchers at once. after is the new set when the
// caller has it; else it is built here. What is there already is passed over.
func (s *Store) advance(h header, entries []entry, after *weir.Set) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.Revision <= s.live.Revision {
		return nil
	}
	if h.Revision != s.live.Revision+1 {
		return fmt.Errorf("change %d came after %d", h.Revision, s.live.Revision)
	}
	if after == nil {
		after = s.live.Copy()
		put(after, h.Revision, entries)
	}
	s.live = after
	if h.Materialized {
		s.mat = h.Revision
	}
	s.ring.add(h.event(entries))
	close(s.wake)
	s.wake = make(chan struct{})
	return nil
}
