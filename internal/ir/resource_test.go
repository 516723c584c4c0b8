package ir_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
)

var now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func node(overrides ...ir.Override) ir.Node {
	return ir.Node{
		Self:  ir.Self{Name: "lb1", Zone: "az1", State: weir.Active},
		Group: ir.Group{Name: "edge", Zones: []string{"az1"}},
		Pools: []ir.Pool{{Name: "web", Mode: "http", Servers: []ir.Server{{
			Name: "s1", Address: netip.MustParseAddrPort("10.0.0.1:80"), Weight: 100, Overrides: overrides,
		}}}},
		Sites: []ir.Site{{Name: "www", Mode: "http", Addresses: []string{"vip"}}},
		Pages: []ir.Page{{Name: "sorry", Body: "x"}},

		Challenges: []ir.Challenge{{Token: "a-Token_1", Answer: "a-Token_1.print"}},
	}
}

func TestOverridesHoldUntilTheyExpire(t *testing.T) {
	weight := func(w int, until time.Duration) ir.Override {
		return ir.Override{Name: "w", Weight: &w, ExpiresAt: now.Add(until)}
	}
	state := func(s string, until time.Duration) ir.Override {
		return ir.Override{Name: "a", State: s, ExpiresAt: now.Add(until)}
	}
	for name, c := range map[string]struct {
		overrides   []ir.Override
		weight      int
		maintenance bool
		next        time.Duration
	}{
		"none":                             {nil, 100, false, 0},
		"a weight":                         {[]ir.Override{weight(7, time.Hour)}, 7, false, time.Hour},
		"an expired one":                   {[]ir.Override{weight(7, 0)}, 100, false, 0},
		"a drain":                          {[]ir.Override{state("drain", time.Minute)}, 0, false, time.Minute},
		"a weight does not lift a drain":   {[]ir.Override{state("drain", time.Minute), weight(7, time.Hour)}, 0, false, time.Minute},
		"after the drain the weight holds": {[]ir.Override{state("drain", -time.Second), weight(7, time.Hour)}, 7, false, time.Hour},
		"maintenance":                      {[]ir.Override{state("maintenance", time.Minute)}, 100, true, time.Minute},
		"ready lifts no maintenance":       {[]ir.Override{state("maintenance", time.Minute), state("ready", time.Hour)}, 100, true, time.Minute},
	} {
		n := node(c.overrides...)
		at, next := n.At(now)
		s := at.Pools[0].Servers[0]
		if s.Weight != c.weight || s.Maintenance != c.maintenance || len(s.Overrides) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		if want := now.Add(c.next); c.next == 0 && !next.IsZero() || c.next != 0 && !next.Equal(want) {
			t.Errorf("%s: next at %v", name, next)
		}
		if left := n.Pools[0].Servers[0]; left.Weight != 100 || len(left.Overrides) != len(c.overrides) {
			t.Errorf("%s: the node itself was changed: %+v", name, left)
		}
	}
}

func TestResourcesAssembleToTheSameNode(t *testing.T) {
	n := node()
	list := n.Resources()
	back, err := ir.Assemble(list)
	if err != nil || !reflect.DeepEqual(back, n) {
		t.Errorf("%v\n%+v\n%+v", err, back, n)
	}
	if owner := ir.Owner("server/web/s1"); owner != "Pool/web" {
		t.Errorf("owner %q", owner)
	}
	if _, err := ir.Assemble([]*ir.Resource{{ID: "future/x", Body: []byte("{}")}}); err == nil {
		t.Error("an unknown kind of resource was passed over")
	}
	without := list[:0:0]
	for _, r := range list {
		if r.ID != "pool/web" {
			without = append(without, r)
		}
	}
	if left, err := ir.Assemble(without); err != nil || len(left.Pools) != 0 {
		t.Errorf("a server without its pool: %v %+v", err, left.Pools)
	}
}

// An Assembler that has seen other lists gives what one that has not gives.
func TestAssemblerReadsWhatHasChanged(t *testing.T) {
	t.Parallel()
	var a ir.Assembler
	r := rand.New(rand.NewPCG(1, 9))
	list := node().Resources()
	for range 300 {
		next := slices.Clone(list)
		next = slices.DeleteFunc(next, func(*ir.Resource) bool { return r.IntN(10) == 0 })
		for i := range next {
			var fields map[string]any
			if err := json.Unmarshal(next[i].Body, &fields); err != nil {
				t.Fatal(err)
			}
			if _, ok := fields["weight"]; ok && r.IntN(3) == 0 {
				fields["weight"] = r.IntN(256)
				raw, err := json.Marshal(fields)
				if err != nil {
					t.Fatal(err)
				}
				next[i] = &ir.Resource{ID: next[i].ID, Body: raw}
			}
		}
		got, err := a.Assemble(next)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ir.Assemble(next)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	}
	if _, err := a.Assemble(append(slices.Clone(list), &ir.Resource{ID: "site/x", Body: []byte("{")})); err == nil {
		t.Error("half a body is taken")
	}
}

// TestLightResourcesAreTheSame puts certificates in place of their bodies: nobody can tell the difference.
func TestLightResourcesAreTheSame(t *testing.T) {
	t.Parallel()
	n := node()
	for _, name := range []string{"api", "www"} {
		n.Certificates = append(n.Certificates, ir.Certificate{Name: name, Chain: weir.NewChain("-----BEGIN\n" + name), Key: &weir.SealedRef{Generation: 3, Fingerprint: name}, Names: []string{name + ".example.com"}})
	}
	list, light := n.Resources(), n.Resources()
	ir.Lighten(light, n.Certificates)
	lighter := 0
	for i := range list {
		if light[i].Certificate != nil && light[i].Body == nil {
			lighter++
		}
		if string(light[i].JSON()) != string(list[i].JSON()) || !light[i].Same(list[i]) || !list[i].Same(light[i]) || !light[i].Same(light[i]) {
			t.Errorf("%s is %s, want %s", list[i].ID, light[i].JSON(), list[i].JSON())
		}
	}
	if lighter != len(n.Certificates) || lighter == 0 {
		t.Errorf("%d bodies were replaced, of %d certificates", lighter, len(n.Certificates))
	}
	if back, err := ir.Assemble(light); err != nil || !reflect.DeepEqual(back, n) {
		t.Errorf("assembled again: %v\n%+v\n%+v", err, back, n)
	}
	if put, gone, ok := ir.Changes(light, list); !ok || len(put)+len(gone) > 0 {
		t.Errorf("from light to heavy: %v, put %v, gone %v", ok, put, gone)
	}
	for i := range light {
		if c := light[i].Certificate; c != nil && (c == &n.Certificates[0] || c == &n.Certificates[1]) {
			t.Errorf("%s keeps all certificates of its node in memory", light[i].ID)
		}
	}
	other := slices.Clone(n.Certificates)
	other[0].Chain = weir.NewChain(other[0].Chain.String() + "more")
	changed := n.Resources()
	ir.Lighten(changed, other)
	if put, _, ok := ir.Changes(light, changed); !ok || len(put) != 1 {
		t.Errorf("a chain that is another one: %v, put %v", ok, put)
	}
	for i := range light {
		if want := light[i].ID != "certificate/"+other[0].Name; light[i].Same(changed[i]) != want {
			t.Errorf("%s is the same: %v, want %v", light[i].ID, !want, want)
		}
	}
}

// Load balancers are told the owner of every member, though memory holds only those that do not go without saying.
func TestOwnersOfMembers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ owner, kept, object string }{
		{"", "", "Server/a"},
		{"Server/a", "", "Server/a"},
		{"Server/b", "Server/b", "Server/b"},
		{"Pool/web", "Pool/web", "Pool/web"},
	} {
		n := ir.Node{Pools: []ir.Pool{{Name: "web", Servers: []ir.Server{{Name: "a", Owner: c.owner}}}}}
		list := n.Resources()
		at := slices.IndexFunc(list, func(r *ir.Resource) bool { return r.ID == "server/web/a" })
		if said := `"owner":"` + c.object + `"`; !strings.Contains(string(list[at].Body), said) {
			t.Errorf("owner %q: %s does not say %s", c.owner, list[at].Body, said)
		}
		back, err := ir.Assemble(list)
		if err != nil {
			t.Fatal(err)
		}
		if s := back.Pools[0].Servers[0]; s.Owner != c.kept || s.Object() != c.object {
			t.Errorf("owner %q: assembled as %q, object %s", c.owner, s.Owner, s.Object())
		}
	}
}
