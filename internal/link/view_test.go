package link

import (
	"bufio"
	"fmt"
	"net/http"
	"testing"

	"weir"
	"weir/internal/ir"
)

// views sets two views of group edge: those listed have the newer one.
func (w *world) views(revision int64, held, next []*ir.Resource, reached ...string) {
	w.t.Helper()
	views := []View{{Name: "1", Resources: held}, {Name: "2", Resources: next}}
	for _, lb := range []string{"lb1", "lb2"} {
		i := 0
		for _, r := range reached {
			if r == lb {
				i = 1
			}
		}
		views[i].Selves = append(views[i].Selves, ir.Self{Name: lb, Zone: "az1", State: weir.Active})
	}
	if err := w.hub.SetViews("edge", revision, views...); err != nil {
		w.t.Fatal(err)
	}
	w.hub.Advance(revision)
}

// transactionOf reads a stream up to its next commit that changes something.
func transactionOf(t *testing.T, in *bufio.Reader) (*transaction, Hash) {
	t.Helper()
	tr := &transaction{}
	for {
		line, err := readLine(in)
		if err != nil {
			t.Fatal(err)
		}
		m, err := decodeMessage(line)
		if err != nil {
			t.Fatal(err)
		}
		tr.add(m)
		if m.Hash != nil && (!tr.empty() || tr.keyed) {
			return tr, *m.Hash
		}
	}
}

// TestMovesBetweenViews: a load balancer that is moved from one view of its group to the other, and back, is sent
// what differs and no more, on the stream that it has, with the keys that it lacks.
func TestMovesBetweenViews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	common := many(5000)
	held := append([]*ir.Resource{cert("www", 1), res("map/m", "old")}, common...)
	next := append([]*ir.Resource{cert("www", 2), res("page/p", "new")}, common...)
	w.set("edge", 1, held, "lb1", "lb2")
	first, _, in := w.raw(dir, nil)
	if !first[0].Reset {
		t.Fatal("the first stream did not begin with all there is")
	}
	w.views(2, held, next, "lb2")
	w.views(2, held, next, "lb1", "lb2")
	for _, want := range []struct {
		puts, deletes int
		reached       []string
	}{{2, 1, []string{"lb2"}}, {2, 1, []string{"lb1"}}} {
		tr, hash := transactionOf(t, in)
		puts, deletes := 0, 0
		for _, body := range tr.writes {
			if body != nil {
				puts++
			} else {
				deletes++
			}
		}
		if wanted, _ := w.hub.Wanted("lb1"); tr.reset || puts != want.puts || deletes != want.deletes || !tr.keyed || hash != wanted.Hash || !wanted.Viewed {
			t.Fatalf("moved by %d puts and %d deletes, reset %v, keys %v", puts, deletes, tr.reset, tr.keyed)
		}
		w.views(2, held, next, want.reached...)
	}
}

// TestReturnsToAnotherView: an agent that was away while it was moved, or while its view was dropped, is brought over
// by what differs.
func TestReturnsToAnotherView(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	held := append([]*ir.Resource{res("map/m", "old")}, many(5000)...)
	next := append([]*ir.Resource{res("map/m", "new")}, many(5000)...)
	w.views(1, held, next, "lb2")
	was, _ := w.hub.Wanted("lb1")
	if !w.hub.Carries("lb1", was.Hash) {
		t.Error("what is wanted is not told to be carried")
	}
	token := http.Header{resumeHeader: {Resume{"e1", 1, was.Hash}.String()}}
	returns := func(when string) {
		t.Helper()
		if w.hub.Carries("lb1", was.Hash) {
			t.Errorf("%s: the content of another view counts as carried", when)
		}
		first, bytes, _ := w.raw(dir, token)
		if bytes > 500 || first[0].Reset {
			t.Errorf("%s: sent %d bytes, reset %v", when, bytes, first[0].Reset)
		}
		if wanted, _ := w.hub.Wanted("lb1"); *first[len(first)-1].Hash != wanted.Hash {
			t.Errorf("%s: the agent does not end with what is wanted", when)
		}
	}
	w.views(1, held, next, "lb1")
	returns("moved")
	if err := w.hub.SetViews("edge", 1, View{Name: "2", Resources: next, Selves: []ir.Self{{Name: "lb1", Zone: "az1", State: weir.Active}}}); err != nil {
		t.Fatal(err)
	}
	returns("its view was dropped")
}

// TestWalkOfViews changes two views at random while agents are moved between them, come and go; they always end with
// what their view has.
func TestWalkOfViews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dirs := map[string]string{"lb1": w.enrol("lb1"), "lb2": w.enrol("lb2")}
	held, next := newWander(3), newWander(4)
	agents := map[string]*agent{}
	for lb, dir := range dirs {
		agents[lb] = w.agent(dir)
	}
	revision := int64(1)
	for range steps(150, 5000) {
		var reached []string
		for _, lb := range []string{"lb1", "lb2"} {
			if held.IntN(2) == 0 {
				reached = append(reached, lb)
			}
		}
		if held.IntN(3) == 0 {
			revision++
			held.step()
			next.step()
		}
		if held.IntN(15) == 0 {
			agents["lb1"].stop()
			agents["lb1"] = w.agent(dirs["lb1"])
		}
		w.views(revision, held.list(), next.list(), reached...)
		if held.IntN(3) > 0 {
			continue
		}
		for lb, a := range agents {
			want, _ := w.hub.Wanted(lb)
			s := a.await(func(s State) error {
				if s.Hash != want.Hash {
					return fmt.Errorf("%s at revision %d, %+v", lb, s.Revision, a.Connection())
				}
				return nil
			})
			if s.Revision != revision {
				t.Fatalf("%s is at revision %d, not %d", lb, s.Revision, revision)
			}
			for name, ref := range s.keys {
				if _, err := a.Key(name, ref); err != nil {
					t.Fatalf("%s: key of %s: %v", lb, name, err)
				}
			}
		}
	}
}
