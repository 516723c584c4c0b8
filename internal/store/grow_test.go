package store

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// machine is a folder and an address of its own, on which a store runs and ends.
type machine struct {
	t     *testing.T
	dir   string
	peers *Peers
	store *Store
	later time.Duration // of its clock
}

func newMachine(t *testing.T) *machine {
	return &machine{t: t, dir: weirtest.TempDir(t), peers: &Peers{URL: "https://" + weirtest.Addr(t) + ":2380"}}
}

func (m *machine) name() string {
	return strings.TrimSuffix(strings.TrimPrefix(m.peers.URL, "https://"), ":2380")
}

func (m *machine) options() Options {
	ring, err := parseTestKeyring()
	if err != nil {
		m.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(m.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	return Options{Dir: m.dir, Keyring: ring, Check: weir.Check, Peers: m.peers, Logger: log, Clock: func() time.Time { return time.Now().Add(m.later) }}
}

func (m *machine) start() *Store {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), weirtest.Patience)
	defer cancel()
	s, err := Open(ctx, m.options())
	if err != nil {
		m.t.Fatal(err)
	}
	m.store = s
	m.t.Cleanup(m.stop)
	return s
}

func (m *machine) stop() {
	if m.store == nil {
		return
	}
	if err := m.store.Close(); err != nil {
		m.t.Error(err)
	}
	m.store = nil
}

// join starts it as a further member of the store that by has.
func (m *machine) join(by *machine) *Store {
	m.t.Helper()
	m.peers.Join = func(ctx context.Context, ask JoinRequest) (JoinAnswer, error) { return by.store.Admit(ctx, ask) }
	return m.start()
}

func write(t *testing.T, s *Store, name string) {
	t.Helper()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		_, err := s.Apply(t.Context(), Request{Author: "test", Writes: []weir.Write{{Put: zone(name, 1)}}})
		return err
	})
}

func sees(t *testing.T, s *Store, names ...string) {
	t.Helper()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		view := s.View()
		for _, n := range names {
			if view.Get(weir.Ref{Kind: "Zone", Name: n}) == nil {
				return fmt.Errorf("zone %s is not there", n)
			}
		}
		return nil
	})
}

// members waits until a store's members are these, all of them with a vote.
func members(t *testing.T, s *Store, want ...*machine) {
	t.Helper()
	var names []string
	for _, m := range want {
		names = append(names, m.name())
	}
	slices.Sort(names)
	weirtest.Eventually(t, weirtest.Patience, func() error {
		list, err := s.StoreMembers(t.Context())
		if err != nil {
			return err
		}
		var got []string
		for _, m := range list {
			if m.Learner {
				return fmt.Errorf("%s has no vote yet", m.Name)
			}
			got = append(got, m.Name)
		}
		if !slices.Equal(got, names) {
			return fmt.Errorf("members %v, want %v", got, names)
		}
		return nil
	})
}

// A store of one member grows to three in place, loses each in turn, and has one replaced; what was written before,
// while it grew, and with one away is on all of them.
func TestStoreGrows(t *testing.T) {
	t.Parallel()
	a, b, c := newMachine(t), newMachine(t), newMachine(t)
	alone := a.peers
	a.peers = nil
	write(t, a.start(), "alone")
	a.stop()
	a.peers = alone

	write(t, a.start(), "one")
	if list, err := a.store.StoreMembers(t.Context()); err != nil || len(list) != 1 || list[0].URL != a.peers.URL || !list[0].Own || !list[0].Leader {
		t.Fatalf("%+v, %v", list, err)
	}
	sees(t, b.join(a), "alone", "one")
	members(t, a.store, a, b)
	write(t, b.store, "two")
	sees(t, c.join(b), "alone", "one", "two")
	members(t, b.store, a, b, c)
	write(t, c.store, "three")
	all := []*machine{a, b, c}
	names := []string{"alone", "one", "two", "three"}
	for i, m := range all {
		m.stop()
		other := all[(i+1)%3]
		name := fmt.Sprint("without-", i)
		write(t, other.store, name)
		names = append(names, name)
		m.start()
		sees(t, m.store, names...)
		write(t, m.store, name+"-again")
	}

	// The power fails for all of them: they wait for each other.
	for _, m := range all {
		m.stop()
	}
	var started sync.WaitGroup
	for _, m := range all {
		started.Go(func() {
			s, err := Open(t.Context(), m.options())
			if err != nil {
				t.Error(err)
			}
			m.store = s
		})
	}
	started.Wait()
	write(t, b.store, "after-all")
	names = append(names, "after-all")
	sees(t, c.store, names...)

	// One is gone for good: it is removed, does not come back as it was, and an empty one takes its place.
	b.stop()
	if left, err := a.store.RemoveMember(t.Context(), b.name()); err != nil || left != 2 {
		t.Fatal(left, err)
	}
	members(t, c.store, a, c)
	if _, err := Open(t.Context(), b.options()); err == nil || !strings.Contains(err.Error(), "this member was removed from the store") || !strings.Contains(err.Error(), "weir token server") {
		t.Fatalf("a member that was removed comes back: %v", err)
	}
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	sees(t, b.join(c), names...)
	members(t, a.store, a, b, c)

	// One that runs is told when it is removed.
	if _, err := a.store.RemoveMember(t.Context(), c.name()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.store.Lost():
	case <-time.After(weirtest.Patience):
		t.Error("it has not noticed")
	}
}

// A member's certificate is renewed by itself, and counts at the next connection.
func TestMembersRenewTheirCertificates(t *testing.T) {
	t.Parallel()
	a, b := newMachine(t), newMachine(t)
	a.start()
	b.join(a)
	members(t, a.store, a, b)
	read := func(m *machine) string {
		t.Helper()
		pair, err := secrets.ReadKeyPair(filepath.Join(m.dir, peerFile))
		if err != nil {
			t.Fatal(err)
		}
		return secrets.Serial(pair.Leaf)
	}
	before := read(b)
	if err := b.store.renewPeer(t.Context()); err != nil || read(b) != before {
		t.Errorf("renewed before it is time: %v", err)
	}
	// A new one is shown without a start, to whoever connects from now on.
	if err := b.store.issuePeer(t.Context()); err != nil || read(b) == before {
		t.Fatalf("not issued: %v", err)
	}
	a.stop()
	a.start()
	write(t, b.store, "renewed")
	sees(t, a.store, "renewed")
	before = read(b)
	b.stop()
	b.later = 200 * 24 * time.Hour
	b.start()
	if err := b.store.renewPeer(t.Context()); err != nil || read(b) == before {
		t.Errorf("not renewed at its time: %v", err)
	}
}

func TestStoreRefusesMembers(t *testing.T) {
	t.Parallel()
	a, b := newMachine(t), newMachine(t)
	alone := a.peers
	a.peers = nil
	s := a.start()
	if _, err := s.Admit(t.Context(), JoinRequest{URL: b.peers.URL}); weir.KindOf(err) != weir.Conflict || !strings.Contains(err.Error(), "--store-peer") {
		t.Errorf("a store that listens to nobody: %v", err)
	}
	a.stop()
	a.peers = alone
	s = a.start()
	for _, bad := range []string{"http://127.0.0.1:2380", "https://127.0.0.1", "127.0.0.1:2380", "https://user@127.0.0.1:2380", "https://127.0.0.1:2380/x"} {
		if _, err := s.Admit(t.Context(), JoinRequest{URL: bad}); weir.KindOf(err) != weir.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := s.Admit(t.Context(), JoinRequest{URL: b.peers.URL, SealingKey: "another"}); weir.KindOf(err) != weir.Conflict || !strings.Contains(err.Error(), "another sealing key") {
		t.Errorf("another sealing key: %v", err)
	}
	if _, err := s.Admit(t.Context(), JoinRequest{URL: b.peers.URL, SealingKey: s.opts.Keyring.CurrentID(), CSR: "nonsense"}); weir.KindOf(err) != weir.Invalid {
		t.Errorf("a bad request: %v", err)
	}
	_, csr, err := newPeerKey()
	if err != nil {
		t.Fatal(err)
	}
	good := JoinRequest{URL: b.peers.URL, SealingKey: s.opts.Keyring.CurrentID(), CSR: string(csr)}
	for range 2 { // one that never began is no hindrance
		if _, err := s.Admit(t.Context(), good); err != nil {
			t.Fatal(err)
		}
	}
	other := good
	other.URL = newMachine(t).peers.URL
	if _, err := s.Admit(t.Context(), other); weir.KindOf(err) != weir.Conflict || !strings.Contains(err.Error(), "another server is joining") {
		t.Errorf("two at once: %v", err)
	}
	if list, err := s.StoreMembers(t.Context()); err != nil || len(list) != 2 || list[1].Name != b.name() && list[0].Name != b.name() {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := s.RemoveMember(t.Context(), b.name()); err != nil {
		t.Error(err)
	}
	other.URL = a.peers.URL
	if _, err := s.Admit(t.Context(), other); weir.KindOf(err) != weir.Conflict || !strings.Contains(err.Error(), "is taken by") {
		t.Errorf("at an address that is taken: %v", err)
	}
	if _, err := s.RemoveMember(t.Context(), a.name()); weir.KindOf(err) != weir.Conflict {
		t.Errorf("the only one: %v", err)
	}
	if _, err := s.RemoveMember(t.Context(), "nobody"); weir.KindOf(err) != weir.NotFound {
		t.Errorf("nobody: %v", err)
	}
	a.stop()
	// Started as before it grew, or elsewhere, it would wait for others for ever.
	a.peers = nil
	if _, err := Open(t.Context(), a.options()); err == nil || !strings.Contains(err.Error(), "--store-peer") {
		t.Errorf("without peers: %v", err)
	}
	a.peers = &Peers{URL: "https://" + weirtest.Addr(t) + ":2380"}
	if _, err := Open(t.Context(), a.options()); err == nil || !strings.Contains(err.Error(), "another address") {
		t.Errorf("elsewhere: %v", err)
	}
	if info, err := os.Stat(filepath.Join(a.dir, peerFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key of a member: %v, %v", info, err)
	}
}
