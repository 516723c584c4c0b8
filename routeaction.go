package weir

import (
	"fmt"
	"slices"
	"strings"
)

// RouteAction is what becomes of a request: exactly one of backend, redirect, deny, page and tarpit.
type RouteAction struct {
	// Backend is a name out of the site's backends.
	Backend string `json:"backend,omitempty"`
	// Rewrite gives the request another path on its way to the backend.
	Rewrite *Rewrite `json:"rewrite,omitempty"`
	// RequestHeaders are changed on the way to the backend.
	RequestHeaders *HeaderChanges `json:"requestHeaders,omitempty"`
	// ResponseHeaders are changed in what the backend answers.
	ResponseHeaders *HeaderChanges `json:"responseHeaders,omitempty"`
	// Redirect sends the client elsewhere.
	Redirect *Redirect `json:"redirect,omitempty"`
	// Deny answers with this status and the site's page for it.
	Deny int `json:"deny,omitempty"`
	// Page answers with an ErrorPage.
	Page *PageAnswer `json:"page,omitempty"`
	// Tarpit lets the client wait for ten seconds and answers 429.
	Tarpit bool `json:"tarpit,omitempty"`
}

// PageAnswer is an ErrorPage with a status.
type PageAnswer struct {
	// Name is that of an ErrorPage.
	Name string `json:"name"`
	// Status is 503 when left out.
	Status int `json:"status,omitempty"`
}

// Rewrite is the path that the servers see; it holds exactly one of its fields. The query stays as it is.
type Rewrite struct {
	// Prefix takes the place of the prefix that the route matches; "/" takes it away.
	Prefix string `json:"prefix,omitempty"`
	// Path takes the place of the whole path.
	Path string `json:"path,omitempty"`
}

// Redirect is where clients are sent. What it leaves out stays as it is in the request, and so does the query.
type Redirect struct {
	// Code is 301, 302, 303, 307 or 308.
	Code int `json:"code,omitempty"`
	// Scheme is http or https.
	Scheme string `json:"scheme,omitempty"`
	// Host is a host name, or one with a port.
	Host string `json:"host,omitempty"`
	// Prefix takes the place of the prefix that the route matches; "/" takes it away.
	Prefix string `json:"prefix,omitempty"`
	// Path takes the place of the whole path.
	Path string `json:"path,omitempty"`
}

// RedirectCodes are the statuses that a redirect can have.
var RedirectCodes = []int{301, 302, 303, 307, 308}

// DenyStatuses are the statuses that a route can refuse requests with.
var DenyStatuses = []int{400, 403, 404, 405, 410, 429, 503}

// Word says in a word or two what an action does.
func (a *RouteAction) Word() string {
	switch {
	case a.Redirect != nil:
		return fmt.Sprintf("redirect %d", a.Redirect.Code)
	case a.Deny != 0:
		return fmt.Sprintf("deny %d", a.Deny)
	case a.Page != nil:
		return fmt.Sprintf("page %s %d", a.Page.Name, a.Page.Status)
	case a.Tarpit:
		return "tarpit"
	}
	return a.Backend
}

func (a *RouteAction) normalize() {
	if r := a.Redirect; r != nil {
		setDefault(&r.Code, 302)
		r.Host = strings.ToLower(r.Host)
	}
	if a.Page != nil {
		setDefault(&a.Page.Status, 503)
	}
	a.RequestHeaders.normalize()
	a.ResponseHeaders.normalize()
}

func (a *RouteAction) validate(p *Problems, path string, m *RouteMatch) {
	set := 0
	for _, is := range []bool{a.Backend != "", a.Redirect != nil, a.Deny != 0, a.Page != nil, a.Tarpit} {
		if is {
			set++
		}
	}
	if set != 1 {
		p.Add(path, "needs exactly one of backend, redirect, deny, page and tarpit")
	}
	if a.Deny != 0 && !slices.Contains(DenyStatuses, a.Deny) {
		p.Add(path+".deny", "%d is none of the statuses %v", a.Deny, DenyStatuses)
	}
	if a.Page != nil {
		required(p, path+".page.name", a.Page.Name)
		if !slices.Contains(DenyStatuses, a.Page.Status) {
			p.Add(path+".page.status", "%d is none of the statuses %v", a.Page.Status, DenyStatuses)
		}
	}
	for field, c := range map[string]*HeaderChanges{"requestHeaders": a.RequestHeaders, "responseHeaders": a.ResponseHeaders} {
		if c == nil {
			continue
		}
		if a.Backend == "" {
			p.Add(path+"."+field, "are for requests that a server sees; name the backend")
		}
		c.validate(p, path+"."+field)
	}
	if r := a.Redirect; r != nil {
		r.validate(p, path+".redirect", m)
	}
	if r := a.Rewrite; r != nil {
		if a.Backend == "" {
			p.Add(path+".rewrite", "is for requests that a server sees; name the backend, or use redirect")
		}
		if (r.Prefix == "") == (r.Path == "") {
			p.Add(path+".rewrite", "needs exactly one of prefix and path")
		}
		checkNewPath(p, path+".rewrite", r.Prefix, r.Path, m)
	}
}

func (r *Redirect) validate(p *Problems, path string, m *RouteMatch) {
	if !slices.Contains(RedirectCodes, r.Code) {
		p.Add(path+".code", "%d is none of the statuses %v", r.Code, RedirectCodes)
	}
	if r.Scheme != "" {
		oneOf(p, path+".scheme", r.Scheme, "http", "https")
	}
	if r.Host != "" {
		if err := CheckHost(r.Host); err != nil {
			p.Add(path+".host", "%s", err)
		}
	}
	if r.Prefix != "" && r.Path != "" {
		p.Add(path, "needs at most one of prefix and path")
	}
	if r.Scheme == "" && r.Host == "" && r.Prefix == "" && r.Path == "" {
		p.Add(path, "leads to where the client is already; it needs scheme, host, prefix or path")
	}
	checkNewPath(p, path, r.Prefix, r.Path, m)
}

func checkNewPath(p *Problems, path, prefix, whole string, m *RouteMatch) {
	for field, v := range map[string]string{"prefix": prefix, "path": whole} {
		if v == "" {
			continue
		}
		if err := checkMatchPath(v); err != nil {
			p.Add(path+"."+field, "%s", err)
		} else if NormalPath(v) != v {
			p.Add(path+"."+field, "%q must be written as %q", clip(v), clip(NormalPath(v)))
		}
	}
	if prefix != "" && (m.Path == nil || m.Path.Prefix == "") {
		p.Add(path+".prefix", "takes the place of match.path.prefix, which the route has not; use path")
	}
}
