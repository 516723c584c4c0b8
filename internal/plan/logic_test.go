package plan

import (
	"net/netip"
	"strings"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// TestLogicIsNamed: rules that come, go or change are told by the Logic and by whom they are for, and other reloads as ever.
func TestLogicIsNamed(t *testing.T) {
	t.Parallel()
	node := func(text string, site, pool bool) haproxy.Config {
		uses := map[bool][]weir.LogicUse{true: {{Name: "shop"}}}
		n := ir.Node{
			Group: ir.Group{Name: "edge"},
			Sites: []ir.Site{{
				Name: "www", Mode: "http", Hostnames: []string{"www.example"}, Addresses: []string{"vip"}, Listeners: []ir.Listener{{Port: 80, Mode: weir.PortHTTP}},
				Backends: []ir.Backend{{Name: "default", Pool: "web"}}, Logic: uses[site],
			}},
			Pools:  []ir.Pool{{Name: "web", Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Logic: uses[pool]}},
			Logics: []ir.Logic{{Name: "shop", Logic: weir.Logic{Text: text}}},
		}
		n.Group.Ranges = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/30")}
		return haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	}
	deny, after := "http-request deny if TRUE or { path /x }", "http-after-response set-header a b"
	for _, c := range []struct {
		have, want haproxy.Config
		says       string
	}{
		{node(deny, false, false), node(deny, true, false), "its rules come for site www: " + whyRules},
		{node(deny, true, false), node(after, true, false), "its rules change for site www: " + whyRules},
		{node(deny, true, false), node(deny, false, false), "its rules go for site www: " + whyRules},
		{node(deny, false, false), node(deny, false, true), "its rules come for pool web: " + whyRules},
		{node(deny, true, true), node(after, true, true), "its rules change for site www, its rules come for pool web: " + whyRules},
	} {
		p := Diff(c.have, c.want)
		var said []string
		for _, r := range p.Reload {
			said = append(said, r.Owner+": "+r.Text)
		}
		if got := strings.Join(said, "\n"); !strings.HasPrefix(got, "Logic/shop: ") || len(said) != 1 || !sameWords(strings.TrimPrefix(got, "Logic/shop: "), c.says) {
			t.Errorf("%q, want %q", got, c.says)
		}
		if !Equivalent(Apply(p, c.have), c.want) {
			t.Error("the plan leads elsewhere")
		}
	}
}

// sameWords compares what is said in whatever order.
func sameWords(a, b string) bool {
	count := map[string]int{}
	for _, w := range strings.FieldsFunc(a, func(r rune) bool { return r == ' ' || r == ',' || r == ':' }) {
		count[w]++
	}
	for _, w := range strings.FieldsFunc(b, func(r rune) bool { return r == ' ' || r == ',' || r == ':' }) {
		count[w]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}
