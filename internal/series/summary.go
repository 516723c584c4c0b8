package series

import "time"

// Summary is what lists tell of an object's traffic. Values are Unknown where nothing is known.
type Summary struct {
	// Requests a second, ErrorRatio (0 to 1) and P95 in milliseconds are of the last minute that is known.
	Requests, ErrorRatio, P95 float64
	// Spark are requests a second, ErrorSpark shares of errors, of thirty points of two minutes each, the oldest first.
	Spark, ErrorSpark []float64
}

// sparks is how many points a spark has, of sparkStep each.
const (
	sparks    = 30
	sparkStep = Kept / sparks
)

// Minute gives what an object did in the last minute that is known, without sparks; ok is false when nothing is known.
func (s *Store) Minute(object string, now time.Time) (sum Summary, ok bool) {
	r := Range{From: now.Add(-Lag - time.Minute).Truncate(Step), Step: time.Minute, Points: 1}
	got := s.Query(object, summaryFigures(object), r, now)
	sum = Summary{Requests: got[0][0], ErrorRatio: got[1][0], P95: Unknown()}
	if len(got) > 2 {
		sum.P95 = got[2][0]
	}
	return sum, Known(sum.Requests)
}

// Summary gives what an object did in the last minute and in the last hour; ok is false when nothing is known.
func (s *Store) Summary(object string, now time.Time) (sum Summary, ok bool) {
	sum, _ = s.Minute(object, now)
	end := now.Add(-Lag).Truncate(Step)
	got := s.Query(object, summaryFigures(object)[:2], Range{From: end.Add(-Kept), Step: sparkStep, Points: sparks}, now)
	sum.Spark, sum.ErrorSpark = got[0], got[1]
	for _, v := range sum.Spark {
		ok = ok || Known(v)
	}
	return sum, ok
}

// summaryFigures are requests, the share of errors and, of what has it, the 95th percentile.
func summaryFigures(object string) (list []Figure) {
	kind := KindOf(object)
	for _, name := range []string{"requests", "errorRatio", "p95"} {
		if f, ok := Named(kind, name); ok {
			list = append(list, f)
		}
	}
	if len(list) == 0 { // of no kind: then nothing is known of it
		f, _ := Named("Fleet", "requests")
		list = []Figure{f, f}
	}
	return list
}
