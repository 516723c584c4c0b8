package series

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Step is the width of what is kept, Kept for how long.
const (
	Step = 10 * time.Second
	Kept = time.Hour
)

const (
	// settles is how many steps after its end a step may still be added to.
	settles = 6
	// Lag is how long after its end a step counts as known: its reports have come by then.
	Lag = Step
	// maxObjects bounds how many objects are kept.
	maxObjects = 50_000
	hour       = int32(Kept / Step)
)

// Store keeps figures of objects by their names: Site/www, Pool/web, Pool/web/Server/a, LoadBalancer/lb1, Fleet.
type Store struct {
	// bounds are the upper ends of the timings' buckets in milliseconds; the last bucket is open.
	bounds  []int64
	objects map[string]*object
	// places are the objects of a server, by its name: one for each pool that it is in.
	places map[string][]string
	// sealed is the last step that nothing is added to any more.
	sealed int32
	// leftOut counts objects that found no room.
	leftOut uint64
}

// New gives an empty store. bounds are the upper ends of all buckets of timings but the last, which is open, in
// milliseconds and ascending; now is when the store begins.
func New(bounds []int64, now time.Time) *Store {
	if len(bounds) >= maxBuckets {
		panic("series.New: too many buckets")
	}
	return &Store{bounds: bounds, objects: map[string]*object{}, places: map[string][]string{}, sealed: stepOf(now) - settles}
}

// stepOf numbers the step in which a moment is.
func stepOf(t time.Time) int32 { return int32(t.Unix() / int64(Step/time.Second)) }

// Add adds what an object counted between two moments, evenly over that time. What would come into steps that are too old
// comes into the oldest that is open, so that sums are as counted, also where a clock was set back in between.
func (s *Store) Add(name string, from, until time.Time, list Values) {
	o := s.object(name)
	if o == nil || !until.After(time.Unix(0, 0)) {
		return
	}
	last := stepOf(until.Add(-1))
	first := min(max(stepOf(from), s.sealed+1), last)
	if last <= s.sealed {
		first, last = s.sealed+1, s.sealed+1
	}
	begin := max(min(from.UnixNano(), until.UnixNano()-1), int64(first)*int64(Step))
	whole := max(until.UnixNano()-begin, 1)
	for step := first; step <= last; step++ {
		o.add(step, func(n uint64) uint64 {
			return share(n, int64(step+1)*int64(Step)-begin, whole) - share(n, int64(step)*int64(Step)-begin, whole)
		}, list)
	}
}

// share is what part of a whole has of n.
func share(n uint64, part, whole int64) uint64 {
	switch {
	case part <= 0:
		return 0
	case part >= whole:
		return n
	}
	return uint64(float64(n) * (float64(part) / float64(whole)))
}

// Measure takes over what was measured of an object at a moment, unless that is too long ago.
func (s *Store) Measure(name string, at time.Time, list Values) {
	if o := s.object(name); o != nil && stepOf(at) > s.sealed {
		o.set(stepOf(at), list)
	}
}

// Know notes that an object was seen between two moments, so that what it has not counted in that time is zero and not
// unknown.
func (s *Store) Know(name string, from, until time.Time) {
	if o := s.object(name); o != nil && until.After(from) {
		o.know(stepOf(from), stepOf(until.Add(-1)))
	}
}

func (s *Store) object(name string) *object {
	o := s.objects[name]
	if o != nil {
		return o
	}
	if len(s.objects) >= maxObjects {
		s.leftOut++
		return nil
	}
	o = &object{}
	s.objects[name] = o
	if _, server, ok := strings.Cut(name, "/Server/"); ok {
		s.places[server] = append(s.places[server], name)
	}
	return o
}

// Advance lets time go on: what is older than an hour is forgotten. Where a clock was set back, by more than steps stay
// open, so is what was kept of times that are still to come.
func (s *Store) Advance(now time.Time) {
	step := stepOf(now)
	if step <= s.sealed {
		s.back(step - settles)
		return
	}
	if step-settles <= s.sealed {
		return
	}
	s.sealed = step - settles
	for name, o := range s.objects {
		o.seal(s.sealed)
		if o.forget(step - hour) {
			s.drop(name)
		}
	}
}

// back forgets everything after a step.
func (s *Store) back(last int32) {
	s.sealed = last
	for name, o := range s.objects {
		if o.back(last) {
			s.drop(name)
		}
	}
}

func (s *Store) drop(name string) {
	delete(s.objects, name)
	_, server, ok := strings.Cut(name, "/Server/")
	if !ok {
		return
	}
	if rest := slices.DeleteFunc(s.places[server], func(n string) bool { return n == name }); len(rest) > 0 {
		s.places[server] = rest
	} else {
		delete(s.places, server)
	}
}

// Objects gives the names of all objects, in order.
func (s *Store) Objects() []string { return slices.Sorted(maps.Keys(s.objects)) }

// LeftOut says how often something was told of an object that found no room.
func (s *Store) LeftOut() uint64 { return s.leftOut }

// of gives the objects that a name stands for: itself, or Server/a for that server in all pools.
func (s *Store) of(name string) (list []*object) {
	if server, ok := strings.CutPrefix(name, "Server/"); ok {
		for _, place := range s.places[server] {
			list = append(list, s.objects[place])
		}
		return list
	}
	if o := s.objects[name]; o != nil {
		list = append(list, o)
	}
	return list
}
