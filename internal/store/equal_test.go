package store

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"weir"
)

// TestEqualPartsOfServersAreOne changes no server by sharing, whatever came before, and shares what is equal.
func TestEqualPartsOfServersAreOne(t *testing.T) {
	t.Parallel()
	server := func(role, zone string, clusters []string, ports map[string]weir.Port) *weir.Object {
		return &weir.Object{Kind: "Server", Metadata: weir.Metadata{Name: "a", Role: role, ManagedBy: "cmdb"}, Spec: &weir.Server{Address: netip.MustParseAddr("10.0.0.1"), Zone: zone, Clusters: clusters, Ports: ports, Weight: new(7)}}
	}
	var e equals
	for i := range 3 * maxEqual {
		n := i % (maxEqual + 100)
		made := func() *weir.Object {
			var clusters []string
			ports := map[string]weir.Port{}
			for c := range n % 4 {
				clusters = append(clusters, fmt.Sprint("c", n, c))
				ports[fmt.Sprint("p", c)] = weir.Port(n)
			}
			return server(fmt.Sprint("r", n%7), fmt.Sprint("z", n%5), clusters, ports)
		}
		o := made()
		e.object(o)
		if !reflect.DeepEqual(o, made()) {
			t.Fatalf("server %d became %+v", n, o.Spec)
		}
	}
	if len(e.ports) > maxEqual || len(e.lists) > maxEqual {
		t.Errorf("%d sets of ports and %d lists are remembered, more than %d", len(e.ports), len(e.lists), maxEqual)
	}
	a, b := server("r", "z", []string{"c"}, map[string]weir.Port{"http": 1}), server("r", "z", []string{"c"}, map[string]weir.Port{"http": 1})
	e.object(a)
	e.object(b)
	if reflect.ValueOf(a.Spec.(*weir.Server).Ports).Pointer() != reflect.ValueOf(b.Spec.(*weir.Server).Ports).Pointer() {
		t.Error("two servers with the same ports have two maps")
	}
	if a.Spec.(*weir.Server).Weight != b.Spec.(*weir.Server).Weight {
		t.Error("two servers with the same weight have two numbers")
	}
}
