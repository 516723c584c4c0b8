package accesslog

import (
	"math"
	"slices"
	"time"
)

// bounds are the upper ends of the buckets in milliseconds, the last bucket being open.
var bounds = [...]int64{
	1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700,
	1000, 1500, 2000, 3000, 5000, 7000, 10000, 15000, 20000, 30000, 60000,
}

// Bounds gives the upper ends of a Histogram's buckets in milliseconds, all but the last one's, which is open.
func Bounds() []int64 { return slices.Clone(bounds[:]) }

// Histogram counts durations in buckets from 1 ms to 60 s, each some 1.4 times the one before.
// HAProxy cuts durations to whole milliseconds, so one that it calls 4 ms may have lasted
// until just below 5: it is in the bucket up to 5 ms, and the sum is low by half a millisecond
// a duration on average.
type Histogram struct {
	Buckets [len(bounds) + 1]uint64 `json:"buckets"` // not cumulative
	SumMS   uint64                  `json:"sumMs"`   // milliseconds
}

// observe counts a duration in milliseconds; a negative one was not reached and is left out.
func (h *Histogram) observe(ms int64) {
	if ms < 0 {
		return
	}
	i, _ := slices.BinarySearch(bounds[:], ms+1)
	h.Buckets[i]++
	h.SumMS += uint64(ms)
}

// Count returns how many durations were counted.
func (h Histogram) Count() uint64 {
	var n uint64
	for _, b := range h.Buckets {
		n += b
	}
	return n
}

// Quantile estimates the duration that the share q (0 to 1) of all durations stayed below, by
// straight lines inside a bucket; it is 0 without durations and 60 s for what is above that.
func (h Histogram) Quantile(q float64) time.Duration {
	rank := q * float64(h.Count())
	if rank <= 0 {
		return 0
	}
	var below, lower float64
	for i, bound := range bounds {
		n := float64(h.Buckets[i])
		if n > 0 && below+n >= rank {
			ms := lower + (float64(bound)-lower)*(rank-below)/n
			return time.Duration(math.Round(ms * float64(time.Millisecond)))
		}
		below += n
		lower = float64(bound)
	}
	return time.Duration(lower) * time.Millisecond
}
