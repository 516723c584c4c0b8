package server

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
)

// A Partner says of its names who was asked and what they are, or since when one has no address and what stands.
func TestNamesAreTold(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	spec := &weir.Partner{Endpoints: []weir.PartnerEndpoint{
		{Environment: "prod", Service: "www", Host: "www.example.net"},
		{Environment: "prod", Service: "own", Host: "own.example.net", Resolve: weir.ResolveByLoadBalancer},
		{Environment: "prod", Service: "fixed", Host: "www.example.net", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}},
	}}
	spec.Normalize()
	name, _ := spec.Endpoints[0].Asked()
	told := func(s *weir.NameStatus, addresses ...netip.Addr) string {
		f := &fleet{}
		f.names.names = map[weir.PartnerName]*weir.NameStatus{name: s}
		spec.Endpoints[0].Resolved = addresses
		o := &weir.Object{Kind: "Partner", Metadata: weir.Metadata{Name: "example"}, Spec: spec}
		var said []string
		for _, c := range (&view{moment: &moment{fleet: f}, object: o, ref: o.Ref()}).named() {
			said = append(said, fmt.Sprintf("%s %s %s %s: %s", c.Type, c.Status, c.Reason, clock(c.Since), c.Message))
		}
		return strings.Join(said, "\n")
	}
	a := netip.MustParseAddr("192.0.2.1")
	never := clock(time.Time{})
	for want, got := range map[string]string{
		"Resolved Unknown NotYet " + never + ": prod/www: www.example.net was not asked for yet":                                                           told(nil),
		"Resolved True Answers " + never + ": prod/www: www.example.net is 192.0.2.1, by 192.0.2.53:53; prod/own: load balancers ask nobody":               told(&weir.NameStatus{Servers: []string{"192.0.2.53:53"}, ResolvedAt: at}, a),
		"Resolved False Failing " + clock(at) + ": prod/www, since " + clock(at) + ": NXDOMAIN; what it had last stays: 192.0.2.1":                         told(&weir.NameStatus{Error: "NXDOMAIN", FailedAt: at}, a),
		"Resolved False Failing " + clock(at) + ": prod/www, since " + clock(at) + ": NXDOMAIN; it never had an address, and calls to it are answered 503": told(&weir.NameStatus{Error: "NXDOMAIN", FailedAt: at}),
	} {
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	spec.Endpoints = spec.Endpoints[2:]
	if got := told(nil); got != "" {
		t.Errorf("without names it says %s", got)
	}
}
