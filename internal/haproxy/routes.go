package haproxy

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"weir"
	"weir/internal/ir"
)

// adder appends an http-request rule.
type adder func(format string, args ...any)

// normalPath brings the path into its normal form, for those sites where more depends on it than the choice of a pool:
// what rules are held against is what the servers see. weir.NormalPath does the same. A '%' without two
// digits is refused, since "%6%31" would become "%61", which the servers read as "a"; so is a backslash, which may not
// stand in a path (RFC 3986, 3.3) and is a slash to browsers. normalize-uri looks at the query as well, which stands
// aside meanwhile: clients write "?q=100%". Of it only letters, digits, '-._~' are decoded, so that "%64ebug=1" is seen
// as "debug=1".
func normalPath(rule adder) {
	const normal, has = "{ var(txn.normal) -m found }", "{ var(txn.asked) -m found }"
	rule("set-var(txn.normal) var(txn.site),map_str(%s)", opt(mapNormal))
	rule("deny deny_status 400 if %s { path -m sub \\\\ }", normal)
	rule("set-var-fmt(txn.asked) ?%%[query] if %s { pathq -m sub ? }", normal)
	rule("set-pathq %%[path] if %s", has)
	for _, step := range []string{"percent-decode-unreserved strict", "percent-to-uppercase", "path-merge-slashes", "path-strip-dot", "path-strip-dotdot full"} {
		rule("normalize-uri %s if %s", step, normal)
	}
	rule("set-pathq %%[path]%%[var(txn.asked)] if %s", has)
	rule("normalize-uri percent-decode-unreserved if %s", has)
}

// doing stands in a route between its backend and what is done besides, or instead.
const doing = "+"

const (
	tarpit    = "tarpit"
	tarpitFor = "10s"
)

// mapRoutePages is the map of the pages that routes answer with: page → body, base64.
const mapRoutePages = "maps/action-pages.map"

// outcomes carry out what a route says besides its backend, or instead. The route is then "site/backend+id" or "site/+id".
func (r *renderer) outcomes(rule adder) {
	const does = "{ var(txn.do) -m found }"
	rule("set-var(txn.do) var(txn.route),field(2,%s) if { var(txn.route) -m sub %s }", doing, doing)
	for _, status := range weir.DenyStatuses {
		rule("deny deny_status %d if { var(txn.do) -m str %d }", status, status)
		rule(`return status %d content-type text/html lf-string "%%[var(txn.do),field(2,.),map_str(%s),b64dec]" if { var(txn.do) -m beg %d. }`, status, opt(mapRoutePages), status)
	}
	rule("tarpit deny_status 429 if { var(txn.do) -m str %s }", tarpit)
	// What a map says of the rest: "code|scheme|host|how much of the path goes|what comes instead".
	rule("set-var(txn.how) var(txn.route),map_str(%s) if %s", opt(mapOutcomes), does)
	r.requestHeaders(rule, does)
	rule("set-var(txn.route) var(txn.route),field(1,%s) if %s", doing, does)
	const says = "{ var(txn.how) -m found }"
	rule("set-var(txn.cut) var(txn.how),field(4,|) if %s", says)
	rule("set-var(txn.path) path if %s", says)
	rule("set-var(txn.rest) var(txn.path),bytes(txn.cut) if %s", says)
	rule("set-var(txn.path) var(txn.how),field(5,|),concat(,txn.rest) if %s", says)
	rule("set-var(txn.path) str(/) if %s !{ var(txn.path) -m len gt 0 }", says)
	rule("set-path %%[var(txn.path)] if %s { var(txn.how) -m beg | }", says)
	redirects := says + " !{ var(txn.how) -m beg | }"
	rule("set-var(txn.to) var(txn.how),field(2,|) if %s", redirects)
	rule("set-var(txn.at) var(txn.how),field(3,|) if %s", redirects)
	rule("set-var(txn.at) var(txn.host) if %s !{ var(txn.at) -m len gt 0 } { var(txn.to) -m str https:// http:// }", redirects)
	rule("set-var(txn.to) var(txn.to),concat(,txn.at),concat(,txn.path) if %s", redirects)
	rule("set-var(txn.query) query if %s", redirects)
	rule("set-var(txn.to) var(txn.to),concat(?,txn.query) if %s { var(txn.query) -m len gt 0 }", redirects)
	for _, code := range weir.RedirectCodes {
		rule("redirect location %%[var(txn.to)] code %d if { var(txn.how) -m beg %d| }", code, code)
	}
}

// target gives the value that leads to what a route does, and puts down what it needs for that.
func (r *renderer) target(s *ir.Site, route *weir.SiteRoute) string {
	a := route.Does()
	plain := s.Name + "/" + a.Backend
	switch {
	case a.Deny != 0:
		return plain + doing + strconv.Itoa(a.Deny)
	case a.Tarpit:
		return plain + doing + tarpit
	}
	owner := "Site/" + s.Name
	if p := a.Page; p != nil {
		page := r.page(p.Name)
		if page == nil {
			return plain + doing + strconv.Itoa(p.Status)
		}
		target := fmt.Sprintf("%s%s%d.%s", plain, doing, p.Status, p.Name)
		r.put(mapRoutePages, p.Name, base64.StdEncoding.EncodeToString([]byte(page.Body)), "ErrorPage/"+p.Name)
		r.put(mapPageTypes, fmt.Sprintf("%d|%s/", p.Status, target), strings.ReplaceAll(page.ContentType, " ", ""), "ErrorPage/"+p.Name)
		return target
	}
	how, headers := outcome(a, route.Match.Path), headerDigest(a)
	if how+headers == "" {
		return plain
	}
	target := plain + doing + longDigest(how+headers)
	if how != "" {
		r.put(mapOutcomes, target, how, owner)
	}
	r.headerMaps(target, a, owner)
	return target
}

// all is more than any path is long.
const all = "65535"

// outcome says what the rules of outcomes read, "" when there is nothing to do besides the backend.
func outcome(a weir.RouteAction, m *weir.PathMatch) string {
	newPath := func(prefix, whole string) (cut, instead string) {
		switch {
		case whole != "":
			return all, whole
		case prefix != "" && m != nil:
			return strconv.Itoa(len(strings.TrimRight(m.Prefix, "/"))), strings.TrimRight(prefix, "/")
		}
		return "0", ""
	}
	switch {
	case a.Redirect != nil:
		to := a.Redirect
		scheme := ""
		if to.Scheme != "" {
			scheme = to.Scheme + "://"
		} else if to.Host != "" {
			scheme = "//"
		}
		cut, instead := newPath(to.Prefix, to.Path)
		return strings.Join([]string{strconv.Itoa(to.Code), scheme, to.Host, cut, instead}, "|")
	case a.Rewrite != nil:
		cut, instead := newPath(a.Rewrite.Prefix, a.Rewrite.Path)
		return strings.Join([]string{"", "", "", cut, instead}, "|")
	}
	return ""
}

// longDigest gives eight letters and digits that differ when s does.
func longDigest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.HexEncoding.EncodeToString(sum[:])[:8])
}
