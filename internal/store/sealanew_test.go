package store

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	weirtest.Eventually(t, time.Minute, func() error {
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
	if value, _, err := s.Platform(t.Context(), "ca"); err != nil || value.Text() != backupCanary+"-ca-2" {
		t.Errorf("a value of the platform: %v", err)
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
	weirtest.Eventually(t, time.Minute, func() error {
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

// writeSecrets makes changes of so many secrets until ctx ends.
func writeSecrets(ctx context.Context, t *testing.T, s *Store, name string, parts int) {
	for n := 0; ctx.Err() == nil; n++ {
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

// The server is killed again and again while it seals anew and others write; each goes on where the one before was.
func TestKilledWhileSealingAnew(t *testing.T) {
	t.Parallel()
	s, err := tryOpen(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keepThings(t, s)
	dir, before := s.opts.Dir, everything(t, s)
	first := *dataRef(t, s, "many-1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rounds, furthest := 0, 0
	for finished := false; !finished; rounds++ {
		if rounds == 60 {
			t.Fatal("it does not come to its end")
		}
		var done int
		done, finished = anewAndKill(t, dir)
		if !finished && done < furthest {
			t.Errorf("it was at %d, and is back at %d", furthest, done)
		}
		furthest = max(furthest, done)
	}
	if rounds < 3 {
		t.Errorf("the kills proved nothing: %d rounds", rounds)
	}
	s = openIn(t, dir, withRing(t, newKey))
	allUnder(t, s, ringOf(t, newKey).CurrentID())
	checkSealedAnew(t, s, before, first)
}

// anewAndKill runs a server until it has come some way, and tells how far it was.
func anewAndKill(t *testing.T, dir string) (done int, finished bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), anewDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(out)
	for n := 0; scan.Scan(); n++ {
		if n == 4 {
			_ = cmd.Process.Kill()
		}
		if scan.Text() == "finished" {
			finished = true
		} else if _, err := fmt.Sscan(scan.Text(), &done); err != nil {
			t.Error(err)
		}
	}
	_ = cmd.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("the server says: %s", stderr.String())
	}
	return done, finished
}

// sealAnewUntilKilled prints how far it is, and "finished".
func sealAnewUntilKilled(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	ring, err := parseRing(newKey, oldKey)
	if err != nil {
		fail(err)
	}
	s, err := Open(ctx, Options{Dir: dir, Keyring: ring})
	if err != nil {
		fail(err)
	}
	go s.Announce(ctx, func() Member { return Member{SealingKeys: s.SealingKeys()} }, nil)
	for {
		if _, err := s.SwitchSealing(ctx); err != nil {
			fail(err)
		}
		state, at, err := s.readState(ctx)
		switch {
		case err != nil:
			fail(err)
		case state.Key != ring.CurrentID(): // this server is not announced yet
		case len(state.Older) == 0:
			fmt.Println("finished")
			os.Exit(0)
		case state.Cursor == "":
			err = s.startAnew(ctx, state, at)
		default:
			fmt.Println(state.Done)
			err = s.anewBatch(ctx, state, at)
		}
		if err != nil {
			fail(err)
		}
	}
}
