package haproxy

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir"
)

// MaxListed is how many addresses of the group's ranges are listed on a bind line; more, or IPv6, is a
// wildcard.
const MaxListed = 64

// port is one port of the group with its mode and the object that asked for it first.
type port struct {
	number weir.Port
	mode   weir.PortMode
	owner  string
}

// ports are those bound in advance and those of the sites. A port that two want in different modes has that
// of the first; the rules between objects don't let it come to that.
func (r *renderer) ports() []port {
	found := map[weir.Port]port{}
	for _, b := range r.node.Tuning.Ports {
		found[b.Port] = port{b.Port, b.Mode, r.tuningOwner()}
	}
	for _, s := range r.node.Sites {
		for _, l := range s.Listeners {
			if _, ok := found[l.Port]; !ok {
				found[l.Port] = port{l.Port, l.Mode, "Site/" + s.Name}
			}
		}
	}
	list := make([]port, 0, len(found))
	for _, p := range found {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b port) int { return int(a.number) - int(b.number) })
	return list
}

func (r *renderer) frontends() {
	r.clientDefaults("http")
	r.clientDefaults("tcp")
	for _, p := range r.ports() {
		if r.binds(p.number) == "" {
			continue
		}
		switch p.mode {
		case weir.PortHTTP, weir.PortHTTPS:
			r.httpFrontend(p, false)
			if r.http3(p) {
				r.httpFrontend(p, true)
			}
		default:
			r.tcpFrontend(p)
		}
	}
}

// normalizes says that there is a frontend that brings paths into their normal form.
func (r *renderer) normalizes() bool {
	return slices.ContainsFunc(r.ports(), func(p port) bool {
		return (p.mode == weir.PortHTTP || p.mode == weir.PortHTTPS) && r.binds(p.number) != ""
	})
}

// clientDefaults is what all frontends of a mode share.
func (r *renderer) clientDefaults(mode string) {
	s := r.section("defaults", "clients-"+mode)
	s.add("mode %s", mode)
	r.commonTimeouts(s)
	s.add("option dontlognull")
	if l := r.env.Log; l.Target != "" {
		format := r.capturedFormat(l.HTTPFormat)
		if mode == "tcp" {
			format = l.TCPFormat
		}
		s.add("%s", l.Target)
		s.add("log-format '%s'", format)
		s.add("error-log-format '%s'", l.ErrorFormat)
	}
	if mode == "tcp" {
		return
	}
	// Without idle-close-on-response a reload breaks keep-alive connections.
	s.add("option idle-close-on-response")
	s.add("timeout tarpit %s", tarpitFor)
	r.errorPages(s)
}

// errorPages lets a site's page stand for HAProxy's own text, by map, with the group's or a plain one behind.
func (r *renderer) errorPages(s *Section) {
	for _, status := range weir.ErrorStatuses {
		owner, body := "", plainPage(status)
		if name, ok := r.node.Tuning.ErrorPages[status]; ok {
			if p := r.page(name); p != nil {
				owner, body = "ErrorPage/"+name, p.Body
			}
		}
		path := mapPages(status)
		r.maps[path] = orEmpty(r.maps[path])
		s.own(owner, `http-error status %d content-type text/html lf-string "%%[var(txn.route,-),field(1,/),map_str(%s,%s),b64dec]"`,
			status, opt(path), base64.StdEncoding.EncodeToString([]byte(body)))
	}
	own := ""
	if r.egresses(0) {
		own = " !" + calls // about which plain text is said
	}
	s.add("http-after-response set-header content-type %%[status,concat(|,txn.route,/),map_beg(%s,text/html)] if { status ge 400 } { res.timer.hdr lt 0 } { var(txn.route) -m found }%s", opt(mapPageTypes), own)
}

func plainPage(status weir.Status3) string {
	return fmt.Sprintf("<!doctype html><title>%d</title><h1>%d</h1>\n", status, status)
}

func orEmpty(m map[string]Entry) map[string]Entry {
	if m == nil {
		return map[string]Entry{}
	}
	return m
}

// binds gives what a port is bound at on this machine.
func (r *renderer) binds(p weir.Port) string {
	if lacksNamespace(r.node.Self, r.env) {
		return ""
	}
	var listed []string
	local := r.localPort(p)
	total := 0
	wild4, wild6 := false, false
	for _, g := range r.node.Group.Ranges {
		if g.Addr().Is6() {
			wild6 = wild6 || g.Bits() < 128
			if g.Bits() == 128 {
				total++
			}
			continue
		}
		if 32-g.Bits() > 16 {
			wild4 = true
			continue
		}
		total += 1 << (32 - g.Bits())
	}
	if total > MaxListed {
		wild4 = true
	}
	if wild4 {
		listed = append(listed, fmt.Sprintf("0.0.0.0:%d", local))
	}
	if wild6 {
		listed = append(listed, fmt.Sprintf("[::]:%d", local))
	}
	for _, g := range r.node.Group.Ranges {
		if g.Addr().Is4() && wild4 || g.Addr().Is6() && wild6 {
			continue
		}
		for a := g.Addr(); g.Contains(a); a = a.Next() {
			listed = append(listed, netip.AddrPortFrom(r.local(a), uint16(local)).String())
		}
	}
	listed = slices.DeleteFunc(listed, func(word string) bool {
		a, err := netip.ParseAddrPort(word)
		return err == nil && r.env.Unbindable[a]
	})
	return strings.Join(listed, ",")
}

// connection is what every frontend does with a new connection.
func (r *renderer) connection(s *Section, p port, quic bool) {
	v6, fastOpen, options, mode := "", r.fastOpen(), "", string(p.mode)
	binds := r.binds(p.number)
	if strings.Contains(binds, "[::]") {
		v6 = " v6only"
	}
	switch {
	case quic:
		binds, mode, options, fastOpen = r.quicBinds(p), QUIC, r.quicOptions(p), ""
	case p.mode == weir.PortHTTPS || p.mode == weir.PortTLSTCP:
		options = r.tlsOptions(p)
	}
	s.own(p.owner, "bind %s name %s-%d%s%s%s%s", binds, mode, p.number, options, v6, fastOpen, r.namespace())
	s.add("tcp-request connection set-var(sess.vip) dst,map_ip(%s)", opt(mapVIPs))
	s.add("tcp-request connection reject unless { var(sess.vip) -m found }")
	if quic {
		return // no proxy stands before it
	}
	s.add("tcp-request connection expect-proxy layer4 if { src,map_ip(%s) -m found }", opt(mapProxies))
}

func (r *renderer) frontend(p port, name string) *Section {
	mode := "http"
	if p.mode != weir.PortHTTP && p.mode != weir.PortHTTPS {
		mode = "tcp"
	}
	path := mapHosts(p.number)
	r.maps[path] = orEmpty(r.maps[path])
	s := r.section("frontend", fmt.Sprintf("%s-%d from clients-%s", name, p.number, mode))
	s.Spare = true
	r.ownLog(s, p)
	return s
}

// ownLog lets a frontend that ends TLS log what it knows of handshakes, and one with a way out what it knows of calls.
func (r *renderer) ownLog(s *Section, p port) {
	l := r.env.Log
	http := l.HTTPFormat
	if p.mode == weir.PortHTTPS && l.HTTPSFormat != "" {
		http = l.HTTPSFormat
	}
	switch {
	case l.Target == "":
	case l.CallItems != "" && r.egresses(p.number):
		s.add("log-format '%s'", strings.TrimSuffix(r.capturedFormat(http), "}")+l.CallItems+"}")
	case p.mode == weir.PortHTTPS && l.HTTPSFormat != "":
		s.add("log-format '%s'", r.capturedFormat(l.HTTPSFormat))
	case p.mode == weir.PortTLSTCP && l.TLSFormat != "":
		s.add("log-format '%s'", l.TLSFormat)
	}
}

func (r *renderer) tlsOptions(p port) string {
	list := crtListFile(p.number)
	strict := ""
	if *r.node.Tuning.StrictSNI {
		strict = " strict-sni"
	}
	more := ""
	if p.mode == weir.PortHTTPS {
		more = " alpn " + usualALPN
	}
	if r.early(p) {
		more += " allow-0rtt"
	}
	if r.env.TicketKeys != "" {
		more += " " + TicketKeysWord + " " + Quoted(r.env.TicketKeys)
	}
	return " ssl crt-list " + list + strict + more
}

// httpFrontend is a port's over TCP, or its second one over QUIC.
func (r *renderer) httpFrontend(p port, quic bool) {
	name := string(p.mode)
	if quic {
		name = QUIC
	}
	s := r.frontend(p, name)
	secure := p.mode == weir.PortHTTPS
	hosts := opt(mapHosts(p.number))
	for _, path := range []string{mapRedirects(p.number), mapPaths(p.number), mapHSTS(p.number), mapEarly(p.number)} {
		r.maps[path] = orEmpty(r.maps[path]) // those that the text names
	}
	proto, same := "http", ""
	if secure {
		proto = "https"
	}
	r.connection(s, p, quic)
	// The log's Host, as the client wrote it, for every request, refused ones too.
	s.add("capture request header Host len 255")
	r.compressFilter(s)
	s.add("tcp-request session set-var(sess.trusted) src,map_ip(%s)", opt(mapForwarders))
	if secure {
		// The site that the client named in the handshake, once per connection.
		s.add("tcp-request session set-var(sess.host) ssl_fc_sni,lower")
		hostLookup(s, "tcp-request session", "sess.named", "sess.host", hosts, "{ ssl_fc_has_sni }")
		s.add("tcp-request session set-var(sess.named) str(-) if { ssl_fc_has_sni } !{ var(sess.named) -m found }")
		r.strictTransport(s, p)
		if r.early(p) && !quic {
			r.refuseEarly(s, p)
		}
		if r.http3(p) {
			r.alternative(s, p)
		}
		r.noteFirst(s) // the connection's rules must come before
		if quic {
			// Other sites at the port are for those who come over TCP.
			s.add("http-request deny deny_status 421 unless { var(sess.http3) -m found }")
		}
		same = " { var(txn.route),field(1,/),strcmp(sess.named) eq 0 }"
	}
	if challengesAt(p) {
		r.answerChallenges(s)
	}
	s.add("# who the client is; others are believed only when they are in the map")
	s.add("http-request set-header X-Forwarded-For %%[src] unless { var(sess.trusted) -m found }")
	s.add("http-request set-header X-Forwarded-Proto %s unless { var(sess.trusted) -m found }", proto)
	s.add("http-request add-header X-Forwarded-For %%[src] if { var(sess.trusted) -m found }")
	s.add("http-request del-header Forwarded unless { var(sess.trusted) -m found }")

	// Sites that have anything done to answers go the long way, all others pay one look for it.
	s.add("http-response allow if !{ var(txn.long) -m found }")
	// The short way: host and path as they stand begin with a key of the map, the site that it belongs to
	// has the connection's address, no zone has sent anything back lately, and the pool of the address's home zone has
	// servers. What is done here is done for every request: docs/decisions/0008-short-way.md has the prices.
	s.add("# the short way: host and path name a route, route and address a pool; it is taken if the pool has servers")
	s.add("http-request set-var(txn.route) base,map_beg(%s)", opt(mapPaths(p.number)))
	s.add("http-request set-var(txn.be) var(txn.route),concat(@,sess.vip),map_str(%s)", opt(mapPools))
	s.add("http-request allow if !{ var(proc.down) -m found } { var(txn.be),nbsrv gt 0 }%s", same)

	r.longWay(s, p, hosts, secure)
	r.keepZone(s)
	s.add("use_backend %%[var(txn.be)]")
}

// noteFirst notes for the log which request is the first of its connection: HAProxy's own http_first_req says of none over
// HTTP/2 that it is.
func (r *renderer) noteFirst(s *Section) {
	if r.env.Log.HTTPSFormat == "" {
		return
	}
	s.add("http-request set-var(txn.first) int(1) if !{ var(sess.known) -m found }")
	s.add("http-request set-var(sess.known) int(1) if { var(txn.first) -m found }")
}

// longWay is everything that the short way leaves: other spellings of the host, other kinds of routes,
// refusals, redirects, and zones without servers. It decides anew and alone: the short way only foretells it.
func (r *renderer) longWay(s *Section, p port, hosts string, secure bool) {
	rule := func(format string, args ...any) { s.add("http-request "+format, args...) }
	s.add("# the long way: other spellings of hosts, other kinds of routes, refusals, redirects, zones without servers")
	rule("set-var(txn.long) int(1)")
	rule("unset-var(txn.route)")
	rule("unset-var(txn.be)")
	// A CONNECT names no path, so that it always comes this way. The tunnel that an origin could answer with
	// would carry requests that nobody looks at, with whatever X-Forwarded-For.
	rule("deny deny_status 405 if METH_CONNECT")
	rule("set-var(txn.host) req.hdr(host),host_only,lower,rtrim(.)")
	rule("deny deny_status 400 if !HTTP_1.0 !{ var(txn.host) -m len gt 0 }")
	hostLookup(s, "http-request", "txn.site", "txn.host", hosts, "")
	rule("deny deny_status 404 if !{ var(txn.site) -m found }")
	// Until it is known, the route is the site alone, for the log and the error pages.
	rule("set-var(txn.route) var(txn.site),ltrim(%s)", Redirecting)
	r.siteLog(s)
	if secure {
		// A request that came by a connection for another site (RFC 9110, 15.5.20).
		rule("deny deny_status 421 if { var(sess.named) -m found } !{ var(txn.site),strcmp(sess.named) eq 0 }")
	}
	rule("set-var(txn.to) var(txn.site),map_str(%s)", opt(mapRedirects(p.number)))
	rule("redirect code 308 location https://%%[var(txn.host)]%%[pathq] if { var(txn.to) -m str 443 }")
	rule("redirect code 308 location https://%%[var(txn.host)]:%%[var(txn.to)]%%[pathq] if { var(txn.to) -m found }")

	r.egress(s, p)
	normalPath(rule)
	r.timeRules(rule)
	r.limitRules(s, true)

	unrouted := "if { var(txn.route),strcmp(txn.site) eq 0 }"
	rule("set-var(txn.path) path")
	rule("set-var(txn.lists) src,map_ip(%s)", opt(mapLists))
	r.maintenance(rule)
	r.conditions(rule)
	rule("set-var(txn.route) var(txn.site),concat(|,txn.lists),map_str(%s) %s { var(txn.lists) -m found }", opt(mapListRoutes), unrouted)
	for _, step := range []struct{ join, converter, path string }{
		{"|,txn.path", "map_str", mapExact},
		{",txn.path,/", "map_beg", mapPrefixes},
		{"|,txn.path", "map_reg", mapRegexes},
		{"|,txn.path", "map_str", mapUserExact},
		{",txn.path,/", "map_beg", mapUserPrefixes},
		{"|,txn.path", "map_reg", mapUserRegexes},
	} {
		rule("set-var(txn.route) var(txn.site),concat(%s),%s(%s) %s", step.join, step.converter, opt(step.path), unrouted)
	}
	rule("set-var(txn.route) var(txn.site),concat(/default) %s", unrouted)
	r.outcomes(rule)
	r.responseHeaders(s)
	r.countLegs(s)
	r.siteLogic(s)
	r.split(s, p, rule)
	r.egressClosed(s, p)
	r.egressServers(s, p)
	r.egressRoom(s, p)
	r.egressLeg(s, p)
	// What knew that no zone sends back what it gets is over when the last one has its share again.
	rule("unset-var(proc.down) if { var(proc.down) -m found } { date,sub(proc.down) gt 0 }")
	c := chooser{r: r, s: s, rule: "http-request"}
	c.usual()
	c.choose()
}

// hostLookup finds the site of a host that the exact spelling didn't find: below up to five labels of a
// wildcard, then any host.
func hostLookup(s *Section, rule, site, host, hosts, also string) {
	missing := strings.TrimRight(fmt.Sprintf("if !{ var(%s) -m found } %s", site, also), " ")
	s.add("%s set-var(%s) var(%s),concat(|,sess.vip),map_str(%s) %s", rule, site, host, hosts, missing)
	for labels := 2; labels <= 6; labels++ {
		scope, _, _ := strings.Cut(site, ".")
		s.add("%s set-var(%s.parent) var(%s),field(%d,.,0) %s", rule, scope, host, labels, missing)
		s.add("%s set-var-fmt(%s.wild) *.%%[var(%s.parent)] %s", rule, scope, scope, missing)
		s.add("%s set-var(%s) var(%s.wild),concat(|,sess.vip),map_str(%s) %s", rule, site, scope, hosts, missing)
	}
	s.add("%s set-var(%s) str(*),concat(|,sess.vip),map_str(%s) %s", rule, site, hosts, missing)
}

func (r *renderer) tcpFrontend(p port) {
	s := r.frontend(p, string(p.mode))
	r.connection(s, p, false)
	hosts := opt(mapHosts(p.number))
	rule := "tcp-request content"
	if p.mode == weir.PortTLSPassthrough {
		s.add("tcp-request inspect-delay 5s")
		// Waits for a whole greeting, and for nothing else: what is none is cut off at once.
		s.add("tcp-request content reject if !{ req.ssl_hello_type 1 }")
		s.add("tcp-request content set-var(txn.host) req.ssl_sni,lower")
		hostLookup(s, rule, "txn.site", "txn.host", hosts, "{ req.ssl_hello_type 1 }")
		s.add("tcp-request content reject if { req.ssl_hello_type 1 } !{ var(txn.site) -m found }")
	} else {
		s.add("tcp-request content set-var(txn.site) var(sess.vip),map_str(%s)", hosts)
		s.add("tcp-request content reject if !{ var(txn.site) -m found }")
	}
	r.timeRules(func(format string, args ...any) { s.add(rule+" "+format, args...) })
	r.limitRules(s, false)
	s.add("tcp-request content set-var(txn.route) var(txn.site),concat(/default)")
	c := chooser{r: r, s: s, rule: rule, tcp: true}
	c.usual()
	c.choose()
	if p.mode == weir.PortTLSPassthrough {
		s.add("tcp-request content accept if { req.ssl_hello_type 1 }")
	}
	s.add("use_backend %%[var(txn.be)] if { var(txn.be) -m found }")
}
