package weir

import (
	"slices"
	"strings"
	"time"
)

// Listener is a port of a site.
type Listener struct {
	Port Port         `json:"port"`
	TLS  *ListenerTLS `json:"tls,omitempty"`
	// Redirect is "https": every request is sent to the site's listener with TLS.
	Redirect string `json:"redirect,omitempty"`
}

// ListenerTLS is how clients are spoken to.
type ListenerTLS struct {
	// Certificates name Certificates with keys; an ECDSA and an RSA one of the same names are picked by the client. The
	// word auto in place of the list has one ordered for each of the site's host names, and renewed.
	Certificates CertificateNames `json:"certificates"`
	// Issuer is whom auto orders from. Left out, it is the default Issuer or the only one, and that stays so for the
	// site whichever Issuers come later.
	Issuer string `json:"issuer,omitempty"`
	// KeyTypes are the types of keys that auto orders certificates with, ecdsa-256 when left out; at most one of each
	// kind, such as ecdsa-256 and rsa-2048, of which clients pick.
	KeyTypes []string `json:"keyTypes,omitempty"`
	// Profile is modern (TLS 1.3 alone), intermediate (TLS 1.2 and 1.3, forward secrecy and AEAD ciphers alone) or
	// legacy (TLS 1.0 and up, CBC ciphers and RSA key exchange too).
	Profile string `json:"profile,omitempty"`
	// ALPN lists the protocols offered, most wanted first.
	ALPN []string `json:"alpn,omitempty"`
	// EarlyData lets GET, HEAD and OPTIONS requests come with the first packet of a resumed TLS 1.3 session (0-RTT),
	// where anybody who recorded them can send them once more; others that come so, and those to other sites at the
	// port, are answered 425, upon which clients send them again when the handshake is over (RFC 8470).
	EarlyData bool `json:"earlyData,omitempty"`
	// HTTP3 answers HTTP/3 as well, over UDP at the same port, and tells clients so with the header Alt-Svc of answers over
	// TLS. Firewalls must let UDP in.
	HTTP3 bool `json:"http3,omitempty"`
	// HSTS tells browsers to come to this name by https alone.
	HSTS *HSTS `json:"hsts,omitempty"`
}

// HSTS is the header Strict-Transport-Security of every answer over TLS (RFC 6797). Browsers remember it, so that it
// can't be taken back at once: first a maxAge of minutes, and 0s for as long as the old one lasted to be rid of it.
type HSTS struct {
	// MaxAge is how long browsers remember, in whole seconds; 0s lets them forget at their next visit.
	MaxAge *Duration `json:"maxAge,omitempty"`
	// IncludeSubdomains extends it to every name below the site's, whoever serves it.
	IncludeSubdomains bool `json:"includeSubdomains,omitempty"`
	// Preload lets browsers' makers list the name in the browser itself, which takes months to undo; they want
	// includeSubdomains and a maxAge of 8760h at least.
	Preload bool `json:"preload,omitempty"`
}

// The TLS profiles.
var TLSProfiles = []string{"modern", "intermediate", "legacy"}

// MaxListeners is how many ports one site can have.
const MaxListeners = 64

const year = 365 * 24 * time.Hour

// PortMode gives what the site makes a listener's port speak.
func (s *Site) PortMode(l Listener) PortMode {
	switch {
	case s.Mode == "tls-passthrough":
		return PortTLSPassthrough
	case s.Mode == "tcp" && l.TLS != nil:
		return PortTLSTCP
	case s.Mode == "tcp":
		return PortTCP
	case l.TLS != nil:
		return PortHTTPS
	}
	return PortHTTP
}

func (t *ListenerTLS) normalize(mode string) {
	setDefault(&t.Profile, "intermediate")
	if t.ALPN == nil && mode == "http" {
		t.ALPN = []string{"h2", "http/1.1"}
	}
	if len(t.KeyTypes) == 0 && t.Certificates.Auto() {
		t.KeyTypes = []string{"ecdsa-256"}
	}
}

func (s *Site) validateListeners(p *Problems) {
	if len(s.Listeners) == 0 {
		p.Add("listeners", "needs at least one port")
	}
	if len(s.Listeners) > MaxListeners {
		p.Add("listeners", "are %d; at most %d are possible", len(s.Listeners), MaxListeners)
		return
	}
	seen := map[Port]bool{}
	secure := slices.ContainsFunc(s.Listeners, func(l Listener) bool { return l.TLS != nil })
	for i, l := range s.Listeners {
		path := index("listeners", i)
		l.Port.check(p, path+".port")
		if seen[l.Port] {
			p.Add(path+".port", "%d is listed twice", l.Port)
		}
		seen[l.Port] = true
		if l.TLS != nil {
			l.TLS.validate(p, path+".tls", s)
		}
		if l.Redirect != "" {
			oneOf(p, path+".redirect", l.Redirect, "https")
			if !secure || l.TLS != nil || s.Mode != "http" {
				p.Add(path+".redirect", "needs mode http, no tls here, and another listener with tls to send clients to")
			}
		}
	}
}

func (t *ListenerTLS) validate(p *Problems, path string, s *Site) {
	mode := s.Mode
	if mode == "tls-passthrough" {
		p.Add(path, "a tls-passthrough site does not end TLS; leave tls out")
	}
	if len(t.Certificates) == 0 {
		p.Add(path+".certificates", "needs at least one Certificate, or the word auto, which has them ordered")
	}
	names(p, path+".certificates", t.Certificates)
	if len(t.Certificates) > 1 && slices.Contains(t.Certificates, auto) {
		p.Add(path+".certificates", "auto is a word that stands in place of the list; list Certificates, or write certificates: auto alone")
	}
	t.validateAuto(p, path, s)
	if t.Profile == "old" {
		p.Add(path+".profile", `is called "legacy" here`)
	} else {
		oneOf(p, path+".profile", t.Profile, TLSProfiles...)
	}
	for j, a := range t.ALPN {
		oneOf(p, index(path+".alpn", j), a, "h2", "http/1.1")
	}
	unique(p, path+".alpn", t.ALPN)
	if t.EarlyData && mode != "http" {
		p.Add(path+".earlyData", "needs mode http: only of http requests it is known which may come twice")
	}
	if t.HTTP3 && mode != "http" {
		p.Add(path+".http3", "needs mode http")
	} else if t.HTTP3 && strings.Join(t.ALPN, ",") != "h2,http/1.1" {
		p.Add(path+".http3", "is offered beside h2 and http/1.1, in this order; leave alpn out")
	}
	if t.HSTS != nil {
		t.HSTS.validate(p, path+".hsts", mode)
	}
}

func (h *HSTS) validate(p *Problems, path, mode string) {
	if mode != "http" {
		p.Add(path, "is a header of http answers and needs mode http")
	}
	if h.MaxAge == nil {
		p.Add(path+".maxAge", "is required: how long browsers remember, such as 10m to try and 8760h for good")
		return
	}
	h.MaxAge.within(p, path+".maxAge", 0, 10*year)
	if h.MaxAge.D()%time.Second != 0 {
		p.Add(path+".maxAge", "%s is no whole number of seconds", *h.MaxAge)
	}
	if h.Preload && (!h.IncludeSubdomains || h.MaxAge.D() < year) {
		p.Add(path+".preload", "needs includeSubdomains and a maxAge of 8760h at least, as the makers of browsers want")
	}
}
