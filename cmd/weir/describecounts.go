package main

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
)

// limitsAndSplits tells of whom rate limits stopped at a site, and which legs of splits were taken out there.
func (d *description) limitsAndSplits(counts *api.SiteCounts) {
	for _, name := range sortedNames(counts.RateLimits) {
		if said := overLimit(counts.RateLimits[name]); said != "" {
			d.line(d.wrapped("  ", "rate limit "+clean(name)+": "+said))
		}
	}
	for _, leg := range counts.Splits {
		d.line(d.wrapped("  ", "split "+clean(leg.Split)+": "+legOut(leg)))
	}
}

// overLimit says what became of those who were over a limit.
func overLimit(c api.LimitCounts) string {
	var parts []string
	for _, n := range []struct {
		of   uint64
		what string
	}{
		{c.Soft, "answered with its page"},
		{c.Hard, "closed"},
		{c.ShadowSoft, "would have been answered with its page"},
		{c.ShadowHard, "would have been closed"},
	} {
		if n.of > 0 {
			parts = append(parts, large(n.of)+" "+n.what)
		}
	}
	return strings.Join(parts, ", ")
}

func legOut(leg api.LegCounts) string {
	text := fmt.Sprintf("leg %s taken out %d times", clean(leg.Backend), leg.Aborts)
	switch leg.Aborts {
	case 0: // before the agents began
		text = "leg " + clean(leg.Backend) + " is out"
	case 1:
		text = "leg " + clean(leg.Backend) + " taken out once"
	}
	if leg.Diverted > 0 {
		text += "; " + large(leg.Diverted) + " of its requests went to the first leg"
	}
	return text
}

// limited shows at which sites somebody was over a rate limit, as far as the caller may see them.
func (d *description) limited() {
	answer := new(api.SiteCountsAnswer)
	if d.client.get(d.ctx, "counts", nil, answer) != nil {
		return
	}
	begun := false
	for _, site := range sortedNames(answer.Sites) {
		said := overLimit(answer.Sites[site].RateLimits[d.object.Metadata.Name])
		if said == "" {
			continue
		}
		if !begun {
			d.section("Over it since the agents began")
			begun = true
		}
		d.line(d.wrapped("  ", "at "+clean(site)+": "+said))
	}
}

// legsOut shows which legs of a split were taken out.
func (d *description) legsOut(s *weir.Split) {
	counts := new(api.SiteCounts)
	if d.client.get(d.ctx, "sites/"+s.Site+"/counts", nil, counts) != nil {
		return
	}
	counts.Splits = slices.DeleteFunc(counts.Splits, func(leg api.LegCounts) bool { return leg.Split != d.object.Metadata.Name })
	if len(counts.Splits) == 0 {
		return
	}
	d.section("Taken out since the agents began")
	for _, leg := range counts.Splits {
		d.line(d.wrapped("  ", legOut(leg)))
	}
}

// overCell counts who was over a rate limit at any site, in shadow mode too.
func overCell(f *facts, name string) cell {
	if f.counts == nil {
		return cell{}
	}
	var n uint64
	for _, site := range f.counts {
		c := site.RateLimits[name]
		n += c.Soft + c.Hard + c.ShadowSoft + c.ShadowHard
	}
	return cell{text: large(n)}
}
