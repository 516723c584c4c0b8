package store

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
)

// platformKind is what values of the platform are sealed for.
const platformKind = "Platform"

// Platform opens a value that the servers of this store share and that is no object, such as their authority.
// Its generation goes up by one at every change. It is NotFound when there is none.
func (s *Store) Platform(ctx context.Context, name string) (secrets.Secret, int64, error) {
	got, err := s.client.Get(ctx, prefixPlatform+name)
	if err != nil {
		return secrets.Secret{}, 0, &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer", Cause: err}
	}
	if len(got.Kvs) == 0 {
		return secrets.Secret{}, 0, weir.Errorf(weir.NotFound, "there is no %s in the store", name)
	}
	return s.openPlatform(name, got.Kvs[0].Version, got.Kvs[0].Value)
}

func (s *Store) openPlatform(name string, generation int64, value []byte) (secrets.Secret, int64, error) {
	if s.opts.Keyring == nil {
		return secrets.Secret{}, 0, weir.Errorf(weir.Unavailable, "open %s: the server has no sealing key", name)
	}
	var sealed secrets.Sealed
	if err := sealed.UnmarshalBinary(value); err != nil {
		return secrets.Secret{}, 0, fmt.Errorf("open %s: %w", name, err)
	}
	secret, err := s.opts.Keyring.Open(platformKind, name, generation, sealed)
	return secret, generation, err
}

// SetPlatform seals a value of the platform in place of the generation given, 0 for none at all. It is Stale
// when another server was first.
func (s *Store) SetPlatform(ctx context.Context, name string, value []byte, generation int64) error {
	if s.opts.Keyring == nil {
		return weir.Errorf(weir.Unavailable, "keep %s: the server has no sealing key", name)
	}
	sealed, err := s.opts.Keyring.Seal(platformKind, name, generation+1, value)
	if err != nil {
		return err
	}
	raw, err := sealed.MarshalBinary()
	if err != nil {
		return err
	}
	key := prefixPlatform + name
	got, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), "=", generation)).Then(clientv3.OpPut(key, string(raw))).Commit()
	switch {
	case err != nil:
		return &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer; " + name + " may have been changed or not", Cause: err}
	case !got.Succeeded:
		return weir.Errorf(weir.Stale, "%s was changed meanwhile", name)
	}
	return nil
}

// FollowPlatform calls f with each value of the platform from now on, first with the present one if there is
// one, until ctx ends. What lies between two calls may be passed over; a value that can't be opened is told.
func (s *Store) FollowPlatform(ctx context.Context, name string, f func(value secrets.Secret, generation int64)) error {
	last := int64(0)
	for ctx.Err() == nil {
		// Watched before it is read, so that no change falls between.
		watching, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		watch := s.client.Watch(watching, prefixPlatform+name)
		value, generation, err := s.Platform(ctx, name)
		switch {
		case err == nil && generation != last:
			last = generation
			f(value, generation)
		case err != nil && weir.KindOf(err) != weir.NotFound && ctx.Err() == nil:
			s.opts.Logger.Warn("store: a value of the platform can't be read", "name", name, "error", err)
		}
		for answer := range watch {
			if answer.Err() != nil || len(answer.Events) > 0 {
				break
			}
		}
		cancel()
		if err != nil && !s.pauseFor(ctx, retryPause) {
			return nil
		}
	}
	return nil
}
