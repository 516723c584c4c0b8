// Package bench measures the figures that the project promises. It has tests only: make bench runs them.
package bench

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bench is one measurement; it may give several figures.
type bench struct {
	// figures are the names of what it measures, in the order in which it gives them.
	figures []string
	measure func(t *testing.T) []figure
}

// figure is one line of the output.
type figure struct {
	name  string
	value float64
	unit  string
}

// benches are all there is, in the order in which they run; each lives in a file of its own.
var benches = []bench{
	{dataPlaneFigures, measureDataPlane},
	{convergeFigures, measureConverge},
	{scaleFigures, measureScale},
	{bigFigures, measureBig},
	{fanOutFigures, measureFanOut},
	{certsFigures, measureCerts},
	{ticketFigures, measureTickets},
	{acmeFigures, measureACME},
	{autoscaleFigures, measureAutoscale},
	{discoveryFigures, measureDiscovery},
	{registrationFigures, measureRegistrations},
	{sitesFigures, measureSites},
	{shiftFigures, measureShift},
	{newSiteFigures, measureNewSite},
	{egressRulesFigures, measureEgressRules},
	{egressFigures, measureEgress},
	{accessListFigures, measureAccessList},
	{consoleFigures, measureConsole},
	{mapFigures, measureMap},
}

// TestFigures measures what WEIR_BENCH names, a figure or "all", and prints «name value unit» lines. Without
// it nothing is measured, and the test shows that each figure could be asked for.
func TestFigures(t *testing.T) {
	wanted := os.Getenv("WEIR_BENCH")
	known := checkBenches(t)
	if wanted == "" || t.Failed() {
		return
	}
	if wanted != "all" && !slices.Contains(known, wanted) {
		t.Fatalf("WEIR_BENCH=%s: no such figure; there are all, %s", wanted, strings.Join(known, ", "))
	}
	for _, b := range benches {
		if wanted != "all" && !slices.Contains(b.figures, wanted) {
			continue
		}
		t.Run(b.figures[0], func(t *testing.T) {
			measured := b.measure(t)
			var names []string
			for _, f := range measured {
				names = append(names, f.name)
				fmt.Printf("%s %.4g %s\n", f.name, f.value, f.unit)
			}
			if !slices.Equal(names, b.figures) {
				t.Errorf("measured %q, want %q", names, b.figures)
			}
		})
	}
}

// figureName is what scripts/figures.sh takes for the name of a figure.
var figureName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// checkBenches gives the names of all figures.
func checkBenches(t *testing.T) []string {
	t.Helper()
	var known []string
	for i, b := range benches {
		if b.measure == nil || len(b.figures) == 0 {
			t.Errorf("bench %d measures nothing or names no figure", i+1)
		}
		for _, name := range b.figures {
			if !figureName.MatchString(name) || name == "all" {
				t.Errorf("%q is no name for a figure", name)
			}
			if slices.Contains(known, name) {
				t.Errorf("figure %s is there twice", name)
			}
			known = append(known, name)
		}
	}
	return known
}
