package server

import "testing"

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
