package haproxy

import (
	"net/netip"
	"testing"

	"weir"
	"weir/internal/ir"
)

// The text names just the maps and lists that are rendered with it, but for those that a version has in the text of
// its backends.
func TestNamedIsWhatIsRendered(t *testing.T) {
	t.Parallel()
	n := ir.Node{Group: ir.Group{Name: "edge", Ranges: []netip.Prefix{netip.MustParsePrefix("127.0.9.0/30")}}}
	n.Tuning.Ports = []weir.BoundPort{{Port: 80, Mode: weir.PortHTTP}, {Port: 443, Mode: weir.PortHTTPS}, {Port: 636, Mode: weir.PortTLSTCP}}
	c := Render(n, Env{Version: Version{3, 4}})
	got := Named(c.Sections)
	if len(got.Maps) != len(c.Maps) || len(got.CrtLists) != len(c.CrtLists) || len(c.CrtLists) == 0 {
		t.Fatalf("named %d maps, %d lists; rendered %d, %d", len(got.Maps), len(got.CrtLists), len(c.Maps), len(c.CrtLists))
	}
	for i, m := range c.Maps {
		if got.Maps[i].Path != m.Path || got.Maps[i].Ordered != m.Ordered || len(got.Maps[i].Entries) > 0 {
			t.Errorf("named %+v, rendered %s %t", got.Maps[i], m.Path, m.Ordered)
		}
	}
	for i, l := range c.CrtLists {
		if got.CrtLists[i].Path != l.Path {
			t.Errorf("named %s, rendered %s", got.CrtLists[i].Path, l.Path)
		}
	}
}
