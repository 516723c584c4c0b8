package haproxy

import (
	"encoding/base64"
	"strings"

	"weir"
	"weir/internal/ir"
)

// inMaintenance is the route of a request that a site in maintenance answers, behind the site's name, for the log and
// the page's type; no backend has that name.
const inMaintenance = "/!maintenance"

const plainMaintenance = "<!doctype html><title>Maintenance</title><h1>We are back soon.</h1>\n"

// maintenance answers for sites in maintenance, all of which go the long way, after who the client is and before any
// route is looked for.
func (r *renderer) maintenance(rule adder) {
	const is = "{ var(txn.closed) -m found }"
	rule("set-var(txn.closed) var(txn.site),map_str(%s)", opt(mapClosed)) // "status:seconds"
	if r.scheduled() {
		rule("set-var(txn.closed) var(txn.site),concat(|,txn.times),map_str(%s) if { var(txn.times) -m found }", opt(mapClosed))
	}
	rule("set-var(txn.open) var(txn.site),concat(|,txn.lists),map_str(%s) if %s { var(txn.lists) -m found }", opt(mapClosedExcept), is)
	const answers = is + " !{ var(txn.open) -m found }"
	rule("set-var(txn.page) var(txn.site),map_str(%s,%s) if %s", opt(mapClosedPages), base64.StdEncoding.EncodeToString([]byte(plainMaintenance)), answers)
	rule("set-var(txn.route) var(txn.site),concat(%s) if %s", inMaintenance, answers)
	for _, status := range weir.MaintenanceStatuses {
		rule(`return status %d content-type text/html lf-string "%%[var(txn.page),b64dec]" hdr Retry-After "%%[var(txn.closed),field(2,:)]" hdr Cache-Control no-store if { var(txn.closed) -m beg %d: } !{ var(txn.open) -m found }`, status, status)
	}
}

// siteMaintenance says which sites are closed, for whom not, and what is shown.
func (r *renderer) siteMaintenance(s *ir.Site, sets *listSets) {
	m := s.Maintenance
	if m == nil {
		return
	}
	owner := "Site/" + s.Name
	status, seconds := m.Answer()
	when := []string{s.Name}
	if m.Schedule != "" {
		when = nil
		for _, set := range r.times[s.Name].with(m.Schedule) {
			when = append(when, timely(s.Name, set))
		}
	}
	for _, key := range when {
		r.put(mapClosed, key, status+":"+seconds, owner)
	}
	if m.Except != "" {
		for _, id := range sets.networks[m.Except] {
			r.put(mapClosedExcept, s.Name+"|"+id, "1", owner)
		}
	}
	if p := r.page(m.Page); p != nil {
		owner = "ErrorPage/" + p.Name
		r.put(mapClosedPages, s.Name, base64.StdEncoding.EncodeToString([]byte(p.Body)), owner)
		r.put(mapPageTypes, status+"|"+s.Name+inMaintenance+"/", strings.ReplaceAll(p.ContentType, " ", ""), owner)
	}
}
