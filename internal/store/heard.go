package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// heardMost is how many names stand in one value of h/, at the most.
const heardMost = 8000

// hearing is who was heard here and is not known to be written down.
type hearing struct {
	names map[string]struct{}
	// since is when the first of them was heard, writing when the first of those was that are being written now.
	since, writing time.Time
}

// unwritten is how long the oldest word waits to be written down.
func (h *hearing) unwritten(now time.Time) time.Duration {
	switch {
	case !h.writing.IsZero():
		return now.Sub(h.writing)
	case len(h.names) > 0:
		return now.Sub(h.since)
	}
	return 0
}

// add notes that one was heard at a time.
func (h *hearing) add(name string, at time.Time) {
	if len(h.names) == 0 {
		h.since = at
	}
	h.names[name] = struct{}{}
}

// take gives the names, sorted, to be written; written must follow.
func (h *hearing) take() []string {
	if len(h.names) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(h.names))
	h.names, h.writing = map[string]struct{}{}, h.since
	return names
}

// written says what became of names that were taken.
func (h *hearing) written(names []string, err error) {
	if err == nil {
		h.writing = time.Time{}
		return
	}
	for _, name := range names {
		h.names[name] = struct{}{}
	}
	h.since, h.writing = h.writing, time.Time{}
}

// Hear notes that the holder of a registration was heard; whoever asks Heard knows within about a fifteenth of a lease. The
// error is weir.NotFound when the registration is another one by now or has ended, and weir.Unavailable when it could not
// be written down for a sixth of a lease who was heard: then another server of the store is to be told.
func (r *Registrations) Hear(one Registration) error {
	if there, ok := r.Get(one.Name); !ok || !there.Same(one) {
		return weir.Errorf(weir.NotFound, "the registration of %s has ended", one.Name)
	}
	now := time.Now()
	r.hearing.Lock()
	defer r.hearing.Unlock()
	if waits := r.heard.unwritten(now); waits > r.lease/6 {
		return silent("keep the registration of "+one.Name, fmt.Errorf("nothing could be written for %s", waits))
	}
	r.heard.add(one.Name, now)
	return nil
}

// writeHeard writes down who was heard, until ctx ends.
func (r *Registrations) writeHeard(ctx context.Context) {
	tick := time.NewTicker(r.lease / 15)
	defer tick.Stop()
	w := heardWriter{store: r.store, prefix: prefixHeard + rand.Text() + "/", lasts: 2 * r.lease}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.hearing.Lock()
		names := r.heard.take()
		r.hearing.Unlock()
		if len(names) == 0 {
			continue
		}
		err := w.write(ctx, names)
		r.hearing.Lock()
		r.heard.written(names, err)
		r.hearing.Unlock()
		if err != nil && ctx.Err() == nil {
			r.store.opts.Logger.Warn("store: who was heard can't be written down; trying again", slog.Any("error", err))
		}
	}
}

// heardWriter writes names into keys that go after a time, by leases that several of them share.
type heardWriter struct {
	store   *Store
	prefix  string
	lasts   time.Duration
	turn    int64
	lease   clientv3.LeaseID
	granted time.Time
}

func (w *heardWriter) write(ctx context.Context, names []string) error {
	for some := range slices.Chunk(names, heardMost) {
		if err := w.put(ctx, pack([]byte(strings.Join(some, "\n")))); err != nil {
			return err
		}
	}
	return nil
}

func (w *heardWriter) put(ctx context.Context, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	if now := time.Now(); w.lease == 0 || now.Sub(w.granted) > w.lasts/2 {
		lease, err := w.store.lease(ctx, w.lasts)
		if err != nil {
			return err
		}
		w.lease, w.granted = lease, now
	}
	if _, err := w.store.client.Put(ctx, w.prefix+number(w.turn), string(value), clientv3.WithLease(w.lease)); err != nil {
		w.lease = 0 // it may be gone
		return err
	}
	w.turn++
	return nil
}

// Heard gives the names that the servers of the store have heard, as far as that was written since a revision of etcd's, and
// the revision to go on from; it begins at 0. What is older than a lease may be left out. It fails without a majority.
func (r *Registrations) Heard(ctx context.Context, from int64) (names []string, next int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := r.store.client.Get(ctx, prefixHeard, clientv3.WithPrefix(), clientv3.WithMinModRev(from))
	if err != nil {
		return nil, from, silent("see who was heard", err)
	}
	for _, kv := range got.Kvs {
		some, err := heardIn(kv)
		if err != nil {
			return nil, from, err
		}
		names = append(names, some...)
	}
	return names, got.Header.Revision + 1, nil
}

func heardIn(kv *mvccpb.KeyValue) ([]string, error) {
	raw, err := unpack(kv.Value)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", kv.Key, err)
	}
	return strings.Split(string(bytes.TrimSpace(raw)), "\n"), nil
}
