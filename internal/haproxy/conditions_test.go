package haproxy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

func header(v weir.ValueMatch) weir.RouteMatch {
	return weir.RouteMatch{Headers: []weir.ValueMatch{v}}
}

// answers is a route that answers with a status of its own, by which a test knows it.
func answers(status int, m weir.RouteMatch) weir.SiteRoute {
	return weir.SiteRoute{Match: m, Action: &weir.RouteAction{Deny: status}}
}

// say sends a request with these header lines to rich.example, or to the host among them.
func (p proxy) say(t *testing.T, line string, headers ...string) string {
	t.Helper()
	host := "Host: rich.example\r\n"
	all := ""
	for _, h := range headers {
		if strings.HasPrefix(h, "Host:") {
			host = ""
		}
		all += h + "\r\n"
	}
	status, origin, _ := p.get(t, 17, line+" HTTP/1.1\r\n"+host+all+"Connection: close\r\n\r\n")
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, origin))
}

func TestConditionsAreAllAsked(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		client := weir.RouteMatch{AccessList: "here"}
		both := func(m weir.RouteMatch, edit func(*weir.RouteMatch)) weir.RouteMatch { edit(&m); return m }
		p := startProxy(t, h, func(n *ir.Node) {
			withRoutes(
				answers(400, both(prefix("/m"), func(m *weir.RouteMatch) { m.Method = "POST" })),
				answers(403, both(prefix("/h"), func(m *weir.RouteMatch) { m.Headers = []weir.ValueMatch{{Name: "X-A", Exact: "one"}} })),
				answers(404, both(prefix("/h"), func(m *weir.RouteMatch) {
					m.Headers = []weir.ValueMatch{{Name: "X-A", Exact: "one"}, {Name: "X-B", Prefix: "two"}}
				})),
				answers(405, header(weir.ValueMatch{Name: "X-C", Present: true})),
				answers(410, header(weir.ValueMatch{Name: "User-Agent", Regex: `.*(?:Bot|Crawler)/[0-9]+.*`})),
				answers(429, header(weir.ValueMatch{Name: "X-D", Exact: `a "b" ` + "`c|d;e\\f#"})),
				answers(503, header(weir.ValueMatch{Name: "X-D", Prefix: "begin "})),
				answers(400, weir.RouteMatch{Query: []weir.ValueMatch{{Name: "debug", Exact: "1"}}}),
				answers(405, weir.RouteMatch{Query: []weir.ValueMatch{{Name: "trace", Present: true}}}),
				answers(403, weir.RouteMatch{Cookies: []weir.ValueMatch{{Name: "beta", Present: true}}, Path: &weir.PathMatch{Exact: "/c"}}),
				answers(404, weir.RouteMatch{Host: "*.rich.example", Path: &weir.PathMatch{Exact: "/w"}}),
				answers(410, weir.RouteMatch{Host: "x.rich.example", Path: &weir.PathMatch{Exact: "/w"}}),
				answers(429, both(client, func(m *weir.RouteMatch) { m.Path = &weir.PathMatch{Prefix: "/l"} })),
				answers(405, weir.RouteMatch{AccessList: "there", Path: &weir.PathMatch{Prefix: "/l"}, Method: "GET"}),
				answers(410, weir.RouteMatch{Method: "GET", Path: &weir.PathMatch{Regex: `/r[0-9]+(?:/.*)?`}}),
				weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Exact: "/h/exact"}}, Backend: "api"},
				weir.SiteRoute{Match: prefix("/h/longer"), Backend: "api"},
				weir.SiteRoute{Match: prefix("/plain"), Backend: "api"},
				weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: "/p.in"}}, Backend: "api"},
			)(n)
			n.Lists = []ir.AccessList{
				{Name: "here", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
				{Name: "there", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
			}
		})
		for _, c := range []struct {
			want, line string
			headers    []string
		}{
			{"400", "POST /m", nil},
			{"200 web1", "GET /m", nil},
			{"200 web1", "POST /mx", nil},
			{"403", "GET /h/x", []string{"x-a: one"}},
			{"403", "GET //y/..//%68", []string{"X-A: one"}},
			{"404", "GET /h", []string{"X-B: two and more", "X-A: one"}},
			{"404", "GET /h", []string{"X-B: two", "X-A: one"}},
			{"403", "GET /h", []string{"X-B: tw", "X-A: one"}},
			{"200 web1", "GET /h", []string{"X-A: ones"}},
			{"200 web1", "GET /h", []string{"X-A: on"}},
			{"200 web1", "GET /h", []string{"X-B: two"}},
			{"200 api", "GET /h/exact", []string{"X-A: one"}},
			{"200 api", "GET /h/longer/x", []string{"X-A: one"}},
			{"405", "GET /anything", []string{"X-C: 0"}},
			{"200 web1", "GET /anything", []string{"X-C:"}},
			{"200 api", "GET /plain", []string{"X-C: 0"}},
			{"200 api", "GET /pxin", []string{"X-C: 0"}},
			{"410", "GET /", []string{"User-Agent: Some Bot/3 (x, like y)"}},
			{"200 web1", "GET /", []string{"User-Agent: Some Bot (x)"}},
			{"429", "GET /", []string{`X-D: a "b" ` + "`c|d;e\\f#"}},
			{"503", "GET /", []string{"X-D: begin x"}},
			{"200 web1", "GET /", []string{"X-D: beginx"}},
			{"400", "GET /?x=y&debug=1", nil},
			{"400", "GET /?debug=%31", nil},
			{"200 web1", "GET /?debug=11", nil},
			{"400", "GET /?%64ebug=1", nil},
			{"405", "GET /?trace=%00", nil},
			{"405", "GET /?trace=x%zz", nil},
			{"403", "GET /h?debug=%00", []string{"X-A: one"}},
			{"200 web1", "GET /?q=100%", nil},
			{"403", "GET /c", []string{"Cookie: a=b; beta=1"}},
			{"200 web1", "GET /c", []string{"Cookie: xbeta=1"}},
			{"404", "GET /w", []string{"Host: a.b.RICH.example."}},
			{"410", "GET /w", []string{"Host: x.rich.example:8080"}},
			{"200 web1", "GET /w", nil},
			{"429", "GET /l/x", nil},
			{"410", "GET /r12/x", nil},
			{"200 web1", "POST /r12/x", []string{"Content-Length: 0"}},
			{"200 web1", "GET /xr12", nil},
			// What a client says can't pass for another line of what is known of it.
			{"200 web1", "GET /?debug=x%0Ahx-c%3D1%0A", nil},
			{"200 web1", "GET /?debug=x%0D%0Ahx-c%3D1", nil},
			{"200 web1", "GET /", []string{"X-A: x`hx-c=1|www/default"}},
			{"404", "GET /h", []string{"X-A: one", "X-B: two" + strings.Repeat("x", 9000)}},
			{"410", "GET /r12/" + strings.Repeat("x", 9000), nil},
			{"429", "GET /l/" + strings.Repeat("x", 9000), nil},
		} {
			if got := p.say(t, c.line, c.headers...); got != c.want {
				t.Errorf("%.80s %.80q: %s, want %s", c.line, c.headers, got, c.want)
			}
		}
		if got := p.say(t, "GET /h", "Host: www.example", "X-A: one"); got != "200 web1" {
			t.Errorf("another site: %s", got)
		}
	})
}

// As many routes as the rules let a site have, the last of which counts, with headers as long as HAProxy takes them.
func TestManyConditions(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		var routes []weir.SiteRoute
		for i := range 60 {
			m := prefix("/same")
			m.Headers = []weir.ValueMatch{{Name: "x-a", Exact: "a"}, {Name: "x-b", Prefix: "b"}, {Name: "x-c", Exact: fmt.Sprintf("c%d", i)}}
			status := 403
			if i == 59 {
				status = 410
			}
			routes = append(routes, answers(status, m))
		}
		const names = 50
		for i := range names {
			routes = append(routes, answers(429, header(weir.ValueMatch{Name: fmt.Sprintf("x-long-%d", i), Exact: "x"})))
		}
		site := weir.Site{Mode: "http", Routes: routes}
		problems := weir.Problems{}
		site.Validate(&problems)
		for _, p := range problems.List() {
			if strings.HasPrefix(p.Path, "routes") {
				t.Fatal(p)
			}
		}
		p := startProxy(t, h, withRoutes(routes...))
		long := strings.Repeat("y", 6000)
		if got := p.say(t, "GET /same/"+long, "X-A: a", "X-C: c59", "X-Z: z", "X-B: b"+long); got != "410" {
			t.Errorf("the last of many: %s", got)
		}
		// Where not everything could be looked at, nothing passes.
		var full []string
		for i := range names {
			full = append(full, fmt.Sprintf("X-Long-%d: %s", i, strings.Repeat("z", 258)))
		}
		if got := p.say(t, "GET /same", append(full, "X-A: a", "X-C: c59", "X-B: b")...); got != "431" {
			t.Errorf("too long to be looked at: %s", got)
		}
		if got := p.say(t, "GET /same/"+long, "X-A: a", "X-C: c60", "X-B: b"); got != "200 web1" {
			t.Errorf("none of many: %s", got)
		}
	})
}
