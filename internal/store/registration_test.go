package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// registrations follows those of a store until the test ends.
func registrations(t *testing.T, s *Store, lease time.Duration) *Registrations {
	t.Helper()
	r := s.Registrations(lease)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Follow(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	<-r.Ready()
	return r
}

func there(r *Registrations, name string) string {
	one, ok := r.Get(name)
	if !ok {
		return ""
	}
	return string(one.Value)
}

func TestRegistrations(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	here, other := registrations(t, s, time.Minute), registrations(t, s, time.Minute)
	if _, err := here.Put(t.Context(), "a", []byte("one"), Registration{}); err != nil {
		t.Fatal(err)
	}
	if there(here, "a") != "one" {
		t.Error("who has written does not know of it")
	}
	weirtest.Eventually(t, weirtest.Patience, is(other, "a", "one"))
	if _, err := other.Put(t.Context(), "a", []byte("two"), Registration{}); weir.KindOf(err) != weir.Stale {
		t.Errorf("taken from who has it: %v", err)
	}
	one, _ := other.Get("a")
	if _, err := other.Put(t.Context(), "a", []byte("two"), one); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Put(t.Context(), "a", []byte("three"), one); weir.KindOf(err) != weir.Stale {
		t.Errorf("written over something newer: %v", err)
	}
	weirtest.Eventually(t, weirtest.Patience, is(here, "a", "two"))
	// What is old drops nothing.
	if gone, err := here.Drop(t.Context(), one); err != nil || gone != nil || there(here, "a") != "two" {
		t.Errorf("an old one was dropped: %v, %v", gone, err)
	}
	two, _ := here.Get("a")
	if gone, err := here.Drop(t.Context(), two, Registration{Name: "never"}); err != nil || !slices.Equal(gone, []string{"a", "never"}) {
		t.Fatal(gone, err)
	}
	weirtest.Eventually(t, weirtest.Patience, is(other, "a", ""))
	if here.Len() != 0 || len(other.All()) != 0 {
		t.Errorf("%d left", here.Len())
	}
	if err := here.Hear(two); weir.KindOf(err) != weir.NotFound {
		t.Errorf("one that was dropped is heard: %v", err)
	}
	// One that has come meanwhile is not dropped by whoever saw none.
	if _, err := here.Put(t.Context(), "a", []byte("again"), Registration{}); err != nil {
		t.Fatal(err)
	}
	if gone, err := other.Drop(t.Context(), Registration{Name: "a"}); err != nil || gone != nil || there(here, "a") != "again" {
		t.Errorf("one that has come back was dropped: %v, %v", gone, err)
	}
	if late := registrations(t, s, time.Minute); there(late, "a") != "again" {
		t.Error("what was there before is not seen")
	}
}

func is(r *Registrations, name, want string) func() error {
	return func() error {
		if got := there(r, name); got != want {
			return fmt.Errorf("%s is %q, want %q", name, got, want)
		}
		return nil
	}
}
