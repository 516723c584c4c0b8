package server

import (
	"fmt"
	"testing"

	"weir"
)

// TestShiftsTellWhoHasThem: the load balancers of the groups in which something is shifted, and of no others.
func TestShiftsTellWhoHasThem(t *testing.T) {
	t.Parallel()
	s, f := newTestFleet(t)
	if err := applied(t, s, `
- {kind: Role, metadata: {name: web}}
- {kind: Zone, metadata: {name: az1}}
- {kind: Zone, metadata: {name: az2}}
- {kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28]}}
- {kind: LoadBalancerGroup, metadata: {name: lab}, spec: {ranges: [192.0.2.0/28]}}
- {kind: LoadBalancer, metadata: {name: lb1}, spec: {group: edge, zone: az1}}
- {kind: LoadBalancer, metadata: {name: lb2}, spec: {group: edge, zone: az2}}
- {kind: LoadBalancer, metadata: {name: lb9}, spec: {group: lab, zone: az2}}
- {kind: IPAddress, metadata: {name: vip, role: web}, spec: {address: 203.0.113.1, homeZone: az1, groups: [edge]}}
- {kind: Pool, metadata: {name: web, role: web}, spec: {members: [{name: a, address: 10.0.0.1, port: 80}]}}
- {kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [vip], listeners: [{port: 80}], backends: {default: {az1: web, az2: web}}}}
- {kind: ZoneShift, metadata: {name: one, role: web}, spec: {sites: [www], zone: az1, reason: x, expiresAt: 2100-01-01T00:00:00Z}}
- {kind: ZoneShift, metadata: {name: all}, spec: {all: true, zone: az2, reason: x, expiresAt: 2100-01-01T00:00:00Z}}
- {kind: Zone, metadata: {name: az3}}
- {kind: ZoneShift, metadata: {name: none}, spec: {all: true, zone: az3, reason: x, expiresAt: 2100-01-01T00:00:00Z}}
`); err != nil {
		t.Fatal(err)
	}
	if err := f.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"one":  "Accepted True: it obeys the rules; Programmed False: read back from 0 of 2; not from lb1, lb2; ",
		"all":  "Accepted True: it obeys the rules; Programmed False: read back from 0 of 2; not from lb1, lb2; ",
		"none": "Accepted True: it obeys the rules; Programmed Unknown: no load balancer needs it: nothing that they serve uses it; ",
	} {
		got := ""
		for _, c := range f.Status(s.View().Get(weir.Ref{Kind: "ZoneShift", Name: name})).Conditions {
			got += fmt.Sprintf("%s %s: %s; ", c.Type, c.Status, c.Message)
		}
		if got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
}
