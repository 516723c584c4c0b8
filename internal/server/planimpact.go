package server

import (
	"fmt"
	"strings"

	"weir/internal/api"
	"weir/internal/compile"
)

// impactOf says which traffic of which sites a change has to do with, and what their zones could bear after it.
func impactOf(touches []compile.Touch, losses map[string]compile.Loss) []api.PlanImpact {
	var list []api.PlanImpact
	for _, t := range touches {
		one := api.PlanImpact{Site: t.Site, Touches: touched(t)}
		if loss, ok := losses[t.Site]; ok && !t.Gone {
			one.Spare = &api.PlanSpare{Holds: loss.Holds(), Without: loss.Without, Zone: loss.Zone, Carries: loss.Carries}
		}
		list = append(list, one)
	}
	return list
}

// touched says it for people.
func touched(t compile.Touch) string {
	switch {
	case t.New:
		return "nothing yet: it is new"
	case t.Gone:
		return "all requests: it goes, and nobody answers them any more"
	case t.Whole:
		return "all requests"
	}
	var parts []string
	if len(t.Paths) > 0 {
		parts = append(parts, "requests to "+few(t.Paths))
	}
	if len(t.Zones) > 0 {
		parts = append(parts, "requests that "+few(t.Zones)+" serves")
	}
	return strings.Join(parts, ", and ")
}

// few names the first of them.
func few(words []string) string {
	const most = 3
	text := strings.Join(words[:min(len(words), most)], ", ")
	if n := len(words) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
