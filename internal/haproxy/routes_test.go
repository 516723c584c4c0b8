package haproxy_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

func prefix(p string) weir.RouteMatch {
	return weir.RouteMatch{Path: &weir.PathMatch{Prefix: p}}
}

// withRoutes gives the sites rich.example and www.example these routes, as they are after their defaults are filled in.
func withRoutes(routes ...weir.SiteRoute) func(*ir.Node) {
	return func(n *ir.Node) {
		for i := range n.Sites {
			s := &n.Sites[i]
			if s.Name != "rich" {
				continue
			}
			spec := weir.Site{Routes: routes}
			spec.Normalize()
			s.Routes = spec.Routes
			s.ErrorPages = map[weir.Status3]string{403: "sorry"}
		}
	}
}

// quickTarpit takes the ten seconds away that a client waits for.
func quickTarpit(c *haproxy.Config) {
	for i := range c.Sections {
		for j, l := range c.Sections[i].Lines {
			if strings.HasPrefix(l.Text, "timeout tarpit ") {
				c.Sections[i].Lines[j].Text = "timeout tarpit 10ms"
			}
		}
	}
}

// location gives where an answer's head leads to.
func location(answer string) string {
	for line := range strings.SplitSeq(answer, "\n") {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); strings.EqualFold(name, "Location") {
			return value
		}
	}
	return ""
}

func TestRoutesDoWhatTheySay(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, withRoutes(
			weir.SiteRoute{Match: prefix("/admin"), Action: &weir.RouteAction{Deny: 403}},
			weir.SiteRoute{Match: prefix("/admin/open"), Backend: "api"},
			weir.SiteRoute{Match: prefix("/gone"), Action: &weir.RouteAction{Deny: 410}},
			weir.SiteRoute{Match: prefix("/slow"), Action: &weir.RouteAction{Tarpit: true}},
			weir.SiteRoute{Match: prefix("/move"), Action: &weir.RouteAction{Redirect: &weir.Redirect{Prefix: "/new/", Code: 301}}},
			weir.SiteRoute{Match: prefix("/up"), Action: &weir.RouteAction{Redirect: &weir.Redirect{Prefix: "/"}}},
			weir.SiteRoute{Match: prefix("/whole"), Action: &weir.RouteAction{Redirect: &weir.Redirect{Path: "/there", Code: 303}}},
			weir.SiteRoute{Match: prefix("/else"), Action: &weir.RouteAction{Redirect: &weir.Redirect{Host: "Other.example:81", Code: 307}}},
			weir.SiteRoute{Match: prefix("/safe"), Action: &weir.RouteAction{Redirect: &weir.Redirect{Scheme: "https", Code: 308}}},
			weir.SiteRoute{Match: prefix("/v1"), Action: &weir.RouteAction{Backend: "api", Rewrite: &weir.Rewrite{Prefix: "/v2"}}},
			weir.SiteRoute{Match: prefix("/strip/"), Action: &weir.RouteAction{Backend: "api", Rewrite: &weir.Rewrite{Prefix: "/"}}},
			weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: "/r[0-9]+"}}, Action: &weir.RouteAction{Backend: "api", Rewrite: &weir.Rewrite{Path: "/regex"}}},
		), quickTarpit)
		for path, want := range map[string]string{
			"/":               "200 web1 /",
			"/admin":          `403 {"sorry":"503"}`,
			"/admin/x?y":      `403 {"sorry":"503"}`,
			"/adminx":         "200 web1 /adminx",
			"/admin/open/x":   "200 api /admin/open/x",
			"/gone/x":         "410",
			"/slow":           "429",
			"/move":           "301 to /new",
			"/move/a?b=c&d":   "301 to /new/a?b=c&d",
			"/up":             "302 to /",
			"/up/":            "302 to /",
			"/up/x?":          "302 to /x",
			"/whole/x?q=1":    "303 to /there?q=1",
			"/else/x/?q":      "307 to //other.example:81/else/x/?q",
			"/safe/x":         "308 to https://rich.example/safe/x",
			"/v1":             "200 api /v2",
			"/v1/a/b?q=/v1":   "200 api /v2/a/b?q=/v1",
			"/strip":          "200 api /",
			"/strip/x":        "200 api /x",
			"/r17":            "200 api /regex",
			"/x/%7eann/a%2fb": "200 web1 /x/~ann/a%2Fb",
		} {
			if got := p.outcome(t, "rich.example", path); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
	})
}

// outcome asks and gives the status with where it leads to: the origin and the path that it saw, a redirect's location,
// or the body of Weir's own page.
func (p proxy) outcome(t *testing.T, host, path string) string {
	t.Helper()
	status, origin, all := p.get(t, 17, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	for _, o := range p.origins {
		if o.Name == origin {
			seen := slices.DeleteFunc(o.Requests(""), func(s weirtest.Seen) bool { return s.Path == "/ping" }) // a check
			return fmt.Sprintf("%d %s %s", status, origin, seen[len(seen)-1].URI)
		}
	}
	if to := location(all); to != "" {
		return fmt.Sprintf("%d to %s", status, to)
	}
	if strings.Contains(all, "sorry") {
		return fmt.Sprintf("%d %s", status, all[strings.IndexByte(all, '{'):])
	}
	return fmt.Sprint(status)
}

// However somebody writes a path that the servers could take for /admin, the rule for /admin holds, and what passes is
// seen by the servers as the rules saw it.
func TestHostilePathsPassNoRule(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, withRoutes(
			weir.SiteRoute{Match: prefix("/admin"), Action: &weir.RouteAction{Deny: 404}},
			weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Exact: "/secret"}}, Action: &weir.RouteAction{Deny: 404}},
			weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: "/s[0-9]"}}, Action: &weir.RouteAction{Deny: 404}},
		))
		for _, path := range []string{
			"/admin", "/admin/", "/admin/x", "//admin", "///admin", "/./admin", "/.//admin", "/x/../admin", "/../admin", "/../../admin/x",
			"/%61dmin", "/%61%64%6d%69%6e/", "/adm%69n", "/%2e/admin", "/x/%2e%2e/admin", "/x/.%2E/admin", "/x/%2e./admin", "/x//../admin", "/x/..//admin",
			"/./././//admin/./x", "/x/y/../../admin?q", "/admin?x=/../", "/admin/y/../x", "/a/b/../.././admin/",
			"http://rich.example/admin", "http://rich.example//x/../admin",
			"/secret", "//secret", "/x/../secret?q", "/%73ecret", "/s1", "//s1", "/%731",
		} {
			if got := p.outcome(t, "rich.example", path); got != "404" {
				t.Errorf("%s: %s", path, got)
			}
		}
		for path, want := range map[string]string{
			"/admin/../x":     "200 web1 /x",
			"/admin/..":       "200 web1 /",
			"/Admin":          "200 web1 /Admin",
			"/x?y=/../admin":  "200 web1 /x?y=/../admin",
			"/%2561dmin":      "200 web1 /%2561dmin",
			"/x\\..\\admin":   "400",
			"/%zz":            "400",
			"/%6%31dmin":      "400",
			"/admin%":         "400",
			"/x/...//.hidden": "200 web1 /x/.../.hidden",
		} {
			if got := p.outcome(t, "rich.example", path); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
		// A site that has nothing but prefixes leaves paths as they are.
		if got := p.outcome(t, "www.example", "/a//b/../c"); got != "200 web1 /a//b/../c" {
			t.Errorf("a site without rules: %s", got)
		}
	})
}

// What a manifest's paths are brought into is what HAProxy makes of a request's.
func TestNormalPathIsHAProxys(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, withRoutes(weir.SiteRoute{Match: prefix("/"), Action: &weir.RouteAction{Redirect: &weir.Redirect{Host: "o.example"}}}))
		rng := rand.New(rand.NewPCG(1, 2))
		parts := []string{"/", "/", "/", ".", "..", "a", "%2e", "%2E", "%61", "%2f", "%c3", "%zz", "%", "%4", "~", "%7E", "b.c", ";", "%25"}
		for range 300 {
			path := "/"
			for range rng.IntN(9) {
				path += parts[rng.IntN(len(parts))]
			}
			want := "302 to //o.example" + weir.NormalPath(path)
			if _, err := url.PathUnescape(path); err != nil {
				want = "400"
			}
			if got := p.outcome(t, "rich.example", path); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
		// Of a query only what need not have been encoded is decoded, and nothing in it is refused.
		for asked, want := range map[string]string{
			"//a?q=100%":                "/a?q=100%",
			"/a?%2f%zz=%4a%7e&r=//../.": "/a?%2f%zz=J~&r=//../.",
			`/%61?b?c="|<\>{}'%25`:      `/a?b?c="|<\>{}'%25`,
		} {
			if got := p.outcome(t, "rich.example", asked); got != "302 to //o.example"+want {
				t.Errorf("%s: %s, want %s", asked, got, want)
			}
		}
	})
}
