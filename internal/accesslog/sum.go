package accesslog

import "slices"

// sum is what was counted under one key.
type sum[T any] interface {
	// compare orders by the key.
	compare(T) int
	plus(T) T
	// since gives what was counted after an earlier sum of the key; one that began anew is given whole.
	since(T) T
	// none says that nothing was counted.
	none() bool
}

// mergedSums adds two lists up, each key once, in order.
func mergedSums[T sum[T]](a, b []T) []T {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, T.compare)
	merged := all[:0]
	for _, s := range all {
		if n := len(merged); n > 0 && merged[n-1].compare(s) == 0 {
			merged[n-1] = merged[n-1].plus(s)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// sumsSince gives what was counted after an earlier list, which is sorted, without those of which there is nothing.
func sumsSince[T sum[T]](now, was []T) (list []T) {
	for _, s := range now {
		if i, ok := slices.BinarySearchFunc(was, s, T.compare); ok {
			s = s.since(was[i])
		}
		if !s.none() {
			list = append(list, s)
		}
	}
	return list
}
