package haproxy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// The maps of splits. A route that is divided has a place of its own on the line of numbers, as sites have that go by time;
// the point of the moment there gives where its shares begin, on another such line, and a number drawn below a thousand is
// a point among them.
const (
	mapSplits     = "maps/splits.map"      // route → where its moments begin:sticky:split, and see abortWords
	mapSplitTimes = "maps/split-times.map" // from:to, moments of routes → where the shares of that time begin
	mapSplitLegs  = "maps/split-legs.map"  // from:to, numbers that clients draw → the route that they go
)

// splitCookie holds the number that a client has drawn, at sites with a Split that asks for that. Each Split makes another
// number of it, so that who gets the canary of one does not get those of all.
const splitCookie = "WEIRSPLIT"

// splitCookieAge is how long clients keep it, in seconds: 90 days.
const splitCookieAge = 90 * 24 * 60 * 60

// divided says that a site has a split.
func (r *renderer) divided(site string) bool {
	return slices.ContainsFunc(r.node.Splits, func(s ir.Split) bool { return s.Site == site })
}

// divides says that the group has a Split but for those of calls, which are of services: their names have dots.
func (r *renderer) divides() bool {
	return slices.ContainsFunc(r.node.Splits, func(s ir.Split) bool { return !strings.Contains(s.Backend, ".") })
}

// split lets the route that was found lead to one of the legs. Ports with a way out have the rules in any case, so that
// there the first Split is no reload.
func (r *renderer) split(s *Section, p port, rule adder) {
	if !r.egresses(p.number) && !r.divides() {
		return
	}
	s.add("# splits: the route's shares at this moment, and the client's leg by a number that it draws")
	const is = "if { var(txn.sp.shares) -m found }"
	rule("set-var(txn.sp.split) var(txn.route),map_str(%s)", opt(mapSplits))
	rule("set-var(txn.sp.base) var(txn.sp.split),field(1,:)")
	rule("set-var(txn.sp.shares) date,add(txn.sp.base),map_int(%s) if { var(txn.sp.base) -m found }", opt(mapSplitTimes))
	rule("set-var(txn.sp.sticky) var(txn.sp.split),field(2,:) %s", is)
	rule("set-var(txn.sp.name) var(txn.sp.split),field(3,:) %s", is)
	rule("set-var(txn.sp.who) rand(4294967295) %s", is)
	rule("set-var(txn.sp.who) src if { var(txn.sp.sticky) -m str %s }", weir.StickySource)
	rule("set-var(txn.sp.who) req.hdr_ip(X-Forwarded-For,-2) if { var(txn.sp.sticky) -m str %s } { var(sess.trusted) -m found }", weir.StickySource)
	rule("set-var(txn.sp.has) req.cook(%s),bytes(0,32) if { var(txn.sp.sticky) -m str %s }", splitCookie, weir.StickyCookie)
	rule("set-var(txn.sp.given) var(txn.sp.who) if { var(txn.sp.sticky) -m str %s } !{ var(txn.sp.has) -m len gt 0 }", weir.StickyCookie)
	rule("set-var(txn.sp.who) var(txn.sp.has) if { var(txn.sp.has) -m len gt 0 }")
	rule("set-var(txn.sp.roll) var(txn.sp.who),concat(/,txn.sp.name),xxh32,mod(%d) %s", weir.SplitShares, is)
	rule("set-var(txn.sp.leg) var(txn.sp.shares),add(txn.sp.roll),map_int(%s) %s", opt(mapSplitLegs), is)
	r.abort(s, rule)
	rule("set-var(txn.route) var(txn.sp.leg) if { var(txn.sp.leg) -m found }")
	s.add(`http-response add-header Set-Cookie "%s=%%[var(txn.sp.given)]; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax" if { var(txn.sp.given) -m found }`, splitCookie, splitCookieAge)
	s.add("http-response add-header Cache-Control private if { var(txn.sp.given) -m found }")
}

// period is a time during which a split has the same shares.
type period struct {
	from, to int64
	shares   []int
}

// periods cuts the time of a split at its steps, and leaves out when nothing is divided.
func (r *renderer) periods(s *ir.Split) (list []period) {
	begin, end := int64(0), int64(moments)
	for _, at := range r.node.Schedules {
		if at.Name == s.Schedule {
			begin, end = point(at.From, 0), point(at.Until, moments)
		}
	}
	cuts := []int64{begin, end}
	for _, step := range s.Steps {
		if at := point(step.At, 0); at > begin && at < end {
			cuts = append(cuts, at)
		}
	}
	slices.Sort(cuts)
	for i := 1; i < len(cuts); i++ {
		p := period{from: cuts[i-1], to: cuts[i] - 1, shares: s.Shares(time.Unix(cuts[i-1], 0))}
		if p.from <= p.to && p.shares[0] < weir.SplitShares {
			list = append(list, p)
		}
	}
	return list
}

// splitMaps puts down the shares of all splits.
func (r *renderer) splitMaps() {
	if r.egresses(0) {
		for _, path := range []string{mapSplits, mapSplitTimes, mapSplitLegs} {
			r.maps[path] = orEmpty(r.maps[path]) // those that the text names
		}
	}
	var routes, lots []string
	of := func(s *ir.Split) string { return s.Site + "/" + s.Backend }
	lot := func(s *ir.Split, p period) string {
		var b strings.Builder
		b.WriteString(of(s))
		for i, l := range s.Legs {
			fmt.Fprintf(&b, " %s %d", l.Backend, p.shares[i])
		}
		return b.String()
	}
	for i := range r.node.Splits {
		s := &r.node.Splits[i]
		routes = append(routes, of(s))
		for _, p := range r.periods(s) {
			lots = append(lots, lot(s, p))
		}
	}
	slices.Sort(lots)
	bases, begins := ownPlaces(routes, 29), ownPlaces(slices.Compact(lots), 50)
	for i := range r.node.Splits {
		s := &r.node.Splits[i]
		owner, base := "Split/"+s.Name, bases[of(s)]*moments
		r.put(mapSplits, of(s), fmt.Sprintf("%d:%s:%s", base, cmp.Or(s.Sticky, weir.StickyNone), s.Name)+abortWords(s), owner)
		for _, p := range r.periods(s) {
			begin := begins[lot(s, p)] * 1024
			r.put(mapSplitTimes, stretch(base, p.from, p.to), strconv.FormatInt(begin, 10), owner)
			for _, part := range weir.SplitRanges(p.shares) {
				r.put(mapSplitLegs, stretch(begin, int64(part.From), int64(part.To)), s.Site+"/"+s.Legs[part.Leg].Backend, owner)
			}
		}
	}
}
