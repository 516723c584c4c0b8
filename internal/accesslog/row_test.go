package accesslog

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// full is a series of which every number is another one.
func full(seed uint64) Series {
	random := rand.New(rand.NewPCG(seed, seed))
	s := Series{Key: Key{"www", "web-az1", "az1"}}
	for _, n := range s.numbers() {
		*n = 1 + random.Uint64N(1<<random.IntN(60))
	}
	return s
}

// A series comes back from its row, whatever the order of columns and whatever other ones there are; what is in no column is
// zero.
func TestRowsComeBack(t *testing.T) {
	s := full(1)
	if len(Columns()) != seriesNumbers {
		t.Fatalf("%d names for %d numbers", len(Columns()), seriesNumbers)
	}
	got, err := NewRowReader(Columns()).Series(s.Name(), s.Row())
	if err != nil || got != s {
		t.Errorf("%+v %v, want %+v", got, err, s)
	}
	// A version that has its columns in another order, lacks one and has one of its own.
	other := slices.Clone(Columns())
	slices.Reverse(other)
	other[3] = "later"
	row := s.Row()
	less, err := NewRowReader(other).Series(s.Name(), row)
	if err != nil {
		t.Fatal(err)
	}
	numbers, theirs := less.numbers(), s.numbers()
	for i := range numbers {
		want := *theirs[seriesNumbers-1-i]
		if Columns()[i] == Columns()[seriesNumbers-1-3] {
			want = 0
		}
		if *numbers[i] != want {
			t.Errorf("%s is %d, want %d", Columns()[i], *numbers[i], want)
		}
	}
	idle := Series{Key: Key{Site: "www"}}
	if string(idle.Row()) != "[]" || KeyOf(idle.Name()) != idle.Key {
		t.Errorf("%s %+v", idle.Row(), KeyOf(idle.Name()))
	}
}

func TestRowsThatAreNone(t *testing.T) {
	for _, row := range []string{"", "1,2", "[1]", "[1,2,3]", "[1,-2]", "[x,2]", "[1,2", `[1,"2"]`, "[999,1]", "[1,99999999999999999999]"} {
		if s, err := NewRowReader(Columns()).Series("a/b/c", []byte(row)); err == nil {
			t.Errorf("%q is %+v", row, s)
		}
	}
}

// Sums, differences and the question whether one grew out of the other look at every number.
func TestSeriesArithmetic(t *testing.T) {
	a, b := full(2), full(3)
	sum := a
	sum.add(&b)
	if !sum.since(&a) || !sum.since(&b) {
		t.Error("a sum has not grown out of its parts")
	}
	for i := range seriesNumbers {
		less := sum
		*less.numbers()[i]--
		if less.since(&sum) {
			t.Errorf("%s went back and was not noticed", Columns()[i])
		}
	}
	sum.sub(&b)
	if sum != a {
		t.Errorf("%+v, want %+v", sum, a)
	}
}
