package haproxy

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// limitTables is the peers section that holds the tables of rate limits: as its only peer a HAProxy meets the one that
// takes its place, and gives it what it has counted.
const limitTables = "limits"

// unlimited is how a limit is described that counts nothing: what, in which period, by how many digits of an address,
// by what else, up to how much softly and hard, and what is done then. A variable keeps its value when an expression
// gives none, so none of the fields may be missing.
const unlimited = "no:no:0:no:9999999999:9999999999:no:no"

// limits says that the group has rate limits, or was told to be ready for them.
func (r *renderer) limits() bool {
	return len(r.node.Limits) > 0 || r.node.Tuning.RateLimits != nil
}

// limitPeriods gives the periods of the tables, shortest first.
func (r *renderer) limitPeriods() []weir.Duration {
	list := slices.Clone(weir.UsualPeriods)
	if t := r.node.Tuning.RateLimits; t != nil {
		list = append(list, t.Periods...)
	}
	for _, l := range r.node.Limits {
		if l.Period != 0 {
			list = append(list, l.Period)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// asksFor gives the first limit that looks back on a period which is none of the usual ones.
func (r *renderer) asksFor(d weir.Duration) string {
	if slices.Contains(weir.UsualPeriods, d) {
		return ""
	}
	for _, l := range r.node.Limits {
		if l.Period == d {
			return "RateLimit/" + l.Name
		}
	}
	return ""
}

// limitTable names the table of a period.
func limitTable(d weir.Duration) string { return seconds(d) }

func seconds(d weir.Duration) string { return fmt.Sprintf("%ds", int(d.D()/time.Second)) }

// limitPeers is where counts are kept and handed on at a reload.
func (r *renderer) limitPeers() {
	if !r.limits() {
		return
	}
	entries, room, first := weir.DefaultRateLimitEntries, "", ""
	if t := r.node.Tuning.RateLimits; t != nil {
		entries, room = t.Entries, r.tuningOwner()
	} else if len(r.node.Limits) == 1 {
		first = "RateLimit/" + r.node.Limits[0].Name
	}
	s := r.section("peers", limitTables)
	user := ""
	if r.env.User != "" {
		user = " user " + r.env.User // who connects is a worker
	}
	s.add("bind %s mode 600%s", Quoted("unix@"+r.at(PeerSocket)), user)
	s.own(first, "server weir")
	for i, d := range r.limitPeriods() {
		owner := r.asksFor(d)
		if owner == "" {
			owner = room
		}
		counters := strings.ReplaceAll("gpc(1),gpc_rate(1,T),http_req_rate(T),http_err_rate(T),bytes_out_rate(T),bytes_in_rate(T)", "T", seconds(d))
		if i == 0 {
			counters += ",conn_cur"
		}
		s.own(owner, "table %s type binary len 20 size %d expire %s store %s", limitTable(d), entries, seconds(2*d), counters)
	}
}

// limitNames are the headers and cookies that limits go by, each as the word that stands for it in maps with what
// fetches it.
func (r *renderer) limitNames() (words []string, fetches map[string]string, owners map[string]string) {
	fetches, owners = map[string]string{}, map[string]string{}
	for _, l := range r.node.Limits {
		switch k := l.Key; {
		case k == nil:
			continue
		case k.Header != "":
			fetches[limitBy(l)] = "req.fhdr(" + k.Header + ")"
		case k.Cookie != "":
			fetches[limitBy(l)] = "req.cook(" + k.Cookie + ")"
		default:
			continue
		}
		if owners[limitBy(l)] == "" {
			owners[limitBy(l)] = "RateLimit/" + l.Name
		}
	}
	return slices.Sorted(maps.Keys(fetches)), fetches, owners
}

// limitBy is the word that says what else than the address tells clients of a limit apart.
func limitBy(l ir.RateLimit) string {
	switch k := l.Key; {
	case k == nil:
	case k.Header != "":
		return "h-" + k.Header
	case k.Cookie != "":
		return "c-" + k.Cookie
	case k.Path:
		return "path"
	}
	return "address"
}

// limitRules count and limit the clients of the site that txn.site names, in each of the places that a site has for
// limits. The counters of all limits that apply are raised before any of them answers.
func (r *renderer) limitRules(s *Section, http bool) {
	if !r.limits() {
		return
	}
	rules := "tcp-request content"
	if http {
		rules = "http-request"
	}
	rule := func(format string, args ...any) { s.add(rules+" "+format, args...) }
	s.add("# rate limits of the site")
	rule("set-var(txn.rl.limits) var(txn.site),map_str(%s)", opt(mapSiteLimits))
	rule("set-var(txn.rl.client) src if { var(txn.rl.limits) -m found }")
	if http {
		// The last address is the trusted proxy's own, added above; the one before is whom it serves.
		rule("set-var(txn.rl.client) req.hdr_ip(X-Forwarded-For,-2) if { var(txn.rl.limits) -m found } { var(sess.trusted) -m found }")
	}
	rule("set-var(txn.rl.hex) var(txn.rl.client),hex")
	rule("set-var(txn.rl.family) str(4) if { var(txn.rl.hex) -m found }")
	rule("set-var(txn.rl.family) str(6) if { var(txn.rl.hex) -m len gt 8 }")
	rule("set-var(txn.rl.nets) var(txn.rl.client),map_ip(%s)", opt(mapLists))
	for place := range weir.MaxRateLimits {
		r.limitPlace(s, rule, place, http)
	}
	if !http {
		rule("reject if { var(txn.limited) -m sub cut: }")
		return
	}
	rule("set-var(txn.route) var(txn.site),concat(/~,txn.rl.page) if { var(txn.rl.page) -m found }")
	rule("reject if { var(txn.limited) -m sub cut: }")
	for _, status := range []weir.Status3{429, 503} {
		page := "var(txn.rl.page),map_str(" + opt(mapLimitPages) + ")"
		rule(`return status %d content-type text/html lf-string "%%[%s,b64dec]" if { var(txn.rl.page) -m beg %d } { %s -m found }`, status, page, status, page)
		rule("deny deny_status %d if { var(txn.rl.page) -m beg %d }", status, status)
	}
}

// limitPlace is one of a site's limits.
func (r *renderer) limitPlace(s *Section, rule func(string, ...any), place int, http bool) {
	set := func(name, format string, args ...any) {
		rule("set-var(txn.rl."+name+") "+format, args...)
	}
	set("limit", "var(txn.rl.limits),field(%d,:)", place+1)
	set("terms", "var(txn.rl.limit),concat(|,txn.rl.family),map_str(%s,%s)", opt(mapLimits), unlimited)
	set("terms", "var(txn.rl.limit),concat(|,txn.rl.nets),map_str(%s) if { var(txn.rl.nets) -m found }", opt(mapExempt))
	set("kind", "var(txn.rl.terms),field(1,:)")
	set("period", "var(txn.rl.terms),field(2,:)")
	set("digits", "var(txn.rl.terms),field(3,:)")
	set("key", "var(txn.rl.hex),bytes(0,txn.rl.digits)")
	if http {
		set("by", "var(txn.rl.terms),field(4,:)")
		set("key", "path if { var(txn.rl.by) -m str path }")
		words, fetches, owners := r.limitNames()
		for _, word := range words {
			s.own(owners[word], "http-request set-var(txn.rl.key) %s if { var(txn.rl.by) -m str %s } { %s -m len gt 0 }", fetches[word], word, fetches[word])
		}
	}
	set("pair", "var(txn.site),concat(|,txn.rl.limit)")
	set("id", "var(txn.rl.pair),concat(|,txn.rl.key),sha1")
	for _, d := range r.limitPeriods() {
		rule("track-sc%d var(txn.rl.id) table %s/%s if { var(txn.rl.period) -m str %s }", place, limitTables, limitTable(d), limitTable(d))
	}
	first := fmt.Sprintf("{ var(txn.rl.kind) -m str connections } !{ var(txn.rl.pair),strcmp(sess.limited%d) eq 0 }", place)
	rule("sc-inc-gpc(0,%d) if %s", place, first)
	rule("set-var(sess.limited%d) var(txn.rl.pair) if %s", place, first)
	rule("unset-var(txn.rl.n)")
	for _, c := range limitCounters {
		if http || c.tcp {
			set("n", c.fetch+" if { var(txn.rl.kind) -m str %s }", place, c.kind)
		}
	}
	set("soft", "var(txn.rl.terms),field(5,:)")
	set("hard", "var(txn.rl.terms),field(6,:)")
	set("do", "str(no)")
	set("do", "var(txn.rl.terms),field(7,:) if { var(txn.rl.n),sub(txn.rl.soft) -m int gt 0 }")
	set("do", "var(txn.rl.terms),field(8,:) if { var(txn.rl.n),sub(txn.rl.hard) -m int gt 0 }")
	// For the log: what is done, or would be in shadow mode, by which limit.
	rule("set-var-fmt(txn.limited) %%[var(txn.limited)]%%[var(txn.rl.do)]:%%[var(txn.rl.limit)], if { var(txn.rl.do) -m found } !{ var(txn.rl.do) -m str no }")
	if http {
		set("page", "var(txn.rl.do),concat(~,txn.rl.limit) if { var(txn.rl.do) -m str 429 503 } !{ var(txn.rl.page) -m found }")
	}
}

// limitCounters say what of a table's entry is held against a limit.
var limitCounters = []struct {
	kind, fetch string
	tcp         bool
}{
	{weir.CountRequests, "sc_http_req_rate(%d)", false},
	{weir.CountErrors, "sc_http_err_rate(%d)", false},
	{weir.CountBytesOut, "sc_bytes_out_rate(%d)", false},
	{weir.CountBytesIn, "sc_bytes_in_rate(%d)", false},
	{weir.CountConnections, "sc_gpc_rate(0,%d)", true},
	{weir.CountConcurrent, "sc_conn_cur(%d)", true},
}

// rateLimits fills the maps that the rules look at: what each limit says, for IPv4 and IPv6, and whom it spares.
func (r *renderer) rateLimits(sets listSets) {
	if !r.limits() {
		return
	}
	for _, path := range []string{mapSiteLimits, mapLimits, mapExempt, mapLimitPages} {
		r.maps[path] = orEmpty(r.maps[path])
	}
	for _, l := range r.node.Limits {
		owner := "RateLimit/" + l.Name
		bits4, bits6 := 32, 64
		if k := l.Key; k != nil {
			bits4, bits6 = k.IPv4, k.IPv6
		}
		r.put(mapLimits, l.Name+"|4", limitTerms(l, bits4/4), owner)
		r.put(mapLimits, l.Name+"|6", limitTerms(l, bits6/4), owner)
		for _, list := range l.Exempt {
			for _, id := range sets.with[list] {
				r.put(mapExempt, l.Name+"|"+id, unlimited, owner)
			}
		}
		if p := r.limitPage(l); p != nil {
			r.put(mapLimitPages, fmt.Sprintf("%d~%s", l.Soft.Status, l.Name), base64.StdEncoding.EncodeToString([]byte(p.Body)), "ErrorPage/"+p.Name)
		}
	}
}

func (r *renderer) limitPage(l ir.RateLimit) *ir.Page {
	if l.Soft == nil || l.Soft.ErrorPage == "" {
		return nil
	}
	return r.page(l.Soft.ErrorPage)
}

// limitTerms describes a limit in the fields of unlimited.
func limitTerms(l ir.RateLimit, digits int) string {
	fields := strings.Split(unlimited, ":")
	fields[0], fields[1], fields[2], fields[3] = l.Count, limitTable(l.Period), strconv.Itoa(digits), limitBy(l)
	if l.Count == weir.CountConcurrent {
		fields[1] = limitTable(weir.UsualPeriods[0]) // the table that counts these
	}
	shadow := l.Mode == weir.LimitShadow
	if s := l.Soft; s != nil {
		fields[4], fields[6] = strconv.Itoa(s.Above), strconv.Itoa(int(s.Status))
		if shadow {
			fields[6] = "soft"
		}
	}
	if h := l.Hard; h != nil {
		fields[5], fields[7] = strconv.Itoa(h.Above), "cut"
		if shadow {
			fields[7] = "hard"
		}
	}
	return strings.Join(fields, ":")
}

// siteLimits says which limits a site has, and of what type their pages are there.
func (r *renderer) siteLimits(s *ir.Site) {
	if len(s.RateLimits) == 0 {
		return
	}
	places := slices.Repeat([]string{none}, weir.MaxRateLimits)
	copy(places, s.RateLimits)
	r.put(mapSiteLimits, s.Name, strings.Join(places, ":"), "Site/"+s.Name)
	for _, l := range r.node.Limits {
		if p := r.limitPage(l); p != nil && slices.Contains(s.RateLimits, l.Name) {
			key := fmt.Sprintf("%d|%s/~%d~%s/", l.Soft.Status, s.Name, l.Soft.Status, l.Name)
			r.put(mapPageTypes, key, strings.ReplaceAll(p.ContentType, " ", ""), "ErrorPage/"+p.Name)
		}
	}
}
