package tickets

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// world is a control plane and load balancers whose messages are under way for as long as chance will have it.
type world struct {
	*bed
	state State
	all   []*node // members, in the order in which they came
	left  []*node
	made  int // load balancers ever
	done  map[string]int
}

// node is one load balancer: its agent and its HAProxy.
type node struct {
	Me
	haproxy   [3]Digest
	file      [3]Digest // what a new process reads
	connected bool
	reported  int64
	follows   bool    // it was up to date once since it came, came back or started anew
	briefs    []Brief // under way to it
	past      []Brief // read, the last of each generation
	reports   []func(*world)
	pushes    []Key // not sent to HAProxy yet
	held      []Secret
	did       map[string]bool
}

func (w *world) join() {
	w.made++
	n := &node{Me: w.me(fmt.Sprintf("lb-%d", w.made)), connected: true, did: map[string]bool{}}
	n.restart(w)
	w.all = append(w.all, n)
}

// restart begins as an agent does that finds no file.
func (n *node) restart(w *world) {
	keys, err := Alone(w.random)
	w.must(err)
	n.haproxy, n.file, n.pushes = keys.Digests(), keys.Digests(), nil
	n.reports = append(n.reports, func(*world) { n.reported, n.follows = 0, false })
}

func (w *world) members() []Member {
	var list []Member
	for _, n := range w.all {
		m := n.member(n.reported)
		m.Present, m.Able = n.connected, n.connected
		list = append(list, m)
	}
	return list
}

// plane is a turn of the control plane: a step, and a brief for each that is connected.
func (w *world) plane() {
	before := w.state.Generation()
	var tasks []Task
	// Hold is what ends the waiting for one that does not follow; here all do, sooner or later.
	var err error
	w.state, tasks, err = w.state.Step(w.now, w.members(), Settings{Every: settings.Every, Hold: 1000 * time.Hour}, w.random)
	w.must(err)
	w.state = w.stored(w.state)
	if w.state.Generation() != before {
		w.done["rotations"]++
	}
	for _, n := range w.all {
		if n.connected {
			// What is not on its way yet gives way to the newer.
			n.briefs = append(n.briefs[:min(len(n.briefs), 1)], w.sent(w.state.Brief(n.member(0), tasks)))
		}
	}
}

// hear has a load balancer read its oldest brief.
func (n *node) hear(w *world) {
	if len(n.briefs) == 0 || len(n.pushes) > 0 {
		return
	}
	b := n.briefs[0]
	n.briefs = n.briefs[1:]
	if i := len(n.past) - 1; i < 0 || generationOf(n.past[i]) < generationOf(b) {
		n.past = append(n.past, b)
	}
	var err error
	n.held, _, err = n.Read(b)
	w.must(err)
	for _, t := range b.Tasks {
		n.work(w, t)
	}
	want, err := Derive(b.Group, n.held, b.Seeds)
	if lack := new(LackError); len(b.Seeds) == 0 || errors.As(err, &lack) {
		return
	}
	w.must(err)
	push, ahead := Pushes(n.haproxy, want)
	if ahead {
		w.done["ahead"]++
		return
	}
	n.file, n.pushes = want.Digests(), push
	seeds := b.Seeds
	n.reports = append(n.reports, func(w *world) {
		if len(n.pushes) == 0 {
			n.reported = max(n.reported, Generation(n.haproxy, want, seeds))
			n.follows = n.follows || n.reported == w.state.Generation()
		}
	})
}

func generationOf(b Brief) int64 { return State{Seeds: b.Seeds}.Generation() }

func (n *node) work(w *world, t Task) {
	once := fmt.Sprint(t.Epoch, t.Make, len(t.For))
	if n.did[once] && w.rand.IntN(4) > 0 {
		return // asked again before the answer has arrived
	}
	n.did[once] = true
	o, err := n.Do(t, n.held, w.now, w.random)
	if err != nil && !t.Make {
		return // it has been told anew meanwhile
	}
	w.must(err)
	n.reports = append(n.reports, func(w *world) {
		next, err := w.state.Accept(o, n.Name, w.members())
		switch {
		case err == nil:
			w.state = next
			w.done["offers"]++
		case errors.Is(err, ErrTooLate):
			w.done["too late"]++
		default:
			w.Error(err)
		}
	})
}

// set sends HAProxy one key, and holds that this never makes it worse.
func (n *node) set(w *world) {
	if len(n.pushes) == 0 {
		return
	}
	others, recent := w.understoodBy(n), w.recent()
	current := func(n *node) bool { return slices.Contains(recent, n.haproxy[1]) }
	n.haproxy, n.pushes = pushed(n.haproxy, n.pushes[0]), n.pushes[1:]
	now := w.understoodBy(n)
	for name := range others {
		// Whoever had the keys of before must have those of now, unless it is behind itself.
		if !now[name] && current(n) && current(w.find(name)) {
			w.Errorf("%s encrypts with what %s no longer knows", n.Name, name)
		}
	}
}

func (w *world) find(name string) *node {
	return w.all[slices.IndexFunc(w.all, func(n *node) bool { return n.Name == name })]
}

func (w *world) understoodBy(n *node) map[string]bool {
	by := map[string]bool{}
	for _, other := range w.all {
		if other != n && knows(other.haproxy, n.haproxy) {
			by[other.Name] = true
		}
	}
	return by
}

// recent gives the keys of the current generation and the one before.
func (w *world) recent() []Digest {
	for _, m := range w.all {
		if want, err := Derive(group, m.held, w.state.Seeds); err == nil {
			return []Digest{want[0].Digest(), want[1].Digest()}
		}
	}
	return nil
}

// check holds what must be true at any time.
func (w *world) check() {
	w.Helper()
	recent := w.recent()
	current := func(n *node) bool { return slices.Contains(recent, n.haproxy[1]) }
	for _, a := range w.all {
		if a.connected && a.follows && a.reported < w.state.Generation()-1 {
			w.Errorf("%s is at generation %d, the group at %d", a.Name, a.reported, w.state.Generation())
		}
		for _, z := range w.all {
			if current(a) && current(z) && !knows(z.haproxy, a.haproxy) {
				w.Errorf("%s can't decrypt what %s issues, and neither is two behind", z.Name, a.Name)
			}
		}
	}
}

// turn does one thing, whichever.
func (w *world) turn() {
	n := w.all[w.rand.IntN(len(w.all))]
	switch x := w.rand.IntN(100); {
	case x < 10:
		w.now = w.now.Add(time.Duration(w.rand.Int64N(int64(settings.Every))))
		w.plane()
	case x < 18:
		w.plane()
	case x < 48:
		n.hear(w)
	case x < 66:
		n.set(w)
	case x < 90:
		if len(n.reports) > 0 && n.connected {
			report := n.reports[0]
			n.reports = n.reports[1:]
			report(w)
		}
	case x < 92:
		n.connected, n.briefs, n.follows = !n.connected, nil, false
	case x < 93 && len(w.all) < 6:
		w.join()
	case x < 94 && len(w.all) > 2:
		w.all = slices.DeleteFunc(w.all, func(o *node) bool { return o == n })
		w.left = append(w.left, n)
	case x < 95:
		n.haproxy, n.pushes = n.file, nil // a reload
	case x < 96:
		n.restart(w)
	case len(n.past) > 1: // of a server that has heard less
		n.briefs = slices.Insert(n.briefs, 0, n.past[len(n.past)-2])
	}
}

// settle lets all messages arrive.
func (w *world) settle() {
	w.Helper()
	for _, n := range w.all {
		n.connected = true
	}
	for range 20 {
		w.plane()
		for _, n := range w.all {
			for len(n.briefs) > 0 || len(n.pushes) > 0 {
				n.hear(w)
				n.set(w)
			}
			for _, report := range n.reports {
				report(w)
			}
			n.reports = nil
		}
		w.check()
	}
}

// Whatever the order in which rotations, secrets and reports reach members that come, go, are away and start anew: what
// one issues each other one decrypts, as long as neither lags two generations; none that is connected does; and in the
// end all have the same keys, which nobody who was removed can derive.
func TestAnyTicketIsDecryptedByEachMember(t *testing.T) {
	t.Parallel()
	done := map[string]int{}
	for seed := range 10 {
		w := &world{bed: newBed(t, byte(100+seed)), state: State{Group: group}, done: done}
		for range 3 {
			w.join()
		}
		for range 1000 {
			w.turn()
			w.check()
			if t.Failed() {
				t.Fatalf("world %d", seed)
			}
		}
		w.settle()
		for range 4 {
			w.now = w.now.Add(settings.Every)
			w.settle()
		}
		for _, n := range w.all {
			if n.haproxy != w.all[0].haproxy {
				t.Errorf("world %d: %s has other keys than %s in the end", seed, n.Name, w.all[0].Name)
			}
		}
		for _, n := range w.left {
			if _, err := Derive(group, n.held, w.state.Seeds); err == nil {
				t.Errorf("world %d: %s, which was removed, derives the keys", seed, n.Name)
			}
		}
	}
	// Four a world are those of the end.
	if done["rotations"] < 100 {
		t.Errorf("only %d rotations", done["rotations"])
	}
	for _, what := range []string{"ahead", "offers", "too late"} {
		if done[what] == 0 {
			t.Errorf("there were no %s in any world", what)
		}
	}
	t.Log(done)
}

// Two servers of one store each ask somebody else for the first secret, because they see others connected: the store
// takes one of them, and all members end up with that one.
func TestTwoMakeASecretAtOnce(t *testing.T) {
	t.Parallel()
	for seed := range 12 {
		b := newBed(t, byte(200+seed))
		mes := []Me{b.me("a"), b.me("z")}
		members := []Member{mes[0].member(0), mes[1].member(0)}
		stored, version := State{Group: group}, 0
		// Each reads, judges and writes in place of what it has read, as compare-and-set does.
		type server struct {
			read    State
			version int
			offer   Offer
			done    bool
		}
		servers := make([]server, 2)
		for i := range servers {
			_, tasks := b.step(State{Group: group}, members[i])
			if len(tasks) != 1 || !tasks[0].Make {
				t.Fatalf("%+v", tasks)
			}
			tasks[0].For = []Recipient{{"a", mes[0].Certificate.Raw}, {"z", mes[1].Certificate.Raw}}
			o, err := mes[i].Do(tasks[0], nil, b.now, b.random)
			b.must(err)
			servers[i] = server{read: stored, offer: o}
		}
		lost := 0
		for !servers[0].done || !servers[1].done {
			i := b.rand.IntN(2)
			s := &servers[i]
			if s.done || b.rand.IntN(2) == 0 {
				s.read, s.version = b.stored(stored), version
				continue
			}
			next, err := s.read.Accept(s.offer, mes[i].Name, members)
			switch {
			case errors.Is(err, ErrTooLate):
				s.done = true
				lost++
			case err != nil:
				t.Fatal(err)
			case s.version == version:
				stored, version, s.done = next, version+1, true
			}
		}
		if lost != 1 || len(stored.Epochs) != 1 {
			t.Errorf("world %d: %d lost, %d epochs", seed, lost, len(stored.Epochs))
		}
		s, _ := b.step(stored, members...)
		if b.keys(mes[0], s).Digests() != b.keys(mes[1], s).Digests() {
			t.Errorf("world %d: the two have different keys", seed)
		}
	}
}
