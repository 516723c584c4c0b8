package explain_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"weir"
	"weir/internal/explain"
	"weir/internal/ir"
)

// TestLogicIsTold: which Logics are asked, in order, is told, and that they may change the answer; paths are normal then.
func TestLogicIsTold(t *testing.T) {
	t.Parallel()
	text := weir.Logic{Text: "http-request deny"}
	n := ir.Node{
		Group:     ir.Group{Name: "edge", Zones: []string{"az1"}},
		Addresses: []ir.Address{{Name: "vip", Address: netip.MustParseAddr("203.0.113.1")}},
		Sites: []ir.Site{{
			Name: "www", Mode: "http", Hostnames: []string{"www.example"}, Addresses: []string{"vip"}, Listeners: []ir.Listener{{Port: 80, Mode: weir.PortHTTP}},
			Backends: []ir.Backend{{Name: "default", Pool: "web"}}, Logic: []weir.LogicUse{{Name: "b"}, {Name: "missing"}, {Name: "a"}},
		}},
		Pools:  []ir.Pool{{Name: "web", Mode: "http", Logic: []weir.LogicUse{{Name: "c"}}, Servers: []ir.Server{{Name: "s", Address: netip.MustParseAddrPort("10.0.0.1:80"), Weight: 1}}}},
		Logics: []ir.Logic{{Name: "a", Logic: text}, {Name: "b", Logic: text}, {Name: "c", Logic: text}},
	}
	n.Tuning.Normalize()
	q := explain.Request{Port: 80, Address: "vip", From: netip.MustParseAddr("192.0.2.1"), Method: "GET", Host: "www.example", Target: "/x/../y"}
	trace := explain.Explain(n, q, explain.View{})
	var objects []string
	for _, s := range trace.Steps {
		if s.About == "logic" {
			objects = append(objects, s.Object)
		}
	}
	if got := fmt.Sprint(objects); got != "[Logic/b Logic/a Logic/c]" {
		t.Errorf("%s: %+v", got, trace)
	}
	if trace.Answer.Target != "/y" || len(trace.Unsure) != 1 || !strings.Contains(trace.Unsure[0], "Logic/b, Logic/a, Logic/c") {
		t.Errorf("%+v", trace)
	}
}
