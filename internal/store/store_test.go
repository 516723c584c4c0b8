package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// openIn opens a store that closes with the test.
func openIn(t testing.TB, dir string, change ...func(*Options)) *Store {
	t.Helper()
	s, err := tryOpen(t, dir, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func tryOpen(t testing.TB, dir string, change ...func(*Options)) (*Store, error) {
	t.Helper()
	opts := Options{Dir: dir, Keyring: testKeyring(t)}
	for _, f := range change {
		f(&opts)
	}
	return Open(t.Context(), opts)
}

func newStore(t testing.TB, change ...func(*Options)) *Store {
	t.Helper()
	return openIn(t, t.TempDir(), change...)
}

func testKeyring(t testing.TB) *secrets.Keyring {
	t.Helper()
	ring, err := parseTestKeyring()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func parseTestKeyring() (*secrets.Keyring, error) {
	return secrets.ParseKeyring(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
}

func zone(name string, capacity int) *weir.Object {
	return &weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: name}, Spec: &weir.Zone{Capacity: capacity}}
}

func puts(list ...*weir.Object) []weir.Write {
	writes := make([]weir.Write, len(list))
	for i, o := range list {
		writes[i] = weir.Write{Put: o}
	}
	return writes
}

func apply(t testing.TB, s *Store, writes ...weir.Write) *Result {
	t.Helper()
	r, err := s.Apply(t.Context(), Request{Author: "tester", Writes: writes})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantKind(t testing.TB, err error, kind weir.ErrorKind, texts ...string) {
	t.Helper()
	if weir.KindOf(err) != kind {
		t.Fatalf("error is of kind %q, want %q: %v", weir.KindOf(err), kind, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q lacks %q", err, text)
		}
	}
}

// contents is every key with its value and etcd's revisions: equal contents are an untouched database.
func contents(t testing.TB, s *Store) string {
	t.Helper()
	got, err := s.client.Get(t.Context(), "\x00", clientv3.WithFromKey())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintln(&b, "revision", got.Header.Revision)
	for _, kv := range got.Kvs {
		fmt.Fprintln(&b, string(kv.Key), kv.CreateRevision, kv.ModRevision, kv.Version, fmt.Sprintf("%x", kv.Value))
	}
	return b.String()
}

// objectsOf is a set as text, revisions left out.
func objectsOf(t testing.TB, set *weir.Set) string {
	t.Helper()
	var b strings.Builder
	for o := range set.Every() {
		raw, err := canonical(o)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(raw)
		b.WriteByte('\n')
	}
	return b.String()
}

func TestAChangeIsNumberedKeptAndReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	first := apply(t, s, puts(zone("az1", 100), zone("az2", 50))...)
	if first.Revision != 1 || len(first.Change.Objects) != 2 || first.Before.Len("Zone") != 0 || first.After.Len("Zone") != 2 {
		t.Fatalf("first result: %+v", first)
	}
	again := apply(t, s, puts(zone("az2", 50), zone("az1", 100))...)
	if again.Revision != 1 || len(again.Change.Objects) != 0 {
		t.Fatalf("the same again is a change: %+v", again)
	}
	second := apply(t, s, weir.Write{Put: zone("az1", 7)}, weir.Write{Delete: weir.Ref{Kind: "Zone", Name: "az2"}}, weir.Write{Delete: weir.Ref{Kind: "Zone", Name: "none"}})
	if second.Revision != 2 || len(second.Change.Objects) != 2 {
		t.Fatalf("second result: %+v", second)
	}
	before := objectsOf(t, s.View())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openIn(t, dir)
	if got := objectsOf(t, s.View()); got != before || s.Revision() != 2 {
		t.Fatalf("after opening again at %d:\n%s\nwant\n%s", s.Revision(), got, before)
	}
	if o := s.View().Get(weir.Ref{Kind: "Zone", Name: "az1"}); o.Revision != 2 {
		t.Errorf("az1 is at revision %d, want 2", o.Revision)
	}
	ev, err := s.Change(t.Context(), 2)
	if err != nil || ev.Change.Author != "tester" || ev.Change.At.IsZero() {
		t.Fatalf("change 2: %+v, %v", ev, err)
	}
	az1 := ev.Change.Objects[0]
	if az1.Before.Spec.(*weir.Zone).Capacity != 100 || az1.Before.Revision != 1 || az1.After.Spec.(*weir.Zone).Capacity != 7 {
		t.Errorf("change 2 has %+v → %+v", az1.Before, az1.After)
	}
	if ev.Change.Objects[1].After != nil || ev.Change.Objects[1].Before == nil {
		t.Errorf("change 2 has az2 %+v", ev.Change.Objects[1])
	}
	_, err = s.Change(t.Context(), 3)
	wantKind(t, err, weir.NotFound, "the last is 2")
}

func TestTheDirectoryMayBeCalledAnything(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "per%20cent?#", strings.Repeat("long", 60), "ünïcode"} {
		dir := filepath.Join(t.TempDir(), name)
		s := openIn(t, dir)
		apply(t, s, puts(zone("az1", 1))...)
		if _, err := os.Stat(filepath.Join(dir, "etcd.sock")); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOneServerADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir)
	_, err := tryOpen(t, dir)
	if err == nil || !strings.Contains(err.Error(), "another server has it open") || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("a second server: %v", err)
	}
	apply(t, s, puts(zone("az1", 1))...)
}

func TestAnAbandonedOpenLeavesTheDirectoryFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{Dir: dir}); err == nil {
		t.Fatal("opened with a context that had ended")
	}
	openIn(t, dir)
}

func TestAClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	s, err := tryOpen(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), Request{Author: "tester", Writes: puts(zone("az1", 1))})
	wantKind(t, err, weir.Unavailable, "closed")
	for _, err := range s.Watch(t.Context(), 0) {
		wantKind(t, err, weir.Unavailable, "closed")
	}
}

func TestEtcdListensOnNoNetwork(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, l := range s.embedded.etcd.Clients {
		if l.Addr().Network() != "unix" {
			t.Errorf("etcd listens on %s %s", l.Addr().Network(), l.Addr())
		}
	}
	if n := len(s.embedded.etcd.Peers); n != 0 {
		t.Errorf("etcd has %d peer listeners", n)
	}
}

// TestEtcdIsQuiet holds that a first start, a change, a stop and a restart say nothing that people would have to
// know etcd for. A slow disk may say so.
func TestEtcdIsQuiet(t *testing.T) {
	t.Parallel()
	var out weirtest.Buffer
	dir := t.TempDir()
	for range 2 {
		s, err := tryOpen(t, dir, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&out, nil)) })
		if err != nil {
			t.Fatal(err)
		}
		apply(t, s, puts(zone("az1", 1))...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(line, "the disk took long") {
			t.Errorf("logged: %s", line)
		}
	}
}

func TestALargeObjectIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	big := func(seed int) *weir.Object {
		spec := &weir.Map{Match: "exact"}
		for i := range 20_000 {
			spec.Entries = append(spec.Entries, weir.MapEntry{Key: fmt.Sprintf("/%d/%d/%s", seed, i, rand.Text()+rand.Text()), Value: "web"})
		}
		return &weir.Object{Kind: "Map", Metadata: weir.Metadata{Name: "big"}, Spec: spec}
	}
	apply(t, s, puts(big(1))...)
	apply(t, s, puts(big(2), zone("az1", 1))...)
	want := objectsOf(t, s.View())
	waitMaterialized(t, s)
	got, err := s.client.Get(t.Context(), prefixLarge, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil || len(got.Kvs) == 0 {
		t.Fatalf("the object needs no further chunks: %v, %v", got, err)
	}
	for _, kv := range got.Kvs {
		if !bytes.Contains(kv.Key, []byte(number(2))) {
			t.Errorf("the chunk %s of the first revision is still there", kv.Key)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, dir)
	if objectsOf(t, s.View()) != want {
		t.Error("the large object differs after opening again")
	}
	apply(t, s, weir.Write{Delete: weir.Ref{Kind: "Map", Name: "big"}})
	waitMaterialized(t, s)
	if got, err := s.client.Get(t.Context(), prefixLarge, clientv3.WithPrefix(), clientv3.WithCountOnly()); err != nil || got.Count != 0 {
		t.Errorf("%d chunks are left of what was deleted, %v", got.Count, err)
	}
}

func waitMaterialized(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for {
		err := s.materialize(ctx)
		if err == nil {
			return
		}
		if !errors.Is(err, errLost) {
			t.Fatal(err)
		}
	}
}
