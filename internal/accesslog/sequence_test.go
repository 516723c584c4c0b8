package accesslog

import (
	"math/rand/v2"
	"os"
	"testing"
)

// feed notes the numbers in their order and returns the losses after everything has settled.
func feed(s *sequence, numbers ...uint32) uint64 {
	var lost uint64
	for _, n := range numbers {
		lost += s.note(n)
	}
	lost += s.settle()
	return lost + s.settle()
}

func TestSequenceFindsLosses(t *testing.T) {
	for name, c := range map[string]struct {
		numbers []uint32
		lost    uint64
	}{
		"none":                 {[]uint32{0, 1, 2, 3}, 0},
		"first":                {[]uint32{2, 3}, 2},
		"middle":               {[]uint32{0, 1, 4}, 2},
		"out of order":         {[]uint32{1, 0, 3, 2}, 0},
		"two threads, one":     {[]uint32{0, 1, 1, 3}, 0},
		"the twin is lost":     {[]uint32{0, 1, 3}, 1},
		"jump over the window": {[]uint32{0, 10 * window}, 10*window - 1},
		"window's last":        {[]uint32{0, window - 1, 1}, window - 3},
		"just beyond":          {[]uint32{0, window, 1}, window - 2},
	} {
		if got := feed(&sequence{}, c.numbers...); got != c.lost {
			t.Errorf("%s: %d lost, want %d", name, got, c.lost)
		}
	}
}

func TestSequenceSettlesOnlyWhatWasMissingBefore(t *testing.T) {
	var s sequence
	s.note(0)
	s.note(2)
	if lost := s.settle(); lost != 0 {
		t.Errorf("%d lost at the first settle, number 1 may still come", lost)
	}
	s.note(1)
	if lost := s.settle() + s.settle(); lost != 0 {
		t.Errorf("%d lost though 1 came late", lost)
	}
}

func TestSequenceWraps(t *testing.T) {
	var s sequence
	s.begin(1<<32 - 3)
	if lost := feed(&s, 1<<32-3, 1<<32-1, 0, 2); lost != 2 {
		t.Errorf("%d lost around the wrap, want 2", lost)
	}
}

// TestSequenceAgainstTruth drops and shuffles at random and compares with what was dropped.
func TestSequenceAgainstTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var numbers []uint32
		var dropped, lost uint64
		last := uint32(random.IntN(20_000))
		for n := range last + 1 {
			if n != last && random.IntN(100) < 3 {
				dropped++
				continue
			}
			numbers = append(numbers, n)
		}
		for i := range numbers { // nobody moves further than the window
			j := min(len(numbers)-1, i+random.IntN(50))
			numbers[i], numbers[j] = numbers[j], numbers[i]
		}
		var s sequence
		for _, n := range numbers {
			lost += s.note(n)
		}
		if lost += s.settle() + s.settle(); lost != dropped {
			t.Fatalf("%d lost, %d were dropped of %d", lost, dropped, last+1)
		}
	}
}

// line returns a line with this process, frontend and number.
func numbered(pid uint32, frontend string, n uint32) *Line {
	return &Line{PID: pid, Frontend: []byte(frontend), Number: n}
}

func TestLossesPerProcessAndFrontend(t *testing.T) {
	o := newLosses(0)
	o.bornSince = func(pid uint32) bool { return pid != 1 }
	o.alive = func(pid uint32) bool { return pid != 3 }
	o.note(numbered(1, "a", 500)) // was there before the receiver: begins where it is
	o.note(numbered(2, "a", 2))   // a new one: 0 and 1 are lost
	o.note(numbered(2, "b", 0))
	o.note(numbered(3, "a", 0))
	o.note(numbered(1, "a", 502))
	o.settle()
	o.settle()
	if o.lost != 3 {
		t.Errorf("%d lost, want 3", o.lost)
	}
	for range idleSettles + 1 {
		o.settle()
	}
	if len(o.processes) != 2 || o.processes[3] != nil || o.sequences != 3 {
		t.Errorf("%d processes with %d sequences followed, want the two that live", len(o.processes), o.sequences)
	}
}

func TestLossesAreBounded(t *testing.T) {
	o := newLosses(0)
	o.bornSince = func(uint32) bool { return true }
	for pid := range uint32(2 * maxProcesses) {
		o.note(numbered(pid+1, "a", 0))
	}
	if len(o.processes) != maxProcesses {
		t.Errorf("%d processes followed", len(o.processes))
	}
}

func TestProcessStart(t *testing.T) {
	now, err := ticks()
	if err != nil {
		t.Fatal(err)
	}
	began, ok := processStart(uint32(os.Getpid()))
	if !ok || began > now || now-began > 24*3600*100 {
		t.Errorf("this process began at %d, %t; now is %d", began, ok, now)
	}
	if _, ok := processStart(1<<32 - 1); ok {
		t.Error("found a process that cannot be")
	}
}
