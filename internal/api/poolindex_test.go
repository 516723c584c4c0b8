package api

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"testing"

	"weir/internal/weirtest"
)

// TestPoolIndexFollows: an index that takes over what is the same still is as one that is made anew.
func TestPoolIndexFollows(t *testing.T) {
	t.Parallel()
	options := weirtest.Options{Registered: true, Zoned: true}
	followed, selected := 0, 0
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 5))
		view := weirtest.RandomObjects(seed, options)
		var x *poolIndex
		for range 150 {
			was := x
			if x = x.of(view); was != nil && x != was && x.chooser == was.chooser {
				followed++
			}
			var none *poolIndex
			anew := none.of(view)
			selected += len(x.pools)
			maps.DeleteFunc(x.count, func(_ string, n int) bool { return n == 0 })
			maps.DeleteFunc(anew.count, func(_ string, n int) bool { return n == 0 })
			if !reflect.DeepEqual(x.pools, anew.pools) || !maps.Equal(x.count, anew.count) || !reflect.DeepEqual(x.moves, anew.moves) || !reflect.DeepEqual(x.all, anew.all) {
				t.Fatalf("seed %d: servers are in\n%v\n%v, want\n%v\n%v", seed, x.pools, x.count, anew.pools, anew.count)
			}
			view = weirtest.Apply(view, weirtest.RandomWrite(rng, view, options))
		}
	}
	if followed < 50 || selected == 0 {
		t.Errorf("%d indexes followed others, %d servers were in pools", followed, selected)
	}
}
