package explain

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// mostLabels is how many labels of a host name a wildcard stands for.
const mostLabels = 5

// request is everything up to the choice of a zone.
func (w *walk) request() bool {
	if !w.http() {
		return w.connected()
	}
	w.path, w.query, w.hasQuery = strings.Cut(w.q.Target, "?")
	w.header = w.received()
	if w.challenge() {
		return false
	}
	if w.q.Method == "CONNECT" {
		w.step("site", "", "", "CONNECT is refused everywhere")
		return w.refuse(405)
	}
	w.host = canonicalHost(w.q.Host)
	if w.host == "" {
		w.step("site", "", "", "the request names no host")
		return w.refuse(400)
	}
	site, name := w.lookup(w.host)
	if site == nil {
		w.step("site", "", "", "no site answers to %s at this address and port", w.host)
		return w.refuse(404)
	}
	w.site = site
	w.step("site", w.object(), "hostnames", "%s", answersTo(w.host, name))
	if w.mode == weir.PortHTTPS && w.q.Name != "" && w.named != w.site {
		w.step("site", w.object(), "hostnames", "the connection was made for the name %s, which is not this site's", w.q.Name)
		return w.refuse(421)
	}
	return w.moved() && w.egress() && w.normal() && w.limits() && w.open() && w.route()
}

// connected finds the site of a connection that is passed on as it is.
func (w *walk) connected() bool {
	if w.mode != weir.PortTLSPassthrough {
		if w.site = w.at(func(s *ir.Site) bool { return s.Mode == "tcp" }); w.site == nil {
			w.step("site", "", "", "no site has this address at this port: the connection is closed")
			return w.close()
		}
		w.step("site", w.object(), "addresses", "it has the address at this port alone")
	} else {
		name := ""
		w.host = strings.ToLower(w.q.Name)
		if w.site, name = w.lookup(w.host); w.site == nil {
			w.step("site", "", "", "no site answers to the name %s at this address and port: the connection is closed", w.host)
			return w.close()
		}
		w.step("site", w.object(), "hostnames", "%s", answersTo(w.host, name))
	}
	w.limits()
	w.trace.Answer = Verdict{Site: w.site.Name, Backend: "default"}
	w.step("route", w.object(), "backends.default", "connections have no other backend")
	return true
}

func (w *walk) object() string { return "Site/" + w.site.Name }

func answersTo(host, name string) string {
	if host == name {
		return "it answers to " + host
	}
	return fmt.Sprintf("it answers to %s by %q", host, name)
}

// canonicalHost gives a Host header without its port, in small letters, without final dots.
func canonicalHost(h string) string {
	if i := strings.LastIndexAny(h, ":]"); i >= 0 && h[i] == ':' {
		h = h[:i]
	}
	return strings.TrimRight(strings.ToLower(h), ".")
}

// at gives the first site that listens at the port and has the address, and is what is asked for.
func (w *walk) at(is func(*ir.Site) bool) *ir.Site {
	for i := range w.node.Sites {
		s := &w.node.Sites[i]
		if slices.Contains(s.Addresses, w.address.Name) && is(s) && slices.ContainsFunc(s.Listeners, func(l ir.Listener) bool { return l.Port == w.q.Port }) {
			return s
		}
	}
	return nil
}

// lookup finds the site of a host name, and by which of its names: as it stands, below a wildcard, the longest first, or
// any.
func (w *walk) lookup(host string) (*ir.Site, string) {
	for _, name := range namesFor(host) {
		if s := w.at(func(s *ir.Site) bool { return s.Mode != "tcp" && slices.Contains(s.Hostnames, name) }); s != nil {
			return s, name
		}
	}
	return nil, ""
}

// namesFor gives the names of sites that stand for a host name, the narrowest first.
func namesFor(host string) []string {
	names, rest := []string{host}, host
	for range mostLabels {
		_, parent, ok := strings.Cut(rest, ".")
		if !ok {
			break
		}
		names, rest = append(names, "*."+parent), parent
	}
	return append(names, "*")
}

// challenge answers authorities that ask who holds a name, before anything else.
func (w *walk) challenge() bool {
	const at = "/.well-known/acme-challenge/"
	token, ok := strings.CutPrefix(w.path, at)
	if !ok || w.mode != weir.PortHTTP || w.q.Port != 80 {
		return false
	}
	for _, c := range w.node.Challenges {
		if c.Token == token && c.Check() == nil {
			w.step("site", "LoadBalancerGroup/"+w.node.Group.Name, "", "an authority's challenge is answered before any site is asked")
			w.trace.Answer = Verdict{Outcome: Challenge, Status: 200}
			return true
		}
	}
	return false
}

// moved sends clients to the site's port with TLS.
func (w *walk) moved() bool {
	i := slices.IndexFunc(w.site.Listeners, func(l ir.Listener) bool { return l.Port == w.q.Port && l.RedirectTo != 0 })
	if i < 0 {
		return true
	}
	to := "https://" + w.host
	if p := w.site.Listeners[i].RedirectTo; p != 443 {
		to += ":" + p.String()
	}
	w.step("redirect", w.object(), fmt.Sprintf("listeners[%d].redirect", i), "at port %d the site only sends clients to https", w.q.Port)
	w.trace.Answer = Verdict{Outcome: Redirected, Status: 308, Location: to + w.q.Target, Site: w.site.Name}
	return false
}

// normal brings the path into its normal form, where the site's routes ask for more than prefixes, and where it
// has logic.
func (w *walk) normal() bool {
	if !slices.ContainsFunc(w.site.Routes, func(r weir.SiteRoute) bool { return !r.Plain() }) && len(w.site.Logic) == 0 {
		return true
	}
	switch {
	case strings.Contains(w.path, `\`):
		w.step("path", w.object(), "routes", "a backslash may not stand in a path")
		return w.refuse(400)
	case badEscape(w.path):
		w.step("path", w.object(), "routes", "a %% without two hexadecimal digits may not stand in a path")
		return w.refuse(400)
	}
	w.query = normalEscapes(w.query)
	if p := weir.NormalPath(w.path); p != w.path {
		w.step("path", w.object(), "routes", "%s is looked at, and sent on, as %s", w.path, p)
		w.path = p
	}
	return true
}

// normalEscapes decodes letters, digits and '-._~' in a query, and leaves all else as it is.
func normalEscapes(query string) string {
	var b strings.Builder
	for i := 0; i < len(query); i++ {
		if query[i] == '%' && i+2 < len(query) && !badEscape(query[i:i+3]) {
			if c := unhex(query[i+1])<<4 | unhex(query[i+2]); weir.NormalPath("/"+query[i:i+3]) == "/"+string(rune(c)) || c == '.' {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(query[i])
	}
	return b.String()
}

func badEscape(path string) bool {
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		if i+2 >= len(path) || strings.Trim(path[i+1:i+3], "0123456789abcdefABCDEF") != "" {
			return true
		}
		i += 2
	}
	return false
}

// open says that the site is not closed for the client.
func (w *walk) open() bool {
	w.lists = w.listsOf(w.q.From)
	m := w.site.Maintenance
	if m == nil {
		return true
	}
	if m.Schedule != "" && !w.holds(m.Schedule) {
		w.step("maintenance", w.object(), "maintenance.schedule", "the site is open while Schedule/%s does not hold", m.Schedule)
		return true
	}
	if m.Except != "" && slices.Contains(w.lists, m.Except) {
		w.step("maintenance", w.object(), "maintenance.except", "the site is closed, and goes on for AccessList/%s, which the client is in", m.Except)
		return true
	}
	_, seconds := m.Answer()
	a := Verdict{Outcome: Maintenance, Status: int(m.Status), Site: w.site.Name, RetryAfter: seconds}
	if m.Page != "" && w.page(m.Page) != nil {
		a.Page = m.Page
	}
	w.step("maintenance", w.object(), "maintenance", "the site is closed, and its page stands for it")
	w.trace.Answer = a
	return false
}
