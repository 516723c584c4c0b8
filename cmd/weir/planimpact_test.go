package main

import (
	"math"
	"testing"

	"weir/internal/api"
)

// TestPlanImpactWords: figures are told as far as they are known, and whether a zone may go.
func TestPlanImpactWords(t *testing.T) {
	t.Parallel()
	unknown := api.Point(math.NaN())
	for _, c := range []struct {
		now, peak api.Point
		want      string
	}{{310, 1420.4, "310/s now, 1,420/s at its busiest in the last hour"}, {unknown, 0.25, "0.2/s at its busiest in the last hour"}, {0, unknown, "0/s now"}, {unknown, unknown, ""}} {
		if got := askedOf(&api.PlanImpact{Requests: c.now, Peak: c.peak}); got != c.want {
			t.Errorf("%v %v: %q, want %q", c.now, c.peak, got, c.want)
		}
	}
	for _, c := range []struct {
		spare api.PlanSpare
		want  string
	}{
		{api.PlanSpare{Holds: true, Without: "az1", Zone: "az2", Carries: 71}, "any one zone may go (without az1, az2 carries 71% of what it can)"},
		{api.PlanSpare{Without: "az1", Zone: "az2", Carries: 150}, "without az1, zone az2 would carry 150% of what it can"},
		{api.PlanSpare{Without: "az1"}, "no other zone can take what az1 serves"},
	} {
		if got := spareWords(&c.spare); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
