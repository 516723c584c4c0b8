package server

import (
	"testing"

	"weir"
)

func TestProgrammedIsSaidInGoodEnglish(t *testing.T) {
	for of, want := range map[int]string{
		0: "no load balancer needs it: nothing that they serve uses it",
		1: "read back from the one load balancer that needs it",
		2: "read back from all 2 load balancers",
	} {
		v := view{ready: of, of: of}
		if got := v.programmed(); got.Message != want {
			t.Errorf("of %d: %q, want %q", of, got.Message, want)
		}
	}
	v := view{needed: true}
	if got := v.programmed(); got.Reason != "NoneActive" || got.Message != "no load balancer that needs it is active" {
		t.Errorf("%+v", got)
	}
	v = view{ready: 1, of: 2, laggards: []string{"lb2"}, unshown: []string{"lb2: HAProxy has it, but a client is shown another"}}
	if got := v.programmed(); got.Reason != "NotServed" || got.Message != "read back from 1 of 2; not from lb2; lb2: HAProxy has it, but a client is shown another" {
		t.Errorf("%+v", got)
	}
	v = view{ready: 0, of: 1, laggards: []string{"lb1"}}
	if got := v.programmed(); got.Message != "read back from 0 of 1; not from lb1" {
		t.Errorf("%q", got.Message)
	}
}

// TestApplicationsWithoutAWayOutSaySo, for as long as they have none: what they miss is no fault of a load balancer's.
func TestApplicationsWithoutAWayOutSaySo(t *testing.T) {
	t.Parallel()
	s, f := newTestFleet(t)
	apply := func(manifest string) {
		t.Helper()
		if err := applied(t, s, manifest); err != nil {
			t.Fatal(err)
		}
		if err := f.load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want string) {
		t.Helper()
		got := ""
		for _, c := range f.Status(s.View().Get(weir.Ref{Kind: "EgressClient", Name: "myback"})).Conditions {
			if c.Type == weir.Programmed {
				got = c.Reason + ": " + c.Message
			}
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	apply(`
- {kind: Zone, metadata: {name: az1}}
- {kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28]}}
- {kind: LoadBalancer, metadata: {name: lb1}, spec: {group: edge, zone: az1}}
- {kind: IPAddress, metadata: {name: a}, spec: {address: 203.0.113.1, groups: [edge]}}
- {kind: EgressClient, metadata: {name: myback}, spec: {environment: prod, sources: [10.0.0.0/8]}}
`)
	is("NotInUse: no Site is a way out of environment prod: it can call nobody until spec.egress.environments of a Site has that")
	apply(`
- {kind: Site, metadata: {name: out}, spec: {hostnames: [e.example], addresses: [a], listeners: [{port: 80}], egress: {environments: [prod]}}}
`)
	is("Pending: read back from 0 of 1; not from lb1")
}
