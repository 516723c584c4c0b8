package store

import (
	"net/netip"
	"testing"
	"time"

	"weir"
)

// TestRegistrationsAreTheControlPlanes: whoever writes a Server without the flag leaves its registration as it is, whatever
// the wish says of it, and an undo looks past it.
func TestRegistrationsAreTheControlPlanes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	said := func(state string) *weir.Registration {
		return &weir.Registration{State: state, Since: at, By: "registration"}
	}
	put := func(registers bool, weight int, r *weir.Registration) int64 {
		t.Helper()
		o := &weir.Object{Kind: "Server", Metadata: weir.Metadata{Name: "web-1"}, Spec: &weir.Server{
			Address: netip.MustParseAddr("10.1.0.1"), Zone: "az1", Weight: &weight, Registration: r,
		}}
		done, err := s.Apply(t.Context(), Request{Author: "a", Registers: registers, Writes: []weir.Write{{Put: o}}})
		if err != nil {
			t.Fatal(err)
		}
		return done.Revision
	}
	is := func(when, state string, weight int) {
		t.Helper()
		spec := weir.Find[weir.Server](s.View(), "Server", "web-1")
		if spec == nil || spec.Registered() != state || *spec.Weight != weight {
			t.Errorf("%s: %+v with %+v, want weight %d and %q", when, spec, spec.Registration, weight, state)
		}
	}
	put(false, 100, said("healthy"))
	is("a person's new Server that says it is registered", "", 100)
	put(true, 100, said("healthy"))
	is("registered", "healthy", 100)
	lighter := put(false, 50, said("withdrawn"))
	is("a person's wish that says otherwise", "healthy", 50)
	if again := put(false, 50, nil); again != lighter {
		t.Errorf("the same wish without it is change %d", again)
	}
	stale := put(true, 50, said("stale"))
	is("silent", "stale", 50)

	if _, err := s.Undo(t.Context(), lighter, Request{Author: "a"}); err != nil {
		t.Errorf("what a person wrote is undone though the registration changed since: %v", err)
	}
	is("undone", "stale", 100)
	before := s.Revision()
	if _, err := s.Undo(t.Context(), stale, Request{Author: "a"}); err != nil || s.Revision() != before {
		t.Errorf("what was registered is undone: change %d after %d, %v", s.Revision(), before, err)
	}
	is("there is nothing to undo", "stale", 100)

	gone, err := s.Apply(t.Context(), Request{Author: "a", Writes: []weir.Write{{Delete: weir.Ref{Kind: "Server", Name: "web-1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Undo(t.Context(), gone.Revision, Request{Author: "a"}); err != nil {
		t.Fatal(err)
	}
	is("undone after a deletion", "", 100)
	put(true, 100, nil)
	is("the registrar takes it away", "", 100)
}
