package api

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/explain"
	"weir/internal/ir"
)

// somebody is the client's address when none is said: one for documents (RFC 5737), which no client has.
var somebody = netip.MustParseAddr("192.0.2.1")

// askedRequest is what was asked, on its way to an explain.Request.
type askedRequest struct {
	url                      *url.URL
	text                     string // of the URL
	request                  explain.Request
	zone, address, group, lb string
	healthy                  bool
	headers, assumed         []string
}

// asked reads the parameters.
func (c *call) asked() (*askedRequest, error) {
	a := &askedRequest{zone: c.text("zone"), address: c.text("address"), group: c.text("group"), lb: c.text("lb")}
	q := &a.request
	var err error
	if q.Certificate = c.text("certificate"); len(q.Certificate) > weir.MaxSubject || q.Certificate != "" && q.Certificate != explain.NoCertificate && !strings.Contains(q.Certificate, "=") {
		return nil, queryProblem("certificate", q.Certificate, "a subject, such as CN=myback,O=Example, or none")
	}
	if a.healthy, err = c.flag("healthy"); err != nil {
		return nil, err
	}
	if err := a.read(c.text("url")); err != nil {
		text := c.text("url")
		return nil, queryProblem("url", text[strings.LastIndex(text, "@")+1:], err.Error()) // nobody's password
	}
	if q.Method = c.text("method"); q.Method == "" {
		q.Method = "GET"
	}
	if len(q.Method) > 32 || strings.Trim(q.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return nil, queryProblem("method", q.Method, "a method, such as GET or POST")
	}
	if q.At = c.h.opts.Clock(); c.has("at") {
		if q.At, err = time.Parse(time.RFC3339, c.text("at")); err != nil {
			return nil, queryProblem("at", c.text("at"), "a moment, such as 2026-12-06T10:00:00Z")
		}
	}
	if q.From = somebody; c.has("from") {
		if q.From, err = netip.ParseAddr(c.text("from")); err != nil || q.From.Zone() != "" {
			return nil, queryProblem("from", c.text("from"), "an IP address")
		}
		q.From = q.From.Unmap()
	} else {
		a.assumed = append(a.assumed, fmt.Sprintf("The client is %s.", somebody))
	}
	for _, line := range c.r.URL.Query()["header"] {
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") != "" || strings.ContainsAny(value, "\r\n\x00") || len(line) > 8192 {
			return nil, queryProblem("header", line, "a header, as \"Name: value\"")
		}
		a.headers = append(a.headers, name+": "+value)
		if strings.EqualFold(name, "Host") {
			q.Host = value
			continue
		}
		q.Header = append(q.Header, explain.Field{Name: name, Value: value})
	}
	if !hostLike(q.Host) {
		return nil, queryProblem("url", q.Host, "a URL whose host is a name or an address")
	}
	return a, nil
}

// read takes a URL apart.
func (a *askedRequest) read(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > 8192:
		return fmt.Errorf("a URL, such as https://www.example.com/")
	case u.Hostname() == "":
		return fmt.Errorf("a URL with a host, such as https://www.example.com/")
	case u.User != nil:
		return fmt.Errorf("a URL without a password")
	}
	ports := map[string]weir.Port{"http": 80, "https": 443, "tcp": 0, "tls": 443}
	port, ok := ports[u.Scheme]
	if u.Port() != "" {
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			return fmt.Errorf("a URL whose port is a number up to 65535")
		}
		port = weir.Port(n)
	}
	switch {
	case !ok:
		return fmt.Errorf("a URL of http, https, tcp or tls")
	case port == 0:
		return fmt.Errorf("a URL with a port, such as tcp://203.0.113.1:389")
	}
	host := u.Hostname()
	if c, err := weir.CanonicalHostname(host); err == nil {
		host = c
	}
	a.url, a.text, a.request.Port, a.request.Host = u, text, port, host
	if u.Port() != "" {
		a.request.Host = host + ":" + u.Port()
		if strings.Contains(host, ":") {
			a.request.Host = "[" + host + "]:" + u.Port()
		}
	}
	if _, err := netip.ParseAddr(host); err != nil && (u.Scheme == "https" || u.Scheme == "tls") {
		a.request.Name = host
	}
	// As it was written: nothing is brought into another form before the load balancer does it.
	rest := text[strings.Index(text, "://")+3:]
	rest, _, _ = strings.Cut(rest, "#")
	target := "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		if target = rest[i:]; target[0] == '?' {
			target = "/" + target
		}
	}
	if strings.IndexFunc(target, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return fmt.Errorf("a URL without blanks, control characters and letters beyond ASCII; write them as %%XX")
	}
	a.request.Target = target
	return nil
}

func hostLike(h string) bool {
	return h != "" && len(h) <= 255 && strings.Trim(strings.ToLower(h), "abcdefghijklmnopqrstuvwxyz0123456789-._:[]*") == ""
}

// arrive finds the IPAddress that the request comes to, and says whether some site answers to it there; asking leaves
// everything as it is.
func (a *askedRequest) arrive(n *ir.Node, asking bool) bool {
	host := a.request.Host
	if a.url.Scheme == "tcp" || a.url.Scheme == "tls" {
		host = a.url.Hostname()
	}
	list := explain.Arrivals(n, host, a.request.Port)
	if c, err := weir.CanonicalHostname(a.url.Hostname()); err == nil && len(list) == 0 && a.address == "" { // a Host of no site, said by a header
		list = explain.Arrivals(n, c, a.request.Port)
	}
	fits := slices.DeleteFunc(slices.Clone(list), func(at explain.Arrival) bool {
		return a.address != "" && !a.named(n, at.Address) || a.zone != "" && at.HomeZone != a.zone
	})
	if len(fits) == 0 {
		return false
	}
	if asking {
		return true
	}
	at := fits[0]
	if i := slices.IndexFunc(fits, func(at explain.Arrival) bool { return a.named(n, at.Address) }); i >= 0 {
		at = fits[i]
	} else if len(fits) > 1 {
		a.assumed = append(a.assumed, fmt.Sprintf("The client comes to IPAddress/%s, one of %d of the site.", at.Address, len(fits)))
	}
	a.request.Address = at.Address
	return true
}

// named says that an IPAddress is the one that was asked for, by name, by address, or by the URL's host.
func (a *askedRequest) named(n *ir.Node, name string) bool {
	i := slices.IndexFunc(n.Addresses, func(at ir.Address) bool { return at.Name == name })
	if i < 0 {
		return false
	}
	said := a.address
	if said == "" {
		said = a.url.Hostname()
	}
	ip, err := netip.ParseAddr(said)
	return said == name && a.address != "" || err == nil && n.Addresses[i].Address == ip.Unmap()
}

// anywhere takes some address of a node where no site answers to the host.
func (a *askedRequest) anywhere(n *ir.Node) error {
	for _, at := range n.Addresses {
		if a.address != "" && a.named(n, at.Name) || a.address == "" && (a.zone == "" || at.HomeZone == a.zone) {
			a.request.Address = at.Name
			if a.address == "" {
				a.assumed = append(a.assumed, fmt.Sprintf("The client comes to IPAddress/%s.", at.Name))
			}
			return nil
		}
	}
	switch {
	case a.address != "":
		if _, err := netip.ParseAddr(a.address); err != nil {
			return weir.Errorf(weir.NotFound, "the group %s has no IPAddress/%s", n.Group.Name, clipped(a.address))
		}
	case a.zone != "":
		return weir.Errorf(weir.NotFound, "the group %s has no address at home in zone %s", n.Group.Name, clipped(a.zone))
	}
	return nil // explained as an address of nobody
}

// where says what the search for a site was confined to.
func (a *askedRequest) where() string {
	text := fmt.Sprintf(" at port %d", a.request.Port)
	if a.zone != "" {
		text += " and an address at home in zone " + clipped(a.zone)
	}
	if a.address != "" {
		text += " at the address " + clipped(a.address)
	}
	return text
}

// told is the request as it is told back.
func (a *askedRequest) told(n *ir.Node) ExplainedRequest {
	q := &a.request
	r := ExplainedRequest{URL: a.text, Method: q.Method, Headers: a.headers, From: q.From, Address: q.Address, Port: q.Port, At: q.At.UTC().Truncate(time.Second), Certificate: q.Certificate, Healthy: a.healthy}
	for _, at := range n.Addresses {
		if at.Name == q.Address {
			r.IP = at.Address.String()
		}
	}
	return r
}
