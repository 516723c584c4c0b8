package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
)

// printsValue is the value of the platform that keeps the keys of fingerprints, so that what a retired sealing key has
// fingerprinted still compares.
const printsValue = "fingerprints"

// Sealing is which key seals a store's secrets, and how far those that other keys sealed are sealed anew.
type Sealing struct {
	// Key is the id of the key that seals.
	Key string `json:"-"`
	// Older are the ids of those keys under which something may still be sealed; empty when all is under Key.
	Older []string `json:"older,omitempty"`
	// Since is when Key began to seal, Finished when all was found under it.
	Since    time.Time `json:"since"`
	Finished time.Time `json:"finished,omitzero"`
	// Total is how many secrets there were as the sealing anew began, Done how many of them were looked at.
	Total int64 `json:"total,omitempty"`
	Done  int64 `json:"done,omitempty"`
	// Stuck says what can't be sealed anew and why; empty when nothing is in the way.
	Stuck string `json:"stuck,omitempty"`

	// Cursor is the etcd key up to which everything is under Key; empty before the start.
	Cursor string `json:"cursor,omitempty"`
}

// sealing is what a server knows of it; it is replaced, never changed.
type sealing struct {
	file *secrets.Keyring // as the server was given it
	ring *secrets.Keyring // with the store's key in front
	// lacks is true when the file holds no such key: then nothing can be sealed.
	lacks  bool
	key    string
	prints secrets.Secret
}

// keyring gives the ring whose first key is the one that seals; nil without a sealing key.
func (s *Store) keyring() *secrets.Keyring {
	if now := s.sealing.Load(); now != nil {
		return now.ring
	}
	return s.opts.Keyring
}

// sealer is keyring for who wants to seal.
func (s *Store) sealer() (*secrets.Keyring, error) {
	if s.opts.Keyring == nil {
		return nil, weir.Errorf(weir.Unavailable, "the server has no sealing key")
	}
	now := s.sealing.Load()
	if now == nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.readSealing(ctx); err != nil {
			return nil, unavailable(err)
		}
		now = s.sealing.Load()
	}
	if now.lacks {
		return nil, weir.Errorf(weir.Unavailable, "the store is sealed with the key %s, which this server lacks: give it the key file of the others", now.key)
	}
	return now.ring, nil
}

// sealedUnder asks, in a transaction, that the ring's first key still be the one that seals. So nothing comes under
// another key once that has changed, however late.
func sealedUnder(ring *secrets.Keyring) clientv3.Cmp {
	return clientv3.Compare(clientv3.Value(keySealing), "=", ring.CurrentID())
}

func holds(kvs []*mvccpb.KeyValue, value string) bool {
	return len(kvs) == 1 && string(kvs[0].Value) == value
}

// openKeyring makes sure that the server's keys are those of the store.
func (s *Store) openKeyring(ctx context.Context) error {
	if s.opts.Keyring == nil {
		return nil
	}
	if err := s.checkKeyring(ctx); err != nil {
		return err
	}
	if err := s.readSealing(ctx); err != nil {
		return err
	}
	state, err := s.Sealing(ctx)
	if err != nil {
		return err
	}
	return missing(s.opts.Keyring, state)
}

// missing is the error of a key file that does not open all there is.
func missing(file *secrets.Keyring, state Sealing) error {
	for _, id := range append([]string{state.Key}, state.Older...) {
		if !file.Has(id) {
			return fmt.Errorf("the store needs the sealing key %s, which the key file lacks; it holds %v: %w", id, file.IDs(), secrets.ErrKeyUnknown)
		}
	}
	return nil
}

// readSealing learns which key seals; a store that does not know yet is told.
func (s *Store) readSealing(ctx context.Context) error {
	s.sealingMu.Lock()
	defer s.sealingMu.Unlock()
	got, err := s.client.Txn(ctx).Then(clientv3.OpGet(keySealing), clientv3.OpGet(prefixPlatform+printsValue)).Commit()
	if err != nil {
		return err
	}
	kvs := got.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 {
		if kvs, err = s.beginSealing(ctx); err != nil {
			return err
		}
	}
	next := sealing{file: s.opts.Keyring, key: string(kvs[0].Value)}
	if now := s.sealing.Load(); now != nil {
		next.file, next.prints = now.file, now.prints
	}
	for _, kv := range got.Responses[1].GetResponseRange().Kvs {
		var sealed secrets.Sealed
		if err := sealed.UnmarshalBinary(kv.Value); err != nil {
			return fmt.Errorf("open %s: %w", printsValue, err)
		}
		text, err := next.file.Open(platformKind, printsValue, kv.Version, sealed)
		switch {
		case errors.Is(err, secrets.ErrKeyUnknown): // lacks tells
		case err != nil:
			return err
		default:
			next.prints = text
		}
	}
	return s.nowSealing(next)
}

// nowSealing takes over what was learnt; sealingMu is held.
func (s *Store) nowSealing(next sealing) error {
	ring, err := next.file.SealingWith(next.key)
	if next.lacks = err != nil; next.lacks {
		ring = next.file
	}
	if next.ring, err = ring.WithPrints(next.prints); err != nil {
		return err
	}
	if now := s.sealing.Swap(&next); next.lacks && (now == nil || !now.lacks) {
		s.opts.Logger.Error("store: this server lacks the key that seals: it can keep no secrets and opens none that are new; give it the key file of the other servers", "key", next.key, "has", next.file.IDs())
	}
	return nil
}

// beginSealing writes down which key seals where that was never done: the one that everybody must have had until now.
func (s *Store) beginSealing(ctx context.Context) ([]*mvccpb.KeyValue, error) {
	id := s.opts.Keyring.CurrentID()
	for _, prefix := range []string{prefixSealed, prefixPlatform} {
		got, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithLimit(1))
		if err != nil {
			return nil, err
		}
		var sealed secrets.Sealed
		if len(got.Kvs) > 0 && sealed.UnmarshalBinary(got.Kvs[0].Value) == nil && s.opts.Keyring.Has(sealed.KeyID()) {
			id = sealed.KeyID()
		}
	}
	now := s.opts.Clock().UTC().Truncate(time.Second)
	state := Sealing{Since: now, Finished: now}
	for _, other := range s.opts.Keyring.IDs() {
		if other != id {
			state.Older, state.Finished = append(state.Older, other), time.Time{}
		}
	}
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	puts := []clientv3.Op{clientv3.OpPut(keySealing, id), clientv3.OpPut(keySealingAnew, string(raw))}
	if len(state.Older) > 0 {
		// A restore from before a change of key: what the older ones have fingerprinted must compare without them.
		ring, err := s.opts.Keyring.SealingWith(id)
		if err != nil {
			return nil, err
		}
		prints, _, err := s.printsFor(ctx, ring)
		if err != nil {
			return nil, err
		}
		puts = append(puts, clientv3.OpPut(prefixPlatform+printsValue, string(prints)))
	}
	got, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.Version(keySealing), "=", 0)).
		Then(append(puts, clientv3.OpGet(keySealing))...).
		Else(clientv3.OpGet(keySealing)).Commit()
	if err != nil {
		return nil, err
	}
	kvs := got.Responses[len(got.Responses)-1].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return nil, errors.New("read store: which key seals can't be read")
	}
	return kvs, nil
}

// followSealing hears from the other servers which key seals.
func (s *Store) followSealing() {
	s.followKeys(s.ctx, func() error { return s.readSealing(s.ctx) }, keySealing)
}

// Sealing tells which key seals and how far the sealing anew is.
func (s *Store) Sealing(ctx context.Context) (Sealing, error) {
	state, _, err := s.readState(ctx)
	return state, err
}

// readState is Sealing with etcd's revision of its progress.
func (s *Store) readState(ctx context.Context) (state Sealing, at int64, err error) {
	got, err := s.client.Txn(ctx).Then(clientv3.OpGet(keySealing), clientv3.OpGet(keySealingAnew)).Commit()
	if err != nil {
		return state, 0, &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer", Cause: err}
	}
	key, progress := got.Responses[0].GetResponseRange().Kvs, got.Responses[1].GetResponseRange().Kvs
	if len(key) == 0 || len(progress) == 0 {
		return state, 0, weir.Errorf(weir.NotFound, "the store has nothing sealed")
	}
	if err := json.Unmarshal(progress[0].Value, &state); err != nil {
		return state, 0, fmt.Errorf("read store: the sealing anew: %w", err)
	}
	state.Key = string(key[0].Value)
	return state, progress[0].ModRevision, nil
}

// SealingKeys are the ids of the keys that this server was given, in their order.
func (s *Store) SealingKeys() []string {
	if now := s.sealing.Load(); now != nil {
		return now.file.IDs()
	}
	return nil
}

// UseKeyring puts other keys in place of those that the store was opened with. Those that don't open all there is are
// refused, and the ones before stay.
func (s *Store) UseKeyring(ctx context.Context, file *secrets.Keyring) error {
	if s.sealing.Load() == nil {
		return weir.Errorf(weir.Unavailable, "the store was opened without a sealing key")
	}
	state, err := s.Sealing(ctx)
	if err == nil {
		err = missing(file, state)
	}
	if err != nil {
		return err
	}
	s.sealingMu.Lock()
	next := *s.sealing.Load()
	next.file = file
	err = s.nowSealing(next)
	s.sealingMu.Unlock()
	if err != nil {
		return err
	}
	// What it could not open before, it may now.
	return s.readSealing(ctx)
}

// wouldShareKeys tells whether a server whose key file begins with the key of an id may join.
func (s *Store) wouldShareKeys(id string) bool {
	now := s.sealing.Load()
	return now != nil && slices.Contains([]string{now.key, now.file.CurrentID()}, id)
}
