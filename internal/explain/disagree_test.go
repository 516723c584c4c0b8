package explain_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// What is explained of another node than the one that HAProxy has is seen to be wrong, however little they differ.
func TestDisagreementsAreSeen(t *testing.T) {
	changes := map[string]func(*ir.Node){
		"a prefix is longer": func(n *ir.Node) {
			eachRoute(n, func(r *weir.SiteRoute) {
				if p := r.Match.Path; p != nil && len(p.Prefix) > 1 {
					r.Match.Path = &weir.PathMatch{Prefix: p.Prefix + "x"}
				}
			})
		},
		"another status": func(n *ir.Node) {
			eachRoute(n, func(r *weir.SiteRoute) {
				if a := r.Does(); a.Deny != 0 {
					a.Deny++
					r.Action = &a
				}
			})
		},
		"redirects keep the path": func(n *ir.Node) {
			eachRoute(n, func(r *weir.SiteRoute) {
				if a := r.Does(); a.Redirect != nil {
					to := *a.Redirect
					to.Prefix, to.Path = "", ""
					a.Redirect = &to
					r.Action = &a
				}
			})
		},
		"conditions on headers are forgotten": func(n *ir.Node) { eachRoute(n, func(r *weir.SiteRoute) { r.Match.Headers = nil }) },
		"conditions on queries are forgotten": func(n *ir.Node) { eachRoute(n, func(r *weir.SiteRoute) { r.Match.Query = nil }) },
		"methods are forgotten":               func(n *ir.Node) { eachRoute(n, func(r *weir.SiteRoute) { r.Match.Method = "" }) },
		"lists are empty": func(n *ir.Node) {
			for i := range n.Lists {
				n.Lists[i].Networks = nil
			}
		},
		"strings of lists are gone": func(n *ir.Node) {
			for i := range n.Lists {
				n.Lists[i].Strings = nil
			}
		},
		"schedules are over": func(n *ir.Node) {
			for i := range n.Schedules {
				n.Schedules[i].Until = n.Schedules[i].From.Add(time.Second)
			}
		},
		"nothing is divided": func(n *ir.Node) { n.Splits = nil },
		"splits have other names": func(n *ir.Node) { // by which clients are told apart
			for i := range n.Splits {
				n.Splits[i].Name += "x"
			}
		},
		"no zone is shifted": func(n *ir.Node) { n.Shifts = nil },
		"maps are empty": func(n *ir.Node) {
			for i := range n.Maps {
				n.Maps[i].Entries = nil
			}
		},
		"maintenance is over": func(n *ir.Node) {
			for i := range n.Sites {
				n.Sites[i].Maintenance = nil
			}
		},
	}
	for seed := range uint64(40) {
		w := newWorld(t, weirtest.HAProxies(t)[0], seed, false)
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
			for range 4 {
				if _, disagree := w.compare(other, 100); len(disagree) > 0 {
					delete(changes, name)
					break
				}
			}
		}
		if len(changes) == 0 {
			return
		}
	}
	t.Errorf("nothing was seen of these: %v", slices.Sorted(maps.Keys(changes)))
}

func eachRoute(n *ir.Node, change func(*weir.SiteRoute)) {
	for i := range n.Sites {
		for j := range n.Sites[i].Routes {
			change(&n.Sites[i].Routes[j])
		}
	}
}
