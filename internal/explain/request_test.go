package explain_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/explain"
	"weir/internal/ir"
)

// request makes up a request: mostly for a site that there is, to paths about its routes, in some spelling.
func (w *world) request() explain.Request {
	n := &w.node
	q := explain.Request{
		Port: pick(w.rng, weir.Port(8080), 8080, 8081, 8443, 9443), Address: pick(w.rng, n.Addresses...).Name, At: time.Now(),
		Method: pick(w.rng, "GET", "GET", "HEAD", "POST", "DELETE", "PURGE-IT"),
		From:   netip.AddrFrom4([4]byte{127, pick(w.rng, byte(7), byte(w.rng.IntN(256))), byte(w.rng.IntN(2)), 1}),
	}
	q.Host = "other.example"
	if len(n.Sites) > 0 {
		s := pick(w.rng, n.Sites...)
		if out := slices.IndexFunc(n.Sites, func(s ir.Site) bool { return s.Egress != nil }); w.calling && out >= 0 && !w.some(5) {
			s = n.Sites[out]
		}
		if len(s.Hostnames) > 0 {
			q.Host = w.under(pick(w.rng, s.Hostnames...))
		}
		if !w.some(5) {
			q.Address, q.Port = pick(w.rng, s.Addresses...), pick(w.rng, s.Listeners...).Port
		}
	}
	if w.some(3) && len(n.Lists) > 0 {
		if nets := pick(w.rng, n.Lists...).Networks; len(nets) > 0 {
			q.From = pick(w.rng, nets...).Addr().Next()
		}
	}
	if q.Name = strings.TrimRight(q.Host, "."); w.some(8) {
		q.Name = pick(w.rng, "", "other.example", "shared.example.com", strings.ToUpper(q.Name))
	}
	switch w.rng.IntN(8) {
	case 0:
		q.Host = strings.ToUpper(q.Host)
	case 1:
		q.Host += pick(w.rng, ":8080", ":", ".", ".:1", "..", ":x")
	case 2:
		q.Host = pick(w.rng, "x", "other.example", q.Host+"x", "x."+q.Host, ".", "a..b", "[::1]", "[::1]:80", "!", "*")
	}
	q.Target = w.path() + w.queryOf()
	if w.calling && !w.some(10) {
		w.call(&q)
	}
	switch w.rng.IntN(60) {
	case 0:
		q.Port = 8999 // which nobody listens at
	case 1:
		q.Address = "" // one that no IPAddress names
	case 2:
		q.Method, q.Host, q.Target = "CONNECT", "other.example:80", "other.example:80"
	}
	w.headers(&q)
	return q
}

// under gives a host name that a name of a site stands for.
func (w *world) under(name string) string {
	switch parent, wild := strings.CutPrefix(name, "*."); {
	case name == "*":
		return "any.example"
	case wild:
		return strings.Repeat(pick(w.rng, "b.", "b.", "b.c.", "-."), 1+w.rng.IntN(4)) + parent
	}
	return name
}

var segments = []string{
	"/", "/a", "/a", "/b", "/api", "/api", "/v1", "/x", "/x.html", "/X.HTML", "/r17", "/z.png", "/~ann", "/%7eann", "/a%2fb", "/static", "/m1", "/r1/ab.png",
	"/closed", "/moved", "/inside", "/trap", "/kept", "/1", "/media", "/index.html",
	"//", "/.", "/..", "/%2e%2E", "/%61", "/a;b", "/a|b", "/!", "/%", "/%zz", `/a\b`, "/a\x60b", "/a%00b", "/a%0ab",
}

func (w *world) path() string {
	var b strings.Builder
	for range 1 + w.rng.IntN(3) {
		b.WriteString(pick(w.rng, segments...))
	}
	if w.some(40) {
		b.WriteString("/" + strings.Repeat("long", 300))
	}
	return b.String()
}

func (w *world) queryOf() string {
	if w.some(2) {
		return ""
	}
	var parts []string
	for range w.rng.IntN(3) {
		parts = append(parts, pick(w.rng, "q", "q", "r", "Q", "%71", "qq")+pick(w.rng, "=", "=", "")+
			pick(w.rng, "", "1", "12", "a+b", "a%20b", "%61", "a%0ab", "a%00b", "%zz", "%", "x=y", "a?q=1", "%60~!%7C", "%22q%22", "%e9"))
	}
	return "?" + strings.Join(parts, pick(w.rng, "&", ";", "?"))
}

func (w *world) headers(q *explain.Request) {
	add := func(name, value string) { q.Header = append(q.Header, explain.Field{Name: name, Value: value}) }
	for _, name := range []string{"X-A", "x-b", "X-a", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"} {
		if w.some(3) {
			add(name, pick(w.rng, "1", "12", "a b", "A`B", "xa", "a", "x=y", "`~!|", `"q"`, "a,b", "", "127.0.0.9", "127.0.0.9, 127.0.0.8"))
		}
	}
	if w.some(2) {
		var parts []string
		for range 1 + w.rng.IntN(3) {
			parts = append(parts, pick(w.rng, "c=1", "c=12", "c=a b", "c=", "c", `c="q"`, " c = a ", "d=1", "cc=1", "C=1", `c="a;c=1"`, "c=a,c=12", "$c=1", "WEIRZONE=az1", "WEIRZONE=az2", "WEIRZONE=az3", "WEIRZONE=none", "c=x=y", "WEIRSPLIT=1", "WEIRSPLIT=3000000000", "WEIRSPLIT=x y z and what goes on behind thirty-two bytes"))
		}
		add("Cookie", strings.Join(parts, pick(w.rng, "; ", ";", " ; ")))
	}
}

func say(q explain.Request) string {
	return fmt.Sprintf("%s from %s to %s port %d, name %q: %s Host %q %v", "request", q.From, q.Address, q.Port, q.Name, q.Method+" "+q.Target, q.Host, q.Header)
}
