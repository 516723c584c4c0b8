package link

import (
	"testing"
	"time"
)

// What no stream is about to send any more makes room for all groups; what one may be stays, up to the bound.
func TestOldDeltasMakeRoom(t *testing.T) {
	t.Parallel()
	g := &group{changed: make(chan struct{})}
	push := func(size int) { g.push(delta{lines: make([]byte, size)}, 1000, 100) }
	grow := func(want ...int) {
		t.Helper()
		var have []int
		for _, d := range g.deltas {
			have = append(have, len(d.lines))
		}
		if len(have) != len(want) {
			t.Fatalf("kept %v, not %v", have, want)
		}
		for i := range want {
			if have[i] != want[i] {
				t.Fatalf("kept %v, not %v", have, want)
			}
		}
	}
	push(600)
	push(20)
	grow(600, 20) // young
	push(700)
	grow(20, 700) // over the bound
	for i := range g.deltas {
		g.deltas[i].at = time.Now().Add(-time.Minute)
	}
	push(30)
	grow(30) // the others are old, and more than the part
	push(40)
	for i := range g.deltas {
		g.deltas[i].at = time.Now().Add(-time.Minute)
	}
	push(20)
	grow(30, 40, 20) // old, but no more than the part
	if g.first != 3 || g.bytes != 90 {
		t.Errorf("first %d, %d bytes", g.first, g.bytes)
	}
}
