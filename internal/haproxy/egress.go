package haproxy

import (
	"fmt"
	"slices"

	"weir"
	"weir/internal/ir"
)

// The maps of calls to partners. A call's path begins with six elements, /client/environment/partner/environment/service/level,
// of which the first two are the caller.
const (
	mapEgress         = "maps/egress.map"          // egress site → 1
	mapEgressNets     = "maps/egress-sources.map"  // source network → the set of callers that call from there
	mapEgressWho      = "maps/egress-clients.map"  // application, site|caller → EgressClient, set|caller → 1
	mapEgressSubjects = "maps/egress-subjects.map" // EgressClient → SHA-256 of its certificate's subject, in hexadecimal
	mapEgressRules    = "maps/egress-rules.map"    // the six elements → service|methods, any, paths or never|EgressRule|where its moments begin|Schedule; Schedules|the six elements → the same while they hold
	mapEgressHours    = "maps/egress-hours.map"    // from:to, moments of rules → the Schedules that hold then, with "+" between
	mapEgressPaths    = "maps/egress-paths.map"    // the six elements and a prefix/, after Schedules| while they hold → methods or any
	mapEgressMethod   = "maps/egress-methods.map"  // methods|method → 1 where it is among them
	mapEgressLevels   = "maps/egress-levels.map"   // level → connect:server:client:in flight:again:connections, times in milliseconds
	mapEgressHost     = "maps/egress-host.map"     // backend → Host
	mapEgressPath     = "maps/egress-path.map"     // backend → what stands before the path
	mapEgressRoom     = "maps/egress-room.map"     // backend → how many calls may be under way
)

var egressFiles = []string{mapEgress, mapEgressNets, mapEgressWho, mapEgressSubjects, mapEgressRules, mapEgressHours, mapEgressPaths, mapEgressMethod, mapEgressLevels, mapEgressHost, mapEgressPath, mapEgressRoom, mapEgressNames}

// flightCounter is the stick counter of what is under way, by service and level, in the table of the frontend; those before
// it are of rate limits and splits.
const flightCounter = legCounter + 1

// Refused begins, after the site, the route of a call that no rule lets through, before one of RefusedFor.
const Refused = "!"

// RefusedFor are why a call to a partner is refused, as routes and figures have it.
var RefusedFor = []string{"form", "client", "environment", "source", "certificate", "rule", "schedule", "method", "path", "full", "maintenance"}

// egresses says that a site of the group is a way out, at a port or at any for 0.
func (r *renderer) egresses(p weir.Port) bool {
	return slices.ContainsFunc(r.node.Sites, func(s ir.Site) bool {
		return s.Egress != nil && (p == 0 || slices.ContainsFunc(s.Listeners, func(l ir.Listener) bool { return l.Port == p && l.RedirectTo == 0 }))
	})
}

// egressPath is what the path of a call begins with: six elements that can be read in one way alone.
const egressPath = `^(/[a-z0-9][a-z0-9_-]{0,62}){6}(/|$)`

// unwritten is a byte that an address must not have as it is (RFC 3986, 2); over HTTP/2 HAProxy lets those above 127 through.
const unwritten = `[^!-~]`

// twoWays is what a server may read as another path than a rule's prefix is held against: a letter or digit that is encoded
// though it need not be (RFC 3986, 2.3), or an empty element.
const twoWays = `(?i)//|%(2d|2e|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])`

// Conditions of calls to partners, about which variables are called txn.eg, and of those that nothing refuses so far.
const (
	calls  = "{ var(txn.eg) -m found }"
	passes = calls + " !{ var(txn.eg.why) -m found }"
)

// egress finds the rule by which a call goes to a partner, or refuses it; what is sent has nothing of the inside.
func (r *renderer) egress(s *Section, p port) {
	if !r.egresses(p.number) {
		return
	}
	rule := func(format string, args ...any) { s.add("http-request "+format, args...) }
	set := func(name, format string, args ...any) {
		rule("set-var(txn.eg.%s) %s if %s", name, fmt.Sprintf(format, args...), passes)
	}
	// refuse notes a reason, and what is said, unless there is one already.
	refuse := func(reason, unless, text string) {
		rule(`set-var-fmt(txn.eg.no) "%s" if %s %s`, text, passes, unless)
		rule("set-var(txn.eg.why) str(%s) if %s { var(txn.eg.no) -m found }", reason, passes)
	}
	s.add("# calls to partners: who, from where, whom and what, each by a rule")
	s.add("option h1-case-adjust-bogus-client")
	s.add("stick-table type binary len 20 size 100k expire 1m store conn_cur")
	rule("set-var(txn.eg) var(txn.site),map_str(%s)", opt(mapEgress))
	set("path", "path")
	refuse("form", fmt.Sprintf("!{ var(txn.eg.path) -m reg %s }", Quoted(egressPath)),
		"the path must be /client/environment/partner/environment/service/level/..., six plain words in lower case")
	refuse("form", fmt.Sprintf("{ pathq -m reg %s }", Quoted(unwritten)), "the address has a byte that must be written with %%")
	refuse("form", fmt.Sprintf("{ var(txn.eg.path) -m reg %s }", Quoted(weir.EgressClimb)),
		"the path has an element . or .., plain or encoded, by which it could lead elsewhere")
	for _, part := range [][2]string{{"app", "2,/"}, {"env", "3,/"}, {"caller", "2,/,2"}, {"service", "4,/,3"}, {"level", "7,/"}, {"key", "2,/,6"}} {
		set(part[0], "var(txn.eg.path),field(%s)", part[1])
	}
	refuse("client", fmt.Sprintf("!{ var(txn.eg.app),map_str(%s) -m found }", opt(mapEgressWho)),
		"no EgressClient is called %[var(txn.eg.app)]")
	set("client", "var(txn.site),concat(|,txn.eg.caller),map_str(%s)", opt(mapEgressWho))
	refuse("environment", "!{ var(txn.eg.client) -m found }",
		"no EgressClient %[var(txn.eg.app)] of environment %[var(txn.eg.env)] may call here")
	set("from", "src,map_ip(%s)", opt(mapEgressNets))
	refuse("source", fmt.Sprintf("!{ var(txn.eg.from),concat(|,txn.eg.caller),map_str(%s) -m found }", opt(mapEgressWho)),
		"EgressClient/%[var(txn.eg.client)] does not call from %[src]")
	// A connection may have been made for another of the port's names: then nobody was asked for a certificate.
	set("subject", "var(txn.eg.client),map_str(%s)", opt(mapEgressSubjects))
	rule("set-var(txn.eg.shown) ssl_c_s_dn(,0,rfc2253),sha2(256),hex if %s { var(txn.eg.subject) -m found } { ssl_c_used } { ssl_c_verify 0 }", passes)
	refuse("certificate", "{ var(txn.eg.subject) -m found } !{ var(txn.eg.shown),strcmp(txn.eg.subject) eq 0 }",
		"EgressClient/%[var(txn.eg.client)] calls with a certificate of its own, which was not shown")
	set("rule", "var(txn.eg.key),map_str(%s)", opt(mapEgressRules))
	refuse("rule", "!{ var(txn.eg.rule) -m found }",
		"no EgressRule lets EgressClient/%[var(txn.eg.client)] call %[var(txn.eg.service)] at level %[var(txn.eg.level)]")
	// Where rules go by Schedules, what those let through that hold at this second is an entry of its own.
	const timely = "{ var(txn.eg.hours) -m found }"
	rule("set-var(txn.eg.hours) var(txn.eg.rule),field(4,|) if %s { var(txn.eg.rule),field(4,|) -m len gt 0 }", passes)
	rule("set-var(txn.eg.now) date,add(txn.eg.hours),map_int(%s) if %s %s", opt(mapEgressHours), passes, timely)
	rule("set-var(txn.eg.rule) var(txn.eg.now),concat(|,txn.eg.key),map_str(%s) if %s { var(txn.eg.now) -m found }", opt(mapEgressRules), passes)
	set("methods", "var(txn.eg.rule),field(2,|)")
	set("by", "var(txn.eg.rule),field(3,|)")
	refuse("schedule", "{ var(txn.eg.methods) -m str never }",
		"EgressRule/%[var(txn.eg.by)] holds only while Schedule/%[var(txn.eg.rule),field(5,|)] does")
	const some = "{ var(txn.eg.methods) -m str paths }"
	refuse("form", fmt.Sprintf("%s { var(txn.eg.path) -m reg %s }", some, Quoted(twoWays)),
		"where EgressRules go by paths, what needs no %% must be written without, and there is no //")
	rule("set-var(txn.eg.at) var(txn.eg.path),field(2,/,0),concat(/) if %s %s", passes, some)
	rule("set-var(txn.eg.at) var(txn.eg.now),concat(|,txn.eg.at) if %s %s { var(txn.eg.now) -m found }", passes, some)
	rule("set-var(txn.eg.let) var(txn.eg.at),map_beg(%s) if %s %s", opt(mapEgressPaths), passes, some)
	refuse("path", some+" !{ var(txn.eg.let) -m found }", "EgressRule/%[var(txn.eg.by)] lets nothing through at this path")
	rule("set-var(txn.eg.methods) var(txn.eg.let) if %s %s", passes, some)
	set("method", "method")
	refuse("method", fmt.Sprintf("!{ var(txn.eg.methods) -m str any } !{ var(txn.eg.methods),concat(|,txn.eg.method),map_str(%s) -m found }", opt(mapEgressMethod)),
		"EgressRule/%[var(txn.eg.by)] lets no %[method] through here")
	refuse("method", fmt.Sprintf("!{ var(txn.eg.methods) -m str any } { req.hdr_names -m reg %s }", Quoted(weir.EgressMethods)),
		"EgressRule/%[var(txn.eg.by)] goes by methods, and a header asks for another one than %[method]")
	rule("set-var(txn.route) var(txn.site),concat(/%s,txn.eg.why) if { var(txn.eg.why) -m found }", Refused)
	const says = `return status %d content-type text/plain lf-string "%%[var(txn.eg.no)]\n" if { var(txn.eg.why) -m %s }`
	rule(says, 400, "str form")
	rule(says, 403, "found")

	rule("set-var(txn.eg.to) var(txn.eg.rule),field(1,|) if %s", calls)
	rule("set-var(txn.route) var(txn.site),concat(/,txn.eg.to) if %s", calls)
	r.egressLevel(rule)
	// What the partner sees: the rest as it was written, and nothing that says who is inside.
	rule("set-uri %%[pathq] if %s !{ url -m beg / }", calls) // the whole address, as proxies are asked, has the inside name
	rule("set-path /%%[path,field(8,/,0)] if %s", calls)
	rule("del-header %s -m reg if %s", Quoted(weir.EgressInside), calls)
	// An upgrade to anything but a WebSocket, HTTP/2 above all, would be a way past rules of methods and paths.
	rule("del-header upgrade if %s { req.hdr_cnt(upgrade) gt 1 }", calls)
	rule("del-header upgrade if %s !{ req.hdr(upgrade) -m str -i websocket }", calls)
	// What an application says of its own connection is nothing for the partner's, and could name any header to be left out.
	rule("del-header connection if %s !{ req.hdr(upgrade) -m found }", calls)
	rule("set-header Connection upgrade if %s { req.hdr(upgrade) -m found }", calls)
	s.add("http-after-response set-header content-type %%[var(txn.eg.type)] if { var(txn.eg.type) -m found }") // of maintenance
}

// egressLevel reads what the service level says.
func (r *renderer) egressLevel(rule adder) {
	rule("set-var(txn.eg.terms) var(txn.eg.level),map_str(%s) if %s", opt(mapEgressLevels), calls)
	for i, name := range []string{"connect", "server", "client", "room"} {
		rule("set-var(txn.eg.in.%s) var(txn.eg.terms),field(%d,:),add(0) if %s", name, i+1, calls)
	}
	rule("set-var(txn.eg.again) var(txn.eg.terms),field(5,:) if %s", calls)
	rule("set-var(txn.eg.own) uuid if %s { var(txn.eg.terms),field(6,:) -m str %s }", calls, weir.ConnectionsOwn)
	rule("set-timeout client var(txn.eg.in.client) if %s { var(txn.eg.in.client) -m int gt 0 }", calls)
}

// egressRoom refuses calls at once where as many are under way as the level allows.
func (r *renderer) egressRoom(s *Section, p port) {
	if !r.egresses(p.number) {
		return
	}
	rule := func(format string, args ...any) { s.add("http-request "+format, args...) }
	const bounded = calls + " { var(txn.eg.in.room) -m int gt 0 }"
	rule("set-var(txn.eg.key) var(txn.site),concat(/,txn.eg.service),concat(|,txn.eg.level),sha1 if %s", bounded)
	rule("track-sc%d var(txn.eg.key) if %s", flightCounter, bounded)
	full := fmt.Sprintf("if %s { sc_conn_cur(%d),sub(txn.eg.in.room) gt 0 }", bounded, flightCounter)
	rule("set-var(txn.route) var(txn.site),concat(/,txn.eg.to),concat(%s) %s", refusedFull, full)
	rule("unset-var(txn.sp.window) %s", full) // the leg is not at fault
	rule(`return status 503 content-type text/plain hdr Retry-After 1 lf-string "%%[var(txn.eg.in.room)] calls to %%[var(txn.eg.service)] at level %%[var(txn.eg.level)] are under way, as many as there may be\n" %s`, full)
}

// egressLeg tells callers by which service a Split had them served, and keeps its cookie from partners.
func (r *renderer) egressLeg(s *Section, p port) {
	if !r.egresses(p.number) {
		return
	}
	s.add(`http-request set-var-fmt(txn.eg.service) "%%[var(txn.sp.leg),field(2,/),field(1,.)]/%%[var(txn.sp.leg),field(2,.)]/%%[var(txn.sp.leg),field(3,.)] for %%[var(txn.eg.service)]" if %s { var(txn.sp.leg) -m found }`, calls)
	const has = "{ req.cook(" + splitCookie + ") -m found }"
	for _, cookie := range [][2]string{{"^(.*); ?" + splitCookie + "=[^;]*(.*)$", `\1\2`}, {"^" + splitCookie + "=[^;]*(; ?)?(.*)$", `\2`}} {
		s.add("http-request replace-header Cookie %s %s if %s %s", Quoted(cookie[0]), Quoted(cookie[1]), calls, has)
	}
	s.add("http-request del-header Cookie if %s { req.hdr(Cookie) -m found } !{ req.hdr(Cookie) -m len gt 0 }", calls)
}

// refusedFull ends the route of a call for which there was no room.
const refusedFull = "+full"

// egressProfile is what is done with a call at the service that serves it, which a split may have chosen.
func (r *renderer) egressProfile(s *Section) {
	// The log has what was called as the route, and what serves it as the backend.
	s.add("http-request set-var(txn.route) var(txn.site),concat(/,txn.eg.to) if { var(txn.sp.leg) -m found }")
	s.add("option h1-case-adjust-bogus-server")
	s.add("retries 3")
	s.add("retry-on conn-failure empty-response junk-response response-timeout 502 503 504")
	s.add("http-reuse aggressive")
	// Kept connections are looked for by this name (pool-conn-name), which no other call has.
	s.add("http-request set-header Connection close if { var(txn.eg.own) -m found } !{ req.hdr(upgrade) -m found }")
	s.add("option abortonclose") // as 3.4 does by itself: who has left holds no room, and is not the partner's fault
	s.add("http-request disable-l7-retry unless { var(txn.eg.again) -m str all } or { var(txn.eg.again) -m str idempotent } { method GET HEAD OPTIONS PUT DELETE }")
	s.add("http-request set-timeout server var(txn.eg.in.server)")
	if r.can.SetTimeouts {
		s.add("http-request set-timeout connect var(txn.eg.in.connect)")
	}
	s.add("http-request set-header Host %%[be_name,map_str(%s)]", opt(mapEgressHost))
	s.add("http-request set-var(txn.eg.base) be_name,map_str(%s)", opt(mapEgressPath))
	s.add("http-request set-path %%[var(txn.eg.base)]%%[path] if { var(txn.eg.base) -m found }")
	s.add("http-request set-var(txn.eg.room) be_name,map_str_int(%s,0)", opt(mapEgressRoom))
	s.add("http-request set-var(txn.eg.over) be_conn,sub(txn.eg.room) if { var(txn.eg.room) -m int gt 0 }")
	s.add("http-request set-var(txn.route) var(txn.route),concat(%s) if { var(txn.eg.over) -m int gt 0 }", refusedFull)
	s.add(`http-request return status 503 content-type text/plain hdr Retry-After 1 lf-string "%%[var(txn.eg.room)] calls to %%[var(txn.eg.service)] are under way, as many as it takes\n" if { var(txn.eg.over) -m int gt 0 }`)
	r.egressNames(s)
	egressErrors(s)
}
