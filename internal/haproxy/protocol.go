package haproxy

import "weir/internal/ir"

// fastOpen is what bind lines say of TCP Fast Open.
func (r *renderer) fastOpen() string {
	if r.node.Tuning.FastOpen {
		return " tfo"
	}
	return ""
}

// protocol is what a server line says of the version of HTTP. Of two that are offered HAProxy takes HTTP/1.1 for
// WebSockets, which few servers speak over HTTP/2 (RFC 8441).
func protocol(p *ir.Pool) string {
	switch {
	case p.Protocol == "auto":
		return " alpn h2,http/1.1"
	case p.Protocol == "h2" && p.TLS != nil:
		return " proto h2 alpn h2"
	case p.Protocol == "h2":
		return " proto h2"
	}
	return ""
}
