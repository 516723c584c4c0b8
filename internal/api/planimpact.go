package api

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"weir"
)

// mostImpact bounds the sites of one plan, mostMeasured those whose requests are looked at to find the busiest.
const (
	mostImpact   = 20
	mostMeasured = 1000
)

// impact completes what a planner says of sites with how much is asked of them, the busiest first, and leaves out those that
// the caller may not see.
func (c *call) impact(res result, plan *PlanAnswer, list []PlanImpact) {
	list = slices.DeleteFunc(slices.Clone(list), func(i PlanImpact) bool {
		return !c.seesIn(res.After, res.Before, "Site/"+i.Site)
	})
	plan.ImpactLeftOut = max(0, len(list)-mostMeasured)
	list = list[:min(len(list), mostMeasured)]
	names := make([]string, len(list))
	for i := range list {
		one := &list[i]
		ref := weir.Ref{Kind: "Site", Name: one.Site}
		o := cmp.Or(res.After.Get(ref), res.Before.Get(ref))
		one.Role, one.Requests, one.Peak = o.Metadata.Role, Point(math.NaN()), Point(math.NaN())
		names[i] = ref.String()
	}
	if c.h.opts.Series != nil && len(names) > 0 {
		minute := c.h.opts.Series.Minute(names...)
		for i := range list {
			if t, ok := minute[names[i]]; ok {
				list[i].Requests = t.Requests
			}
		}
	}
	slices.SortStableFunc(list, func(a, b PlanImpact) int { return cmp.Compare(b.Requests.orNothing(), a.Requests.orNothing()) })
	plan.ImpactLeftOut += max(0, len(list)-mostImpact)
	plan.Impact = list[:min(len(list), mostImpact)]
	c.peaks(plan.Impact)
}

// seesIn says whether the caller may know of an object that is in one of two sets.
func (c *call) seesIn(after, before *weir.Set, object string) bool {
	return c.sees(after, object) || c.sees(before, object)
}

// orNothing takes what is not known for less than nothing.
func (p Point) orNothing() float64 {
	if math.IsNaN(float64(p)) {
		return -1
	}
	return float64(p)
}

// peaks looks for the busiest ten seconds of the last hour of each site. What memory does not have is left unknown.
func (c *call) peaks(list []PlanImpact) {
	if c.h.opts.Series == nil || len(list) == 0 {
		return
	}
	now := c.h.opts.Clock()
	q := SeriesQuery{Figures: []string{"requests"}, From: now.Add(-time.Hour).Truncate(seriesStep), Step: seriesStep, Points: int(time.Hour / seriesStep)}
	for _, one := range list {
		q.Objects = append(q.Objects, "Site/"+one.Site)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), time.Second)
	defer cancel()
	series, err := c.h.opts.Series.Series(ctx, q)
	if err != nil {
		return // figures are no part of what a plan promises
	}
	for _, of := range series.Of {
		i := slices.IndexFunc(list, func(one PlanImpact) bool { return "Site/"+one.Site == of.Object })
		if i < 0 {
			continue
		}
		for _, p := range of.Figures["requests"] {
			if p.orNothing() > list[i].Peak.orNothing() {
				list[i].Peak = p
			}
		}
	}
}
