package main

import (
	"fmt"
	"math"
	"strings"

	"weir/internal/api"
)

// printImpact tells whose traffic a change has to do with.
func printImpact(s *screen, plan *api.PlanAnswer) {
	if len(plan.Impact) == 0 {
		return
	}
	s.printf("\n%s\n", s.title("Impact:"))
	for i := range plan.Impact {
		one := &plan.Impact[i]
		text := clean("Site/"+one.Site) + ": " + clean(one.Touches)
		if figures := askedOf(one); figures != "" {
			text += s.faint("; the site gets " + figures)
		}
		if spare := one.Spare; spare != nil {
			words := spareWords(spare)
			if !spare.Holds {
				words = s.warning(words)
			}
			text += "; " + words
		}
		s.line(s.wrapped("    ", text))
	}
	if n := plan.ImpactLeftOut; n > 0 {
		s.line("    " + s.faint("… and "+count(n, "site", "sites")+" with fewer requests"))
	}
}

// askedOf is how much is asked of a site, as far as that is known.
func askedOf(one *api.PlanImpact) string {
	var parts []string
	if !math.IsNaN(float64(one.Requests)) {
		parts = append(parts, perSecond(float64(one.Requests))+" now")
	}
	if !math.IsNaN(float64(one.Peak)) {
		parts = append(parts, perSecond(float64(one.Peak))+" at its busiest in the last hour")
	}
	return strings.Join(parts, ", ")
}

func perSecond(n float64) string {
	if n > 0 && n < 10 {
		return fmt.Sprintf("%.1f/s", n)
	}
	return thousands(int(math.Round(n))) + "/s"
}

// spareWords say whether the site's zones could bear the loss of one.
func spareWords(p *api.PlanSpare) string {
	switch {
	case p.Zone == "":
		return clean("no other zone can take what " + p.Without + " serves")
	case p.Holds:
		return clean(fmt.Sprintf("any one zone may go (without %s, %s carries %d%% of what it can)", p.Without, p.Zone, p.Carries))
	}
	return clean(fmt.Sprintf("without %s, zone %s would carry %d%% of what it can", p.Without, p.Zone, p.Carries))
}
