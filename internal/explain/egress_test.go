package explain_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir/internal/explain"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// partners says whether an address is a partner's.
func (w *world) partners(a netip.Addr) bool {
	return slices.ContainsFunc(w.node.Pools, func(p ir.Pool) bool {
		return p.Endpoint != nil && slices.ContainsFunc(p.Servers, func(s ir.Server) bool { return s.Address.Addr() == a })
	})
}

// call makes a request one to a partner, mostly by a rule that there is, at a path about its prefixes.
func (w *world) call(q *explain.Request) {
	n := &w.node
	parts := []string{pick(w.rng, "myback", "nobody"), pick(w.rng, "prod", "test"), "partner", "prod", pick(w.rng, "www", "mail"), "sla"}
	if len(n.Rules) > 0 && !w.some(10) {
		r := pick(w.rng, n.Rules...)
		c := n.Clients[slices.IndexFunc(n.Clients, func(c ir.EgressClient) bool { return slices.Contains(r.Clients, c.Name) })]
		copy(parts, strings.Split(c.Caller(), "/"))
		parts[2], parts[3], parts[5] = r.Partner, r.In(c.Environment), pick(w.rng, append(r.SLAs, "none")...)
		for _, p := range n.Pools {
			if e := p.Endpoint; e != nil && e.Partner == r.Partner && e.Environment == parts[3] && w.some(2) {
				parts[4] = e.Service
			}
		}
		if q.From = pick(w.rng, c.Sources...).Addr().Next(); w.some(6) {
			q.From = netip.AddrFrom4([4]byte{127, 34, byte(w.rng.IntN(5)), 1})
		}
		if len(r.Methods) > 0 && !w.some(3) {
			q.Method = pick(w.rng, r.Methods...)
		}
		if w.some(6) {
			q.Header = append(q.Header, explain.Field{Name: pick(w.rng, "X-HTTP-Method-Override", "x_http_method", "X-Original-Url"), Value: "PUT"})
		}
	}
	if w.some(12) {
		i := w.rng.IntN(len(parts))
		parts[i] = pick(w.rng, "other", "Upper", "..", "%61", "", "a.b", "prod", "-x")
	}
	q.Target = "/" + strings.Join(parts, "/") + pick(w.rng, "", "/", "/api", "/api/in", "/api/in/x", "/open", "/apix", "/api//in", "/api/%69n", "/a%2Fb//c/..d;x", "/x/../y", "/x/%2e%2e", "/..;v=1/b", "/%252e%252e/b", "/%25%32%65/", "/..%00", "/..%C0%af", `/..\b`, "/.well-known/a..b", "/%C3%A9") + w.queryOf()
}

// What is explained of calls to partners is what HAProxy does: who passes by which rule, what the partner sees, and what
// everybody else is told.
func TestCallsExplainedAsHAProxyDoes(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		seen := map[string]int{}
		for _, kind := range []string{"passes", "six plain words", "lead elsewhere", "no EgressClient is called", "may call here", "does not call from", "no EgressRule lets", "must be written without", "lets nothing through", "through here", "goes by methods", "holds only while", "was not shown"} {
			seen[kind] = 0
		}
		few := func() bool {
			return slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(kind string) bool { return seen[kind] < 3 })
		}
		for seed := 0; seed < rounds(3, 60) || few() && seed < 100; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				w := newWorld(t, h, uint64(seed), true)
				_, disagree := w.compareAll(w.node, 250, func(a *explain.Verdict) {
					for kind := range seen {
						if strings.Contains(a.Text, kind) || kind == "passes" && a.Outcome == explain.Served && a.Call != nil && a.Call.Rule != "" {
							seen[kind]++
						}
					}
				})
				for _, d := range disagree[:min(len(disagree), 5)] {
					t.Error(d)
				}
			})
		}
		if few() {
			t.Errorf("too few calls of some kind to show anything: %v", seen)
		}
	})
}

// What is explained of other rules, clients and services than HAProxy has is seen to be wrong.
func TestDisagreementsAboutCallsAreSeen(t *testing.T) {
	changes := map[string]func(*ir.Node){
		"methods are forgotten": func(n *ir.Node) { eachRule(n, func(r *ir.EgressRule) { r.Methods = nil }) },
		"paths are forgotten":   func(n *ir.Node) { eachRule(n, func(r *ir.EgressRule) { r.Paths = nil }) },
		"levels are others":     func(n *ir.Node) { eachRule(n, func(r *ir.EgressRule) { r.SLAs = []string{"none"} }) },
		"rules have other names": func(n *ir.Node) {
			eachRule(n, func(r *ir.EgressRule) { r.Name += "x" })
		},
		"clients call from anywhere": func(n *ir.Node) {
			for i := range n.Clients {
				n.Clients[i].Sources = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
			}
		},
		"rules hold at any time": func(n *ir.Node) { eachRule(n, func(r *ir.EgressRule) { r.Schedule = "" }) },
		"nobody shows a certificate": func(n *ir.Node) {
			for i := range n.Clients {
				n.Clients[i].Subject = ""
			}
		},
		"services have no path": func(n *ir.Node) {
			for i := range n.Pools {
				if e := n.Pools[i].Endpoint; e != nil {
					e.Path = ""
				}
			}
		},
		"services have another name": func(n *ir.Node) {
			for i := range n.Pools {
				if e := n.Pools[i].Endpoint; e != nil {
					e.Host = "x"
				}
			}
		},
	}
	for seed := range uint64(30) {
		w := newWorld(t, weirtest.HAProxies(t)[0], seed, true)
		raw, err := json.Marshal(w.node)
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range changes {
			var other ir.Node
			if err := json.Unmarshal(raw, &other); err != nil {
				t.Fatal(err)
			}
			change(&other)
			if _, disagree := w.compare(other, 150); len(disagree) > 0 {
				delete(changes, name)
			}
		}
		if len(changes) == 0 {
			return
		}
	}
	t.Errorf("nothing was seen of these: %v", slices.Sorted(maps.Keys(changes)))
}

func eachRule(n *ir.Node, change func(*ir.EgressRule)) {
	for i := range n.Rules {
		change(&n.Rules[i])
	}
}
