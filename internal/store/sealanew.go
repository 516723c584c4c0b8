package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
)

const (
	// anewBatch is how many secrets are sealed anew in one transaction, at most, and anewBytes how large they are
	// together, about: writes of people wait for one of them at a time.
	anewBatch = 32
	anewBytes = 256 << 10
)

// SwitchSealing lets the key seal that all servers have first in their files, when that is another one than now. The
// servers are those that run; one that comes meanwhile prevents it.
func (s *Store) SwitchSealing(ctx context.Context) (switched bool, err error) {
	got, err := s.client.Get(ctx, prefixMember, clientv3.WithPrefix())
	if err != nil {
		return false, err
	}
	next := firstOfAll(s.membersIn(got.Kvs))
	state, at, err := s.readState(ctx)
	if err != nil || next == "" || next == state.Key {
		return false, err
	}
	now := s.sealing.Load()
	ring, err := now.file.SealingWith(next)
	if err != nil || !now.file.Has(state.Key) {
		return false, err // this server's file has changed since it was announced
	}
	older := append(state.Older, state.Key)
	older = slices.DeleteFunc(older, func(id string) bool { return id == next })
	raw, err := json.Marshal(Sealing{Older: older, Since: s.opts.Clock().UTC().Truncate(time.Second)})
	if err != nil {
		return false, err
	}
	prints, generation, err := s.printsFor(ctx, ring)
	if err != nil {
		return false, err
	}
	same := []clientv3.Cmp{
		clientv3.Compare(clientv3.Value(keySealing), "=", state.Key),
		clientv3.Compare(clientv3.ModRevision(keySealingAnew), "=", at),
		clientv3.Compare(clientv3.Version(prefixPlatform+printsValue), "=", generation),
		clientv3.Compare(clientv3.ModRevision(prefixMember), "<", got.Header.Revision+1).WithPrefix(),
	}
	done, err := s.client.Txn(ctx).If(same...).Then(
		clientv3.OpPut(keySealing, next), clientv3.OpPut(keySealingAnew, string(raw)), clientv3.OpPut(prefixPlatform+printsValue, string(prints)),
	).Commit()
	if err != nil || !done.Succeeded {
		return false, err
	}
	return true, s.readSealing(ctx)
}

// firstOfAll gives the key that all servers have first; empty when they differ, or don't tell.
func firstOfAll(members []Member) string {
	first := ""
	for i, m := range members {
		if len(m.SealingKeys) == 0 || i > 0 && m.SealingKeys[0] != first {
			return ""
		}
		first = m.SealingKeys[0]
	}
	return first
}

// printsFor seals the keys for all fingerprints there may be under a ring's first key, in place of a generation.
func (s *Store) printsFor(ctx context.Context, ring *secrets.Keyring) (value []byte, generation int64, err error) {
	before, generation, err := s.Platform(ctx, printsValue)
	switch {
	case weir.KindOf(err) == weir.NotFound:
	case err != nil:
		return nil, 0, err
	default:
		if ring, err = ring.WithPrints(before); err != nil {
			return nil, 0, err
		}
	}
	value, err = sealPlatform(ring, PlatformWrite{printsValue, generation, ring.Prints().Bytes()})
	return value, generation, err
}

// SealAnew seals what older keys have sealed with the one that seals now, from where it was left, and returns when all
// is. Two servers may do it at once: nothing is lost, and nothing that was changed meanwhile comes back.
func (s *Store) SealAnew(ctx context.Context) error {
	for {
		state, at, err := s.readState(ctx)
		if err != nil || len(state.Older) == 0 {
			return err
		}
		if state.Cursor == "" {
			err = s.startAnew(ctx, state, at)
		} else {
			start := time.Now()
			err = s.anewBatch(ctx, state, at)
			// The other half of the time is for everybody else.
			if err == nil && !s.pauseFor(ctx, time.Since(start)) {
				return ctx.Err()
			}
		}
		if err != nil {
			return err
		}
	}
}

// startAnew begins once what changes brought before the key changed lies where it is looked for.
func (s *Store) startAnew(ctx context.Context, state Sealing, at int64) error {
	got, err := s.client.Get(ctx, keyHead)
	if err != nil {
		return err
	}
	head, err := revisionIn(got.Kvs, keyHead)
	if err != nil {
		return err
	}
	// Later changes come under the new key: they are not waited for, or others that write could hold this up for good.
	s.materializeSoon()
	for {
		got, err := s.client.Get(ctx, keyMat)
		if err != nil {
			return err
		}
		if mat, err := revisionIn(got.Kvs, keyMat); err != nil {
			return err
		} else if mat >= head {
			break
		}
		if !s.pauseFor(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
	counts, err := s.client.Txn(ctx).Then(
		clientv3.OpGet(prefixSealed, clientv3.WithPrefix(), clientv3.WithCountOnly()),
		clientv3.OpGet(prefixPlatform, clientv3.WithPrefix(), clientv3.WithCountOnly())).Commit()
	if err != nil {
		return err
	}
	state.Total = counts.Responses[0].GetResponseRange().Count + counts.Responses[1].GetResponseRange().Count
	// Platform values come first: p/ is before x/.
	state.Cursor, state.Stuck = prefixPlatform, ""
	return s.keepProgress(ctx, state, at)
}

// anewBatch goes on from the cursor by some secrets.
func (s *Store) anewBatch(ctx context.Context, state Sealing, at int64) error {
	ring, err := s.sealer()
	if err != nil {
		return err
	}
	if ring.CurrentID() != state.Key {
		return s.readSealing(ctx)
	}
	kvs, err := s.sealedFrom(ctx, state.Cursor)
	if err != nil {
		return err
	}
	if len(kvs) == 0 {
		return s.finishAnew(ctx, state, at)
	}
	var same []clientv3.Cmp
	var puts []clientv3.Op
	size := 0
	for _, kv := range kvs {
		if len(puts) > 0 && size+len(kv.Value) > anewBytes {
			break
		}
		state.Done, state.Cursor = state.Done+1, string(kv.Key)+"\x00"
		value, err := anew(ring, kv)
		if err != nil {
			state.Stuck = err.Error()
			s.opts.Logger.Error("store: a secret can't be sealed anew; all older keys stay", "error", err)
			continue
		}
		if value == nil {
			continue
		}
		size += len(value)
		same = append(same, clientv3.Compare(clientv3.ModRevision(string(kv.Key)), "=", kv.ModRevision))
		puts = append(puts, clientv3.OpPut(string(kv.Key), string(value)))
	}
	return s.keepProgress(ctx, state, at, anewOps{same, puts})
}

// sealedFrom gives the next few sealed values.
func (s *Store) sealedFrom(ctx context.Context, cursor string) ([]*mvccpb.KeyValue, error) {
	for _, prefix := range []string{prefixPlatform, prefixSealed} {
		end := clientv3.GetPrefixRangeEnd(prefix)
		if cursor >= end {
			continue
		}
		got, err := s.client.Get(ctx, max(cursor, prefix), clientv3.WithRange(end), clientv3.WithLimit(anewBatch))
		if err != nil || len(got.Kvs) > 0 {
			return got.Kvs, err
		}
	}
	return nil, nil
}

// anew gives a value under the ring's first key; nil when it is under that already.
func anew(ring *secrets.Keyring, kv *mvccpb.KeyValue) ([]byte, error) {
	var sealed secrets.Sealed
	if err := sealed.UnmarshalBinary(kv.Value); err != nil {
		return nil, fmt.Errorf("%s: %w", strings.TrimPrefix(string(kv.Key), root), err)
	}
	if sealed.KeyID() == ring.CurrentID() {
		return nil, nil
	}
	name, ok := strings.CutPrefix(string(kv.Key), prefixPlatform)
	if !ok {
		n, err := parseSealedKey(kv)
		if err != nil {
			return nil, err
		}
		moved, _, err := ring.Reseal(n.Kind, n.Name, n.Generation, sealed)
		if err != nil {
			return nil, err
		}
		return moved.MarshalBinary()
	}
	// Writing it is a generation of its own.
	text, err := ring.Open(platformKind, name, kv.Version, sealed)
	if err != nil {
		return nil, err
	}
	return sealPlatform(ring, PlatformWrite{name, kv.Version, text.Bytes()})
}

// anewOps are puts on the condition that nothing was changed meanwhile.
type anewOps struct {
	same []clientv3.Cmp
	puts []clientv3.Op
}

// keepProgress writes how far the sealing anew is, with what it has made, in one transaction: whoever goes on after a
// crash finds both or neither. What was changed meanwhile is looked at again.
func (s *Store) keepProgress(ctx context.Context, state Sealing, at int64, with ...anewOps) error {
	raw, err := json.Marshal(state)
	if err != nil {
		return err
	}
	same := []clientv3.Cmp{clientv3.Compare(clientv3.Value(keySealing), "=", state.Key), clientv3.Compare(clientv3.ModRevision(keySealingAnew), "=", at)}
	puts := []clientv3.Op{clientv3.OpPut(keySealingAnew, string(raw))}
	for _, w := range with {
		same, puts = append(same, w.same...), append(puts, w.puts...)
	}
	_, err = s.client.Txn(ctx).If(same...).Then(puts...).Commit()
	return err
}

var errAnewStuck = errors.New("store: some secrets can't be sealed anew")

// finishAnew says that no older key is needed, once nothing was passed over.
func (s *Store) finishAnew(ctx context.Context, state Sealing, at int64) error {
	if state.Stuck != "" {
		again := Sealing{Key: state.Key, Older: state.Older, Since: state.Since, Stuck: state.Stuck}
		return errors.Join(fmt.Errorf("%w: %s", errAnewStuck, state.Stuck), s.keepProgress(ctx, again, at))
	}
	state.Older, state.Cursor, state.Finished = nil, "", s.opts.Clock().UTC().Truncate(time.Second)
	return s.keepProgress(ctx, state, at)
}
