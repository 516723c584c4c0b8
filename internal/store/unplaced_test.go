package store

import (
	"fmt"
	"testing"

	"weir"
)

// TestSecretsAreAtHandUntilTheyAreInTheirPlaces: whoever asks for the secrets of a large change at once gets them whatever
// becomes of what is remembered, and nothing is remembered of what is in its place.
func TestSecretsAreAtHandUntilTheyAreInTheirPlaces(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var list []weir.Write
	for i := range 100 {
		list = append(list, weir.Write{Put: secret(fmt.Sprintf("s%d", i), fmt.Sprint("value ", i))})
	}
	revision := apply(t, s, list...).Revision
	if n := countKeys(t, s, prefixStaged); n != 1 {
		t.Errorf("what fits the change's own transaction makes %d chunks", n)
	}
	if s.unplaced.get(list[7].Ref(), revision) == nil {
		t.Error("the secrets of a large change are not at hand")
	}
	opens(t, s, "s7", revision, "value 7")
	s.unplaced.placed(revision)
	opens(t, s, "s7", revision, "value 7")
	waitMaterialized(t, s)
	opens(t, s, "s7", revision, "value 7")

	revision = apply(t, s, puts(secret("s7", "another"))...).Revision
	opens(t, s, "s7", revision, "another")
	for i := range list {
		list[i].Put = secret(fmt.Sprintf("s%d", i), fmt.Sprint("newer ", i))
	}
	revision = apply(t, s, list...).Revision
	opens(t, s, "s7", revision, "newer 7")
	waitMaterialized(t, s)
	if s.unplaced.size != 0 || len(s.unplaced.values) != 0 {
		t.Errorf("%d bytes are remembered of secrets that are in their places", s.unplaced.size)
	}
	opens(t, s, "s7", revision, "newer 7")
}

// TestUnplacedIsBounded: what does not fit is read from where it lies.
func TestUnplacedIsBounded(t *testing.T) {
	var u unplaced
	u.add(1, map[string][]byte{"Secret/a": make([]byte, maxUnplaced)})
	u.add(2, map[string][]byte{"Secret/a": {1}})
	ref := weir.Ref{Kind: "Secret", Name: "a"}
	if u.get(ref, 1) == nil || u.get(ref, 2) != nil || u.get(ref, 3) != nil {
		t.Error("more is kept than allowed, or something else")
	}
	u.placed(1)
	if u.add(2, map[string][]byte{"Secret/a": {1}}); u.get(ref, 2) == nil || u.size != 1 {
		t.Errorf("what was let go of takes room still: %d", u.size)
	}
}
