package haproxy

import (
	"fmt"
	"net/netip"
	"strings"

	"weir"
)

// QUIC is how a frontend of HTTP/3 is called, in place of the port's mode: it is one of its own beside that of the port over
// TLS, so that requests over TLS are asked nothing more.
const QUIC = "quic"

// altSvcAge is how many seconds clients remember that a site answers HTTP/3. They go on without when they don't reach it.
const altSvcAge = 3600

// altSvc is the header by which clients learn of HTTP/3 (RFC 9114, 3.1.1), without blanks.
func altSvc(p weir.Port) string { return fmt.Sprintf(`h3=":%d";ma=%d`, p, altSvcAge) }

// http3 says whether some site at a port answers HTTP/3, and the machine can listen for it. In a network namespace nobody
// does: HAProxy answers no handshake there (3.4.7, 3.2.26), and compiling tells the site.
func (r *renderer) http3(p port) bool {
	return r.node.Self.Namespace == "" && p.mode == weir.PortHTTPS && len(r.maps[mapHTTP3(p.number)]) > 0 && r.quicBinds(p) != ""
}

// alternative tells clients of a site that asks for it that it answers HTTP/3. Who is told what site a connection is for
// is as in strictTransport.
func (r *renderer) alternative(s *Section, p port) {
	s.add("tcp-request session set-var(sess.http3) var(sess.named),map_str(%s)", opt(mapHTTP3(p.number)))
	s.add("http-after-response set-header Alt-Svc %%[var(sess.http3)] if { var(sess.http3) -m found } { var(txn.route),field(1,/),strcmp(sess.named) eq 0 }")
}

// quicBinds gives what a port is bound at for HTTP/3.
func (r *renderer) quicBinds(p port) string {
	var list []string
	for at := range strings.SplitSeq(r.binds(p.number), ",") {
		if a, err := netip.ParseAddrPort(at); err == nil && r.env.UnbindableUDP[a] {
			continue
		}
		word := "quic4@" + at
		if strings.HasPrefix(at, "[") {
			word = "quic6@" + at
		}
		list = append(list, word)
	}
	return strings.Join(list, ",")
}

// quicOptions are those of the bind line: certificates as over TLS, by the same list.
func (r *renderer) quicOptions(p port) string {
	options := " ssl crt-list " + crtListFile(p.number)
	if *r.node.Tuning.StrictSNI {
		options += " strict-sni"
	}
	return options + " alpn h3"
}

// keepLowPorts lets workers that are not root any more have a socket for each QUIC connection where the port is below 1024,
// as they do elsewhere. Through the listener's socket connections would end at each reload.
const keepLowPorts = "setcap cap_net_bind_service"

// lowQUIC says whether some site asks for HTTP/3 at such a port.
func (r *renderer) lowQUIC() bool {
	for i := range r.node.Sites {
		for _, l := range r.node.Sites[i].Listeners {
			if l.TLS != nil && l.TLS.HTTP3 && l.Mode == weir.PortHTTPS && r.localPort(l.Port) < 1024 {
				return true
			}
		}
	}
	return false
}
