package plan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/internal/haproxy"
)

// Properties of the path: what must hold after every single operation.
const (
	refused   = "refused"   // HAProxy would refuse an operation
	unserved  = "unserved"  // a request or backend served before and after is not served on the way
	dangling  = "dangling"  // a map entry leads to a backend that can't be chosen
	uninvited = "uninvited" // a server takes traffic that should have none, before or after
	touched   = "touched"   // a server is changed that is the same before and after
	hidden    = "hidden"    // a certificate shown before and after is not shown on the way
	misrouted = "misrouted" // a host belongs to a site that it belongs to neither before nor after
	early     = "early"     // checks run before the map says what they ask for, or before their results count
	elsewhere = "elsewhere" // the end is not what was wanted
)

// violation is a property that a plan breaks, and where.
type violation struct{ property, text string }

func (v *violation) Error() string { return v.property + ": " + v.text }

// walk is one plan on its way from a to b.
type walk struct {
	a, b     haproxy.Config
	m        *machine
	requests [][2]string // host and path, answered in a and b
	backends []string    // that serve in a and b
	invited  map[string]bool
	same     map[string]haproxy.Server
	shown    map[string]bool
	sites    map[string][2]string // of hosts that have one in a and in b
}

// check carries out the plan and looks at every property after every operation.
func check(a, b haproxy.Config, p Plan) *violation {
	return newWalk(a, b).run(p)
}

func (w *walk) run(p Plan) *violation {
	for i := range p.Ops {
		if err := w.m.do(&p.Ops[i]); err != nil {
			return &violation{refused, fmt.Sprintf("%d: %s: %v", i, p.Ops[i], err)}
		}
		if v := w.look(&p.Ops[i]); v != nil {
			v.text = fmt.Sprintf("after %d: %s: %s", i, p.Ops[i], v.text)
			return v
		}
	}
	if got := w.m.has(); !Equivalent(got, w.b) {
		return &violation{elsewhere, "the machine does not have what was wanted"}
	}
	return nil
}

func newWalk(a, b haproxy.Config) *walk {
	w := &walk{a: a, b: b, m: newMachine(a), invited: map[string]bool{}, same: map[string]haproxy.Server{}, shown: map[string]bool{}, sites: map[string][2]string{}}
	from, to := newMachine(a), newMachine(b)
	for _, h := range hostNames {
		x, inA := from.site(h)
		if y, inB := to.site(h); inA && inB {
			w.sites[h] = [2]string{x, y}
		}
		for _, p := range pathNames {
			if from.answers(h, p) && to.answers(h, p) && alive(a, b, h, p) {
				w.requests = append(w.requests, [2]string{h, p})
			}
		}
	}
	for n := range from.backends {
		if from.canServe(n) && to.canServe(n) {
			w.backends = append(w.backends, n)
		}
	}
	slices.Sort(w.backends)
	w.servers()
	for _, n := range shownBy(a) {
		if slices.Contains(shownBy(b), n) {
			w.shown[n] = true
		}
	}
	return w
}

// alive says that a request meets no dead entry on its way from a to b: not in a, not in b, and not in a route
// that it has in neither but may pass when its host moves to another site.
func alive(a, b haproxy.Config, host, path string) bool {
	for _, c := range []haproxy.Config{a, b} {
		m := newMachine(c)
		for _, other := range []haproxy.Config{a, b} {
			site, ok := newMachine(other).site(host)
			if !ok {
				continue
			}
			for _, p := range []string{path, ""} {
				if v, ok := lookup(m.maps["maps/routes"], site+"/"+p); ok && !slices.ContainsFunc(strings.Split(v, "|"), m.canServe) {
					return false
				}
			}
			for _, e := range m.maps["maps/patterns"] {
				if strings.HasPrefix(site+"/"+path, e.Key) && !m.canServe(e.Value) {
					return false
				}
			}
		}
	}
	return true
}

func (w *walk) servers() {
	before := map[string]haproxy.Server{}
	for _, c := range []haproxy.Config{w.a, w.b} {
		for _, b := range c.Backends {
			for _, s := range b.Servers {
				id := b.Name + "/" + s.Name
				if serves(&s) {
					w.invited[id+" "+s.Address] = true
				}
				if old, ok := before[id]; ok && sameServer(&old, &s) {
					w.same[id] = s
				}
			}
		}
		for _, b := range c.Backends {
			for _, s := range b.Servers {
				before[b.Name+"/"+s.Name] = s
			}
		}
	}
}

// shownBy gives what clients can see of certificates: files and names by list.
func shownBy(c haproxy.Config) []string { return shownOn(newMachine(c)) }

func shownOn(m *machine) []string {
	var all []string
	for path, l := range m.lists {
		for _, e := range l {
			if m.certs[certKey{path: e.File}] == "" {
				continue
			}
			all = append(all, path+" file "+e.File)
			for _, n := range e.SNI {
				all = append(all, path+" name "+n)
			}
		}
	}
	return all
}

func (w *walk) look(o *Op) *violation {
	for _, q := range w.requests {
		if !w.m.answers(q[0], q[1]) {
			return &violation{unserved, fmt.Sprintf("%s/%s goes to %v", q[0], q[1], w.m.leadsTo(q[0], q[1]))}
		}
	}
	for h, either := range w.sites {
		if s, ok := w.m.site(h); !ok || s != either[0] && s != either[1] {
			return &violation{misrouted, h + " belongs to " + s}
		}
	}
	for _, n := range w.backends {
		if !w.m.canServe(n) {
			return &violation{unserved, "backend " + n}
		}
	}
	for _, path := range []string{"maps/routes", "maps/patterns"} {
		for _, e := range w.m.maps[path] {
			for n := range strings.SplitSeq(e.Value, "|") {
				if b := w.m.backends[n]; b == nil || !b.published {
					return &violation{dangling, path + " " + e.Key + " leads to " + n}
				}
			}
		}
	}
	if v := w.lookAtServers(); v != nil {
		return v
	}
	now := shownOn(w.m)
	for n := range w.shown {
		if !slices.Contains(now, n) {
			return &violation{hidden, n}
		}
	}
	if o.Kind == EnableHealth {
		_, asked := lookup(newMachine(w.b).maps["maps/hc_path"], o.Backend)
		if _, ok := lookup(w.m.maps["maps/hc_path"], o.Backend); asked && !ok {
			return &violation{early, "the checks of " + o.Backend + " have no path"}
		}
		if w.m.backends[o.Backend].servers[o.Server].Maintenance && wantsServing(w.b, o.Backend, o.Server) {
			return &violation{early, o.Backend + "/" + o.Server + " is checked in maintenance"}
		}
	}
	return nil
}

// wantsServing says whether a configuration has a server that is not in maintenance.
func wantsServing(c haproxy.Config, backend, server string) bool {
	return slices.ContainsFunc(c.Backends, func(b haproxy.Backend) bool {
		return b.Name == backend && slices.ContainsFunc(b.Servers, func(s haproxy.Server) bool { return s.Name == server && !s.Maintenance })
	})
}

func (w *walk) lookAtServers() *violation {
	for id, s := range w.same {
		backend, name, _ := strings.Cut(id, "/")
		b := w.m.backends[backend]
		if b == nil || b.servers[name] == nil || !sameServer(&b.servers[name].Server, &s) || serves(&s) && !b.servers[name].up {
			return &violation{touched, id}
		}
	}
	for _, b := range w.m.backends {
		for _, s := range b.servers {
			if id := b.Name + "/" + s.Name + " " + s.Address; s.serves() && !w.invited[id] {
				return &violation{uninvited, id}
			}
		}
	}
	return nil
}

// rounds gives how often a random test runs.
func rounds(n int) int {
	if os.Getenv("WEIR_SOAK") != "" {
		return 20 * n
	}
	return n
}

func random(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 77)) }

// holds checks everything that is promised of the plan from a to b.
func holds(t *testing.T, a, b haproxy.Config, note string) Plan {
	t.Helper()
	p := Diff(a, b)
	if again := Diff(a, b); !reflect.DeepEqual(p.Ops, again.Ops) || !reflect.DeepEqual(p.Reload, again.Reload) {
		t.Fatalf("%s: two plans for the same", note)
	}
	if len(p.Reload) > 0 {
		t.Fatalf("%s: reload: %v", note, p.Reload)
	}
	if v := check(a, b, p); v != nil {
		t.Fatalf("%s: %v\n%s", note, v, script(p))
	}
	after := Apply(p, a)
	if !Equivalent(after, b) {
		t.Fatalf("%s: Apply does not end at b\n%s", note, script(p))
	}
	if rest := Diff(after, b); !rest.Empty() {
		t.Fatalf("%s: a second plan is not empty: %v", note, rest.Ops)
	}
	if p.Empty() != Equivalent(a, b) {
		t.Fatalf("%s: empty is %v, equivalent is %v", note, p.Empty(), Equivalent(a, b))
	}
	if !Diff(b, b).Empty() {
		t.Fatalf("%s: Diff(b, b) is not empty", note)
	}
	return p
}

func script(p Plan) string {
	var b strings.Builder
	for i, o := range p.Ops {
		fmt.Fprintf(&b, "%3d %s\n", i, o)
	}
	return b.String()
}

func TestPathsOfRandomPairs(t *testing.T) {
	t.Parallel()
	kinds := map[Kind]int{}
	served := 0
	for seed := range rounds(1500) {
		r := random(seed)
		a, b := newWorld(r).config(), newWorld(r).config()
		p := holds(t, a, b, fmt.Sprint("pair ", seed))
		for _, o := range p.Ops {
			kinds[o.Kind]++
		}
		served += len(newWalk(a, b).requests)
	}
	for _, k := range []Kind{
		NewCA, SetCA, DelCA, NewCert, SetCert, DelCert, AddCrt, DelCrt, AddBackend, PublishBackend, UnpublishBackend, RemoveBackend, AddServer,
		EnableHealth, EnableServer, DisableServer, RemoveServer, SetWeight, SetMaxConnections, WaitUp, MapAdd, MapSet, MapDel, MapSwap,
	} {
		if kinds[k] == 0 {
			t.Errorf("no plan has a %s: the worlds are too tame", k)
		}
	}
	if served < 500 {
		t.Errorf("only %d requests are served on both sides: the worlds are too wild", served)
	}
	t.Logf("%d requests watched; operations: %v", served, slices.Sorted(maps.Keys(kinds)))
}

// A member whose forms can't stand side by side is made anew, one after the other: what serves by another server
// meanwhile is served all the time.
func TestPathsOfServersThatTakeAName(t *testing.T) {
	t.Parallel()
	remade := 0
	for seed := range rounds(1000) {
		r := random(seed)
		from := newWorld(r)
		from.fixedIDs, from.fixedNames = true, true
		to := from.clone()
		for range 1 + r.IntN(12) {
			to.mutate(r)
		}
		a, b := from.config(), to.config()
		p := Diff(a, b)
		w := newWalk(a, b)
		w.requests = nil
		w.backends = slices.DeleteFunc(w.backends, func(n string) bool { return alone(w, n) })
		if v := w.run(p); v != nil {
			t.Fatalf("seed %d: %v\n%s", seed, v, script(p))
		}
		if !Equivalent(Apply(p, a), b) {
			t.Fatalf("seed %d: Apply does not end at b\n%s", seed, script(p))
		}
		for i, o := range p.Ops {
			if o.Kind == AddServer && i > 0 && p.Ops[i-1].Kind == RemoveServer {
				remade++
			}
		}
	}
	if remade < 50 {
		t.Errorf("only %d servers were made anew", remade)
	}
}

// A member of another form whose ID is in use gets another one of the same place: nobody has to go for it.
func TestPathsOfServersThatTakeAnID(t *testing.T) {
	t.Parallel()
	elsewhere := 0
	for seed := range rounds(1000) {
		r := random(seed)
		from := newWorld(r)
		from.fixedIDs = true
		to := from.clone()
		for range 1 + r.IntN(12) {
			to.mutate(r)
		}
		p := holds(t, from.config(), to.config(), fmt.Sprint("seed ", seed))
		for i, o := range p.Ops {
			if o.Kind == AddServer && o.ID != haproxy.Place(o.ID) {
				elsewhere++
			}
			if o.Kind == AddServer && i > 0 && p.Ops[i-1].Kind == RemoveServer {
				t.Fatalf("seed %d: %s is made anew\n%s", seed, o.Server, script(p))
			}
		}
	}
	if elsewhere < 50 {
		t.Errorf("only %d servers got another ID", elsewhere)
	}
}

// alone says that no second server of a backend can serve while one is made anew.
func alone(w *walk, backend string) bool {
	from, to := newMachine(w.a).backends[backend], newMachine(w.b).backends[backend]
	n, ids := 0, map[int]bool{}
	for _, s := range from.servers {
		ids[s.ID] = true
		if s.serves() {
			n++
		}
	}
	for _, s := range to.servers {
		if same := from.servers[s.Name]; s.serves() && (!ids[s.ID] || same != nil && sameForm(&same.Server, &s.Server)) {
			n++
		}
	}
	return n < 2
}

func TestPathsOfRandomWalks(t *testing.T) {
	t.Parallel()
	for seed := range rounds(30) {
		r := random(seed)
		w := newWorld(r)
		have := w.config()
		for step := range 50 {
			w = w.clone()
			for range 1 + r.IntN(4) {
				w.mutate(r)
			}
			want := w.config()
			have = Apply(holds(t, have, want, fmt.Sprintf("walk %d step %d", seed, step)), have)
		}
	}
}
