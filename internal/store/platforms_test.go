package store

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"weir"
)

// next gives what FollowPlatforms tells next.
func next(t *testing.T, told <-chan []PlatformValue) []PlatformValue {
	t.Helper()
	select {
	case changed := <-told:
		return changed
	case <-t.Context().Done():
		t.Fatal("nothing was told")
		return nil
	}
}

func TestFollowPlatforms(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	set := func(name, value string, generation int64) {
		t.Helper()
		if err := s.SetPlatform(t.Context(), name, []byte(value), generation); err != nil {
			t.Fatal(err)
		}
	}
	set(PrefixTickets+"edge", "one", 0)
	set("other", "x", 0)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(errors.New("the test is over"))
	told := make(chan []PlatformValue)
	go s.FollowPlatforms(ctx, PrefixTickets, func(changed []PlatformValue) {
		select {
		case told <- changed:
		case <-ctx.Done():
		}
	})
	only := func(want PlatformValue, text string) {
		t.Helper()
		got := next(t, told)
		if len(got) != 1 || got[0].Name != want.Name || got[0].Generation != want.Generation || got[0].Value.Text() != text {
			t.Errorf("told %v, want %v %q", got, want, text)
		}
	}
	only(PlatformValue{Name: PrefixTickets + "edge", Generation: 1}, "one")
	set("other", "y", 1)
	set(PrefixTickets+"edge", "two", 1)
	only(PlatformValue{Name: PrefixTickets + "edge", Generation: 2}, "two")
	if err := s.SetPlatforms(t.Context(), PlatformWrite{Name: PrefixTickets + "edge", Generation: 2}); err != nil {
		t.Fatal(err)
	}
	only(PlatformValue{Name: PrefixTickets + "edge"}, "")
	set(PrefixTickets+"edge", "anew", 0)
	only(PlatformValue{Name: PrefixTickets + "edge", Generation: 1}, "anew")
}

// TestBackupLeavesTicketKeysOut: what they open must not be there for as long as backups are.
func TestBackupLeavesTicketKeysOut(t *testing.T) {
	t.Parallel()
	s, p := withThings(t), newPair(t)
	for _, name := range []string{PrefixTickets + "edge", "kept"} {
		if err := s.SetPlatform(t.Context(), name, []byte("seeds"), 0); err != nil {
			t.Fatal(err)
		}
	}
	raw, _ := backedUp(t, s, p)
	if plain := plainOf(t, raw, p); bytes.Contains(plain, []byte(PrefixTickets)) || !bytes.Contains(plain, []byte("kept")) {
		t.Error("the backup names the state of ticket keys, or lacks what it should have")
	}
	back := restored(t, raw, p)
	if _, _, err := back.Platform(t.Context(), PrefixTickets+"edge"); weir.KindOf(err) != weir.NotFound {
		t.Errorf("after the restore: %v", err)
	}
	if _, _, err := back.Platform(t.Context(), "kept"); err != nil {
		t.Error(err)
	}
}
