package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir"
)

func siteCells(f *facts, o *object) []cell {
	s := o.Spec.(*weir.Site)
	var ports []string
	for _, l := range s.Listeners {
		ports = append(ports, l.Port.String())
	}
	counts, ok := f.counts[o.Metadata.Name]
	all, errors := requests(counts, ok || f.counts != nil)
	return append(words(s.Mode, brief(s.Hostnames, 3), brief(s.Addresses, 4), strings.Join(ports, ",")), programmed(o), serving(o), all, errors)
}

func poolCells(f *facts, o *object) []cell {
	p := o.Spec.(*weir.Pool)
	members := serving(o)
	if servers, ok := f.health[o.Metadata.Name]; ok {
		members = f.moves.members(o.Metadata.Name, servers)
	}
	byHand := f.moves.poolCell(o.Metadata.Name, f.moves.serversOf(o.Metadata.Name, p, f.health[o.Metadata.Name]))
	return []cell{{text: p.Mode}, members, {text: p.Balance}, {text: checkText(p.HealthCheck)}, programmed(o), admitted(o), byHand}
}

func checkText(h *weir.HealthCheck) string {
	switch {
	case h == nil || h.Type == "none":
		return "none"
	case h.Type == "http":
		return fmt.Sprintf("%s %s every %s", h.Method, h.Path, h.Interval)
	}
	return h.Type + " every " + h.Interval.String()
}

func mapCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.Map)
	return append(words(spec.Match, strconv.Itoa(len(spec.Entries))), programmed(o))
}

func routeCells(_ *facts, o *object) []cell {
	r := o.Spec.(*weir.Route)
	return words(r.Site, matches(&r.Match), outcome(&weir.SiteRoute{Match: r.Match, Action: &r.Action}))
}

func scheduleCells(f *facts, o *object) []cell {
	s, now := o.Spec.(*weir.Schedule), f.client.now()
	end := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return clock(t)
	}
	state := cell{text: "holds", tone: good}
	switch {
	case s.Holds(now):
	case now.Before(s.From):
		state = cell{text: "in " + span(s.From.Sub(now))}
	default:
		state = cell{"over " + ago(s.Until, now), faint}
	}
	return []cell{{text: end(s.From)}, {text: end(s.Until)}, state, {text: s.Reason}}
}

func rateLimitCells(f *facts, o *object) []cell {
	l := o.Spec.(*weir.RateLimit)
	soft, hard, period, by := "", "", "", "address"
	if l.Soft != nil {
		soft = strconv.Itoa(l.Soft.Above)
	}
	if l.Hard != nil {
		hard = strconv.Itoa(l.Hard.Above)
	}
	if l.Period != 0 {
		period = l.Period.String()
	}
	switch k := l.Key; {
	case k == nil:
	case k.Header != "":
		by = "header " + k.Header
	case k.Cookie != "":
		by = "cookie " + k.Cookie
	case k.Path:
		by = "path"
	}
	mode := cell{text: l.Mode}
	if l.Mode == weir.LimitShadow {
		mode.tone = warning
	}
	return append(words(l.Count, period, by, soft, hard), mode, overCell(f, o.Metadata.Name), programmed(o))
}

func accessListCells(_ *facts, o *object) []cell {
	l := o.Spec.(*weir.AccessList)
	held := ""
	if s := l.Strings; s != nil {
		held = fmt.Sprintf("%d %s", len(s.Entries), s.Match)
	}
	return append(words(brief(prefixes(l.Networks), 4), held), programmed(o))
}

func pageCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.ErrorPage)
	return append(words(spec.ContentType, strconv.Itoa(len(spec.Body))), programmed(o))
}
