package weirtest_test

import (
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// TestLogicIsAmongTheObjects: who asks for it gets some at sites and pools, others get none.
func TestLogicIsAmongTheObjects(t *testing.T) {
	t.Parallel()
	count := func(logic bool) (n [3]int) {
		for seed := range uint64(4) {
			set := weirtest.RandomObjects(seed, weirtest.Options{Sealed: true, Logic: logic})
			n[0] += set.Len("Logic")
			for o := range set.All("Site") {
				n[1] += len(o.Spec.(*weir.Site).Logic)
			}
			for o := range set.All("Pool") {
				n[2] += len(o.Spec.(*weir.Pool).Logic)
			}
		}
		return n
	}
	if n := count(true); n[0] == 0 || n[1] == 0 || n[2] == 0 {
		t.Errorf("%v Logics, at sites, at pools", n)
	}
	if n := count(false); n != [3]int{} {
		t.Errorf("%v Logics, at sites, at pools, which nobody asked for", n)
	}
}
