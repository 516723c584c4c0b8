package compile_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
)

// TestMembersAreThoseThatMatch works the members of each pool out in the plainest way.
func TestMembersAreThoseThatMatch(t *testing.T) {
	t.Parallel()
	pools, members, kept, silent := 0, 0, 0, 0
	for seed := range uint64(4) {
		compiler := compile.New()
		walk(t, 300+seed, 60, func(_, after *weir.Set, _ []weir.Ref) bool {
			for _, name := range groupsOf(after) {
				node, _ := compiler.Group(after, name)
				for i, p := range node.Pools {
					if p.Endpoint != nil {
						continue // of a Partner, which says itself where it is
					}
					want := plainMembers(after, p.Name)
					got := map[string]netip.AddrPort{}
					for _, s := range p.Servers {
						got[s.Name] = s.Address
					}
					if !reflect.DeepEqual(got, want.at) || len(p.Servers) != len(want.at) {
						t.Errorf("pool %s has %v; want %v", p.Name, p.Servers, want.at)
						return false
					}
					if a := compiler.Admissions(&node)[i]; a != nil {
						kept += a.Stale
					}
					pools++
					members += len(want.at)
					silent += len(want.silent)
					if !silenceEmptiesNothing(t, after, node.Group.Name, &p, want.silent) {
						return false
					}
				}
			}
			return true
		})
	}
	if pools < 500 || members < pools || kept < 50 || silent < 50 {
		t.Errorf("%d members of %d pools were compared, %d stale ones counted, %d silent; the generator makes too few", members, pools, kept, silent)
	}
}

// silenceEmptiesNothing holds that a pool has somebody who serves if it would have had, were none of its servers silent.
func silenceEmptiesNothing(t *testing.T, set *weir.Set, group string, p *ir.Pool, silent []*weir.Object) bool {
	t.Helper()
	if len(silent) == 0 || serving(p) {
		return true
	}
	loud := set.Copy()
	for _, o := range silent {
		one := o.Clone()
		one.Spec.(*weir.Server).Registration.State = weir.RegistrationHealthy
		loud.Put(one)
	}
	node, _ := compile.Group(loud, group)
	for i := range node.Pools {
		if node.Pools[i].Name == p.Name && serving(&node.Pools[i]) {
			t.Errorf("pool %s is emptied by silence: it has %v, and would have %v", p.Name, p.Servers, node.Pools[i].Servers)
			return false
		}
	}
	return true
}

// serving says whether the pool has a server that takes traffic as far as wishes go.
func serving(p *ir.Pool) bool {
	now, _ := ir.Node{Pools: []ir.Pool{*p}}.At(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	return slices.ContainsFunc(now.Pools[0].Servers, func(s ir.Server) bool { return !s.Maintenance && s.Weight > 0 })
}

type plain struct {
	at     map[string]netip.AddrPort
	silent []*weir.Object
}

func plainMembers(set *weir.Set, name string) plain {
	o := set.Get(weir.Ref{Kind: "Pool", Name: name})
	pool := o.Spec.(*weir.Pool)
	asks := pool.Admission == "registration" || pool.Admission == "both"
	want := plain{at: map[string]netip.AddrPort{}}
	matching := map[string]*weir.Object{}
	count := map[string]int{}
	for s := range set.All("Server") {
		spec := s.Spec.(*weir.Server)
		mine := o.Metadata.Role == "" || o.Metadata.Role == s.Metadata.Role || slices.Contains(s.Metadata.ShareWith, o.Metadata.Role)
		if !pool.Selector.Matches(s.Metadata.Role, spec) || !mine || pool.HasMember(s.Metadata.Name) {
			continue
		}
		port, ok := pool.Port.Number()
		if !ok {
			port, ok = spec.Ports[string(pool.Port)]
		}
		if !ok {
			continue
		}
		want.at[s.Metadata.Name] = netip.AddrPortFrom(spec.Address, uint16(port))
		matching[s.Metadata.Name] = s
		if !plainTakenOut(set, o, s) {
			count[spec.Registered()]++
		}
	}
	percent, least := 50, 1
	if pool.Floor != nil {
		percent, least = *pool.Floor.Percent, pool.Floor.Count
	}
	healthy, stale := count["healthy"], count["stale"]
	held := stale > 0 && (healthy < least || 100*healthy < percent*(healthy+stale)) // one whom people keep from traffic holds nobody
	for name, s := range matching {
		state := s.Spec.(*weir.Server).Registered()
		if state == "stale" {
			want.silent = append(want.silent, s)
		}
		out := state == "withdrawn" || asks && (state == "" || state == "stale" && !held)
		if out && !slices.ContainsFunc(plainOverrides(set, o, s), func(v *weir.Override) bool { return v.State == "ready" }) {
			delete(want.at, name)
		}
	}
	for _, m := range pool.Members {
		want.at[m.Name] = netip.AddrPortFrom(m.Address, uint16(m.Port))
	}
	return want
}

func plainOverrides(set *weir.Set, pool, server *weir.Object) (list []*weir.Override) {
	for o := range set.All("Override") {
		v, role := o.Spec.(*weir.Override), o.Metadata.Role
		if v.Server == server.Metadata.Name && (v.Pool == "" || v.Pool == pool.Metadata.Name) && (role == "" || role == pool.Metadata.Role || role == server.Metadata.Role) {
			list = append(list, v)
		}
	}
	return list
}

func plainTakenOut(set *weir.Set, pool, server *weir.Object) bool {
	weight := *server.Spec.(*weir.Server).Weight
	for _, v := range plainOverrides(set, pool, server) {
		if v.State == "drain" || v.State == "maintenance" {
			return true
		}
		if v.Weight != nil {
			weight = *v.Weight
		}
	}
	return weight == 0
}
