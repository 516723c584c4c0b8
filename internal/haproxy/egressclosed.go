package haproxy

import (
	"encoding/base64"
	"strconv"
	"strings"

	"weir"
	"weir/internal/ir"
)

// The maps of services that are in maintenance.
const (
	mapEgressClosed = "maps/egress-closed.map" // service that is closed at some time → where its moments begin
	mapEgressTimes  = "maps/egress-times.map"  // from:to, moments of services → status:seconds:ErrorPage:AccessList
	mapEgressPages  = "maps/egress-pages.map"  // ErrorPage → body, base64
	mapEgressTypes  = "maps/egress-types.map"  // ErrorPage → content type
	mapEgressExcept = "maps/egress-except.map" // AccessList|set of lists → 1 where it is among them
)

// egressClosed answers calls to services in maintenance, of which the one counts that a split has chosen. That is known at
// run time alone, by time too: each service that is closed at some time has a place of its own on the line of numbers, as
// sites have that go by time.
func (r *renderer) egressClosed(s *Section, p port) {
	if !r.egresses(p.number) {
		return
	}
	rule := func(format string, args ...any) { s.add("http-request "+format, args...) }
	const answers = "if { var(txn.eg.closed) -m found } !{ var(txn.eg.open) -m found }"
	rule("set-var(txn.eg.clock) var(txn.route),field(2,/),map_str(%s) if %s", opt(mapEgressClosed), calls)
	rule("set-var(txn.eg.closed) date,add(txn.eg.clock),map_int(%s) if { var(txn.eg.clock) -m found }", opt(mapEgressTimes)) // status:seconds:page:list
	rule("set-var(txn.eg.list) var(txn.eg.closed),field(4,:) if { var(txn.eg.closed) -m found }")
	rule("set-var(txn.eg.open) var(txn.eg.list),concat(|,txn.lists),map_str(%s) if { var(txn.eg.list) -m found } { var(txn.lists) -m found }", opt(mapEgressExcept))
	rule(`set-var-fmt(txn.eg.says) "%%[var(txn.route),field(2,/),field(1,.)]/%%[var(txn.route),field(2,.)]/%%[var(txn.route),field(3,.)] is in maintenance\n" %s`, answers)
	rule("set-var(txn.eg.page) var(txn.eg.closed),field(3,:) %s", answers)
	rule("set-var(txn.eg.type) var(txn.eg.page),map_str(%s) %s", opt(mapEgressTypes), answers)
	rule("set-var(txn.eg.says) var(txn.eg.page),map_str(%s),b64dec %s", opt(mapEgressPages), answers)
	rule("set-var(txn.route) var(txn.site),concat(/,txn.eg.to),concat(%s) %s", calledInMaintenance, answers)
	rule("unset-var(txn.sp.window) %s", answers) // the leg is not at fault
	for _, status := range weir.MaintenanceStatuses {
		rule(`return status %d content-type text/plain lf-string "%%[var(txn.eg.says)]" hdr Retry-After "%%[var(txn.eg.closed),field(2,:)]" hdr Cache-Control no-store %s { var(txn.eg.closed) -m beg %d: }`, status, answers, status)
	}
}

// calledInMaintenance ends the route of a call to a service in maintenance.
const calledInMaintenance = "+maintenance"

// closedCalls says when services are in maintenance, for whom not, and what is said.
func (r *renderer) closedCalls(sets *listSets) {
	for _, path := range []string{mapEgressClosed, mapEgressTimes, mapEgressPages, mapEgressTypes, mapEgressExcept} {
		r.maps[path] = orEmpty(r.maps[path]) // those that the text names
	}
	var closed []string
	for i := range r.node.Pools {
		if e := r.node.Pools[i].Endpoint; e != nil && len(e.Closed) > 0 {
			closed = append(closed, e.Pool())
		}
	}
	bases := ownPlaces(closed, 29)
	for i := range r.node.Pools {
		e := r.node.Pools[i].Endpoint
		if e == nil || len(e.Closed) == 0 {
			continue
		}
		owner, base := ir.PoolOwner(e.Pool()), bases[e.Pool()]*moments
		r.put(mapEgressClosed, e.Pool(), strconv.FormatInt(base, 10), owner)
		for _, at := range segments(r.closedWindows(e)) {
			// Of those that hold then the first by its place.
			n, _ := strconv.Atoi(at.names[0])
			m := &e.Closed[n]
			status, seconds := m.Answer()
			r.put(mapEgressTimes, stretch(base, at.from, at.to), strings.Join([]string{status, seconds, m.Page, m.Except}, ":"), owner)
			for _, id := range sets.networks[m.Except] {
				r.put(mapEgressExcept, m.Except+"|"+id, "1", "AccessList/"+m.Except)
			}
			if p := r.page(m.Page); p != nil {
				r.put(mapEgressPages, p.Name, base64.StdEncoding.EncodeToString([]byte(p.Body)), "ErrorPage/"+p.Name)
				r.put(mapEgressTypes, p.Name, strings.ReplaceAll(p.ContentType, " ", ""), "ErrorPage/"+p.Name)
			}
		}
	}
}

// closedWindows are when a service is closed, named by place.
func (r *renderer) closedWindows(e *ir.Endpoint) (list []window) {
	for i, m := range e.Closed {
		if m.Schedule == "" {
			list = append(list, window{strconv.Itoa(i), 0, moments})
		}
		for _, s := range r.node.Schedules {
			if s.Name == m.Schedule {
				list = append(list, window{strconv.Itoa(i), point(s.From, 0), point(s.Until, moments)})
			}
		}
	}
	return list
}
