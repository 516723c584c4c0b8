package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
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
	// Believes are the hashes of the CAs that the server believes; Issuer is that of the CA whose certificate it
	// presents.
	Believes []string `json:"believes,omitempty"`
	Issuer   string   `json:"issuer,omitempty"`
	// SealingKeys are the ids of the keys that the server's key file holds, in its order.
	SealingKeys []string `json:"sealingKeys,omitempty"`
	// StoreMember is the ID of the member of an embedded store inside the server.
	StoreMember string `json:"storeMember,omitempty"`
}

// ID is this server's name among those that share the store, new at every start.
func (s *Store) ID() string { return s.id }

// Announce tells the other servers of this one until ctx ends or the store closes; a server that dies is
// forgotten after some seconds. describe is asked at first and whenever changed gives something; the ID is filled in.
func (s *Store) Announce(ctx context.Context, describe func() Member, changed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for ctx.Err() == nil {
		if err := s.announce(ctx, describe, changed); err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("store: the other servers can't be told of this one; trying again", "error", err)
		}
		if !s.pauseFor(ctx, retryPause) {
			return
		}
	}
}

// announce returns when the lease is lost.
func (s *Store) announce(ctx context.Context, describe func() Member, changed <-chan struct{}) error {
	session, err := s.session(ctx)
	if err != nil {
		return err
	}
	defer s.endSession(session)
	for {
		m := describe()
		m.ID = s.id
		raw, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if _, err := s.client.Put(ctx, prefixMember+s.id, string(raw), clientv3.WithLease(session.Lease())); err != nil {
			return err
		}
		select {
		case <-session.Done():
			return errTurnLost
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// Members gives the servers that run, this one included, sorted by name and ID.
func (s *Store) Members(ctx context.Context) ([]Member, error) {
	got, err := s.client.Get(ctx, prefixMember, clientv3.WithPrefix())
	if err != nil {
		return nil, &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer", Cause: err}
	}
	return s.membersIn(got.Kvs), nil
}

// FollowMembers calls f with the servers that run, this one included, sorted by name and ID, at first and
// whenever one comes or goes, until ctx ends. While etcd doesn't answer, nobody goes.
func (s *Store) FollowMembers(ctx context.Context, f func([]Member)) {
	s.followKeys(ctx, func() error {
		got, err := s.client.Get(ctx, prefixMember, clientv3.WithPrefix())
		if err == nil {
			f(s.membersIn(got.Kvs))
		}
		return err
	}, prefixMember, clientv3.WithPrefix())
}

// followKeys calls read at first and after every change of some keys, until ctx ends or the store closes; an
// error of read, or of the watch, lets it begin anew.
func (s *Store) followKeys(ctx context.Context, read func() error, key string, opts ...clientv3.OpOption) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for ctx.Err() == nil {
		if err := s.followKeysOnce(ctx, read, key, opts...); err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("store: what servers share can't be followed; trying again", "key", key, "error", err)
		}
		if !s.pauseFor(ctx, retryPause) {
			return
		}
	}
}

func (s *Store) followKeysOnce(ctx context.Context, read func() error, key string, opts ...clientv3.OpOption) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	// Watched before it is read, so that no change falls between.
	watch := s.client.Watch(ctx, key, opts...)
	if err := read(); err != nil {
		return err
	}
	for answer := range watch {
		if err := answer.Err(); err != nil {
			return err
		}
		if len(answer.Events) == 0 {
			continue
		}
		if err := read(); err != nil {
			return err
		}
	}
	return errors.New("the watch ended")
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
