package haproxy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// Who may name a Site can't name it as one of the sets of EgressClients, which are in the same map: everybody of the set
// could call as anybody of the site.
func TestSetsOfCallersAreNoSites(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startGate(t, h, func(n *ir.Node) {
			calling(hostsOf(n), weir.EgressRule{Clients: []string{"myback-prod"}, SLAs: []string{"high"}})(n)
			sets := map[string]bool{}
			for _, m := range haproxy.Render(*n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}}).Maps {
				if m.Path == "maps/egress-sources.map" {
					for _, e := range m.Entries {
						sets[e.Value] = true
					}
				}
			}
			if len(sets) < 3 { // of myback, of other, of both
				t.Fatal(sets)
			}
			like := n.Sites[len(n.Sites)-1]
			for set := range sets {
				if len(set) < 32 {
					t.Errorf("other clients are found that have %s, too", set)
				}
				if weir.CheckName(set) == nil {
					like.Name, like.Hostnames = set, []string{set + ".inside"}
					n.Sites = append(n.Sites, like)
				}
			}
			slices.SortFunc(n.Sites, func(a, b ir.Site) int { return strings.Compare(a.Name, b.Name) })
		})
		if status, all := g.ask(51, "egress.inside", "/myback/prod/example/prod/www/high/"); status != 403 {
			t.Errorf("called as another: %s", all)
		}
		// Addresses of IPv6 that hold one of IPv4 are others, but for those by which sockets of both tell of it.
		set := func(address string) string {
			_, value, _ := strings.Cut(g.tell("run/admin.sock", "get map maps/egress-sources.map "+address), "value=")
			return strings.SplitN(value+",", ",", 2)[0]
		}
		a := strings.TrimSuffix(g.addr(51, 1), ":1")
		b := netip.MustParseAddr(a).As4()
		six := fmt.Sprintf("2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3])
		if own := set(a); own == "" || own != set("::ffff:"+a) || own == set("::"+a) || own == set(six) {
			t.Errorf("%s, %s, %s and %s are %q, %q, %q and %q", a, "::ffff:"+a, "::"+a, six, own, set("::ffff:"+a), set("::"+a), set(six))
		}
	})
}
