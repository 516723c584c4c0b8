package haproxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// One owner's regexes take no load balancer down: each of these took seconds, and HAProxy ended itself. Those that match
// do so as before, also against long values.
func TestRegexesEnd(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		const slow = "/?a?x?.*.*.*.*x"
		text := "acl slow req.hdr(x-logic) -m reg"
		for i := range 40 {
			text += fmt.Sprintf(" '^%s.{%d}[xy]$'", slow, i)
		}
		text += "\nhttp-request deny if slow\n"
		for i := range 8 {
			text += fmt.Sprintf("http-request deny if { req.hdr(x-logic) -m reg '^%s$' }\nhttp-request replace-header x-%d '^%s$' no\n", slow, i, slow)
			text += fmt.Sprintf("http-request set-var(txn.x) \"req.hdr(x-logic),regsub('^%s$',no%s)\"\n", slow, []string{"", ",g"}[i%2])
		}
		text += "http-request set-header X-Was \"%[req.hdr(x-long),regsub('a(b|c)+',_,g)]\"\nhttp-response return status 202 content-type text/plain string ended if { var(txn.long) -m found }\n" +
			"http-request set-var(txn.long) int(1) if { req.hdr(x-long) -m reg '([ab]c?)+d' }"
		g := startGate(t, h, func(n *ir.Node) {
			n.Logics = []ir.Logic{logicOf(t, "slow", text, nil)}
			use(n, "www", weir.LogicUse{Name: "slow"})
			var entries []weir.MapEntry
			for i := range 16 {
				entries = append(entries, weir.MapEntry{Key: fmt.Sprintf("%s[%d]", slow, i%10), Value: "api"})
			}
			n.Maps = append(n.Maps, ir.Map{Name: "slow", Match: "regex", Entries: entries})
			s := &n.Sites[slices.IndexFunc(n.Sites, func(s ir.Site) bool { return s.Name == "www" })]
			s.Routes = append(s.Routes, weir.SiteRoute{Match: weir.RouteMatch{Map: "slow"}, Backend: "api"})
			for i := range weir.MaxFieldRegexes {
				s.Routes = append(s.Routes,
					weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: fmt.Sprintf("%s%d", slow, i)}}, Backend: "api"},
					weir.SiteRoute{Match: weir.RouteMatch{Headers: []weir.ValueMatch{{Name: "x-route", Regex: fmt.Sprintf("%s%d", slow, i)}}}, Backend: "api"})
			}
		})
		// The first x lets nothing be told at once from a byte that is missing.
		evil := "ax" + strings.Repeat("a", 2000) + "b"
		for _, headers := range [][]string{nil, {"X-Route: " + evil}, {"X-Logic: " + evil}, {"X-1: " + evil}, {"X-0: " + evil}} {
			path := "/"
			if headers == nil {
				path += evil
			}
			if status, all := g.ask(41, "www.example", path, headers...); status != 200 {
				t.Errorf("%.20s: %d\n%s", strings.Join(headers, ""), status, all)
			}
		}
		if status, all := g.ask(41, "www.example", "/", "X-Long: "+strings.Repeat("bcab", 100)+"d"); status != 202 {
			t.Errorf("a long value no longer matches: %d\n%s", status, all)
		}
	})
}
