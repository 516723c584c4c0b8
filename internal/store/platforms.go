package store

import (
	"context"
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
	told := false
	tell := func(changed []PlatformValue) {
		if len(changed) > 0 || !told {
			told = true
			f(changed)
		}
	}
	s.followBelow(ctx, prefixPlatform+prefix, "what servers share in "+prefix, func(list []*mvccpb.KeyValue, _ int64) {
		tell(s.platformsThere(known, list))
	}, func(events []*clientv3.Event) {
		var changed []PlatformValue
		for _, ev := range events {
			if ev.Type == clientv3.EventTypeDelete {
				name := platformName(ev.Kv)
				delete(known, name)
				changed = append(changed, PlatformValue{Name: name})
				continue
			}
			changed = s.notePlatform(changed, known, ev.Kv)
		}
		tell(changed)
	})
}

// platformsThere gives what differs from what is known, of all there are.
func (s *Store) platformsThere(known map[string]int64, list []*mvccpb.KeyValue) (changed []PlatformValue) {
	there := make(map[string]bool, len(list))
	for _, kv := range list {
		there[platformName(kv)] = true
		changed = s.notePlatform(changed, known, kv)
	}
	for name := range known {
		if !there[name] {
			delete(known, name)
			changed = append(changed, PlatformValue{Name: name})
		}
	}
	return changed
}

func platformName(kv *mvccpb.KeyValue) string {
	return strings.TrimPrefix(string(kv.Key), prefixPlatform)
}

// notePlatform opens a value that is not known already.
func (s *Store) notePlatform(list []PlatformValue, known map[string]int64, kv *mvccpb.KeyValue) []PlatformValue {
	name := platformName(kv)
	if known[name] == kv.ModRevision {
		return list
	}
	value, generation, err := s.openPlatform(name, kv.Version, kv.Value)
	if err != nil {
		s.opts.Logger.Warn("store: a value that servers share can't be opened", "name", name, "error", err)
		return list
	}
	known[name] = kv.ModRevision
	return append(list, PlatformValue{name, value, generation})
}

// Platforms opens all values of the platform whose names begin with a prefix.
func (s *Store) Platforms(ctx context.Context, prefix string) (list []PlatformValue, err error) {
	from := prefixPlatform + prefix
	err = s.pages(ctx, from, clientv3.GetPrefixRangeEnd(from), 0, 1000, func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			name := platformName(kv)
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
