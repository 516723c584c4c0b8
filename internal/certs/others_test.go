package certs

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// TestIssuersDoNotWaitForEachOther: as many certificates of one as may be worked at wait for load balancers, and another
// issuer gives its own meanwhile.
func TestIssuersDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.missing, w.patience = []string{"lb1 does not answer"}, time.Hour
	for i := range atOnce + 6 {
		w.put("Certificate", fmt.Sprintf("a%02d", i), &weir.Certificate{Issuer: "public", Names: []string{fmt.Sprintf("a%02d.example.com", i)}})
	}
	w.run()
	w.await("all that may are at work", func() error {
		if !w.keeper.full("public") {
			return errors.New("they are not")
		}
		return nil
	})
	w.put("Certificate", "www", &weir.Certificate{Issuer: "inside", Names: []string{"www.example.com"}})
	w.issued("www")
	if !w.keeper.full("public") {
		t.Error("the others don't wait any more, so that nothing was shown")
	}
}

// TestNameThatBecameAnothers: between the wish and the order another role's site takes the name. Nothing is ordered until
// the name is free again, and what is waited for is told.
func TestNameThatBecameAnothers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	apply := func(role, kind, name string, spec weir.Spec) {
		t.Helper()
		spec.Normalize()
		if _, err := w.store.Apply(t.Context(), store.Request{Author: "test", Writes: []weir.Write{{Put: &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name, Role: role}, Spec: spec}}}}); err != nil {
			t.Fatal(err)
		}
	}
	w.put("Role", "web", &weir.Role{})
	w.put("Role", "shop", &weir.Role{})
	w.put("Zone", "az1", &weir.Zone{})
	w.put("LoadBalancerGroup", "edge", &weir.LoadBalancerGroup{Ranges: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}})
	apply("shop", "IPAddress", "shop", &weir.IPAddress{Address: netip.MustParseAddr("203.0.113.1"), HomeZone: "az1", Groups: []string{"edge"}})
	apply("shop", "Pool", "shop", &weir.Pool{})
	apply("web", "Certificate", "shop", &weir.Certificate{Issuer: "public", Names: []string{"shop.example.com"}})
	backends := map[string]weir.Backend{"default": {Pool: "shop"}}
	apply("shop", "Site", "shop", &weir.Site{Hostnames: []string{"shop.example.com"}, Addresses: []string{"shop"}, Listeners: []weir.Listener{{Port: 80}}, Backends: backends})
	w.run()
	w.await("it waits and says why", func() error {
		if c := w.condition("shop"); !strings.Contains(c.Message, "is a name of Site/shop now") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	if n := w.pebble.Done(weirtest.PebbleNewOrder); n != 0 {
		t.Errorf("%d orders were placed", n)
	}
	apply("shop", "Site", "shop", &weir.Site{Hostnames: []string{"other.example.com"}, Addresses: []string{"shop"}, Listeners: []weir.Listener{{Port: 80}}, Backends: backends})
	w.ahead(waitForName)
	w.issued("shop")
}
