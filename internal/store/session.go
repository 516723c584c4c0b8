package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// Session is what the servers of the store know together of somebody who is signed in. It is no object: it has no history,
// and backups leave it out.
type Session struct {
	// ID is the hash of what the browser holds.
	ID string `json:"-"`
	// Subject is who is signed in, Groups those that an identity provider says they are in, as Grants name both.
	Subject string   `json:"subject"`
	Groups  []string `json:"groups,omitempty"`
	// Token and TokenHash are of the Token that it was exchanged for.
	Token     string `json:"token,omitempty"`
	TokenHash string `json:"tokenHash,omitempty"`
	// Provider names the IdentityProvider that said who it is, Issuer is that one's at the time.
	Provider string    `json:"provider,omitempty"`
	Issuer   string    `json:"issuer,omitempty"`
	Made     time.Time `json:"made"`
	Ends     time.Time `json:"ends"`
	// Revision is that of the objects by which it was found good.
	Revision int64 `json:"revision"`
}

// Sessions are all there are, in memory, kept up by a watch. Many goroutines may use them.
type Sessions struct{ *kept[Session] }

// Sessions makes the view of the sessions of this store. Follow must run.
func (s *Store) Sessions() *Sessions {
	return &Sessions{keep(s, prefixSession, "sessions", "a session", sessionIn)}
}

// Follow keeps the sessions up until ctx ends or the store closes. While etcd doesn't answer, they stay as they are.
func (s *Sessions) Follow(ctx context.Context) { s.follow(ctx) }

// Read gives a session as etcd has it now, for one that another server has made just now; weir.NotFound without one.
func (s *Sessions) Read(ctx context.Context, id string) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := s.store.client.Get(ctx, prefixSession+id)
	switch {
	case err != nil:
		return Session{}, silent("look for a session", err)
	case len(got.Kvs) == 0:
		return Session{}, weir.Errorf(weir.NotFound, "there is no such session")
	}
	s.note(got.Kvs[0])
	return sessionIn(id, got.Kvs[0])
}

// Put makes a session that goes by itself when it ends.
func (s *Sessions) Put(ctx context.Context, one Session) error {
	raw, err := json.Marshal(one)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lease, err := s.store.lease(ctx, one.Ends.Sub(s.store.opts.Clock()))
	if err != nil {
		return silent("make a session", err)
	}
	key := prefixSession + one.ID
	done, err := s.store.client.Put(ctx, key, string(raw), clientv3.WithLease(lease))
	if err != nil {
		return silent("make a session", err)
	}
	s.note(&mvccpb.KeyValue{Key: []byte(key), Value: raw, ModRevision: done.Header.Revision})
	return nil
}

// Drop ends sessions, on all servers of the store; those that are gone already are no error.
func (s *Sessions) Drop(ctx context.Context, ids ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for some := range slices.Chunk(ids, maxTxnOps) {
		ops := make([]clientv3.Op, len(some))
		for i, id := range some {
			ops[i] = clientv3.OpDelete(prefixSession+id, clientv3.WithPrevKV())
		}
		done, err := s.store.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return silent("end a session", err)
		}
		for _, answer := range done.Responses {
			for _, kv := range answer.GetResponseDeleteRange().PrevKvs {
				s.end(s.name(kv), done.Header.Revision)
				s.store.unlease(ctx, clientv3.LeaseID(kv.Lease))
			}
		}
	}
	return nil
}

// Spend notes that something may not be used again for a while; the error is weir.Conflict when it was used already, here
// or at another server of the store.
func (s *Sessions) Spend(ctx context.Context, what string, lasts time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lease, err := s.store.lease(ctx, lasts)
	if err != nil {
		return silent("sign in", err)
	}
	key := prefixSpent + what
	done, err := s.store.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, "", clientv3.WithLease(lease))).Commit()
	switch {
	case err != nil:
		return silent("sign in", err)
	case !done.Succeeded:
		s.store.unlease(ctx, lease)
		return weir.Errorf(weir.Conflict, "it was used already")
	}
	return nil
}

func sessionIn(id string, kv *mvccpb.KeyValue) (Session, error) {
	one := Session{ID: id}
	err := json.Unmarshal(kv.Value, &one)
	return one, err
}
