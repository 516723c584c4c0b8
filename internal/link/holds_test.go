package link

import (
	"testing"

	"weir/internal/ir"
)

// TestHolds: a content that is known here has a resource as it is wanted, however much else has changed since, until
// the resource itself changes.
func TestHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol("lb1")
	reported := func() Hash {
		wanted, ok := w.hub.Wanted("lb1")
		if !ok {
			t.Fatal("lb1 is in no group")
		}
		return wanted.Hash
	}
	step := func(revision int64, list ...*ir.Resource) Hash {
		w.set("edge", revision, list, "lb1")
		return reported()
	}
	check := func(when string, hash Hash, want bool) {
		t.Helper()
		if w.hub.Holds("lb1", hash, "challenge/b") != want {
			t.Errorf("%s: %v", when, !want)
		}
	}
	none := step(1, res("map/m", "1"))
	check("it is not there", none, false)
	came := step(1, res("challenge/b", "x"), res("map/m", "1"))
	check("before it came", none, false)
	check("it came", came, true)
	step(2, res("challenge/a", "x"), res("challenge/b", "x"), res("challenge/bb", "x"), res("map/m", "2"))
	check("others changed", came, true)
	check("others changed, before it came", none, false)
	check("an unknown content", Hash{1}, false)
	changed := step(3, res("challenge/b", "y"), res("map/m", "2"))
	check("it changed", came, false)
	check("it changed, now", changed, true)
	check("it went", step(4, res("map/m", "2")), false)
	check("it went, before", changed, false)
	if w.hub.Holds("lb2", changed, "challenge/b") {
		t.Error("an unknown load balancer")
	}
}
