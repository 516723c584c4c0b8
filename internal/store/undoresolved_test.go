package store

import (
	"net/netip"
	"testing"

	"weir"
)

// TestUndoLooksPastAddressesOfNames: what the control plane wrote into a Partner since is in the way of no undo, and is taken
// back by none: the names keep the addresses that they have, but a host that comes back has none until it was asked for.
func TestUndoLooksPastAddressesOfNames(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	partner := func(host, contact string) *weir.Object {
		return &weir.Object{Kind: "Partner", Metadata: weir.Metadata{Name: "p"}, Spec: &weir.Partner{
			Contact: contact, Endpoints: []weir.PartnerEndpoint{{Environment: "prod", Service: "www", Host: host}},
		}}
	}
	ref := weir.Ref{Kind: "Partner", Name: "p"}
	now := func() *weir.Partner { return weir.Find[weir.Partner](s.View(), ref.Kind, ref.Name) }
	resolves := func(address string) {
		t.Helper()
		host := now().Endpoints[0]
		name, _ := host.Asked()
		with, ok := now().Having(map[weir.PartnerName][]netip.Addr{name: {netip.MustParseAddr(address)}})
		if !ok {
			t.Fatalf("%s changes nothing", address)
		}
		put := *s.View().Get(ref)
		put.Spec = with
		if _, err := s.Apply(t.Context(), Request{Author: "dns", Registers: true, Writes: []weir.Write{{Put: &put}}}); err != nil {
			t.Fatal(err)
		}
	}
	is := func(when, host, contact, address string) {
		t.Helper()
		e, got := now().Endpoints[0], ""
		if len(e.Resolved) == 1 {
			got = e.Resolved[0].String()
		}
		if e.Host != host || now().Contact != contact || got != address {
			t.Errorf("%s: %s of %s at %q, want %s of %s at %q", when, e.Host, now().Contact, got, host, contact, address)
		}
	}
	undo := func(change int64, objects int) {
		t.Helper()
		if r, err := s.Undo(t.Context(), change, Request{Author: "tester"}); err != nil || len(r.Change.Objects) != objects {
			t.Errorf("the undo of %d: %+v, %v", change, r, err)
		}
	}
	apply(t, s, puts(partner("a.example", "ann"))...) // 1
	resolves("192.0.2.1")                             // 2
	apply(t, s, puts(partner("a.example", "bob"))...) // 3
	is("written by people", "a.example", "bob", "192.0.2.1")
	resolves("192.0.2.2") // 4
	undo(3, 1)            // 5
	is("another contact taken back", "a.example", "ann", "192.0.2.2")
	undo(4, 0)
	undo(2, 0)
	is("addresses not taken back", "a.example", "ann", "192.0.2.2")

	apply(t, s, puts(partner("b.example", "ann"))...)
	moved := s.Revision()
	is("another host", "b.example", "ann", "")
	resolves("192.0.2.3")
	undo(moved, 1)
	is("the host taken back", "a.example", "ann", "")
	resolves("192.0.2.4")
	// A wish that was changed since is in the way, as of anything.
	apply(t, s, puts(partner("a.example", "eve"))...)
	eve := s.Revision()
	apply(t, s, puts(partner("a.example", "mallory"))...)
	_, err := s.Undo(t.Context(), eve, Request{Author: "tester"})
	wantKind(t, err, weir.Conflict, "Partner/p: was changed since")
	is("a refused undo", "a.example", "mallory", "192.0.2.4")
}
