package series

import (
	"math"
	"slices"
	"time"
)

// Range is a stretch of time in points of equal width.
type Range struct {
	// From is when the first point begins.
	From time.Time
	// Step is the width of a point, a multiple of Step.
	Step time.Duration
	// Points is how many there are.
	Points int
}

// Unknown is the value of a point of which nothing is known.
func Unknown() float64 { return math.NaN() }

// Known says whether anything is known of a point.
func Known(v float64) bool { return !math.IsNaN(v) }

// Query gives figures of an object, each a value for every point, Unknown where nothing is known. now is the present: what
// is still coming in counts as unknown.
func (s *Store) Query(object string, figures []Figure, r Range, now time.Time) [][]float64 {
	t := s.table(object, columnsOf(figures, len(s.bounds)+1), r, now)
	out := make([][]float64, len(figures))
	for i, f := range figures {
		out[i] = make([]float64, r.Points)
		for p := range out[i] {
			out[i][p] = t.value(&f, p, s.bounds)
		}
	}
	return out
}

// table holds sums of columns by points.
type table struct {
	// at is where a column is in a row, -1 for nowhere.
	at    [numColumns]int
	width int
	sums  []float64
	// known is how many of a point's steps are known, times how many of them a measure was taken.
	known []int
	taken []int
	step  float64 // of a step, in seconds
}

func columnsOf(figures []Figure, buckets int) []Column {
	var list []Column
	for _, f := range figures {
		list = append(append(list, f.sum...), f.of...)
		switch {
		case f.quantile > 0:
			for i := range buckets {
				list = append(list, Bucket(f.timing, i))
			}
		case f.scale > 0:
			list = append(list, f.measure)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (s *Store) table(object string, columns []Column, r Range, now time.Time) *table {
	t := &table{width: len(columns), sums: make([]float64, len(columns)*r.Points), known: make([]int, r.Points), taken: make([]int, len(columns)*r.Points), step: Step.Seconds()}
	for i := range t.at {
		t.at[i] = -1
	}
	for i, c := range columns {
		t.at[c] = i
	}
	begin, first, last := r.steps(now)
	per := int64(r.Step / Step)
	list := s.of(object)
	for step := first; step <= last; step++ {
		if known(list, step) {
			t.known[(int64(step)-begin)/per]++
		}
	}
	for _, o := range list {
		o.each(first, last, func(step int32, c Column, n uint64) {
			at, p := t.at[c], int((int64(step)-begin)/per)
			if at < 0 {
				return
			}
			t.sums[p*t.width+at] += float64(n)
			t.taken[p*t.width+at]++
		})
	}
	for i := range t.taken { // measures of several objects add up, those of several steps don't
		t.taken[i] = (t.taken[i] + max(len(list), 1) - 1) / max(len(list), 1)
	}
	return t
}

// steps gives the step in which a range begins, and of its steps the first and the last that anything may be known of,
// which are no more than are kept, however long it is.
func (r Range) steps(now time.Time) (begin int64, first, last int32) {
	width := int64(Step / time.Second)
	begin = r.From.Unix() / width
	until := begin + int64(r.Step/Step)*int64(r.Points) - 1
	present := int64(stepOf(now.Add(-Lag)))
	return begin, int32(min(max(begin, present-int64(hour)-settles), present)), int32(min(until, present-1))
}

func (t *table) sum(point int, columns []Column) float64 {
	var all float64
	for _, c := range columns {
		all += t.sums[point*t.width+t.at[c]]
	}
	return all
}

func (t *table) value(f *Figure, point int, bounds []int64) float64 {
	if t.known[point] == 0 {
		return Unknown()
	}
	switch {
	case f.quantile > 0:
		return t.quantile(f, point, bounds)
	case f.scale > 0:
		at := point*t.width + t.at[f.measure]
		switch {
		case t.taken[at] > 0:
		case f.measure == Open || f.measure == Queued:
			return 0 // where nothing is open, nothing is told
		default:
			return Unknown()
		}
		return t.sums[at] / float64(t.taken[at]) / f.scale
	case f.of != nil:
		whole := t.sum(point, f.of)
		if whole == 0 {
			return Unknown()
		}
		return t.sum(point, f.sum) / whole
	}
	return t.sum(point, f.sum) / (float64(t.known[point]) * t.step)
}

// quantile estimates by straight lines inside a bucket; what is above all bounds is the highest of them, and without
// anything timed nothing is known.
func (t *table) quantile(f *Figure, point int, bounds []int64) float64 {
	buckets := t.sums[point*t.width+t.at[Bucket(f.timing, 0)]:][:len(bounds)+1]
	var count float64
	for _, n := range buckets {
		count += n
	}
	if count == 0 {
		return Unknown()
	}
	rank, below, lower := f.quantile*count, 0.0, 0.0
	for i, bound := range bounds {
		if n := buckets[i]; n > 0 && below+n >= rank {
			return lower + (float64(bound)-lower)*(rank-below)/n
		}
		below += buckets[i]
		lower = float64(bound)
	}
	return lower
}

func known(list []*object, step int32) bool {
	for _, o := range list {
		if o.known(step) {
			return true
		}
	}
	return false
}
