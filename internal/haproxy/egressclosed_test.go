package haproxy_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// A service in maintenance answers at once with its page or a line of text, but to those excepted; its own goes before its
// partner's, by time too, and a split leads past it. All of it is run time, the first Schedule too.
func TestCallsToPartnersInMaintenance(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startCallGate(t, h, nil, weir.EgressRule{Clients: []string{"myback-prod", "other-prod"}, SLAs: []string{"high"}})
		staff := netip.PrefixFrom(netip.MustParseAddr(g.addr(52, 0)[:strings.LastIndexByte(g.addr(52, 0), ':')]), 32)
		closed := func(what func(*ir.Endpoint) []weir.SiteMaintenance) {
			t.Helper()
			g.change(func(n *ir.Node) {
				n.Pools = slices.Clone(n.Pools)
				for i := range n.Pools {
					if e := n.Pools[i].Endpoint; e != nil {
						changed := *e
						changed.Closed = what(&changed)
						for j := range changed.Closed {
							m := &changed.Closed[j]
							m.Status = cmp.Or(m.Status, 503)
							m.RetryAfter = cmp.Or(m.RetryAfter, weir.Duration(5*time.Minute))
						}
						n.Pools[i].Endpoint = &changed
					}
				}
			})
		}
		want := func(from byte, service string, status int, holds ...string) {
			t.Helper()
			got, all := g.ask(from, "egress.inside", "/myback/prod/example/prod/"+service+"/high/x")
			if got != status {
				t.Errorf("%s from .%d: %d, want %d\n%s", service, from, got, status, all)
			}
			for _, text := range holds {
				if !strings.Contains(strings.ToLower(all), strings.ToLower(text)) {
					t.Errorf("%s from .%d: no %q in\n%s", service, from, text, all)
				}
			}
		}
		g.change(func(n *ir.Node) {
			n.Lists = append(slices.Clone(n.Lists), ir.AccessList{Name: "testers", Networks: []netip.Prefix{staff}})
		})
		closed(func(e *ir.Endpoint) []weir.SiteMaintenance {
			partner := weir.SiteMaintenance{RetryAfter: weir.Duration(time.Minute)}
			if e.Service == "www" {
				return []weir.SiteMaintenance{{Page: "sorry", Status: 503, RetryAfter: weir.Duration(90 * time.Second), Except: "testers"}, partner}
			}
			return []weir.SiteMaintenance{partner}
		})
		want(50, "www", 503, "retry-after: 90", "content-type: application/json", `{"sorry":"503"}`, "cache-control: no-store")
		want(50, "mail", 503, "retry-after: 60", "content-type: text/plain", "example/prod/mail is in maintenance\n")
		want(50, "www", 503)
		want(52, "www", 200)
		want(52, "mail", 503)
		if said := g.logged("/www/high/x"); said != "503 out/example.prod.www+maintenance http-8080 -" {
			t.Errorf("logged %q", said)
		}
		if seen := len(g.origins[33].Requests("")) + len(g.origins[36].Requests("")); seen != 1 {
			t.Errorf("%d calls reached partners, want the one that is excepted", seen)
		}

		// Where a split leads is what counts.
		closed(func(e *ir.Endpoint) []weir.SiteMaintenance {
			if e.Service == "www" {
				return []weir.SiteMaintenance{{}}
			}
			return nil
		})
		g.change(func(n *ir.Node) { n.Splits = divided(nil, 0, 1) })
		want(50, "www", 200, "x-origin: web2")
		closed(func(e *ir.Endpoint) []weir.SiteMaintenance {
			if e.Service == "mail" {
				return []weir.SiteMaintenance{{Status: 410}}
			}
			return nil
		})
		want(50, "www", 410, "example/prod/mail is in maintenance", "retry-after: 300")
		g.change(func(n *ir.Node) { n.Splits = nil })
		want(50, "www", 200, "x-origin: api")

		// By time: the service's own for a while, then the partner's.
		soon := time.Now().Truncate(time.Second).Add(2 * time.Second)
		g.change(func(n *ir.Node) {
			n.Schedules = []ir.Schedule{{Name: "first", From: soon, Until: soon.Add(2 * time.Second)}, {Name: "then", From: soon}}
		})
		closed(func(*ir.Endpoint) []weir.SiteMaintenance {
			return []weir.SiteMaintenance{{Schedule: "first", RetryAfter: weir.Duration(11 * time.Second)}, {Schedule: "then", RetryAfter: weir.Duration(22 * time.Second)}}
		})
		said := func() string {
			status, all := g.call("www", "high", "/x")
			_, rest, _ := strings.Cut(strings.ToLower(all), "retry-after: ")
			seconds, _, _ := strings.Cut(rest, "\r\n")
			return fmt.Sprint(status, " ", seconds)
		}
		for _, part := range []struct {
			until time.Time
			want  string
		}{{soon, "200 "}, {soon.Add(2 * time.Second), "503 11"}} {
			for time.Now().Before(part.until) {
				if got := said(); got != part.want && time.Now().Before(part.until) {
					t.Fatalf("before %s: %q, want %q", part.until, got, part.want)
				}
			}
		}
		if got := said(); got != "503 22" {
			t.Errorf("then: %q", got)
		}
	})
}
