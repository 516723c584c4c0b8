package compile_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestShiftsThatNobodyHasMade are reckoned as the same ones are once they are made, and every site's shares are one whole.
func TestShiftsThatNobodyHasMade(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tried := 0
	for seed := range uint64(40) {
		set := weirtest.RandomObjects(seed, weirtest.Options{Zoned: true})
		for o := range set.All("ZoneShift") {
			spec := o.Spec.(*weir.ZoneShift)
			if from, until := spec.Window(set); now.Before(from) || !now.Before(until) {
				continue
			}
			without := set.Copy()
			without.Delete(o.Ref())
			var sites []string
			for site := range set.All("Site") {
				if spec.Shifts(o.Metadata.Role, site) {
					sites = append(sites, site.Metadata.Name)
				}
			}
			var nodes []ir.Node
			for g := range set.All("LoadBalancerGroup") {
				node, _ := compile.Group(without, g.Metadata.Name)
				nodes = append(nodes, node)
			}
			shift := ir.Shift{Sites: sites, Zone: spec.Zone, ExpiresAt: now.Add(time.Hour)}
			want, got := compile.Leave(set, o.Metadata.Name, now), compile.LeaveNodes(without, nodes, shift, now)
			if len(spec.Sites) == 0 {
				got.Unmoved = nil // which Leave tells of sites that were named
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("seed %d, %s: %+v, want %+v", seed, o.Ref(), got, want)
			}
			tried++
			for i := range nodes {
				sharesAreWhole(t, compile.Divide(&nodes[i], now, nil, &shift), sites, spec.Zone)
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d shifts were tried", tried)
	}
}

// sharesAreWhole holds divisions against what any must be.
func sharesAreWhole(t *testing.T, list []compile.Division, sites []string, zone string) {
	t.Helper()
	for _, d := range list {
		var usual, now, then float64
		for _, p := range d.Parts {
			usual, now, then = usual+p.Usual, now+p.Now, then+p.Then
			moved := slices.Contains(sites, d.Site) && !d.Stays
			if !slices.Contains(sites, d.Site) && p.Now != p.Then {
				t.Errorf("%s is not shifted, and moves: %+v", d.Site, d)
			}
			if moved && p.Zone == zone && p.Then > 0 && p.Then > p.Now {
				t.Errorf("%s is to leave %s, and comes: %+v", d.Site, zone, d)
			}
		}
		for _, sum := range []float64{usual, now, then} {
			if sum > 0 && math.Abs(sum-1) > 1e-9 {
				t.Errorf("%s is divided into %v: %+v", d.Site, sum, d)
			}
		}
	}
}
