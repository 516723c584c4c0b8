package store

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
)

// PrefixTickets begins the names of the values that hold seeds of TLS ticket keys. A backup leaves them out: what
// opens traffic must not lie about for as long as backups do, and a store that is restored begins anew.
const PrefixTickets = "tickets/"

// PlatformValue is one value of the platform; its Generation is 0 when it is gone.
type PlatformValue struct {
	Name       string
	Value      secrets.Secret
	Generation int64
}

// FollowPlatforms calls f with the values of the platform whose names begin with prefix, first with all there are, and
// then with those that have changed, until ctx ends. What lies between two calls may be passed over; a value that
// can't be opened is left out and told.
func (s *Store) FollowPlatforms(ctx context.Context, prefix string, f func(changed []PlatformValue)) {
	known := map[string]int64{} // etcd's revision of each
	first := true
	s.followKeys(ctx, func() error {
		got, err := s.client.Get(ctx, prefixPlatform+prefix, clientv3.WithPrefix())
		if err != nil {
			return err
		}
		var changed []PlatformValue
		var errs []error
		there := make(map[string]bool, len(got.Kvs))
		for _, kv := range got.Kvs {
			name := strings.TrimPrefix(string(kv.Key), prefixPlatform)
			there[name] = true
			if known[name] == kv.ModRevision {
				continue
			}
			value, generation, err := s.openPlatform(name, kv.Version, kv.Value)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			known[name] = kv.ModRevision
			changed = append(changed, PlatformValue{name, value, generation})
		}
		for name := range known {
			if !there[name] {
				delete(known, name)
				changed = append(changed, PlatformValue{Name: name})
			}
		}
		if len(changed) > 0 || first {
			first = false
			f(changed)
		}
		return errors.Join(errs...)
	}, prefixPlatform+prefix, clientv3.WithPrefix())
}

// Platforms opens all values of the platform whose names begin with a prefix.
func (s *Store) Platforms(ctx context.Context, prefix string) (list []PlatformValue, err error) {
	from := prefixPlatform + prefix
	err = s.pages(ctx, from, clientv3.GetPrefixRangeEnd(from), 0, 1000, func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			name := strings.TrimPrefix(string(kv.Key), prefixPlatform)
			value, generation, err := s.openPlatform(name, kv.Version, kv.Value)
			if err != nil {
				return err
			}
			list = append(list, PlatformValue{name, value, generation})
		}
		return nil
	})
	if err != nil && weir.KindOf(err) == "" {
		err = &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer", Cause: err}
	}
	return list, err
}
