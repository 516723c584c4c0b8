package store

import (
	"context"
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
	*kept[Registration]
	lease time.Duration

	hearing sync.Mutex
	heard   hearing
}

// Registrations makes the view of the registrations of this store, whose holders may be silent for as long as a lease.
// Follow must run.
func (s *Store) Registrations(lease time.Duration) *Registrations {
	return &Registrations{
		kept: keep(s, prefixRegistration, "registrations", "a registration", registrationIn), lease: lease,
		heard: hearing{names: map[string]struct{}{}},
	}
}

// Lease is how long one may be silent.
func (r *Registrations) Lease() time.Duration { return r.lease }

// Follow keeps the registrations up, and writes down who is heard, until ctx ends or the store closes. While etcd doesn't
// answer, they stay as they are.
func (r *Registrations) Follow(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.store.ctx, cancel)()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { r.writeHeard(ctx) })
	r.follow(ctx)
}

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
	r.note(&mvccpb.KeyValue{Key: []byte(key), Value: value, ModRevision: done.Header.Revision})
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
	for i, answer := range done.Responses {
		if answer.GetResponseTxn().Succeeded {
			gone = append(gone, list[i].Name)
			r.end(list[i].Name, done.Header.Revision)
		}
	}
	return gone, nil
}

func registrationIn(name string, kv *mvccpb.KeyValue) (Registration, error) {
	return Registration{Name: name, Value: kv.Value, Seen: time.Now(), version: kv.ModRevision}, nil
}

func silent(what string, err error) error {
	return &weir.Error{Kind: weir.Unavailable, Message: what + ": etcd does not answer", Cause: err}
}
