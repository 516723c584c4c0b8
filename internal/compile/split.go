package compile

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// splits takes the Splits of a site all of whose legs can be used; use says whether a backend can.
func (b *builder) splits(site weir.Ref, spec *weir.Site, use func(string) bool) {
	taken := map[string]string{}
	for ref := range b.set.ReferrersOf("Split", site) {
		s := weir.Find[weir.Split](b.set, ref.Kind, ref.Name)
		if s == nil {
			continue
		}
		switch {
		case spec.Mode != "http":
			b.problems.add(ref, "spec.site", "Site/%s has mode %s; nothing is divided", s.Site, spec.Mode)
			continue
		case taken[s.Backend] != "":
			b.problems.add(ref, "spec.backend", "Split/%s divides the backend already; this one is left out", taken[s.Backend])
			continue
		case s.Schedule != "" && !b.exists("Schedule", s.Schedule):
			b.problems.add(ref, "spec.schedule", "Schedule/%s does not exist; nothing is divided", s.Schedule)
			continue
		}
		if i := slices.IndexFunc(s.Legs, func(l weir.SplitLeg) bool { return !use(l.Backend) }); i >= 0 {
			what := "backend %q has no pool that can be used; nothing is divided"
			if spec.Egress != nil {
				what = "there is no service %q; nothing is divided"
			}
			b.problems.add(ref, fmt.Sprintf("spec.legs[%d].backend", i), what, s.Legs[i].Backend)
			continue
		}
		taken[s.Backend] = ref.Name
		b.node.Splits = append(b.node.Splits, ir.Split{Name: ref.Name, Split: *s})
	}
}

// sortSplits puts the splits of all sites in order.
func (b *builder) sortSplits() {
	slices.SortFunc(b.node.Splits, func(x, y ir.Split) int { return strings.Compare(x.Name, y.Name) })
}
