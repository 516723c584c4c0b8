package plan

import (
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/haproxy"
)

// What a change of the rules that count clients means.
const (
	firstLimits = "the group counts what clients do for the first time, for rate limits"
	lastLimits  = "the group counts no longer what clients do, as it has no rate limits any more"
)

// limitCauses tells what lines of rate limits mean that come and go, and gives the other lines. Where the whole block
// comes or goes that is one cause.
func limitCauses(added, removed []haproxy.Line) (list []cause, restAdded, restRemoved []haproxy.Line) {
	tables := map[string]bool{} // that were there before
	for _, l := range removed {
		if name := tableOf(l.Text); name != "" {
			tables[name] = true
		}
	}
	changed := map[string]bool{}
	for _, l := range added {
		switch what := limitSays(l.Text, firstLimits); {
		case tables[tableOf(l.Text)]:
			changed[tableOf(l.Text)] = true
			list = append(list, cause{owner: l.Owner, what: "the tables of rate limits have room for another number of clients (rateLimits.entries)", why: whyCounters})
		case what != "":
			list = append(list, cause{owner: l.Owner, what: what, why: whyCounters})
		case !ofLimits(l.Text):
			restAdded = append(restAdded, l)
		}
	}
	for _, l := range removed {
		switch what := limitSays(l.Text, lastLimits); {
		case changed[tableOf(l.Text)]:
		case what != "":
			list = append(list, cause{owner: l.Owner, what: what, why: whyCounters})
		case !ofLimits(l.Text):
			restRemoved = append(restRemoved, l)
		}
	}
	if i := slices.IndexFunc(list, func(c cause) bool { return c.what == firstLimits || c.what == lastLimits }); i >= 0 {
		whole := list[i]
		list = append(slices.DeleteFunc(list, func(c cause) bool { return c.owner == "" }), cause{what: whole.what, why: whole.why})
	}
	if len(list) == 0 { // text that has no words of its own, as a new version of Weir may bring
		return nil, added, removed
	}
	return list, restAdded, restRemoved
}

// limitSays gives what a line that comes or goes means by itself: the block's first line, a table, a name.
func limitSays(line, block string) string {
	goes := block == lastLimits
	say := func(come, gone string) string {
		if goes {
			return gone
		}
		return come
	}
	f := strings.Fields(strings.Replace(line, "tcp-request content ", "tcp-request ", 1))
	switch {
	case strings.Contains(line, "set-var(txn.rl.limits)"), strings.HasPrefix(line, "localpeer "), strings.HasPrefix(line, "tune.stick-counters "):
		return block
	case strings.Contains(line, haproxy.PeerSocket):
		return "the socket changes at which a HAProxy gives its counts to the next one"
	case tableOf(line) != "":
		return say("rate limits may look back on "+span(tableOf(line)), "no rate limit looks back on "+span(tableOf(line))+" any more")
	case strings.Contains(line, " table limits/"):
		_, period, _ := strings.Cut(line, " table limits/")
		period, _, _ = strings.Cut(period, " ")
		return say("rate limits may look back on "+span(period), "no rate limit looks back on "+span(period)+" any more")
	case len(f) > 5 && f[1] == "set-var(txn.rl.n)":
		kind, _, _ := strings.Cut(f[len(f)-2], "@")
		return say("rate limits may count "+kind, "no rate limit counts "+kind+" any more")
	case len(f) > 2 && f[1] == "set-var(txn.rl.limit)":
		_, place, _ := strings.Cut(strings.TrimSuffix(f[2], ",:)"), "field(")
		if place == "1" {
			return say("a site may have a rate limit", "no site has a rate limit any more")
		}
		return say("a site may have "+place+" rate limits", "no site has "+place+" rate limits any more")
	case len(f) > 2 && f[1] == "set-var(txn.rl.key)" && f[2] == "path":
		return say("rate limits may go by the path", "no rate limit goes by the path any more")
	case len(f) > 2 && f[1] == "set-var(txn.rl.key)" && strings.HasPrefix(f[2], "req."):
		kind, name, _ := strings.Cut(strings.TrimSuffix(f[2], ")"), "(")
		what := map[string]string{"req.fhdr": "header ", "req.cook": "cookie "}[kind] + name
		return say("rate limits may tell clients apart by the "+what, "no rate limit tells clients apart by the "+what+" any more")
	}
	return ""
}

// tableOf gives the name of the table that a line declares.
func tableOf(line string) string {
	if f := strings.Fields(line); len(f) > 2 && f[0] == "table" {
		return f[1]
	}
	return ""
}

// span writes a period as manifests do.
func span(seconds string) string {
	if d, err := time.ParseDuration(seconds); err == nil {
		return weir.Duration(d).String()
	}
	return seconds
}

func ofLimits(line string) bool {
	return strings.Contains(line, "txn.rl.") || strings.Contains(line, "(txn.limited)") || strings.Contains(line, "# rate limits")
}
