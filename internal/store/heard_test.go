package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// TestWhoIsHeard: whoever asks learns of all that any server of the store has heard, and of each word once.
func TestWhoIsHeard(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	a, b := onCluster(t, e), onCluster(t, e)
	here, there := registrations(t, a, 15*time.Second), registrations(t, b, 15*time.Second)
	want := map[string]bool{}
	for i := range 3 {
		name := fmt.Sprintf("web-%d", i)
		if _, err := here.Put(t.Context(), name, []byte("x"), Registration{}); err != nil {
			t.Fatal(err)
		}
		want[name] = true
	}
	var from int64
	heard := func(want map[string]bool) {
		t.Helper()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			names, next, err := there.Heard(t.Context(), from)
			if err != nil {
				return err
			}
			from = next
			for _, name := range names {
				delete(want, name)
			}
			if len(want) > 0 {
				return fmt.Errorf("nothing was heard of %v", want)
			}
			return nil
		})
	}
	heard(want)
	if names, _, err := there.Heard(t.Context(), from); err != nil || len(names) > 0 {
		t.Errorf("heard again: %v, %v", names, err)
	}
	weirtest.Eventually(t, weirtest.Patience, is(there, "web-2", "x"))
	for view, name := range map[*Registrations]string{here: "web-1", there: "web-2"} {
		one, _ := view.Get(name)
		weirtest.Eventually(t, weirtest.Patience, func() error { return view.Hear(one) })
	}
	heard(map[string]bool{"web-1": true, "web-2": true})
	// Nobody writes down who was heard while etcd is away, so nobody is to be told that they were.
	e.Members()[0].Kill()
	one, _ := here.Get("web-0")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if err := here.Hear(one); weir.KindOf(err) != weir.Unavailable {
			return fmt.Errorf("it is taken: %v", err)
		}
		return nil
	})
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, _, err := there.Heard(soon, from); err == nil {
		t.Error("who was heard is known without etcd")
	}
	e.Members()[0].Start()
	heard(map[string]bool{"web-0": true})
	weirtest.Eventually(t, weirtest.Patience, func() error { return here.Hear(one) })
}

// TestHearing: what could not be written waits on, with what came meanwhile, from its first word on.
func TestHearing(t *testing.T) {
	t.Parallel()
	at := time.Now()
	h := hearing{names: map[string]struct{}{}}
	waits := func(want time.Duration) {
		t.Helper()
		if got := h.unwritten(at); got != want {
			t.Errorf("the oldest word waits for %s, want %s", got, want)
		}
	}
	if h.take() != nil {
		t.Error("something was heard")
	}
	h.add("b", at)
	at = at.Add(time.Second)
	h.add("a", at)
	waits(time.Second)
	names := h.take()
	waits(time.Second)
	h.add("c", at)
	at = at.Add(time.Second)
	h.written(names, errors.New("no answer"))
	waits(2 * time.Second)
	if names = h.take(); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("to be written are %q", names)
	}
	h.add("d", at)
	h.written(names, nil)
	waits(0)
	at = at.Add(time.Second)
	waits(time.Second)
}
