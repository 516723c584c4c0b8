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

// unlimited is how a limit is described that counts nothing: what over which time, by how many digits of an address, up
// to how much softly and hard, what is done then, and by what else. A variable keeps its value when an expression gives
// none, so none of the fields may be missing.
const unlimited = "no@no:0:9999999999:9999999999:no:no:no"

// limits says that the group has rate limits, or was told to be ready for them.
func (r *renderer) limits() bool {
	return len(r.node.Limits) > 0 || r.node.Tuning.RateLimits != nil
}

// limitShape is what the rules of limits can do. Each rule costs every request that comes the long way, so there are only
// those that some limit needs, or that the group was told to be ready for.
type limitShape struct {
	places  int             // that a site has for limits
	periods []weir.Duration // of the tables, shortest first
	kinds   map[string]bool
	path    bool // some limit goes by it
}

func (r *renderer) limitShape() limitShape {
	shape := limitShape{kinds: map[string]bool{}}
	if t := r.node.Tuning.RateLimits; t != nil {
		shape.places, shape.path = t.PerSite, true
		shape.periods = slices.Concat(weir.UsualPeriods, t.Periods)
		for _, c := range limitCounters {
			shape.kinds[c.kind] = true
		}
	}
	for i := range r.node.Sites {
		shape.places = max(shape.places, len(r.node.Sites[i].RateLimits))
	}
	for _, l := range r.node.Limits {
		shape.kinds[l.Count] = true
		shape.path = shape.path || limitBy(l) == "path"
		shape.periods = append(shape.periods, limitPeriod(l))
	}
	slices.Sort(shape.periods)
	shape.periods = slices.Compact(shape.periods)
	return shape
}

// limitPeriod gives the period of the table that counts for a limit; what is concurrent has one of its own.
func limitPeriod(l ir.RateLimit) weir.Duration {
	if l.Count == weir.CountConcurrent {
		return nowTable
	}
	return l.Period
}

// nowTable is the period of the table that counts what is concurrent too.
const nowTable = weir.Duration(time.Second)

// asksFor gives the first limit that looks back on a period that the group was not told to be ready for.
func (r *renderer) asksFor(d weir.Duration) string {
	if t := r.node.Tuning.RateLimits; t != nil && (slices.Contains(weir.UsualPeriods, d) || slices.Contains(t.Periods, d)) {
		return ""
	}
	for _, l := range r.node.Limits {
		if limitPeriod(l) == d {
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
	if !r.limits() && !r.aborts() {
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
	for _, d := range r.limitShape().periods {
		owner := r.asksFor(d)
		if owner == "" {
			owner = room
		}
		counters := strings.ReplaceAll("gpc(1),gpc_rate(1,T),http_req_rate(T),http_err_rate(T),bytes_out_rate(T),bytes_in_rate(T)", "T", seconds(d))
		if d == nowTable {
			counters += ",conn_cur"
		}
		s.own(owner, "table %s type binary len 20 size %d expire %s store %s", limitTable(d), entries, seconds(2*d), counters)
	}
	r.legTables(s)
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
	shape := r.limitShape()
	s.add("# rate limits of the site")
	rule("set-var(txn.rl.limits) var(txn.site),map_str(%s)", opt(mapSiteLimits))
	rule("set-var(txn.rl.client) src if { var(txn.rl.limits) -m found }")
	if http {
		// The last address is the trusted proxy's own, added above; the one before is whom it serves.
		rule("set-var(txn.rl.client) req.hdr_ip(X-Forwarded-For,-2) if { var(txn.rl.limits) -m found } { var(sess.trusted) -m found }")
	}
	rule("set-var(txn.rl.hex) var(txn.rl.client),hex")
	rule("set-var(txn.rl.family) var(txn.rl.hex),length")
	rule("set-var(txn.rl.nets) var(txn.rl.client),map_ip(%s)", opt(mapLists))
	for place := range shape.places {
		r.limitPlace(s, rule, shape, place, http)
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
func (r *renderer) limitPlace(s *Section, rule func(string, ...any), shape limitShape, place int, http bool) {
	set := func(name, format string, args ...any) {
		rule("set-var(txn.rl."+name+") "+format, args...)
	}
	set("limit", "var(txn.rl.limits),field(%d,:)", place+1)
	levels := "txn.rl.limit"
	if r.scheduled() {
		levels = "txn.rl.levels"
		set("levels", "var(txn.rl.limit)")
		set("levels", "var(txn.rl.limit),concat(|,txn.times),map_str(%s) if { var(txn.times) -m found }", opt(mapLimitTimes))
	}
	set("terms", "var("+levels+"),concat(|,txn.rl.family,|),concat(,txn.rl.nets,/),map_beg(%s,%s)", opt(mapLimits), unlimited)
	set("what", "var(txn.rl.terms),field(1,:)")
	set("digits", "var(txn.rl.terms),field(2,:)")
	set("key", "var(txn.rl.hex),bytes(0,txn.rl.digits)")
	words, fetches, owners := r.limitNames()
	if http && (shape.path || len(words) > 0) {
		set("by", "var(txn.rl.terms),field(7,:)")
		if shape.path {
			set("key", "path if { var(txn.rl.by) -m str path }")
		}
		for _, word := range words {
			s.own(owners[word], "http-request set-var(txn.rl.key) %s if { var(txn.rl.by) -m str %s } { %s -m len gt 0 }", fetches[word], word, fetches[word])
		}
	}
	set("id", "var(txn.rl.limit),concat(|,txn.site,|),concat(,txn.rl.key),sha1")
	for _, d := range shape.periods {
		rule("track-sc%d var(txn.rl.id) table %s/%s if { var(txn.rl.what) -m end @%s }", place, limitTables, limitTable(d), limitTable(d))
	}
	if shape.kinds[weir.CountConnections] {
		set("pair", "var(txn.site),concat(|,txn.rl.limit) if { var(txn.rl.what) -m beg connections@ }")
		first := fmt.Sprintf("{ var(txn.rl.what) -m beg connections@ } !{ var(txn.rl.pair),strcmp(sess.limited%d) eq 0 }", place)
		rule("sc-inc-gpc(0,%d) if %s", place, first)
		rule("set-var(sess.limited%d) var(txn.rl.pair) if %s", place, first)
	}
	if place > 0 {
		rule("unset-var(txn.rl.n)")
		rule("unset-var(txn.rl.do)")
	}
	for _, c := range limitCounters {
		if shape.kinds[c.kind] && (http || c.tcp) {
			set("n", c.fetch+" if { var(txn.rl.what) -m beg %s@ }", place, c.kind)
		}
	}
	set("soft", "var(txn.rl.terms),field(3,:)")
	set("hard", "var(txn.rl.terms),field(4,:)")
	set("do", "var(txn.rl.terms),field(5,:) if { var(txn.rl.n),sub(txn.rl.soft) -m int gt 0 }")
	set("do", "var(txn.rl.terms),field(6,:) if { var(txn.rl.n),sub(txn.rl.hard) -m int gt 0 }")
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
func (r *renderer) rateLimits(sets *listSets) {
	if !r.limits() {
		return
	}
	for _, path := range []string{mapSiteLimits, mapLimits, mapLimitPages, mapLimitTimes} {
		r.maps[path] = orEmpty(r.maps[path])
	}
	for _, l := range r.node.Limits {
		owner := "RateLimit/" + l.Name
		bits4, bits6 := 32, 64
		if k := l.Key; k != nil {
			bits4, bits6 = k.IPv4, k.IPv6
		}
		for name, levels := range r.limitLevels(l) {
			for digits, bits := range map[string]int{"8": bits4, "32": bits6} {
				key := name + "|" + digits + "|"
				r.put(mapLimits, key, limitTerms(levels, bits/4), owner)
				for _, list := range l.Exempt {
					for _, id := range sets.networks[list] {
						r.put(mapLimits, key+id+"/", unlimited, owner)
					}
				}
			}
		}
		if p := r.limitPage(l); p != nil {
			r.put(mapLimitPages, fmt.Sprintf("%d~%s", l.Soft.Status, l.Name), base64.StdEncoding.EncodeToString([]byte(p.Body)), "ErrorPage/"+p.Name)
		}
	}
}

// limitLevels gives a limit with the levels that it has at different times, by the name that its terms are found by, and
// puts down when which of them hold: of several schedules the first.
func (r *renderer) limitLevels(l ir.RateLimit) map[string]ir.RateLimit {
	out := map[string]ir.RateLimit{l.Name: l}
	for i, at := range l.Schedules {
		then, name := l, fmt.Sprintf("%s@%d", l.Name, i+1)
		if at.Soft != nil && l.Soft != nil {
			soft := *l.Soft
			soft.Above, then.Soft = at.Soft.Above, &soft
		}
		if at.Hard != nil && l.Hard != nil {
			then.Hard = &weir.HardLimit{Above: at.Hard.Above}
		}
		out[name] = then
		for j := range r.node.Sites {
			s := &r.node.Sites[j]
			if !slices.Contains(s.RateLimits, l.Name) {
				continue
			}
			for _, set := range r.times[s.Name].with(at.Schedule) {
				r.put(mapLimitTimes, l.Name+"|"+set, name, "RateLimit/"+l.Name)
			}
		}
	}
	return out
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
	fields[0], fields[1], fields[6] = l.Count+"@"+limitTable(limitPeriod(l)), strconv.Itoa(digits), limitBy(l)
	shadow := l.Mode == weir.LimitShadow
	if s := l.Soft; s != nil {
		fields[2], fields[4] = strconv.Itoa(s.Above), strconv.Itoa(int(s.Status))
		if shadow {
			fields[4] = "soft"
		}
	}
	if h := l.Hard; h != nil {
		fields[3], fields[5] = strconv.Itoa(h.Above), "cut"
		if shadow {
			fields[5] = "hard"
		}
	}
	return strings.Join(fields, ":")
}

// siteLimits says which limits a site has, and of what type their pages are there.
func (r *renderer) siteLimits(s *ir.Site) {
	if len(s.RateLimits) == 0 {
		return
	}
	places := slices.Repeat([]string{none}, weir.MaxRateLimits) // more than there may be rules for: the value stays when places come
	copy(places, s.RateLimits)
	r.put(mapSiteLimits, s.Name, strings.Join(places, ":"), "Site/"+s.Name)
	for _, l := range r.node.Limits {
		if p := r.limitPage(l); p != nil && slices.Contains(s.RateLimits, l.Name) {
			key := fmt.Sprintf("%d|%s/~%d~%s/", l.Soft.Status, s.Name, l.Soft.Status, l.Name)
			r.put(mapPageTypes, key, strings.ReplaceAll(p.ContentType, " ", ""), "ErrorPage/"+p.Name)
		}
	}
}
