package weirtest

import (
	"slices"
	"strings"
	"testing"
)

func TestMutantsAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	seeds := []string{"server web1 10.0.0.1:80", "", "name: web"}
	a := slices.Collect(Mutants(7, 2000, seeds...))
	if !slices.Equal(a, slices.Collect(Mutants(7, 2000, seeds...))) {
		t.Error("the same seed gave other mutants")
	}
	if slices.Equal(a, slices.Collect(Mutants(8, 2000, seeds...))) {
		t.Error("another seed gave the same mutants")
	}
	slices.Sort(a)
	if n := len(slices.Compact(a)); n < 1000 {
		t.Errorf("only %d of 2000 mutants differ", n)
	}
	if got := len(slices.Collect(Mutants(1, 10))); got != 10 {
		t.Errorf("no seeds gave %d mutants, want 10", got)
	}
}

// A reader that trusts its input must be caught, or the mutants are worth nothing.
func TestMutantsFindWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"\n", "\x00", ";", "%[", "\"", "<<", "\xff", "web1 10.0.0.1:80server"} {
		found := false
		for m := range Mutants(1, 20_000, "server web1 10.0.0.1:80") {
			if found = strings.Contains(m, what); found {
				break
			}
		}
		if !found {
			t.Errorf("no mutant holds %q", what)
		}
	}
}
