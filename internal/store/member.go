package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Member is a server of this store that runs.
type Member struct {
	// ID is the server's, new at every start.
	ID string `json:"id"`
	// Name tells servers apart for people, URL is where the others reach it.
	Name    string    `json:"name"`
	URL     string    `json:"url"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

// ID is this server's name among those that share the store, new at every start.
func (s *Store) ID() string { return s.id }

// Announce tells the other servers of this one until ctx ends or the store closes; a server that dies is
// forgotten after some seconds. The ID is filled in.
func (s *Store) Announce(ctx context.Context, m Member) {
	m.ID = s.id
	raw, err := json.Marshal(m)
	if err != nil {
		panic("store: announce: " + err.Error()) // plain values only
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for ctx.Err() == nil {
		if err := s.announce(ctx, string(raw)); err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("store: the other servers can't be told of this one; trying again", "error", err)
		}
		if !s.pauseFor(ctx, retryPause) {
			return
		}
	}
}

// announce returns when the lease is lost.
func (s *Store) announce(ctx context.Context, value string) error {
	session, err := s.session(ctx)
	if err != nil {
		return err
	}
	defer s.endSession(session)
	if _, err := s.client.Put(ctx, prefixMember+s.id, value, clientv3.WithLease(session.Lease())); err != nil {
		return err
	}
	select {
	case <-session.Done():
		return errTurnLost
	case <-ctx.Done():
		return nil
	}
}

// FollowMembers calls f with the servers that run, this one included, sorted by name and ID, at first and
// whenever one comes or goes, until ctx ends. While etcd doesn't answer, nobody goes.
func (s *Store) FollowMembers(ctx context.Context, f func([]Member)) {
	for ctx.Err() == nil {
		watching, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		watch := s.client.Watch(watching, prefixMember, clientv3.WithPrefix())
		got, err := s.client.Get(ctx, prefixMember, clientv3.WithPrefix())
		if err == nil {
			f(s.membersIn(got.Kvs))
			for answer := range watch {
				if answer.Err() != nil || len(answer.Events) > 0 {
					break
				}
			}
		}
		cancel()
		if err != nil && !s.pauseFor(ctx, retryPause) {
			return
		}
	}
}

func (s *Store) membersIn(kvs []*mvccpb.KeyValue) []Member {
	var list []Member
	for _, kv := range kvs {
		var m Member
		if err := json.Unmarshal(kv.Value, &m); err != nil {
			s.opts.Logger.Warn("store: a server's announcement can't be read; it is passed over", "key", string(kv.Key), "error", err)
			continue
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Name+"/"+a.ID, b.Name+"/"+b.ID) })
	return list
}
