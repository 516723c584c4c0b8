package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// load reads the present into memory and gives etcd's revision from which to watch.
func (s *Store) load(ctx context.Context) (next int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	for {
		next, err = s.loadAt(ctx)
		// Only a load slower than etcd's own tidying meets this, and then the next one is as good.
		if !errors.Is(err, rpctypes.ErrCompacted) {
			return next, err
		}
	}
}

// loadAt reads everything as of one moment: objects as of mat, then the changes from there to head.
func (s *Store) loadAt(ctx context.Context) (next int64, err error) {
	heads, err := s.client.Txn(ctx).Then(clientv3.OpGet(keyHead), clientv3.OpGet(keyMat)).Commit()
	if err != nil {
		return 0, err
	}
	at := heads.Header.Revision
	head, err := revisionIn(heads.Responses[0].GetResponseRange().Kvs, keyHead)
	if err != nil {
		return 0, err
	}
	mat, err := revisionIn(heads.Responses[1].GetResponseRange().Kvs, keyMat)
	if err != nil {
		return 0, err
	}
	objects, err := s.loadObjects(ctx, at)
	if err != nil {
		return 0, err
	}
	set := weir.NewSet(objects...)
	set.Revision = mat
	s.live, s.mat = set, mat
	err = s.eachChange(ctx, mat+1, head, at, func(h header, entries []entry) error {
		if h.Revision != set.Revision+1 {
			return fmt.Errorf("read store: change %d is missing", set.Revision+1)
		}
		put(set, h.Revision, entries)
		s.ring.add(h.event(entries))
		return nil
	})
	if err == nil && set.Revision != head {
		err = fmt.Errorf("read store: change %d is missing, the last is %d", set.Revision+1, head)
	}
	return at + 1, err
}

func revisionIn(kvs []*mvccpb.KeyValue, key string) (int64, error) {
	if len(kvs) == 0 {
		return 0, fmt.Errorf("read store: key %s is missing", key)
	}
	return parseRevision(string(kvs[0].Value))
}

// put brings a set from one revision to the next.
func put(set *weir.Set, revision int64, entries []entry) {
	for _, e := range entries {
		if e.after != nil {
			set.Put(e.after)
		} else {
			set.Delete(e.ref)
		}
	}
	set.Revision = revision
}

// objectPage is how many objects are asked for at a time: for each page etcd counts all that come after it too.
const objectPage = 4000

// loadObjects reads what is under o/ as of etcd's revision at.
func (s *Store) loadObjects(ctx context.Context, at int64) ([]*weir.Object, error) {
	var list []*weir.Object
	err := s.pages(ctx, prefixObject, clientv3.GetPrefixRangeEnd(prefixObject), at, objectPage, func(kvs []*mvccpb.KeyValue) error {
		from := len(list)
		list = append(list, make([]*weir.Object, len(kvs))...)
		return inParallel(len(kvs), func(i int) error {
			o, err := s.objectAt(ctx, kvs[i], at)
			if err != nil {
				return fmt.Errorf("read store: key %s: %w", kvs[i].Key, err)
			}
			list[from+i] = o
			return nil
		})
	})
	return list, err
}

func (s *Store) objectAt(ctx context.Context, kv *mvccpb.KeyValue, at int64) (*weir.Object, error) {
	revision, chunks, packed, err := parseObjectValue(kv.Value)
	if err != nil {
		return nil, err
	}
	if chunks > 1 {
		ref := strings.TrimPrefix(string(kv.Key), prefixObject)
		more, err := s.chunks(ctx, prefixLarge+ref+"/"+number(revision)+"/", chunks-1, at)
		if err != nil {
			return nil, err
		}
		packed = append(bytes.Clone(packed), more...)
	}
	o, err := objectFrom(revision, packed)
	s.equals.object(o)
	return o, err
}

// chunks reads n values in the order of their keys and joins them.
func (s *Store) chunks(ctx context.Context, prefix string, n int, at int64) ([]byte, error) {
	var joined []byte
	found := 0
	err := s.pages(ctx, prefix, clientv3.GetPrefixRangeEnd(prefix), at, 16, func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			joined = append(joined, kv.Value...)
			found++
		}
		return nil
	})
	if err == nil && found != n {
		err = fmt.Errorf("read store: %s has %d chunks of %d", prefix, found, n)
	}
	return joined, err
}

// pages gives the keys from start to before end, some at a time; at is etcd's revision, 0 for the present.
func (s *Store) pages(ctx context.Context, start, end string, at, size int64, f func([]*mvccpb.KeyValue) error, more ...clientv3.OpOption) error {
	opts := append([]clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(size), clientv3.WithRev(at)}, more...)
	type page struct {
		got *clientv3.GetResponse
		err error
	}
	// The next page is on its way while f works: etcd needs about as long for it.
	fetch := func(start string) <-chan page {
		c := make(chan page, 1)
		go func() {
			got, err := s.client.Get(ctx, start, opts...)
			c <- page{got, err}
		}()
		return c
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	coming := fetch(start)
	for coming != nil {
		p := <-coming
		if coming = nil; p.err != nil {
			return p.err
		}
		if p.got.More {
			coming = fetch(string(p.got.Kvs[len(p.got.Kvs)-1].Key) + "\x00")
		}
		if err := f(p.got.Kvs); err != nil {
			return err
		}
	}
	return nil
}

// eachChange gives the stored changes of revisions from to to, in order, as far as they are kept.
func (s *Store) eachChange(ctx context.Context, from, to, at int64, f func(header, []entry) error) error {
	if from > to {
		return nil
	}
	return s.pages(ctx, changeKey(from), changeKey(to+1), at, 32, func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			h, entries, err := s.decodeChange(ctx, kv.Value)
			if err != nil {
				return err
			}
			if err := f(h, entries); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) decodeChange(ctx context.Context, value []byte) (header, []entry, error) {
	h, body, err := parseChangeValue(value)
	if err != nil {
		return h, nil, err
	}
	if h.Staging != "" {
		if body, err = s.chunks(ctx, prefixBody+h.Staging+"/", h.BodyChunks, 0); err != nil {
			return h, nil, errors.Join(s.whetherKept(ctx, h.Revision), err)
		}
	}
	entries, err := entriesOf(h.Revision, body)
	for i := range entries {
		s.equals.object(entries[i].before)
		s.equals.object(entries[i].after)
	}
	return h, entries, err
}

// whetherKept is of kind Gone when a change was removed, as may happen between its header and its body.
func (s *Store) whetherKept(ctx context.Context, revision int64) error {
	got, err := s.client.Get(ctx, changeKey(revision), clientv3.WithCountOnly())
	if err == nil && got.Count == 0 {
		err = weir.Errorf(weir.Gone, "change %d is no longer kept", revision)
	}
	return err
}
