package store

import (
	"fmt"
	"net/netip"
	"testing"

	"weir"
)

// TestFetchedEntriesAreTheControlPlanes: whoever writes a list with a source leaves what was fetched as it is, and an undo
// looks past it; without the source it is theirs.
func TestFetchedEntriesAreTheControlPlanes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	put := func(registers bool, source bool, label string, networks ...string) int64 {
		t.Helper()
		spec := &weir.AccessList{}
		if source {
			spec.Source = &weir.ListSource{URL: "https://feed.example.com/a"}
		}
		for _, n := range networks {
			spec.Networks = append(spec.Networks, netip.MustParsePrefix(n))
		}
		o := &weir.Object{Kind: "AccessList", Metadata: weir.Metadata{Name: "drop", Labels: map[string]string{"a": label}}, Spec: spec}
		done, err := s.Apply(t.Context(), Request{Author: "a", Registers: registers, Writes: []weir.Write{{Put: o}}})
		if err != nil {
			t.Fatal(err)
		}
		return done.Revision
	}
	is := func(when, want string) {
		t.Helper()
		o := s.View().Get(weir.Ref{Kind: "AccessList", Name: "drop"})
		if got := fmt.Sprint(o.Metadata.Labels["a"], o.Spec.(*weir.AccessList).Networks); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	put(false, true, "x", "10.0.0.0/8")
	is("a new list, as an export has it", "x[10.0.0.0/8]")
	put(true, true, "x", "192.0.2.0/24")
	is("fetched", "x[192.0.2.0/24]")
	labelled := put(false, true, "y")
	is("another label and no entries", "y[192.0.2.0/24]")
	if again := put(false, true, "y", "10.0.0.0/8"); again != labelled {
		t.Errorf("the same wish with other entries is change %d", again)
	}
	put(true, true, "y", "198.51.100.0/24")
	if _, err := s.Undo(t.Context(), labelled, Request{Author: "a"}); err != nil {
		t.Errorf("what a person wrote is undone though something was fetched since: %v", err)
	}
	is("undone", "x[198.51.100.0/24]")
	put(false, false, "x", "10.0.0.0/8")
	is("without the source", "x[10.0.0.0/8]")
}

func TestFetchedEntriesOfMapsAreTheControlPlanes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i, c := range []struct {
		registers, source bool
		match, key, want  string
	}{
		{false, true, "exact", "/export", "/export"},
		{true, true, "exact", "/fetched", "/fetched"},
		{false, true, "prefix", "/mine", "/fetched"},
		{false, true, "regex", "/mine", "/mine"},
		{true, true, "regex", "/f.*", "/f.*"},
		{false, false, "regex", "/mine", "/mine"},
	} {
		spec := &weir.Map{Match: c.match, Entries: []weir.MapEntry{{Key: c.key, Value: "a"}}}
		if c.source {
			spec.Source = &weir.ListSource{URL: "https://feed.example.com/a"}
		}
		o := &weir.Object{Kind: "Map", Metadata: weir.Metadata{Name: "drop"}, Spec: spec}
		if _, err := s.Apply(t.Context(), Request{Author: "a", Registers: c.registers, Writes: []weir.Write{{Put: o}}}); err != nil {
			t.Fatal(err)
		}
		if got := weir.Find[weir.Map](s.View(), "Map", "drop").Entries[0].Key; got != c.want {
			t.Errorf("%d: the map has %s, want %s", i, got, c.want)
		}
	}
}
