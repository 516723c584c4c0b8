package store

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// kept are the values below a prefix of etcd's, in memory, kept up by a watch; what this server writes or reads itself is
// there at once. Whatever order the answers of etcd and its watch come in, nothing that is over comes back, and nothing
// older takes the place of what is newer. Many goroutines may use them.
type kept[T any] struct {
	store  *Store
	prefix string
	// what says in the log what they are, one of what they are.
	what, one string
	read      func(name string, kv *mvccpb.KeyValue) (T, error)

	mu     sync.Mutex
	byName map[string]keptValue[T]
	// seen is etcd's revision up to which the watch has told everything: what is older is known better here than by
	// whoever comes with it.
	seen int64
	// ended are those that were ended here, at which revision of etcd's, until the watch tells of it.
	ended map[string]int64
	ready chan struct{} // closed once they have been read
	once  sync.Once
}

type keptValue[T any] struct {
	value   T
	version int64 // etcd's revision that wrote it
}

func keep[T any](s *Store, prefix, what, one string, read func(string, *mvccpb.KeyValue) (T, error)) *kept[T] {
	return &kept[T]{
		store: s, prefix: prefix, what: what, one: one, read: read,
		byName: map[string]keptValue[T]{}, ended: map[string]int64{}, ready: make(chan struct{}),
	}
}

// Ready is closed when those that there are have been read once.
func (k *kept[T]) Ready() <-chan struct{} { return k.ready }

// Get gives one, as it was a moment ago.
func (k *kept[T]) Get(name string) (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one, ok := k.byName[name]
	return one.value, ok
}

// All are those that there are, as they were a moment ago, in no order.
func (k *kept[T]) All() []T {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]T, 0, len(k.byName))
	for _, one := range k.byName {
		list = append(list, one.value)
	}
	return list
}

// Len is how many there are.
func (k *kept[T]) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.byName)
}

// follow keeps them up until ctx ends or the store closes. While etcd doesn't answer, they stay as they are.
func (k *kept[T]) follow(ctx context.Context) {
	k.store.followBelow(ctx, k.prefix, k.what, func(list []*mvccpb.KeyValue, at int64) {
		k.replace(list, at)
		k.once.Do(func() { close(k.ready) })
	}, k.watched)
}

// watched takes over what the watch says, in the order of etcd.
func (k *kept[T]) watched(events []*clientv3.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.seen
	for _, ev := range events {
		if ev.Type == clientv3.EventTypeDelete {
			k.goneLocked(k.name(ev.Kv), ev.Kv.ModRevision)
		} else {
			k.noteLocked(ev.Kv)
		}
		at = max(at, ev.Kv.ModRevision)
	}
	k.seenLocked(at) // only now: a transaction's keys have one revision
}

// replace takes over all there were at a revision of etcd's; what was written here since then stays.
func (k *kept[T]) replace(list []*mvccpb.KeyValue, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	there := make(map[string]bool, len(list))
	for _, kv := range list {
		there[k.name(kv)] = true
		k.noteLocked(kv)
	}
	for name := range k.byName {
		if !there[name] {
			k.goneLocked(name, at)
		}
	}
	k.seenLocked(max(k.seen, at))
}

// note takes over one as etcd had it, whichever way that came first.
func (k *kept[T]) note(kv *mvccpb.KeyValue) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.noteLocked(kv)
}

// end takes over that one was ended at a revision of etcd's.
func (k *kept[T]) end(name string, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.goneLocked(name, at)
	if at > k.seen {
		k.ended[name] = max(k.ended[name], at)
	}
}

// noteLocked passes over what the watch has passed already, what was ended here, and what is older than what is here.
func (k *kept[T]) noteLocked(kv *mvccpb.KeyValue) {
	name := k.name(kv)
	if kv.ModRevision <= max(k.seen, k.ended[name], k.byName[name].version) {
		return
	}
	value, err := k.read(name, kv)
	if err != nil {
		k.store.opts.Logger.Warn("store: "+k.one+" can't be read; it is passed over", slog.Any("error", err))
		return
	}
	k.byName[name] = keptValue[T]{value, kv.ModRevision}
}

func (k *kept[T]) goneLocked(name string, at int64) {
	if k.byName[name].version <= at {
		delete(k.byName, name)
	}
}

func (k *kept[T]) seenLocked(at int64) {
	k.seen = at
	for name, ended := range k.ended {
		if ended <= at {
			delete(k.ended, name)
		}
	}
}

func (k *kept[T]) name(kv *mvccpb.KeyValue) string { return string(kv.Key[len(k.prefix):]) }

// lease gives one of etcd's that lasts as long as it is to, and a second longer at the most.
func (s *Store) lease(ctx context.Context, lasts time.Duration) (clientv3.LeaseID, error) {
	got, err := s.client.Grant(ctx, max(int64(lasts/time.Second)+1, 1))
	if err != nil {
		return clientv3.NoLease, err
	}
	return got.ID, nil
}

// unlease lets a lease go of which nothing hangs any more.
func (s *Store) unlease(ctx context.Context, id clientv3.LeaseID) {
	_, _ = s.client.Revoke(ctx, id) // else it runs out by itself
}
