package ir_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
)

// randomResource gives a resource of any kind; now and then the name in the body is another than that in the ID.
func randomResource(r *rand.Rand) *ir.Resource {
	name := fmt.Sprintf("n%d", r.IntN(12))
	if r.IntN(3) == 0 {
		name += "-x" // sorts between a name and what lies under it
	}
	inside := name
	if r.IntN(400) == 0 {
		inside = "other"
	}
	body := func(v any) json.RawMessage {
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return raw
	}
	text := fmt.Sprint(r.IntN(3))
	switch r.IntN(16) {
	case 0:
		return &ir.Resource{ID: "self", Body: body(ir.Self{Name: text})}
	case 1:
		return &ir.Resource{ID: "group", Body: body(ir.Group{Name: text})}
	case 2:
		return &ir.Resource{ID: "tuning", Body: body(ir.Tuning{Name: text})}
	case 3:
		return &ir.Resource{ID: "address/" + name, Body: body(ir.Address{Name: inside, HomeZone: text})}
	case 4:
		return &ir.Resource{ID: "site/" + name, Body: body(ir.Site{Name: inside, Mode: text})}
	case 5, 6, 7:
		return &ir.Resource{ID: "pool/" + name, Body: body(ir.Pool{Name: inside, Cookie: text})}
	case 8:
		return &ir.Resource{ID: "list/" + name, Body: body(ir.AccessList{Name: inside})}
	case 9:
		return &ir.Resource{ID: "map/" + name, Body: body(ir.Map{Name: inside, Match: text})}
	case 10:
		return &ir.Resource{ID: "page/" + name, Body: body(ir.Page{Name: inside, Body: text})}
	case 11:
		return &ir.Resource{ID: "certificate/" + name, Body: body(ir.Certificate{Name: inside, Chain: weir.NewChain(text)})}
	}
	member := fmt.Sprintf("s%d", r.IntN(8))
	inside = member
	if r.IntN(400) == 0 {
		inside = "other"
	}
	return &ir.Resource{ID: "server/" + name + "/" + member, Body: body(ir.Server{Name: inside, Weight: r.IntN(4)})}
}

// An Assembler gives, whatever it has seen before, what a function that has seen nothing gives.
func TestAssemblerOverRandomLists(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		var a ir.Assembler
		var list []*ir.Resource
		kept := 0
		var last ir.Node
		for step := range 400 {
			list = slices.Clone(list)
			for range r.IntN(4) {
				if len(list) > 0 && r.IntN(3) == 0 {
					i := r.IntN(len(list))
					list = slices.Delete(list, i, i+1)
					continue
				}
				put := randomResource(r)
				i, found := slices.BinarySearchFunc(list, put.ID, func(e *ir.Resource, id string) int { return strings.Compare(e.ID, id) })
				if found {
					list[i] = put
				} else {
					list = slices.Insert(list, i, put)
				}
			}
			given := list
			switch r.IntN(60) {
			case 0:
				given = slices.Clone(list)
				r.Shuffle(len(given), func(i, j int) { given[i], given[j] = given[j], given[i] })
			case 1:
				given = append(slices.Clone(list), &ir.Resource{ID: "site/zz", Body: []byte("{")})
			case 2:
				given = append(slices.Clone(list), &ir.Resource{ID: "unheard/of", Body: []byte("{}")})
			}
			got, err := a.Assemble(given)
			want, werr := ir.Assemble(given)
			if (err == nil) != (werr == nil) {
				t.Fatalf("seed %d step %d: %v, want %v", seed, step, err, werr)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d step %d:\ngot  %+v\nwant %+v", seed, step, got, want)
			}
			if err != nil {
				continue
			}
			for _, p := range got.Pools {
				i := slices.IndexFunc(last.Pools, func(o ir.Pool) bool { return o.Name == p.Name })
				if i >= 0 && len(p.Servers) > 0 && len(last.Pools[i].Servers) > 0 && &p.Servers[0] == &last.Pools[i].Servers[0] {
					kept++
				}
			}
			last = got
		}
		if kept == 0 {
			t.Errorf("seed %d: no pool ever kept its servers in memory", seed)
		}
	}
}

// Changes tells what a look at every resource tells.
func TestChangesAreThoseThatDiffer(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	random := func() []*ir.Resource {
		all := map[string]*ir.Resource{}
		for range r.IntN(20) {
			put := randomResource(r)
			all[put.ID] = put
		}
		var list []*ir.Resource
		for _, put := range all {
			list = append(list, put)
		}
		slices.SortFunc(list, func(a, b *ir.Resource) int { return strings.Compare(a.ID, b.ID) })
		return list
	}
	for range 3000 {
		before, after := random(), random()
		if r.IntN(2) == 0 { // most of it is the same
			after = slices.DeleteFunc(slices.Clone(before), func(*ir.Resource) bool { return r.IntN(5) == 0 })
		}
		put, gone, ok := ir.Changes(before, after)
		if !ok {
			t.Fatal("sorted lists are refused")
		}
		was := map[string]string{}
		for _, e := range before {
			was[e.ID] = string(e.Body)
		}
		var wantPut []*ir.Resource
		for _, e := range after {
			if body, ok := was[e.ID]; !ok || body != string(e.Body) {
				wantPut = append(wantPut, e)
			}
			delete(was, e.ID)
		}
		var wantGone []string
		for id := range was {
			wantGone = append(wantGone, id)
		}
		slices.Sort(wantGone)
		if !reflect.DeepEqual(put, wantPut) || !slices.Equal(gone, wantGone) {
			t.Fatalf("%v\n%v\nput %v, want %v\ngone %v, want %v", before, after, put, wantPut, gone, wantGone)
		}
	}
	a, b := &ir.Resource{ID: "a"}, &ir.Resource{ID: "b"}
	for _, wrong := range [][]*ir.Resource{{b, a}, {a, a}, {a, b, b}} {
		if _, _, ok := ir.Changes([]*ir.Resource{a, b}, wrong); ok {
			t.Errorf("%v passes for sorted", wrong)
		}
	}
}
