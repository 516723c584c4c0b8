package store

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
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

	version int64 // etcd's revision that wrote it
}

// Sessions are all there are, in memory, kept up by a watch. Many goroutines may use them.
type Sessions struct {
	store *Store

	mu   sync.Mutex
	byID map[string]Session
	// seen is etcd's revision up to which the watch has told everything: what is older is known better here than by
	// whoever comes with it.
	seen int64
	// dropped are those that were ended here and whose end the watch has not told yet.
	dropped map[string]struct{}
	ready   chan struct{} // closed once they have been read
	once    sync.Once
}

// Sessions makes the view of the sessions of this store. Follow must run.
func (s *Store) Sessions() *Sessions {
	return &Sessions{store: s, byID: map[string]Session{}, dropped: map[string]struct{}{}, ready: make(chan struct{})}
}

// Ready is closed when those that there are have been read once.
func (s *Sessions) Ready() <-chan struct{} { return s.ready }

// Get gives a session, as it was a moment ago.
func (s *Sessions) Get(id string) (Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.byID[id]
	return one, ok
}

// All are those that there are, as they were a moment ago, in no order.
func (s *Sessions) All() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Session, 0, len(s.byID))
	for _, one := range s.byID {
		list = append(list, one)
	}
	return list
}

// Len is how many there are.
func (s *Sessions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}

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
	return sessionIn(got.Kvs[0])
}

// Put makes a session that goes by itself when it ends.
func (s *Sessions) Put(ctx context.Context, one Session) error {
	raw, err := json.Marshal(one)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lasts := one.Ends.Sub(s.store.opts.Clock())
	lease, err := s.store.client.Grant(ctx, int64(lasts/time.Second)+1)
	if err != nil {
		return silent("make a session", err)
	}
	key := prefixSession + one.ID
	done, err := s.store.client.Put(ctx, key, string(raw), clientv3.WithLease(lease.ID))
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
				s.end(sessionID(kv), done.Header.Revision)
				_, _ = s.store.client.Revoke(ctx, clientv3.LeaseID(kv.Lease)) // else it runs out by itself
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
	lease, err := s.store.client.Grant(ctx, int64(lasts/time.Second)+1)
	if err != nil {
		return silent("sign in", err)
	}
	key := prefixSpent + what
	done, err := s.store.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, "", clientv3.WithLease(lease.ID))).Commit()
	switch {
	case err != nil:
		return silent("sign in", err)
	case !done.Succeeded:
		_, _ = s.store.client.Revoke(ctx, lease.ID) // else it runs out by itself
		return weir.Errorf(weir.Conflict, "it was used already")
	}
	return nil
}

// Follow keeps the sessions up until ctx ends or the store closes. While etcd doesn't answer, they stay as they are.
func (s *Sessions) Follow(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.store.ctx, cancel)()
	for ctx.Err() == nil {
		if err := s.followOnce(ctx); err != nil && ctx.Err() == nil {
			s.store.opts.Logger.Warn("store: sessions can't be followed; trying again", slog.Any("error", err))
		}
		if !s.store.pauseFor(ctx, retryPause) {
			return
		}
	}
}

func (s *Sessions) followOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	all, err := s.store.client.Get(ctx, prefixSession, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	s.replace(all.Kvs, all.Header.Revision)
	s.once.Do(func() { close(s.ready) })
	for answer := range s.store.client.Watch(ctx, prefixSession, clientv3.WithPrefix(), clientv3.WithRev(all.Header.Revision+1)) {
		if err := answer.Err(); err != nil {
			return err
		}
		s.watched(answer.Events)
	}
	return errors.New("the watch ended")
}

// watched takes over what the watch says, in the order of etcd.
func (s *Sessions) watched(events []*clientv3.Event) {
	for _, ev := range events {
		if ev.Type != clientv3.EventTypeDelete {
			s.note(ev.Kv)
		}
		s.mu.Lock()
		s.seen = max(s.seen, ev.Kv.ModRevision)
		if ev.Type == clientv3.EventTypeDelete {
			delete(s.byID, sessionID(ev.Kv))
			delete(s.dropped, sessionID(ev.Kv))
		}
		s.mu.Unlock()
	}
}

// replace takes over all there were at a revision of etcd's; what was written here since then stays.
func (s *Sessions) replace(list []*mvccpb.KeyValue, at int64) {
	there := make(map[string]bool, len(list))
	for _, kv := range list {
		there[sessionID(kv)] = true
	}
	s.note(list...)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.byID {
		if !there[id] && one.version <= at {
			delete(s.byID, id)
		}
	}
	for id := range s.dropped {
		if !there[id] {
			delete(s.dropped, id)
		}
	}
	s.seen = max(s.seen, at)
}

// note takes over sessions as etcd had them, whichever way that came first. What the watch has passed already is not
// taken from elsewhere, nor what was ended here: it is over.
func (s *Sessions) note(list ...*mvccpb.KeyValue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kv := range list {
		if _, over := s.dropped[sessionID(kv)]; over || kv.ModRevision <= s.seen {
			continue
		}
		one, err := sessionIn(kv)
		if err != nil {
			s.store.opts.Logger.Warn("store: a session can't be read; it is passed over", slog.Any("error", err))
			continue
		}
		s.byID[one.ID] = one
	}
}

// end takes over that a session was ended at a revision of etcd's.
func (s *Sessions) end(id string, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
	if at > s.seen {
		s.dropped[id] = struct{}{}
	}
}

func sessionIn(kv *mvccpb.KeyValue) (Session, error) {
	one := Session{ID: sessionID(kv), version: kv.ModRevision}
	err := json.Unmarshal(kv.Value, &one)
	return one, err
}

func sessionID(kv *mvccpb.KeyValue) string { return string(kv.Key[len(prefixSession):]) }
