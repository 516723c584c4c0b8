package compile

import (
	"fmt"
	"slices"

	"weir"
	"weir/internal/ir"
)

// rateLimits gives those limits of a site that it can be held to.
func (b *builder) rateLimits(ref weir.Ref, spec *weir.Site) (list []string) {
	for i, name := range spec.RateLimits {
		path := fmt.Sprintf("spec.rateLimits[%d]", i)
		l := weir.Find[weir.RateLimit](b.set, "RateLimit", name)
		if l == nil {
			b.problems.add(ref, path, "RateLimit/%s does not exist; nobody is limited by it", name)
			continue
		}
		if why := l.ForConnections(); spec.Mode != "http" && why != "" {
			b.problems.add(ref, path, "RateLimit/%s %s; nobody is limited by it here", name, why)
			continue
		}
		list = append(list, name)
	}
	return list
}

// rateLimit gives a limit with the page and the lists that are there.
func (b *builder) rateLimit(name string) ir.RateLimit {
	ref := weir.Ref{Kind: "RateLimit", Name: name}
	l := ir.RateLimit{Name: name, RateLimit: *weir.Find[weir.RateLimit](b.set, ref.Kind, name)}
	if s := l.Soft; s != nil && s.ErrorPage != "" {
		switch {
		case !b.exists("ErrorPage", s.ErrorPage):
			b.problems.add(ref, "spec.soft.errorPage", "ErrorPage/%s does not exist; the site's own page is shown", s.ErrorPage)
			fallthrough
		case !b.page(s.ErrorPage, ref, s.Status):
			plain := *s
			plain.ErrorPage = ""
			l.Soft = &plain
		}
	}
	var lists []string
	for i, list := range l.Exempt {
		if !b.exists("AccessList", list) {
			b.problems.add(ref, fmt.Sprintf("spec.exempt[%d]", i), "AccessList/%s does not exist; nobody is exempt by it", list)
			continue
		}
		lists = append(lists, list)
	}
	l.Schedules = nil
	for i, at := range weir.Find[weir.RateLimit](b.set, ref.Kind, name).Schedules {
		if !b.exists("Schedule", at.Schedule) {
			b.problems.add(ref, fmt.Sprintf("spec.schedules[%d].schedule", i), "Schedule/%s does not exist; the usual levels hold", at.Schedule)
			continue
		}
		l.Schedules = append(l.Schedules, at)
	}
	slices.Sort(lists)
	l.Exempt = lists
	return l
}
