package link

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
)

// wander changes a set of resources by chance.
type wander struct {
	*rand.Rand
	have map[string]*ir.Resource
}

func newWander(seed uint64) *wander {
	return &wander{rand.New(rand.NewPCG(seed, 1)), map[string]*ir.Resource{}}
}

func (w *wander) step() {
	for range 1 + w.IntN(20) {
		id := fmt.Sprintf("map/m%d", w.IntN(60))
		switch w.IntN(4) {
		case 0:
			delete(w.have, id)
		case 1:
			name := fmt.Sprint("c", w.IntN(5))
			w.have["certificate/"+name] = cert(name, w.Int64N(3))
		default:
			w.have[id] = res(id, strings.Repeat("v", w.IntN(4000))+fmt.Sprint(w.IntN(3)))
		}
	}
	if w.IntN(50) == 0 {
		clear(w.have)
	}
}

// list gives the resources in any order.
func (w *wander) list() []*ir.Resource {
	var list []*ir.Resource
	for _, r := range w.have {
		list = append(list, r)
	}
	w.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func steps(short, soak int) int {
	if os.Getenv("WEIR_SOAK") != "" {
		return soak
	}
	return short
}

// TestWalk changes a group at random while its agent comes and goes and the control plane restarts; the agent
// always ends with what the group has.
func TestWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.RingBytes = 200 << 10 })
	dir := w.enrol("lb1")
	walk := newWander(7)
	self := ir.Self{Name: "lb1", Zone: "az1", State: weir.Active}
	a := w.agent(dir)
	for rev := int64(1); rev <= int64(steps(400, 20000)); rev++ {
		walk.step()
		if walk.IntN(10) == 0 {
			self.Zone = fmt.Sprint("az", walk.IntN(3))
		}
		switch walk.IntN(25) {
		case 0:
			w.stop()
			w.start()
		case 1:
			a.stop()
			a = w.agent(dir)
		case 2:
			w.hub.Cut("lb1")
		}
		if err := w.hub.SetGroup("edge", rev, walk.list(), []ir.Self{self}); err != nil {
			t.Fatal(err)
		}
		if walk.IntN(3) > 0 {
			continue // so that several changes pile up
		}
		want, _ := w.hub.Wanted("lb1")
		s := a.await(func(s State) error {
			if s.Hash != want.Hash {
				return fmt.Errorf("agent at revision %d, %+v", s.Revision, a.Connection())
			}
			return nil
		})
		expect := map[string]string{}
		for id, r := range walk.have {
			expect[id] = string(r.JSON())
		}
		mine, _ := json.Marshal(self)
		expect["self"] = string(mine)
		var sum Hash
		for id, body := range expect {
			sum = sum.xor(hashResource(id, []byte(body)))
		}
		if got := content(s.Resources); !reflect.DeepEqual(got, expect) || sum != s.Hash {
			t.Fatalf("revision %d: agent has %d resources, group %d", rev, len(got), len(expect))
		}
		if !slices.IsSortedFunc(s.Resources, func(a, b *ir.Resource) int { return strings.Compare(a.ID, b.ID) }) {
			t.Fatal("the state is not sorted")
		}
		for name, ref := range s.keys {
			if key, err := a.Key(name, ref); err != nil || key.Text() != fmt.Sprintf("KEY-CANARY %s %d\n", name, ref.Generation) {
				t.Fatalf("revision %d: key of %s: %v", rev, name, err)
			}
		}
	}
}
