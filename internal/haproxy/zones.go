package haproxy

import (
	"fmt"

	"weir/internal/ir"
)

// zoneCookie holds the zone that a client keeps, by its name, at sites that ask for that. A cookie's name is text, so
// that it is the same for all sites.
const zoneCookie = "WEIRZONE"

// zoneHeader tells, from one pass through HAProxy to the one before it, the slot of the zone that answered.
const zoneHeader = "X-Weir-Zone"

// chooser writes the rules by which a request finds its zone, into one frontend. They are the same for every site: what
// varies is in maps.
type chooser struct {
	r *renderer
	s *Section
	// rule begins each line: "http-request" or "tcp-request content".
	rule string
	// tcp connections keep their zone by a hash of the client.
	tcp bool
	// second says that the request was here before and was sent back, by the backend of txn.from.
	second bool
}

func (c chooser) add(format string, args ...any) { c.s.add(c.rule+" "+format, args...) }

func (c chooser) set(name, format string, args ...any) {
	c.add("set-var(txn.%s) %s", name, fmt.Sprintf(format, args...))
}

// usual ends the search where the home zone's pool takes the request: it has servers, and nothing was sent back by it
// lately. A site that has more to say about zones is not in the map.
func (c chooser) usual() {
	done := "allow"
	if c.tcp {
		done = "accept"
	}
	c.set("be", "var(txn.route),concat(@,sess.vip),map_str(%s)", opt(mapPools))
	if wait, ramp := c.r.zoneReturn(); wait+ramp > 0 {
		c.set("noted", "var(txn.be),table_gpt(0,%s)", notesTable)
		c.add("%s if { var(txn.be),nbsrv gt 0 } { var(txn.noted) -m int 0 }", done)
	} else {
		c.add("%s if { var(txn.be),nbsrv gt 0 }", done)
	}
	c.add("unset-var(txn.be)")
}

// choose goes through the slots once and notes the best of three kinds: the zone that the client keeps, the home zone,
// and one of all by their shares; then takes the first of these, else any zone with a server, else every server there
// is, else the site's fallback. A variable keeps its value when an expression gives none.
func (c chooser) choose() {
	c.s.add("# which zone: the client's own, the home, one by its share; else any; else every server, whatever its health")
	c.set("site", "var(txn.route),field(1,/)")
	if c.second {
		c.r.timeRules(c.add)
	}
	if c.r.scheduled() {
		c.set("shifting", "var(txn.site)")
		c.set("shifting", "var(txn.site),concat(|,txn.times) if { var(txn.times) -m found }")
	}
	c.set("zones", "var(txn.route),map_str(%s)", opt(mapZones))
	c.set("now", "date")
	c.set("least", "var(txn.site),map_str_int(%s,1)", opt(mapLeast))
	c.set("weights", "var(txn.site),map_str(%s,%s)", opt(mapWeights), evenWeights)
	c.set("home", "var(sess.vip),map_str_int(%s,0)", opt(mapHomes))
	c.set("home", "int(0) if { var(txn.site),map_str(%s) -m found }", opt(mapHomeless))
	if c.tcp {
		c.add("set-var(txn.client) src")
	} else {
		c.set("keep", "var(txn.site),map_str_int(%s)", opt(mapKeep))
		c.set("own", "int(0)")
		c.set("own", "req.cook(%s),map_str_int(%s,0) if { var(txn.keep) -m found } { req.cook(%s) -m found }", zoneCookie, opt(mapSlots), zoneCookie)
	}
	for _, name := range []string{"total", "idles", "spares", "won", "idle", "spare", "best", "at"} {
		c.set(name, "int(0)")
	}
	for k := 1; k <= ir.Slots; k++ {
		c.slot(k)
	}
	c.set("at", "var(txn.spare)")
	c.set("at", "var(txn.idle) if { var(txn.idle) -m int gt 0 }")
	c.set("at", "var(txn.won) if { var(txn.won) -m int gt 0 }")
	c.set("at", "var(txn.home) if { var(txn.homely) -m found }")
	if !c.tcp {
		c.set("at", "var(txn.own) if { var(txn.owned) -m found }")
	}
	for k := 1; k <= ir.Slots; k++ {
		c.set("be", "var(txn.zones),field(%d,:) if { var(txn.at) -m int %d }", k, k)
	}
	c.regardless()
}

// slot looks at one zone. It is out when the request was there already, when it has no servers, and, with growing
// chances of being in, for a while after something was sent back by it.
func (c chooser) slot(k int) {
	c.set("one", "var(txn.zones),field(%d,:)", k)
	c.set("up", "int(0)")
	out := ""
	if c.second {
		c.add("set-var-fmt(txn.tried) %%[var(txn.tried)]%d if { var(txn.one),strcmp(txn.from) eq 0 }", k)
		out = fmt.Sprintf(" if !{ var(txn.tried) -m sub %d }", k)
	}
	c.set("up", "var(txn.one),nbsrv%s", out)
	up := "if { var(txn.up) -m int gt 0 }"
	wait, ramp := c.r.zoneReturn()
	if wait+ramp > 0 {
		c.set("noted", "var(txn.one),table_gpt(0,%s) %s", notesTable, up)
		c.set("rested", "var(txn.now),sub(txn.noted),sub(%d) %s", wait, up)
		if ramp > 0 {
			c.set("rested.by", "rand(%d) %s", ramp, up)
			c.set("rested", "var(txn.rested),sub(txn.rested.by) %s", up)
		}
		c.set("up", "int(0) %s { var(txn.rested) -m int lt 0 }", up)
	}
	// Any zone with a server, each as likely as the others.
	c.set("spares", "var(txn.spares),add(1) %s", up)
	c.set("roll", "rand(1000000),mod(txn.spares) %s", up)
	c.set("spare", "int(%d) %s { var(txn.roll) -m int 0 }", k, up)
	// Those that are available: with enough servers, and not shifted.
	c.set("free", "var(txn.up),sub(txn.least)")
	site := "txn.site"
	if c.r.scheduled() {
		site = "txn.shifting"
	}
	c.set("until", "var("+site+"),concat(@%d),map_str_int(%s,0),sub(txn.now)", k, opt(mapShifts))
	free := "if { var(txn.free) -m int ge 0 } { var(txn.until) -m int le 0 } " + up[3:]
	c.set("weight", "var(txn.weights),field(%d,:)", k)
	// Without a share it is for when no other is available.
	idle := free + " { var(txn.weight) -m int 0 }"
	c.set("idles", "var(txn.idles),add(1) %s", idle)
	c.set("roll", "rand(1000000),mod(txn.idles) %s", idle)
	c.set("idle", "int(%d) %s { var(txn.roll) -m int 0 }", k, idle)
	if c.tcp {
		// The highest hash of client and zone, so that none moves but those whose zone goes; with shares a hash in
		// place of chance.
		c.set("hash", "var(txn.one),concat(/,txn.client),xxh32(7) %s", free)
		c.set("over", "var(txn.hash),sub(txn.best) %s", free)
		even := fmt.Sprintf("%s { var(txn.weights) -m str %s } { var(txn.over) -m int gt 0 }", free, evenWeights)
		c.set("won", "int(%d) %s", k, even)
		c.set("best", "var(txn.hash) %s", even)
		shared := fmt.Sprintf("%s !{ var(txn.weights) -m str %s } { var(txn.weight) -m int gt 0 }", free, evenWeights)
		c.set("total", "var(txn.total),add(txn.weight) %s", shared)
		c.set("roll", "var(txn.hash),mod(txn.total),sub(txn.weight) %s", shared)
		c.set("won", "int(%d) %s { var(txn.roll) -m int lt 0 }", k, shared)
	} else {
		shared := free + " { var(txn.weight) -m int gt 0 }"
		c.set("total", "var(txn.total),add(txn.weight) %s", shared)
		c.set("roll", "rand(1000000),mod(txn.total),sub(txn.weight) %s", shared)
		c.set("won", "int(%d) %s { var(txn.roll) -m int lt 0 }", k, shared)
		c.set("owned", "int(1) %s { var(txn.own) -m int %d }", free, k)
	}
	c.set("homely", "int(1) %s { var(txn.home) -m int %d }", free, k)
}

// zoneReturn gives for how long a zone that has sent something back gets nothing, and over how long after that its share
// grows, both in seconds.
func (r *renderer) zoneReturn() (wait, ramp int) {
	w, g := r.node.Tuning.ZoneReturn.Returning()
	return int(w.D().Seconds()), int(g.D().Seconds())
}

// keepZone writes the cookie of a client that keeps its zone, when another one than it says has answered.
func (r *renderer) keepZone(s *Section) {
	keeps := "{ var(txn.keep) -m found }"
	s.add("# the zone that the client keeps; in front of what was sent back the next pass tells which one it is")
	s.add("http-response set-var(txn.at) res.hdr(%s) if %s { srv_name -m beg %s }", zoneHeader, keeps, againName)
	s.add("http-response del-header %s if %s { srv_name -m beg %s }", zoneHeader, keeps, againName)
	s.add("http-response set-var(txn.zone) var(txn.at),map_str(%s) if %s", opt(mapZoneNames), keeps)
	s.add("http-response set-var(txn.moved) int(1) if %s { var(txn.zone) -m found } !{ var(txn.at),strcmp(txn.own) eq 0 }", keeps)
	s.add(`http-response add-header Set-Cookie "%s=%%[var(txn.zone)]; Path=/; Max-Age=%%[var(txn.keep)]; HttpOnly; SameSite=Lax" if { var(txn.moved) -m found }`, zoneCookie)
	s.add("http-response add-header Cache-Control private if { var(txn.moved) -m found }")
}
