package kubernetes

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// walk changes a cluster at random.
type walk struct {
	*bed
	r       *rand.Rand
	names   int
	slices  map[string]map[string]*apiSlice // by service and name, what is wanted of those that are watched
	present map[string]bool                 // pods that are there, in whatever slice
}

// TestRandomWalk splits, merges and deletes slices, moves and changes endpoints, compacts and cuts connections at any
// byte. On the way no pod may vanish that is there; in the end the sink must have what the double has.
func TestRandomWalk(t *testing.T) {
	t.Parallel()
	seeds := uint64(12)
	if os.Getenv("WEIR_SOAK") != "" {
		seeds = 2000
	}
	for seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			watched(t, Config{PageSize: 2, Selector: "team=web"}, nil, func(b *bed) {
				w := &walk{
					bed: b, r: rand.New(rand.NewPCG(seed, 1)), slices: map[string]map[string]*apiSlice{},
					present: map[string]bool{},
				}
				b.memory.mu.Lock()
				b.onPart = w.nothingVanishes
				b.memory.mu.Unlock()
				for range 15 {
					for range 12 {
						w.step()
					}
					w.settles()
				}
			})
		})
	}
}

func (w *walk) nothingVanishes(part string, before, now []discovery.Found) {
	for _, f := range before {
		if w.present[f.ID] && !slices.ContainsFunc(now, func(g discovery.Found) bool { return g.ID == f.ID }) {
			w.t.Errorf("%s vanished from %s", f.ID, part)
		}
	}
}

// settles heals the network and wants the sink to come to what is there.
func (w *walk) settles() {
	w.cut(-1)
	w.setDown(false)
	want := ""
	for range 3000 {
		w.pass(200 * time.Millisecond)
		if want = expected(w.Now()); w.detail() == want {
			return
		}
	}
	w.t.Errorf("the sink has\n%s\nand should have\n%s\nafter %v", w.detail(), want, w.failed())
}

// detail is what the sink has, with addresses and ports.
func (w *walk) detail() string {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	var lines []string
	for name, found := range w.parts {
		for _, f := range found {
			lines = append(lines, fmt.Sprintf("%s %s %s %s %s", name, f.ID, f.State, f.Fields["address"], f.Fields["port.http"]))
		}
		lines = append(lines, name)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// expected is what a sink should have of all there is, worked out in another way.
func expected(all map[string]*apiSlice) string {
	type copied struct {
		version int
		line    string
	}
	best := map[string]copied{}
	for _, s := range all {
		if s.Metadata.Labels["team"] != "web" {
			continue
		}
		part := s.Metadata.Namespace + "/" + s.Metadata.Labels[serviceLabel]
		best[part] = copied{line: part}
		version, _ := strconv.Atoi(s.Metadata.ResourceVersion)
		for _, e := range s.Endpoints {
			state := "ready"
			switch {
			case e.Conditions["terminating"] && e.Conditions["serving"]:
				state = "draining"
			case !e.Conditions["ready"]:
				state = "not ready"
			}
			id := part + " " + e.TargetRef.Name
			if version > best[id].version {
				best[id] = copied{version, fmt.Sprintf("%s %s %s 8080", id, state, e.Addresses[0])}
			}
		}
	}
	var lines []string
	for _, c := range best {
		lines = append(lines, c.line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// is notes whether a pod is there.
func (w *walk) is(pod string, there bool) {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	w.present[pod] = there
}

func (w *walk) name(kind string) string {
	w.names++
	return kind + "-" + strconv.Itoa(w.names)
}

// pick is any slice of any service, and another one of that service, made if need be.
func (w *walk) pick() (service string, a, b *apiSlice) {
	service = []string{"web", "api", "db"}[w.r.IntN(3)]
	if w.slices[service] == nil {
		w.slices[service] = map[string]*apiSlice{}
	}
	of := w.slices[service]
	if len(of) == 0 {
		s := one(w.name("slice"), service)
		of[s.Metadata.Name] = s
		w.Put(s)
	}
	names := slices.Sorted(maps.Keys(of))
	w.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	if len(names) > 1 && w.r.IntN(3) > 0 {
		return service, of[names[0]], of[names[1]]
	}
	fresh := one(w.name("slice"), service)
	return service, of[names[0]], fresh
}

// modify changes the endpoints of one.
func (w *walk) modify(service string, s *apiSlice, endpoints []apiEndpoint) {
	s.Endpoints = endpoints
	w.slices[service][s.Metadata.Name] = s
	w.Put(s)
}

// move brings the first n endpoints of a to b in two events, in any order, with some time in between.
func (w *walk) move(service string, a, b *apiSlice, n int) {
	moving, staying := slices.Clone(a.Endpoints[:n]), slices.Clone(a.Endpoints[n:])
	if w.r.IntN(3) == 0 {
		for i := range moving {
			moving[i].Conditions = w.mode()
		}
	}
	drop := func() { w.modify(service, a, staying) }
	if len(staying) == 0 && w.r.IntN(2) == 0 {
		drop = func() {
			delete(w.slices[service], a.Metadata.Name)
			w.Remove(a)
		}
	}
	add := func() { w.modify(service, b, append(slices.Clone(b.Endpoints), moving...)) }
	first, second := drop, add
	if w.r.IntN(2) == 0 {
		first, second = add, drop
	}
	first()
	w.trouble()
	w.pass(time.Duration(w.r.Int64N(int64(defaultHold / 2))))
	second()
}

func (w *walk) mode() map[string]bool {
	return modes[slices.Sorted(maps.Keys(modes))[w.r.IntN(len(modes))]]
}

// trouble does something to the connections, or nothing.
func (w *walk) trouble() {
	switch w.r.IntN(8) {
	case 0:
		w.cut(w.r.IntN(3000))
	case 1:
		w.cut(0)
	case 2:
		w.Compact()
	case 3:
		w.Bookmark()
	case 4:
		w.Set(func(k *weirtest.Kubernetes) { k.GoneAs, k.Expires = []int{200, 410}[w.r.IntN(2)], w.r.IntN(3) })
	}
}

func (w *walk) step() {
	service, a, b := w.pick()
	switch w.r.IntN(10) {
	case 0, 1: // a new pod
		name := w.name("pod")
		w.is(name, true)
		e := pod(name)
		e.Conditions = w.mode()
		w.modify(service, a, append(slices.Clone(a.Endpoints), e))
	case 2: // one goes
		if n := len(a.Endpoints); n > 0 {
			w.is(a.Endpoints[n-1].TargetRef.Name, false)
			w.modify(service, a, slices.Clone(a.Endpoints[:n-1]))
		}
	case 3: // one changes
		if len(a.Endpoints) > 0 {
			changed := slices.Clone(a.Endpoints)
			changed[w.r.IntN(len(changed))].Conditions = w.mode()
			w.modify(service, a, changed)
		}
	case 4, 5: // some move, or all
		w.move(service, a, b, w.r.IntN(len(a.Endpoints)+1))
	case 6:
		w.move(service, a, b, len(a.Endpoints))
	case 7: // a slice goes with its pods, or has no longer the label that is watched
		for _, e := range a.Endpoints {
			w.is(e.TargetRef.Name, false)
		}
		delete(w.slices[service], a.Metadata.Name)
		if w.r.IntN(2) == 0 {
			w.Remove(a)
		} else {
			a.Metadata.Labels["team"] = "others"
			w.Put(a)
		}
	case 8:
		w.setDown(w.r.IntN(2) == 0)
	case 9:
		w.pass(time.Duration(w.r.Int64N(int64(3 * time.Second))))
	}
	w.trouble()
}
