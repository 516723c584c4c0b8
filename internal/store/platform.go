package store

import (
	"context"
	"fmt"
	"strings"

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

// PlatformWrite is one value of the platform to be put in place of a generation, 0 for none at all.
type PlatformWrite struct {
	Name       string
	Generation int64
	// Value replaces it; nil deletes it, and its generations begin anew.
	Value []byte
}

// SetPlatform seals a value of the platform in place of the generation given, 0 for none at all. It is Stale
// when another server was first.
func (s *Store) SetPlatform(ctx context.Context, name string, value []byte, generation int64) error {
	return s.SetPlatforms(ctx, PlatformWrite{name, generation, value})
}

// SetPlatforms writes several values of the platform, all or none. It is Stale when another server was first
// with one of them.
func (s *Store) SetPlatforms(ctx context.Context, writes ...PlatformWrite) error {
	var conditions []clientv3.Cmp
	var puts []clientv3.Op
	names := make([]string, len(writes))
	for i, w := range writes {
		names[i] = w.Name
		key := prefixPlatform + w.Name
		conditions = append(conditions, clientv3.Compare(clientv3.Version(key), "=", w.Generation))
		if w.Value == nil {
			puts = append(puts, clientv3.OpDelete(key))
			continue
		}
		raw, err := s.sealPlatform(w)
		if err != nil {
			return err
		}
		puts = append(puts, clientv3.OpPut(key, string(raw)))
	}
	what := strings.Join(names, " and ")
	got, err := s.client.Txn(ctx).If(conditions...).Then(puts...).Commit()
	switch {
	case err != nil:
		return &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer; " + what + " may have been changed or not", Cause: err}
	case !got.Succeeded:
		return weir.Errorf(weir.Stale, "%s was changed meanwhile", what)
	}
	return nil
}

func (s *Store) sealPlatform(w PlatformWrite) ([]byte, error) {
	if s.opts.Keyring == nil {
		return nil, weir.Errorf(weir.Unavailable, "keep %s: the server has no sealing key", w.Name)
	}
	sealed, err := s.opts.Keyring.Seal(platformKind, w.Name, w.Generation+1, w.Value)
	if err != nil {
		return nil, err
	}
	return sealed.MarshalBinary()
}

// FollowPlatform calls f with each value of the platform from now on, first with the present one if there is
// one, until ctx ends. What lies between two calls may be passed over; a value that can't be opened is told.
func (s *Store) FollowPlatform(ctx context.Context, name string, f func(value secrets.Secret, generation int64)) {
	last := int64(0)
	s.followKeys(ctx, func() error {
		value, generation, err := s.Platform(ctx, name)
		switch {
		case err == nil && generation != last:
			last = generation
			f(value, generation)
		case weir.KindOf(err) == weir.NotFound:
			err = nil
		}
		return err
	}, prefixPlatform+name)
}
