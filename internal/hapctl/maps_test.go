package hapctl

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

func TestReplaceMap(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		var pairs []haproxy.MapPair
		for i := range 3000 {
			pairs = append(pairs, haproxy.MapPair{Key: fmt.Sprintf("host%05d.example", i), Value: "a value of " + strconv.Itoa(i)})
		}
		for _, want := range [][]haproxy.MapPair{pairs, pairs[:10], nil, pairs[500:1500]} {
			if err := l.c.ReplaceMap(bounded(t), "maps/hosts", want); err != nil {
				t.Fatal(err)
			}
			got, err := l.c.Map(bounded(t), "maps/hosts")
			if err != nil || len(got) != len(want) || !slices.Equal(got, want) {
				t.Fatalf("%d entries, want %d, %v", len(got), len(want), err)
			}
		}
		if err := l.c.ReplaceMap(bounded(t), "maps/nope", pairs); refusal(t, err) == "" {
			t.Error("an unknown map passed")
		}
	})
}
