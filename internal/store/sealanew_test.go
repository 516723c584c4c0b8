package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

const (
	oldKey = "0123456789abcdef0123456789abcdef" // that of parseTestKeyring
	newKey = "fedcba9876543210fedcba9876543210"
	// anewDir, when set, makes the test binary a server that seals anew in that directory until it is killed.
	anewDir = "WEIR_STORE_ANEW_DIR"
)

func ringOf(t testing.TB, keys ...string) *secrets.Keyring {
	t.Helper()
	ring, err := parseRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func parseRing(keys ...string) (*secrets.Keyring, error) {
	var lines []string
	for _, k := range keys {
		lines = append(lines, base64.StdEncoding.EncodeToString([]byte(k)))
	}
	return secrets.ParseKeyring(strings.Join(lines, "\n"))
}

func withRing(t testing.TB, keys ...string) func(*Options) {
	return func(o *Options) { o.Keyring = ringOf(t, keys...) }
}

// announced lets a store tell of its keys, and gives what to call when they have changed.
func announced(t testing.TB, s *Store) (changed func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	again, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		s.Announce(ctx, func() Member { return Member{Name: s.ID(), SealingKeys: s.SealingKeys()} }, again)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return func() { again <- struct{}{} }
}

// switches waits until a server has let a key seal.
func switches(t testing.TB, s *Store, keys string) {
	t.Helper()
	want := ringOf(t, keys).CurrentID()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if _, err := s.SwitchSealing(t.Context()); err != nil {
			return err
		}
		if state, err := s.Sealing(t.Context()); err != nil || state.Key != want {
			return fmt.Errorf("%+v, %v", state, err)
		}
		return nil
	})
}

// allUnder checks that everything sealed in the store is under one key, and which.
func allUnder(t testing.TB, s *Store, id string) {
	t.Helper()
	n := 0
	for _, prefix := range []string{prefixPlatform, prefixSealed} {
		err := s.pages(t.Context(), prefix, clientv3.GetPrefixRangeEnd(prefix), 0, 100, func(kvs []*mvccpb.KeyValue) error {
			for _, kv := range kvs {
				var sealed secrets.Sealed
				if err := sealed.UnmarshalBinary(kv.Value); err != nil || sealed.KeyID() != id {
					t.Errorf("%s is under %s: %v", kv.Key, sealed.KeyID(), err)
				}
				n++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 2 {
		t.Error("nothing is sealed")
	}
}

// The whole change of key: all generations of secrets and all values of the platform are sealed anew, objects and
// their references stay as they are, the old key opens nothing and the new one alone everything.
func TestSealingKeyChanges(t *testing.T) {
	t.Parallel()
	s, err := tryOpen(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keepThings(t, s)
	undone := apply(t, s, puts(secret("one", "third"))...)
	first := *dataRef(t, s, "many-1")
	before := everything(t, s)
	announces := announced(t, s)
	if switched, err := s.SwitchSealing(t.Context()); err != nil || switched {
		t.Fatalf("nobody has another key: %v, %v", switched, err)
	}
	if err := s.UseKeyring(t.Context(), ringOf(t, newKey, oldKey)); err != nil {
		t.Fatal(err)
	}
	announces()
	switches(t, s, newKey)
	if state, err := s.Sealing(t.Context()); err != nil || len(state.Older) != 1 || state.Older[0] != ringOf(t, oldKey).CurrentID() {
		t.Fatalf("%+v, %v", state, err)
	}
	if err := s.UseKeyring(t.Context(), ringOf(t, newKey)); !errors.Is(err, secrets.ErrKeyUnknown) {
		t.Errorf("a file without the old key, too early: %v", err)
	}
	if err := s.SealAnew(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, err := s.Sealing(t.Context())
	if err != nil || len(state.Older) > 0 || state.Finished.IsZero() || state.Done < state.Total || state.Total < 400 {
		t.Errorf("%+v, %v", state, err)
	}
	allUnder(t, s, ringOf(t, newKey).CurrentID())
	if err := s.UseKeyring(t.Context(), ringOf(t, oldKey)); !errors.Is(err, secrets.ErrKeyUnknown) {
		t.Errorf("a file without the new key: %v", err)
	}
	if err := s.UseKeyring(t.Context(), ringOf(t, newKey)); err != nil {
		t.Fatal(err)
	}
	checkSealedAnew(t, s, before, first)
	if _, err := s.Undo(t.Context(), undone.Revision, Request{Author: "tester"}); err != nil {
		t.Error(err)
	}
	before = everything(t, s)
	dir := s.opts.Dir
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(t, dir); !errors.Is(err, secrets.ErrKeyUnknown) {
		t.Errorf("opened with the old key: %v", err)
	}
	checkSealedAnew(t, openIn(t, dir, withRing(t, newKey)), before, first)
}

// checkSealedAnew wants nothing changed, and secrets given again to be no change: not one plan becomes longer.
func checkSealedAnew(t *testing.T, s *Store, before string, first weir.SealedRef) {
	t.Helper()
	if after := everything(t, s); after != before {
		t.Error("what the store holds is no longer the same")
	}
	for _, o := range []*weir.Object{secret("many-1", backupCanary+"-1"), secretByRef("many-1", &first)} {
		if r := apply(t, s, puts(o)...); len(r.Change.Objects) != 0 || *dataRef(t, s, "many-1") != first {
			t.Errorf("a secret that is the same became another: %v", r.Change.Objects)
		}
	}
	for name, want := range map[string]string{"ca": "ca-2", "issuer/public": "issuer/public", "order/www": "order/www"} {
		if value, _, err := s.Platform(t.Context(), name); err != nil || value.Text() != backupCanary+"-"+want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The keys of certificates and issuers open, fit, and given again are no change.
	spec := weir.Find[weir.Certificate](s.View(), "Certificate", "www")
	key, err := s.Secret(t.Context(), weir.Ref{Kind: "Certificate", Name: "www"}, spec.KeyRef.Generation)
	if err != nil {
		t.Fatal(err)
	}
	if r := apply(t, s, puts(certificate("www", spec.Chain.String(), key.Text()), issuer("public", backupCanary+"-issuer"))...); len(r.Change.Objects) != 0 {
		t.Errorf("keys that are the same became others: %v", r.Change.Objects)
	}
}

// Two servers: none seals with a key that the other lacks, and while both write, large changes too, not one secret
// comes under the old key after the sealing anew.
func TestSealingKeyOfTwoServers(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	a, b := onCluster(t, e, withRing(t, oldKey)), onCluster(t, e, withRing(t, oldKey))
	tellA, tellB := announced(t, a), announced(t, b)
	apply(t, a, puts(secret("canary", "value"))...)
	if err := b.WaitFor(t.Context(), a.Revision()); err != nil {
		t.Fatal(err)
	}
	both := ringOf(t, newKey, oldKey)
	if err := a.UseKeyring(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	tellA()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		members, err := a.Members(t.Context())
		if err != nil || len(members) != 2 || !slices.ContainsFunc(members, func(m Member) bool { return len(m.SealingKeys) == 2 }) {
			return fmt.Errorf("%v, %v", members, err)
		}
		return nil
	})
	if switched, err := a.SwitchSealing(t.Context()); err != nil || switched {
		t.Fatalf("the other lacks the key: %v, %v", switched, err)
	}
	writing, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i, s := range []*Store{a, b} {
		for _, parts := range []int{1, 150} {
			writers.Go(func() { writeSecrets(writing, t, s, fmt.Sprintf("w%d-%d", i, parts), parts) })
		}
	}
	if err := b.UseKeyring(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	tellB()
	switches(t, b, newKey)
	if err := a.SealAnew(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	writers.Wait()
	waitMaterialized(t, a)
	allUnder(t, a, both.CurrentID())
	for _, s := range []*Store{a, b} {
		if err := s.UseKeyring(t.Context(), ringOf(t, newKey)); err != nil {
			t.Error(err)
		}
		opens(t, s, "canary", 1, "value")
	}
	late := onCluster(t, e, withRing(t, newKey))
	opens(t, late, "canary", 1, "value")
}

// A server that joins in the middle: one that has both keys, in whatever order, opens what is and what is not sealed anew
// yet, and what it seals is under the new one; one with either key alone does not start.
func TestServerJoinsWhileSealedAnew(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	a := onCluster(t, e, withRing(t, oldKey))
	keepThings(t, a)
	before, first := everything(t, a), *dataRef(t, a, "many-1")
	if err := a.UseKeyring(t.Context(), ringOf(t, newKey, oldKey)); err != nil {
		t.Fatal(err)
	}
	announced(t, a)
	switches(t, a, newKey)
	for range 3 {
		state, at, err := a.readState(t.Context())
		if err == nil && state.Cursor == "" {
			err = a.startAnew(t.Context(), state, at)
		} else if err == nil {
			err = a.anewBatch(t.Context(), state, at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if state, err := a.Sealing(t.Context()); err != nil || len(state.Older) != 1 || state.Done == 0 || state.Done >= state.Total {
		t.Fatalf("it is not in the middle: %+v, %v", state, err)
	}
	for _, keys := range [][]string{{oldKey}, {newKey}} {
		if s, err := tryOpen(t, "", func(o *Options) { o.Cluster = &Cluster{Endpoints: e.Endpoints(), TLS: e.TLS()} }, withRing(t, keys...)); !errors.Is(err, secrets.ErrKeyUnknown) {
			t.Errorf("it starts with one of the keys alone: %v", err)
			if err == nil {
				_ = s.Close()
			}
		}
	}
	for i, keys := range [][]string{{oldKey, newKey}, {newKey, oldKey}} {
		late := onCluster(t, e, withRing(t, keys...))
		if got := everything(t, late); got != before {
			t.Error("what the store holds is no longer the same")
		}
		name := fmt.Sprintf("late-%d", i)
		apply(t, late, puts(issuer(name, "key of "+name))...)
		if err := late.SetPlatform(t.Context(), "order/"+name, []byte("key of an order"), 0); err != nil {
			t.Fatal(err)
		}
		if err := a.WaitFor(t.Context(), late.Revision()); err != nil {
			t.Fatal(err)
		}
		before = everything(t, late)
	}
	if err := a.SealAnew(t.Context()); err != nil {
		t.Fatal(err)
	}
	allUnder(t, a, ringOf(t, newKey).CurrentID())
	checkSealedAnew(t, onCluster(t, e, withRing(t, newKey)), before, first)
}

// A backup from before the change of key needs the key of then: without it nothing is made; with it the store is the one
// of then, and is sealed with the new key once more.
func TestRestoreFromBeforeTheSealingKey(t *testing.T) {
	t.Parallel()
	s, p := withThings(t), newPair(t)
	raw, _ := backedUp(t, s, p)
	before, first := everything(t, s), *dataRef(t, s, "many-1")
	dir := t.TempDir()
	if _, err := restoreOf(t, raw, p, Options{Dir: dir + "/without", Keyring: ringOf(t, newKey)}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("restored without the key: %v", err)
	}
	if _, err := restoreOf(t, raw, p, Options{Dir: dir + "/with", Keyring: ringOf(t, newKey, oldKey)}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := openIn(t, dir+"/with", withRing(t, newKey, oldKey))
	if got := everything(t, again); got != before {
		t.Error("it is not what it was")
	}
	announced(t, again)
	switches(t, again, newKey)
	if err := again.SealAnew(t.Context()); err != nil {
		t.Fatal(err)
	}
	allUnder(t, again, ringOf(t, newKey).CurrentID())
	if err := again.UseKeyring(t.Context(), ringOf(t, newKey)); err != nil {
		t.Fatal(err)
	}
	checkSealedAnew(t, again, before, first)
}

// writeSecrets makes changes of so many secrets until ctx ends.
func writeSecrets(ctx context.Context, t *testing.T, s *Store, name string, parts int) {
	// Not for ever: on a busy machine they would make more than is sealed anew meanwhile.
	for n := 0; n < 100 && ctx.Err() == nil; n++ {
		var list []*weir.Object
		for i := range parts {
			list = append(list, secret(fmt.Sprintf("%s-%d", name, i), fmt.Sprintf("%s-%d-%d", name, i, n)))
		}
		if _, err := s.Apply(ctx, Request{Author: "tester", Writes: puts(list...)}); err != nil && ctx.Err() == nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

// A server that came while the key changed and lacks the new one keeps nothing under the old: it says so.
func TestServerWithoutTheSealingKey(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	a, silent := onCluster(t, e, withRing(t, oldKey)), onCluster(t, e, withRing(t, oldKey))
	if err := a.UseKeyring(t.Context(), ringOf(t, newKey, oldKey)); err != nil {
		t.Fatal(err)
	}
	announced(t, a)
	switches(t, a, newKey)
	_, err := silent.Apply(t.Context(), Request{Author: "tester", Writes: puts(secret("a", "value"))})
	wantKind(t, err, weir.Unavailable, "lacks")
	wantKind(t, silent.SetPlatform(t.Context(), "ca", []byte("value"), 0), weir.Unavailable, "lacks")
	apply(t, silent, puts(zone("az1", 1))...)
	if _, err := silent.Secret(t.Context(), weir.Ref{Kind: "Secret", Name: "a"}, 1); err == nil {
		t.Error("it was kept")
	}
	if err := silent.UseKeyring(t.Context(), ringOf(t, newKey, oldKey)); err != nil {
		t.Fatal(err)
	}
	apply(t, silent, puts(secret("a", "value"))...)
}
