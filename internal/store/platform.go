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
	if s.keyring() == nil {
		return secrets.Secret{}, 0, weir.Errorf(weir.Unavailable, "open %s: the server has no sealing key", name)
	}
	var sealed secrets.Sealed
	if err := sealed.UnmarshalBinary(value); err != nil {
		return secrets.Secret{}, 0, fmt.Errorf("open %s: %w", name, err)
	}
	secret, err := s.keyring().Open(platformKind, name, generation, sealed)
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
	names := make([]string, len(writes))
	for i, w := range writes {
		names[i] = w.Name
	}
	what := strings.Join(names, " and ")
	for {
		ring, err := s.sealer()
		if err != nil {
			return fmt.Errorf("keep %s: %w", what, err)
		}
		conditions, puts, err := platformOps(ring, writes)
		if err != nil {
			return err
		}
		got, err := s.client.Txn(ctx).If(append(conditions, sealedUnder(ring))...).Then(puts...).Else(clientv3.OpGet(keySealing)).Commit()
		switch {
		case err != nil:
			return &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer; " + what + " may have been changed or not", Cause: err}
		case got.Succeeded:
			return nil
		case holds(got.Responses[0].GetResponseRange().Kvs, ring.CurrentID()):
			return weir.Errorf(weir.Stale, "%s was changed meanwhile", what)
		}
		// Another key seals by now.
		if err := s.readSealing(ctx); err != nil {
			return &weir.Error{Kind: weir.Unavailable, Message: "nothing was changed", Cause: err}
		}
	}
}

func platformOps(ring *secrets.Keyring, writes []PlatformWrite) (conditions []clientv3.Cmp, puts []clientv3.Op, err error) {
	for _, w := range writes {
		key := prefixPlatform + w.Name
		conditions = append(conditions, clientv3.Compare(clientv3.Version(key), "=", w.Generation))
		if w.Value == nil {
			puts = append(puts, clientv3.OpDelete(key))
			continue
		}
		raw, err := sealPlatform(ring, w)
		if err != nil {
			return nil, nil, err
		}
		puts = append(puts, clientv3.OpPut(key, string(raw)))
	}
	return conditions, puts, nil
}

func sealPlatform(ring *secrets.Keyring, w PlatformWrite) ([]byte, error) {
	sealed, err := ring.Seal(platformKind, w.Name, w.Generation+1, w.Value)
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
