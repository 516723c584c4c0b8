package store

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// Registration is what servers of the store know together of one who registered, until it is dropped. It is no object: it
// has no history, and backups leave it out.
type Registration struct {
	Name string
	// Value is whoever registered's, small.
	Value []byte
	// Seen is when it was seen here first with this value.
	Seen time.Time

	version int64 // etcd's revision that wrote it
}

// Same says that two are the same registration with the same value.
func (r Registration) Same(o Registration) bool { return r.Name == o.Name && r.version == o.version }

// Registrations are all there are, in memory, kept up by a watch. Many goroutines may use them.
type Registrations struct {
	store *Store
	lease time.Duration

	mu     sync.Mutex
	byName map[string]Registration
	heard  hearing
	ready  chan struct{} // closed once they have been read
	once   sync.Once
}

// Registrations makes the view of the registrations of this store, whose holders may be silent for as long as a lease.
// Follow must run.
func (s *Store) Registrations(lease time.Duration) *Registrations {
	return &Registrations{
		store: s, lease: lease, byName: map[string]Registration{}, ready: make(chan struct{}),
		heard: hearing{names: map[string]struct{}{}},
	}
}

// Lease is how long one may be silent.
func (r *Registrations) Lease() time.Duration { return r.lease }

// Get gives the registration of a name, as it was a moment ago.
func (r *Registrations) Get(name string) (Registration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one, ok := r.byName[name]
	return one, ok
}

// All are those that there are, as they were a moment ago, in no order.
func (r *Registrations) All() []Registration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.byName))
}

// Len is how many there are.
func (r *Registrations) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byName)
}

// Ready is closed when those that there are have been read once.
func (r *Registrations) Ready() <-chan struct{} { return r.ready }

// Put registers a name, or gives its registration another value; its holder has been heard then. before is what Get gave,
// the zero value for a new one. The error is weir.Stale when that has changed meanwhile.
func (r *Registrations) Put(ctx context.Context, name string, value []byte, before Registration) (Registration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	key := prefixRegistration + name
	done, err := r.store.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", before.version)).
		Then(clientv3.OpPut(key, string(value))).Commit()
	if err != nil {
		return before, silent("register "+name, err)
	}
	if !done.Succeeded {
		return before, weir.Errorf(weir.Stale, "the registration of %s was changed meanwhile", name)
	}
	r.note([]*mvccpb.KeyValue{{Key: []byte(key), Value: value, ModRevision: done.Header.Revision}}, nil)
	one := Registration{Name: name, Value: value, version: done.Header.Revision}
	if err := r.Hear(one); weir.KindOf(err) != weir.NotFound {
		return one, err
	}
	return one, weir.Errorf(weir.Stale, "the registration of %s was changed meanwhile", name)
}

// Drop ends registrations, and gives the names of those that are not there then: one that has changed since it was given
// stays, and so does one that has come meanwhile, where a Registration of nothing but a name stands for none.
func (r *Registrations) Drop(ctx context.Context, list ...Registration) (gone []string, err error) {
	for some := range slices.Chunk(list, maxTxnOps) {
		more, err := r.drop(ctx, some)
		if gone = append(gone, more...); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

func (r *Registrations) drop(ctx context.Context, list []Registration) (gone []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ops := make([]clientv3.Op, len(list))
	for i, one := range list {
		key := prefixRegistration + one.Name
		ops[i] = clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", one.version)}, []clientv3.Op{clientv3.OpDelete(key)}, nil)
	}
	done, err := r.store.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return nil, silent("drop the registration of "+list[0].Name, err)
	}
	var keys []*mvccpb.KeyValue
	for i, answer := range done.Responses {
		if answer.GetResponseTxn().Succeeded {
			gone = append(gone, list[i].Name)
			keys = append(keys, &mvccpb.KeyValue{Key: []byte(prefixRegistration + list[i].Name), ModRevision: done.Header.Revision})
		}
	}
	r.note(nil, keys)
	return gone, nil
}

// Follow keeps the registrations up, and writes down who is heard, until ctx ends or the store closes. While etcd doesn't
// answer, they stay as they are.
func (r *Registrations) Follow(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.store.ctx, cancel)()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { r.writeHeard(ctx) })
	for ctx.Err() == nil {
		if err := r.followOnce(ctx); err != nil && ctx.Err() == nil {
			r.store.opts.Logger.Warn("store: registrations can't be followed; trying again", slog.Any("error", err))
		}
		if !r.store.pauseFor(ctx, retryPause) {
			return
		}
	}
}

func (r *Registrations) followOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	all, err := r.store.client.Get(ctx, prefixRegistration, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	r.replace(all.Kvs, all.Header.Revision)
	r.once.Do(func() { close(r.ready) })
	for answer := range r.store.client.Watch(ctx, prefixRegistration, clientv3.WithPrefix(), clientv3.WithRev(all.Header.Revision+1)) {
		if err := answer.Err(); err != nil {
			return err
		}
		var put, gone []*mvccpb.KeyValue
		for _, ev := range answer.Events {
			if ev.Type == clientv3.EventTypeDelete {
				gone = append(gone, ev.Kv)
			} else {
				put = append(put, ev.Kv)
			}
		}
		r.note(put, gone)
	}
	return errors.New("the watch ended")
}

// replace takes over all there were at a revision of etcd's; what was written here since then stays.
func (r *Registrations) replace(list []*mvccpb.KeyValue, at int64) {
	there := make(map[string]bool, len(list))
	for _, kv := range list {
		there[registrationName(kv)] = true
	}
	var gone []*mvccpb.KeyValue
	r.mu.Lock()
	for name := range r.byName {
		if !there[name] {
			gone = append(gone, &mvccpb.KeyValue{Key: []byte(prefixRegistration + name), ModRevision: at})
		}
	}
	r.mu.Unlock()
	r.note(list, gone)
}

// note takes over what etcd said, whichever way it came first.
func (r *Registrations) note(put, gone []*mvccpb.KeyValue) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, kv := range put {
		if name := registrationName(kv); r.byName[name].version < kv.ModRevision {
			r.byName[name] = Registration{Name: name, Value: kv.Value, Seen: now, version: kv.ModRevision}
		}
	}
	for _, kv := range gone {
		if name := registrationName(kv); r.byName[name].version <= kv.ModRevision {
			delete(r.byName, name)
		}
	}
}

func registrationName(kv *mvccpb.KeyValue) string { return string(kv.Key[len(prefixRegistration):]) }

func silent(what string, err error) error {
	return &weir.Error{Kind: weir.Unavailable, Message: what + ": etcd does not answer", Cause: err}
}
