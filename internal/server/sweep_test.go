package server

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/weirtest"
)

func TestExpiredObjectsAreSweptAndNoOthers(t *testing.T) {
	dir := weirtest.TempDir(t)
	keyring, err := secrets.OpenOrCreateKeyring(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(dir, "etcd"), Keyring: keyring, Check: weir.Check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	now := time.Now()
	put := func(kind, name, role string, spec weir.Spec) weir.Write {
		return weir.Write{Put: &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name, Role: role}, Spec: spec}}
	}
	_, err = st.Apply(t.Context(), store.Request{Author: "test", Writes: []weir.Write{
		put("Role", "web", "", &weir.Role{}),
		put("Zone", "az1", "", &weir.Zone{}),
		put("Server", "s1", "web", &weir.Server{Address: netip.MustParseAddr("127.0.0.9"), Zone: "az1"}),
		put("Override", "old", "web", &weir.Override{Server: "s1", State: "drain", Reason: "r", ExpiresAt: now.Add(-time.Hour)}),
		put("Override", "fresh", "web", &weir.Override{Server: "s1", State: "drain", Reason: "r", ExpiresAt: now.Add(-time.Minute)}),
		put("ZoneShift", "over", "web", &weir.ZoneShift{Role: "web", Zone: "az1", Reason: "r", ExpiresAt: now.Add(-time.Hour)}),
		put("ZoneShift", "lasts", "web", &weir.ZoneShift{Role: "web", Zone: "az1", Reason: "r", ExpiresAt: now.Add(time.Hour)}),
		put("Override", "live", "web", &weir.Override{Server: "s1", State: "drain", Reason: "r", ExpiresAt: now.Add(time.Hour)}),
		put("Token", "spent", "", &weir.Token{Subject: "x", Hash: "h1", ExpiresAt: now.Add(-time.Hour)}),
		put("Token", "forever", "", &weir.Token{Subject: "x", Hash: "h2"}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := sweeper{st, time.Now, slog.New(slog.DiscardHandler)}.sweep(context.Background())
	if err != nil || n != 3 {
		t.Fatalf("swept %d: %v", n, err)
	}
	view := st.View()
	for _, ref := range []weir.Ref{{Kind: "Override", Name: "old"}, {Kind: "ZoneShift", Name: "over"}, {Kind: "Token", Name: "spent"}} {
		if view.Get(ref) != nil {
			t.Errorf("%s is still there", ref)
		}
	}
	for _, ref := range []weir.Ref{{Kind: "Override", Name: "fresh"}, {Kind: "Override", Name: "live"}, {Kind: "ZoneShift", Name: "lasts"}, {Kind: "Token", Name: "forever"}} {
		if view.Get(ref) == nil {
			t.Errorf("%s is gone", ref)
		}
	}
}
