package haproxy

import (
	"strconv"
	"strings"

	"weir"
	"weir/internal/ir"
)

// What the TLS profiles take of ciphers, most wanted first; names that a build of OpenSSL doesn't know are passed over.
// docs/decisions/0027-tls-profiles.md says where they come from.
const (
	ciphers13    = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
	forwardAEAD  = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
	forwardCBC   = "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
	rsaExchange  = "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA"
	anySignature = "@SECLEVEL=0" // TLS below 1.2 signs with SHA-1, which OpenSSL does at no other level
)

// tlsDefaults is what every line of a crt-list begins with, and what the certificate of no site has: the narrowest
// that no client of today is shut out by. A line can widen it, so that what is forgotten there is safe.
func (r *renderer) tlsDefaults(s *Section) {
	s.add("ssl-default-bind-options ssl-min-ver TLSv1.2")
	s.add("ssl-default-bind-ciphers %s", forwardAEAD)
	s.add("ssl-default-bind-ciphersuites %s", ciphers13)
}

// usualALPN is what an https port offers, by its bind line. It is not repeated on the lines of the crt-list: HAProxy
// crashes now and then when it forgets a line that has it while clients connect.
const usualALPN = "h2,http/1.1"

// profileOptions are the crt-list options of a TLS profile, beyond the defaults; they are per certificate entry, so
// that a site with old clients harms no other, and change at run time.
func profileOptions(l *ir.Listener) string {
	var parts []string
	if alpn := strings.Join(l.TLS.ALPN, ","); alpn != "" && (l.Mode != weir.PortHTTPS || alpn != usualALPN) {
		parts = append(parts, "alpn "+alpn)
	}
	switch l.TLS.Profile {
	case "modern":
		parts = append(parts, "ssl-min-ver TLSv1.3")
	case "legacy":
		parts = append(parts, "ssl-min-ver TLSv1.0", "ciphers "+strings.Join([]string{forwardAEAD, forwardCBC, rsaExchange, anySignature}, ":"))
	default:
		parts = append(parts, "ssl-min-ver TLSv1.2")
	}
	return strings.Join(parts, " ")
}

// hstsValue is the header as a map can hold it, without blanks.
func hstsValue(h *weir.HSTS) string {
	value := "max-age=" + strconv.FormatInt(h.MaxAge.Ms()/1000, 10)
	if h.IncludeSubdomains {
		value += ";includeSubDomains"
	}
	if h.Preload {
		value += ";preload"
	}
	return value
}

// siteSecurity fills the maps of what a site wants of its connections with TLS.
func (r *renderer) siteSecurity(s *ir.Site) {
	for _, l := range s.Listeners {
		if l.Mode != weir.PortHTTPS || l.TLS == nil {
			continue
		}
		if h := l.TLS.HSTS; h != nil && h.MaxAge != nil {
			r.put(mapHSTS(l.Port), s.Name, hstsValue(h), "Site/"+s.Name)
		}
		if l.TLS.EarlyData {
			r.put(mapEarly(l.Port), s.Name, "1", "Site/"+s.Name)
		}
		if l.TLS.HTTP3 {
			r.put(mapHTTP3(l.Port), s.Name, altSvc(l.Port), "Site/"+s.Name)
		}
	}
}

// early says whether a port takes requests with a client's first packet. HAProxy built with OpenSSL decides that by
// the bind line for every name alike (TestFactEarlyDataIsOfTheBindLine); whose requests are done, rules decide.
func (r *renderer) early(p port) bool {
	return p.mode == weir.PortHTTPS && len(r.maps[mapEarly(p.number)]) > 0
}

// strictTransport sends the header of the site that a connection is for with its answers, and with no other's: a
// browser believes it of the name that it asked for, which may be another site's where certificates are shared.
func (r *renderer) strictTransport(s *Section, p port) {
	s.add("tcp-request session set-var(sess.hsts) var(sess.named),map_str(%s)", opt(mapHSTS(p.number)))
	s.add("http-after-response set-header Strict-Transport-Security %%[var(sess.hsts)] if { var(sess.hsts) -m found } { var(txn.route),field(1,/),strcmp(sess.named) eq 0 }")
}

// refuseEarly answers 425 to requests that came before the handshake was over and may not be done twice, or whose site
// wants none such; who sends early data knows to send them again (RFC 8470). HAProxy's wait-for-handshake would be
// kinder, but never ends with HTTP/1 (TestFactWaitForHandshakeNeverEnds).
func (r *renderer) refuseEarly(s *Section, p port) {
	s.add("tcp-request session set-var(sess.early) var(sess.named),map_str(%s)", opt(mapEarly(p.number)))
	s.add("http-request deny deny_status 425 if { ssl_fc_has_early } !{ var(sess.early) -m found }")
	s.add("http-request deny deny_status 425 if { ssl_fc_has_early } !{ method GET HEAD OPTIONS }")
}
