package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/api"
)

// TestStatusNamesPartnersThatFail: the first few by name, with the reason in words and nothing of a terminal's.
func TestStatusNamesPartnersThatFail(t *testing.T) {
	fleet := api.FleetStatus{Partners: []weir.Problem{{Object: "Partner/acme", Message: "prod/orders: of 12 calls\x1b[2J of the last minute 12 failed there"}}}
	for i := range mostTroubles + 2 {
		fleet.Partners = append(fleet.Partners, weir.Problem{Object: fmt.Sprint("Partner/p", i), Message: "no"})
	}
	var out bytes.Buffer
	printFleet(&screen{out: &out}, &fleet, time.Now())
	for _, want := range []string{"\npartner acme: prod/orders: of 12 calls", " of the last minute 12 failed there\npartner p0: no\n", "… and 3 more, with weir get partners"} {
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "\x1b") {
			t.Errorf("no %q in\n%q", want, out.String())
		}
	}
}

// TestStatusOfAThousandFaultsIsShort: one tcp site on an http port leaves out every other site there, and a machine
// without its addresses quarantines each of them.
func TestStatusOfAThousandFaultsIsShort(t *testing.T) {
	var g api.GroupStatus
	g.Name, g.LoadBalancers = "edge", []api.LoadBalancerStatus{{Name: "lb1"}}
	for i := range 1000 {
		g.Problems = append(g.Problems, weir.Problem{Object: fmt.Sprintf("Site/s%d", i), Path: "spec.listeners[0].port", Message: "port 80 speaks tcp, as Site/odd asks"})
		g.Problems = append(g.Problems, weir.Problem{Object: fmt.Sprintf("Site/t%d", i), Path: "spec", Message: fmt.Sprintf("of its own %d", i)})
		g.LoadBalancers[0].Deviations = append(g.LoadBalancers[0].Deviations, api.Deviation{Object: fmt.Sprintf("IPAddress/a%d", i), State: "quarantined", Message: fmt.Sprint("can't listen at 203.0.113.", i)})
	}
	var out bytes.Buffer
	printGroup(&screen{out: &out}, &g, time.Now())
	text := out.String()
	if n := strings.Count(text, "\n"); n > 40 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	for _, want := range []string{"Site/s0", "and 999 other objects, in the same words", "990 more quarantined", "991 more left out"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
