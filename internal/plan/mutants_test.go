package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"weir/internal/haproxy"
)

// mutant is a planner that is wrong in one way, and the property that is there to find it.
type mutant struct {
	name  string
	finds string
	wrong func(ops []Op, a, b haproxy.Config) []Op
}

func is(kinds ...Kind) func(Op) bool {
	return func(o Op) bool { return slices.Contains(kinds, o.Kind) }
}

// forward moves the operations that a predicate picks to the start, later to the end.
func forward(ops []Op, moved func(Op) bool) []Op {
	return slices.Concat(only(ops, moved), drop(ops, moved))
}

func later(ops []Op, moved func(Op) bool) []Op {
	return slices.Concat(drop(ops, moved), only(ops, moved))
}

func only(ops []Op, f func(Op) bool) []Op {
	return slices.DeleteFunc(slices.Clone(ops), func(o Op) bool { return !f(o) })
}

func drop(ops []Op, f func(Op) bool) []Op { return slices.DeleteFunc(slices.Clone(ops), f) }

// each puts other operations in the place of every one.
func each(ops []Op, f func(Op) []Op) []Op {
	var list []Op
	for _, o := range ops {
		list = append(list, f(o)...)
	}
	return list
}

func moving(f func(ops []Op, moved func(Op) bool) []Op, kinds ...Kind) func([]Op, haproxy.Config, haproxy.Config) []Op {
	return func(ops []Op, _, _ haproxy.Config) []Op { return f(ops, is(kinds...)) }
}

var (
	mapKinds  = []Kind{MapAdd, MapSet, MapDel, MapSwap}
	loseKinds = []Kind{DisableServer, RemoveServer}
)

var mutants = []mutant{
	{"publishes after the maps", dangling, moving(later, PublishBackend)},
	{"removes servers before it adds", unserved, moving(forward, loseKinds...)},
	{"never waits", unserved, moving(drop, WaitUp)},
	{"waits at the end", unserved, moving(later, WaitUp)},
	{"waits at the start", refused, moving(forward, WaitUp)},
	{"changes maps first", dangling, moving(forward, mapKinds...)},
	{"adds map entries first", dangling, moving(forward, MapAdd)},
	{"takes map entries away first", unserved, moving(forward, MapDel)},
	{"unpublishes before the maps", dangling, moving(forward, UnpublishBackend)},
	{"changes maps last", dangling, moving(later, mapKinds...)},
	{"forgets to enable", elsewhere, moving(drop, EnableServer)},
	{"forgets the checks", refused, moving(drop, EnableHealth)},
	{"lets checks run in maintenance", early, moving(forward, AddBackend, AddServer, EnableHealth)},
	{"removes servers that are not in maintenance", refused, moving(drop, DisableServer)},
	{"removes backends before their servers", refused, moving(forward, RemoveBackend)},
	{"leaves old servers", refused, moving(drop, RemoveServer)},
	{"sets weights last", uninvited, moving(later, SetWeight)},
	{"takes lines from lists first", hidden, moving(forward, DelCrt)},
	{"forgets certificates while they are shown", refused, moving(forward, DelCert)},
	{"shows certificates before they are loaded", refused, moving(forward, AddCrt)},
	{"adds servers before their authority", refused, moving(later, NewCA, SetCA)},
	{"forgets the last operation", elsewhere, func(ops []Op, _, _ haproxy.Config) []Op { return ops[:max(0, len(ops)-1)] }},
	{"does everything backwards", refused, func(ops []Op, _, _ haproxy.Config) []Op {
		slices.Reverse(ops)
		return ops
	}},
	{"checks before the map says how", early, func(ops []Op, _, _ haproxy.Config) []Op {
		return later(ops, func(o Op) bool { return o.Path == "maps/hc_path" && o.Kind == MapAdd })
	}},
	{"sets an entry by taking it away and adding it", unserved, func(ops []Op, _, _ haproxy.Config) []Op {
		return each(ops, func(o Op) []Op {
			if o.Kind != MapSet {
				return []Op{o}
			}
			gone, again := o, o
			gone.Kind, again.Kind = MapDel, MapAdd
			return []Op{gone, again}
		})
	}},
	{"clears a map before it fills it", unserved, func(ops []Op, _, _ haproxy.Config) []Op {
		return each(ops, func(o Op) []Op {
			if o.Kind != MapSwap {
				return []Op{o}
			}
			clear := o
			clear.Entries = nil
			return []Op{clear, o}
		})
	}},
	{"adds hosts before their routes", unserved, func(ops []Op, _, _ haproxy.Config) []Op {
		i := slices.IndexFunc(ops, func(o Op) bool { return o.Kind == MapAdd && o.Path != "maps/hc_path" })
		if i < 0 {
			return ops
		}
		hosts := func(o Op) bool { return o.Kind == MapAdd && o.Path == "maps/hosts" }
		return append(ops[:i:i], forward(ops[i:], hosts)...)
	}},
	{"adds servers at the old address", elsewhere, func(ops []Op, a, _ haproxy.Config) []Op {
		old := addresses(a)
		return each(ops, func(o Op) []Op {
			if addr := old[o.Backend+"/"+haproxy.BaseName(o.Server)]; o.Kind == AddServer && addr != "" {
				o.Address = addr
			}
			return []Op{o}
		})
	}},
	{"enables what should be in maintenance", uninvited, func(ops []Op, _, _ haproxy.Config) []Op {
		return each(ops, func(o Op) []Op {
			if o.Kind != AddServer {
				return []Op{o}
			}
			on := o
			on.Kind = EnableServer
			return []Op{o, on}
		})
	}},
	{"sets the weights of all servers on the way", touched, func(ops []Op, _, b haproxy.Config) []Op {
		return slices.Concat(ops, allWeights(b, 1), allWeights(b, -1))
	}},
	{"renews certificates by new ones", hidden, func(ops []Op, _, _ haproxy.Config) []Op {
		return each(ops, func(o Op) []Op {
			if o.Kind != SetCert {
				return []Op{o}
			}
			empty := o
			empty.Digest = ""
			return []Op{empty, o}
		})
	}},
	{"makes every server anew", touched, func(ops []Op, _, b haproxy.Config) []Op {
		for i := range b.Backends {
			for j := range b.Backends[i].Servers {
				s, n := &b.Backends[i].Servers[j], b.Backends[i].Name
				ops = append(ops, serverOp(DisableServer, n, s), serverOp(RemoveServer, n, s))
				ops = addServer(ops, n, s)
			}
		}
		return ops
	}},
	{"moves a wildcard before the hosts it stood for", misrouted, func(ops []Op, _, _ haproxy.Config) []Op {
		i := slices.IndexFunc(ops, is(mapKinds...))
		if i < 0 {
			return ops
		}
		wild := func(o Op) bool { return o.Kind == MapSet && o.Path == "maps/wild" }
		return append(ops[:i:i], forward(ops[i:], wild)...)
	}},
}

func addresses(c haproxy.Config) map[string]string {
	m := map[string]string{}
	for _, b := range c.Backends {
		for _, s := range b.Servers {
			m[b.Name+"/"+haproxy.BaseName(s.Name)] = s.Address
		}
	}
	return m
}

func allWeights(c haproxy.Config, add int) []Op {
	var ops []Op
	for _, b := range c.Backends {
		for _, s := range b.Servers {
			op := serverOp(SetWeight, b.Name, &s)
			if op.Weight = s.Weight; add > 0 {
				op.Weight = s.Weight + add
			}
			ops = append(ops, op)
		}
	}
	return ops
}

// Every wrong planner is found, and by the property that is there for it: otherwise the properties prove little.
func TestTheCheckFindsWrongPlanners(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			found := map[string]int{}
			for seed := range 4000 {
				r := random(seed)
				from := newWorld(r)
				to := from.clone()
				if seed%4 == 0 {
					to = newWorld(r)
				} else {
					for range 1 + r.IntN(6) {
						to.mutate(r)
					}
				}
				a, b := from.config(), to.config()
				if v := check(a, b, Plan{Ops: m.wrong(Diff(a, b).Ops, a, b)}); v != nil {
					found[v.property]++
				}
				if found[m.finds] >= 3 {
					return
				}
			}
			t.Errorf("not found by %q in 4,000 plans: %s", m.finds, counts(found))
		})
	}
}

func counts(found map[string]int) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(found)) {
		list = append(list, fmt.Sprintf("%s %d times", k, found[k]))
	}
	return strings.Join(list, ", ")
}
