package discovery

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"weir"
)

// shelf is a store of servers, without its rules.
type shelf struct {
	servers  map[string]*weir.Object
	revision int64
	quota    int // of the role; 0 is none
}

func (s *shelf) Server(name string) *weir.Object { return s.servers[name] }
func (s *shelf) Zone(name string) bool           { return name == "az1" }
func (s *shelf) Room() (room, quota int, bound bool) {
	return s.quota - len(s.servers), s.quota, s.quota > 0
}

// apply makes writes, all or none, as the store does.
func (s *shelf) apply(t *testing.T, writes []weir.Write) bool {
	t.Helper()
	for _, w := range writes {
		has := s.servers[w.Ref().Name]
		if has == nil && w.IfMatch != weir.MustNotExist || has != nil && w.IfMatch != has.Revision {
			return false
		}
	}
	s.revision++
	for _, w := range writes {
		if w.Put == nil {
			delete(s.servers, w.Delete.Name)
			continue
		}
		if list := weir.Validate(w.Put); len(list) > 0 {
			t.Fatalf("a write breaks rules: %v", list)
		}
		w.Put.Revision = s.revision
		s.servers[w.Put.Metadata.Name] = w.Put
	}
	return true
}

// good are the servers of the source that may take traffic.
func (s *shelf) good(source string) (names []string) {
	for name, o := range s.servers {
		if state := o.Spec.(*weir.Server).Registered(); o.Metadata.ManagedBy == "discovery/"+source && state == weir.RegistrationHealthy {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *shelf) ours(source string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name, o := range s.servers {
			if o.Metadata.ManagedBy == "discovery/"+source && !yield(name) {
				return
			}
		}
	}
}

func newSpec(floor weir.SourceFloor) *weir.DiscoverySource {
	d := &weir.DiscoverySource{File: &weir.FileSource{Path: "a"}, Floor: floor, Server: weir.ServerTemplate{Name: "${id}", Address: "${address}", Zone: "${zone:-az1}"}}
	d.Normalize()
	return d
}

func newRoster(t *testing.T, s *shelf, floor weir.SourceFloor, kept Record) *Roster {
	t.Helper()
	r, err := NewRoster(RosterOptions{Source: "x", Spec: newSpec(floor), Store: s, Damping: UsualDamping(), Record: kept}, s.ours("x"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func instanceOf(n int, state State) Found {
	id := "s" + strconv.Itoa(n)
	return Found{ID: id, State: state, Fields: map[string]string{"id": id, "address": netip.AddrFrom4([4]byte{10, 1, byte(n / 250), byte(n%250 + 1)}).String()}}
}

// tend makes steps until nothing is to be written, and gives what went.
func tend(t *testing.T, r *Roster, s *shelf, now time.Time, confirmed *Confirmation) (went int, believed string) {
	t.Helper()
	for range 10 {
		step := r.Step(now, confirmed)
		if step.Believed != "" {
			believed = step.Believed
		}
		if len(step.Names) == 0 {
			return went, believed
		}
		went += step.Went
		if !s.apply(t, r.Writes(step.Names, now)) {
			t.Fatal("a write is stale though nobody else writes")
		}
	}
	t.Fatal("there is always something to write")
	return 0, ""
}

// TestAnySource: over random histories of sources with parts, whatever they say, no step takes more than the floor lets
// and nobody has confirmed or waited for; successors change nothing of that; and once a source has come to rest, and what
// it has lost was confirmed, the store has what it has.
func TestAnySource(t *testing.T) {
	t.Parallel()
	for seed := range uint64(80) {
		walkSource(t, seed)
	}
}

type walk struct {
	t     *testing.T
	r     *rand.Rand
	s     *shelf
	floor weir.SourceFloor
	roll  *Roster
	now   time.Time
	parts map[string]map[int]State
	gone  map[string]time.Time // since when the source has not had a good server that it had
}

func walkSource(t *testing.T, seed uint64) {
	t.Helper()
	w := &walk{t: t, r: rand.New(rand.NewPCG(seed, 39)), s: &shelf{servers: map[string]*weir.Object{}}, now: noon, parts: map[string]map[int]State{}, gone: map[string]time.Time{}}
	w.floor = weir.SourceFloor{Percent: new(w.r.IntN(60)), Count: new(w.r.IntN(4)), Hold: weir.Duration(time.Hour), Window: weir.Duration(10 * time.Minute)}
	w.roll = newRoster(t, w.s, w.floor, Record{})
	defer func() {
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}()
	for range 120 {
		w.now = w.now.Add(time.Duration(w.r.IntN(200)) * time.Second)
		w.step()
		if t.Failed() {
			return
		}
	}
	w.rest()
}

func (w *walk) step() {
	if w.r.IntN(12) == 0 {
		w.roll = newRoster(w.t, w.s, w.floor, w.roll.Record()) // a successor
		for _, name := range slices.Sorted(maps.Keys(w.parts)) {
			if w.r.IntN(4) > 0 {
				w.tell(name)
			}
		}
	}
	name := string(rune('a' + w.r.IntN(4)))
	part := w.parts[name]
	if part == nil {
		part = map[int]State{}
		w.parts[name] = part
	}
	base := int(name[0]-'a') * 100
	switch w.r.IntN(10) {
	case 0: // all is gone
		clear(part)
	case 1: // half is gone
		for _, n := range slices.Sorted(maps.Keys(part)) {
			if w.r.IntN(2) == 0 {
				delete(part, n)
			}
		}
	case 2: // half is not ready
		for _, n := range slices.Sorted(maps.Keys(part)) {
			part[n] = State(w.r.IntN(3))
		}
	case 3, 4, 5:
		for range w.r.IntN(30) {
			part[base+w.r.IntN(60)] = Ready
		}
	default:
		n := base + w.r.IntN(60)
		if _, has := part[n]; has {
			delete(part, n)
		} else {
			part[n] = Ready
		}
	}
	w.tell(name)
	if w.r.IntN(3) == 0 {
		w.whole()
	}
	if w.r.IntN(40) == 0 {
		delete(w.parts, name)
		w.whole()
	}
	w.tend(nil)
}

func (w *walk) tell(name string) {
	var found []Found
	for n, state := range w.parts[name] {
		found = append(found, instanceOf(n, state))
	}
	if err := Arrange(found); err != nil {
		w.t.Fatal(err)
	}
	w.roll.Part(name, found)
}

func (w *walk) whole() {
	names := []string{}
	for name := range w.parts {
		names = append(names, name)
	}
	w.roll.Whole(names)
}

// tend makes a step and holds it against the floor.
func (w *walk) tend(confirmed *Confirmation) {
	before := w.s.good("x")
	w.notice(before)
	_, believed := tend(w.t, w.roll, w.s, w.now, confirmed)
	after := w.s.good("x")
	fresh, kept := 0, 0
	for _, name := range before {
		if _, still := slices.BinarySearch(after, name); still {
			kept++
		} else if since := w.gone[name]; believed == "" || w.now.Sub(since) < time.Hour {
			fresh++
		}
	}
	if confirmed != nil {
		return
	}
	if fresh > *w.floor.Count && fresh*100 > *w.floor.Percent*len(before) {
		w.t.Errorf("%d of %d went at once, and nobody was asked: %s", fresh, len(before), believed)
	}
	if len(before) > 0 && len(after) == 0 && believed == "" {
		w.t.Errorf("all %d went", len(before))
	}
}

// notice writes down since when the source does not have what is good in the store.
func (w *walk) notice(good []string) {
	has := map[string]bool{}
	for _, part := range w.parts {
		for n, state := range part {
			has["s"+strconv.Itoa(n)] = state == Ready
		}
	}
	for name := range w.gone {
		if _, still := slices.BinarySearch(good, name); has[name] || !still {
			delete(w.gone, name)
		}
	}
	for _, name := range good {
		if _, known := w.gone[name]; !known && !has[name] {
			w.gone[name] = w.now
		}
	}
}

// rest tells all there is, confirms what is doubted, and compares.
func (w *walk) rest() {
	for name := range w.parts {
		w.tell(name)
	}
	w.whole()
	w.tend(nil)
	if d := w.roll.Doubt(); d.Count > 0 {
		if old := d.Number - 1; old > 0 {
			before := w.s.good("x")
			w.tend(&Confirmation{Number: old, By: "ann"})
			if !slices.Equal(before, w.s.good("x")) {
				w.t.Error("the confirmation of another doubt is heeded")
			}
		}
		w.tend(&Confirmation{Number: d.Number, By: "ann"})
	}
	w.now = w.now.Add(time.Hour) // nobody is kept out any more
	w.tend(nil)
	var want, all []string
	for _, part := range w.parts {
		for n, state := range part {
			name := "s" + strconv.Itoa(n)
			if all = append(all, name); state == Ready {
				want = append(want, name)
			}
		}
	}
	slices.Sort(want)
	if got := w.s.good("x"); !slices.Equal(got, want) || len(w.s.servers) != len(all) || w.roll.Doubt().Count > 0 {
		w.t.Errorf("afterwards %d are good, %d there, %d doubted; the source has %d and %d\n%v\n%v", len(got), len(w.s.servers), w.roll.Doubt().Count, len(want), len(all), got, want)
	}
	sum := w.roll.Summary(w.now)
	if sum.Servers != len(all) || sum.Good != len(want) || sum.Found != len(all) || sum.DampedCount > 0 {
		w.t.Errorf("it counts %+v", sum)
	}
	w.counts()
}

// counts holds what the roster counts against what is there.
func (w *walk) counts() {
	sum := 0
	for part, g := range w.roll.each {
		n := 0
		for _, s := range w.roll.slots {
			if s.part == part && s.good {
				n++
			}
		}
		if n != g.good {
			w.t.Errorf("part %q has %d good servers, and counts %d", part, n, g.good)
		}
		sum += g.good
	}
	if sum != w.roll.all.good {
		w.t.Errorf("the parts have %d, all of them %d", sum, w.roll.all.good)
	}
}
