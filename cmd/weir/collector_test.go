package main

import "testing"

func TestSmallHeapsGrow(t *testing.T) {
	t.Parallel()
	const percent, least = 50, 32 << 20
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, mostGrowth},
		{1 << 20, mostGrowth},
		{16 << 20, 200},
		{30 << 20, 100},
		{60 << 20, percent},
		{400 << 20, percent},
	} {
		if have := growth(c.live, percent, least); have != c.want {
			t.Errorf("a heap of %d bytes grows by %d %%, want %d", c.live, have, c.want)
		}
	}
}
