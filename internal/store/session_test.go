package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// sessions follows those of a store until the test ends.
func sessions(t *testing.T, s *Store) *Sessions {
	t.Helper()
	all := s.Sessions()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { all.Follow(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	<-all.Ready()
	return all
}

func eventually(t *testing.T, s *Sessions, id string, there bool) {
	t.Helper()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if _, ok := s.Get(id); ok != there {
			return fmt.Errorf("session %s is there: %t", id, ok)
		}
		return nil
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	here, other := sessions(t, s), sessions(t, s)
	now := time.Now().UTC().Truncate(time.Second)
	one := Session{ID: "a", Subject: "me", Groups: []string{"g"}, Token: "t", TokenHash: "h", Made: now, Ends: now.Add(time.Hour), Revision: 7}
	if err := here.Put(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if got, ok := here.Get("a"); !ok || got.Subject != "me" || !got.Ends.Equal(one.Ends) || got.Revision != 7 {
		t.Errorf("who has made it does not know of it: %+v", got)
	}
	if got, err := other.Read(t.Context(), "a"); err != nil || got.Groups[0] != "g" || got.ID != "a" {
		t.Errorf("another server can't find it: %+v, %v", got, err)
	}
	if _, ok := other.Get("a"); !ok {
		t.Error("what was read is not known")
	}
	if _, err := other.Read(t.Context(), "b"); weir.KindOf(err) != weir.NotFound {
		t.Error(err)
	}
	leases, err := s.client.Leases(t.Context())
	if err != nil || len(leases.Leases) == 0 {
		t.Fatalf("a session lies under no lease: %v", err)
	}
	if err := other.Drop(t.Context(), "a", "never"); err != nil {
		t.Fatal(err)
	}
	if _, ok := other.Get("a"); ok {
		t.Error("who has ended it knows it still")
	}
	eventually(t, here, "a", false)
	if _, err := here.Read(t.Context(), "a"); weir.KindOf(err) != weir.NotFound {
		t.Error(err)
	}
	left, err := s.client.Leases(t.Context())
	if err != nil || len(left.Leases) != len(leases.Leases)-1 {
		t.Errorf("of %d leases %d are left: %v", len(leases.Leases), len(left.Leases), err)
	}
	// It goes by itself.
	short := Session{ID: "short", Subject: "me", Made: now, Ends: time.Now().Add(time.Second)}
	if err := here.Put(t.Context(), short); err != nil {
		t.Fatal(err)
	}
	eventually(t, other, "short", true)
	eventually(t, here, "short", false)
	eventually(t, other, "short", false)
	if len(here.All()) != 0 || here.Len() != 0 {
		t.Errorf("%v are left", here.All())
	}
	if late := sessions(t, s); late.Len() != 0 {
		t.Error("one that ended is seen")
	}
	// What lets in once does so at one server alone.
	if err := here.Spend(t.Context(), "state", time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := other.Spend(t.Context(), "state", time.Minute); weir.KindOf(err) != weir.Conflict {
		t.Errorf("spent twice: %v", err)
	}
}

// TestSessionsAreInNoBackup: neither a session nor what was spent survives a restore.
func TestSessionsAreInNoBackup(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	apply(t, s, puts(zone("az1", 100))...)
	all := sessions(t, s)
	if err := all.Put(t.Context(), Session{ID: "canary", Subject: "canary-subject", Ends: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := all.Spend(t.Context(), "canary-state", time.Hour); err != nil {
		t.Fatal(err)
	}
	// Not even those that lie under no lease, as of a store that was written otherwise.
	for _, key := range []string{prefixSession + "canary2", prefixSpent + "canary2"} {
		if _, err := s.client.Put(t.Context(), key, `{"subject":"canary"}`); err != nil {
			t.Fatal(err)
		}
	}
	p := newPair(t)
	raw, _ := backedUp(t, s, p)
	if text := string(plainOf(t, raw, p)); strings.Contains(text, "canary") || !strings.Contains(text, "az1") {
		t.Error("a session is in the backup, or nothing is")
	}
}

// TestPassingValues: what comes back is what was given away, for the purpose that it was given for, and nothing else.
func TestPassingValues(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	text, err := s.SealPassing("one", []byte("canary"))
	if err != nil || strings.Contains(text, "canary") {
		t.Fatal(text, err)
	}
	if got, err := s.OpenPassing("one", text); err != nil || got.Text() != "canary" {
		t.Errorf("%q, %v", got.Text(), err)
	}
	again, err := s.SealPassing("one", []byte("canary"))
	if err != nil || again == text {
		t.Errorf("equal values look alike: %v", err)
	}
	for _, bad := range []string{"", "nonsense", text[:len(text)-1], text + "A", strings.ToUpper(text)} {
		if _, err := s.OpenPassing("one", bad); weir.KindOf(err) != weir.Invalid {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	if _, err := s.OpenPassing("two", text); weir.KindOf(err) != weir.Invalid {
		t.Errorf("for another purpose: %v", err)
	}
}
