package weir_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir"
)

func decodeSite(t *testing.T, routes string) ([]*weir.Object, error) {
	t.Helper()
	return weir.Decode("site.yaml", []byte(`{kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com, "*.shop.example.com"], addresses: [a],
  listeners: [{port: 80}], backends: {default: web, api: api}, routes: `+routes+`}}`))
}

func TestRoutesAreOrderedBySpecificity(t *testing.T) {
	list, err := decodeSite(t, `[
		{match: {map: moved}},
		{match: {path: {regex: "/r.*"}}, backend: api},
		{match: {method: GET}, backend: api},
		{match: {path: {prefix: /}}, backend: api},
		{match: {path: {prefix: /a/}}, backend: api},
		{match: {path: {prefix: /a, }, method: GET}, backend: api},
		{match: {path: {prefix: /a/b}}, backend: api},
		{match: {path: {prefix: /a/b}, headers: [{name: X, exact: a}]}, backend: api},
		{match: {path: {prefix: /a/b}, headers: [{name: X, exact: a}, {name: Y, present: true}]}, backend: api},
		{match: {path: {exact: /a}}, backend: api},
		{match: {host: www.example.com}, backend: api},
		{match: {host: a.shop.example.com, path: {prefix: /a}}, backend: api},
		{match: {host: "*.shop.example.com", path: {exact: /a}}, backend: api},
		{match: {accessList: office}, backend: api},
		{match: {accessList: office, path: {prefix: /a}}, backend: api},
		{match: {accessList: home}, backend: api},
	]`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range weir.OrderRoutes(list[0].Spec.(*weir.Site).Routes) {
		got = append(got, fmt.Sprintf("%d: %s > %s", p.Index, p.Why, p.Ahead))
	}
	want := []string{
		"14: access list office, prefix /a of 2 bytes > prefix",
		"13: access list office, any path > list order",
		"15: access list home, any path > access list",
		"11: host a.shop.example.com, prefix /a of 2 bytes > host",
		"10: host www.example.com, any path > host",
		"12: host *.shop.example.com, exact path /a > host",
		"9: exact path /a > exact path",
		"8: prefix /a/b of 4 bytes, 2 headers > more headers",
		"7: prefix /a/b of 4 bytes, 1 header > more headers",
		"6: prefix /a/b of 4 bytes > longer prefix",
		"5: prefix /a of 2 bytes, method GET > method",
		"4: prefix /a/ of 2 bytes > longer prefix",
		"3: prefix /, which is any path > prefix",
		"1: regex /r.* > regex",
		"2: any path, method GET > no Map",
		"0: Map moved, behind all other routes > ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRoutesAreRefused(t *testing.T) {
	for routes, want := range map[string]string{
		`[{match: {}, backend: api}]`:                                                                                        "needs at least one condition",
		`[{match: {map: m, method: GET}}]`:                                                                                   "stands alone",
		`[{match: {path: {prefix: /a}}}]`:                                                                                    "backend or action is required",
		`[{match: {path: {prefix: /a}}, backend: api, action: {deny: 403}}]`:                                                 "name the backend there",
		`[{match: {path: {prefix: /a}}, action: {deny: 403, tarpit: true}}]`:                                                 "needs exactly one of",
		`[{match: {path: {prefix: /a}}, action: {deny: 200}}]`:                                                               "none of the statuses",
		`[{match: {path: {prefix: /a}}, action: {backend: none}}]`:                                                           "is no backend of this site",
		`[{match: {path: {prefix: /a}}, action: {redirect: {}}}]`:                                                            "leads to where the client is already",
		`[{match: {path: {prefix: /a}}, action: {redirect: {code: 200, host: x.example}}}]`:                                  "none of the statuses",
		`[{match: {path: {prefix: /a}}, action: {redirect: {host: "x.example/\r\nSet-Cookie: a=b"}}}]`:                       "action.redirect.host",
		`[{match: {path: {prefix: /a}}, action: {redirect: {scheme: javascript}}}]`:                                          "must be one of http, https",
		`[{match: {path: {prefix: /a}}, action: {redirect: {path: "/x\r\nSet-Cookie: a=b"}}}]`:                               "can't hold",
		`[{match: {path: {prefix: /a}}, action: {redirect: {path: "//evil.example"}}}]`:                                      "must be written as",
		`[{match: {path: {prefix: /a}}, action: {deny: 403, rewrite: {path: /x}}}]`:                                          "is for requests that a server sees",
		`[{match: {path: {exact: /a}}, action: {backend: api, rewrite: {prefix: /x}}}]`:                                      "takes the place of match.path.prefix",
		`[{match: {host: other.example.com}, backend: api}]`:                                                                 "none of the site's host names",
		`[{match: {method: "GET\n"}, backend: api}]`:                                                                         "is no method",
		`[{match: {headers: [{name: "a b", present: true}]}, backend: api}]`:                                                 "may hold only letters",
		`[{match: {headers: [{name: "a)", present: true}]}, backend: api}]`:                                                  "may hold only letters",
		`[{match: {headers: [{name: a, exact: "x\ny"}]}, backend: api}]`:                                                     "printable ASCII",
		`[{match: {headers: [{name: a}]}, backend: api}]`:                                                                    "exactly one of exact",
		`[{match: {headers: [{name: a, exact: b, prefix: b}]}, backend: api}]`:                                               "exactly one of exact",
		`[{match: {headers: [{name: A, exact: b}, {name: a, exact: c}]}, backend: api}]`:                                     "has a condition already",
		`[{match: {cookies: [{name: a, regex: "a)|(b"}]}, backend: api}]`:                                                    "closes a group",
		`[{match: {path: {prefix: /a/../b}}, backend: api}, {match: {path: {prefix: /%62}}, backend: default}]`:              "routes[0] matches the same",
		`[{match: {headers: [{name: A, exact: x}]}, backend: api}, {match: {headers: [{name: a, exact: x}]}, backend: api}]`: "routes[0] matches the same",
		`[` + strings.Repeat(`{match: {headers: [{name: a, regex: "X"}]}, backend: api},`, 1) + manyRegexes() + `]`:          "is the fifth regex of header a",
		manyRoutes(): "are allowed",
	} {
		_, err := decodeSite(t, routes)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120s: %v, want %s", routes, err, want)
		}
	}
}

// Nothing of a header can begin another one, say how the message is to be read, or who sent it.
func TestHeadersOfRoutesAreRefused(t *testing.T) {
	for changes, want := range map[string]string{
		`{set: {X-A: "a\r\nX-B: b"}}`:                   "printable ASCII",
		`{set: {X-A: "a\nb"}}`:                          "printable ASCII",
		`{add: {X-A: "a\rb"}}`:                          "printable ASCII",
		`{add: {X-A: "a\0b"}}`:                          "printable ASCII",
		`{set: {X-A: "a\tb"}}`:                          "printable ASCII",
		`{set: {X-A: "ä"}}`:                             "printable ASCII",
		`{set: {X-A: ""}}`:                              "must not be empty",
		`{set: {X-A: " a"}}`:                            "nor end with a blank",
		`{set: {"X-A\r\nX-B": b}}`:                      "may hold only letters",
		`{set: {"X-A: b": b}}`:                          "may hold only letters",
		`{set: {"": b}}`:                                "is required",
		`{remove: ["X A"]}`:                             "may hold only letters",
		`{remove: ["X-A\0"]}`:                           "may hold only letters",
		`{remove: [Connection]}`:                        "stays as it is",
		`{set: {transfer-encoding: chunked}}`:           "stays as it is",
		`{add: {Content-Length: "0"}}`:                  "stays as it is",
		`{set: {Upgrade: h2c}}`:                         "stays as it is",
		`{set: {TE: trailers}}`:                         "stays as it is",
		`{set: {Host: evil.example}}`:                   "stays as it is",
		`{remove: [X-Forwarded-For]}`:                   "stays as it is",
		`{add: {x-forwarded-PROTO: https}}`:             "stays as it is",
		`{remove: [Forwarded]}`:                         "stays as it is",
		`{set: {Strict-Transport-Security: max-age=0}}`: "stays as it is",
		`{set: {X-A: a}, remove: [x-a]}`:                "is changed twice",
		`{set: {X-A: a, x-a: b}}`:                       "is changed twice",
		`{}`:                                            "at least 1",
		`{set: {X-A: ` + strings.Repeat("a", weir.MaxHeaderValue+1) + `}}`: "at most 1024",
	} {
		for _, side := range []string{"requestHeaders", "responseHeaders"} {
			_, err := decodeSite(t, `[{match: {path: {prefix: /a}}, action: {backend: api, `+side+`: `+changes+`}}]`)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %.60s: %v, want %s", side, changes, err, want)
			}
		}
	}
	if _, err := decodeSite(t, `[{match: {path: {prefix: /a}}, action: {deny: 403, responseHeaders: {remove: [x-a]}}}]`); err == nil {
		t.Error("headers without a backend are taken")
	}
}

func manyRegexes() (out string) {
	for i := range weir.MaxFieldRegexes {
		out += fmt.Sprintf(`{match: {headers: [{name: a, regex: "x%d"}]}, backend: api},`, i)
	}
	return out
}

func manyRoutes() string {
	out := ""
	for i := range 200 {
		out += fmt.Sprintf(`{match: {method: GET, path: {prefix: /x%d}}, backend: api},`, i)
	}
	return "[" + out + "]"
}

func TestDelegatedRoutes(t *testing.T) {
	base, err := weir.Decode("base.yaml", []byte(`
{kind: Zone, metadata: {name: az1}}
---
{kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [192.0.2.0/28]}}
---
{kind: Role, metadata: {name: web}, spec: {hostnames: [www.example.com]}}
---
{kind: Role, metadata: {name: media}}
---
{kind: Role, metadata: {name: shop}}
---
{kind: IPAddress, metadata: {name: vip, role: web}, spec: {address: 192.0.2.1, groups: [edge]}}
---
{kind: Pool, metadata: {name: web, role: web}, spec: {members: [{name: a, address: 10.0.0.1, port: 80}]}}
---
kind: Site
metadata: {name: www, role: web}
spec:
  hostnames: [www.example.com]
  addresses: [vip]
  listeners: [{port: 80}]
  backends: {default: web, media: web}
  delegates: [{role: media, path: /media/}]
  routes: [{match: {path: {prefix: /media/own}}, backend: media}, {match: {headers: [{name: x, exact: y}]}, backend: media}]
`))
	if err != nil {
		t.Fatal(err)
	}
	set := weir.NewSet(base...)
	put := func(before *weir.Set, text string) (*weir.Set, string) {
		t.Helper()
		list, err := weir.Decode("route.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		after := before.Copy()
		var refs []weir.Ref
		for _, o := range list {
			after.Put(o)
			refs = append(refs, o.Ref())
		}
		var said []string
		for _, p := range weir.Check(before, after, refs) {
			said = append(said, p.Object+" "+p.Path+" "+p.Message)
		}
		return after, strings.Join(said, "\n")
	}
	route := func(role, match, action string) string {
		return `{kind: Route, metadata: {name: r, role: ` + role + `}, spec: {site: www, match: ` + match + `, action: ` + action + `}}`
	}
	for text, want := range map[string]string{
		route("media", "{path: {prefix: /media}}", "{backend: media}"):                                             "",
		route("media", "{path: {prefix: /media/x}, method: GET}", "{deny: 403}"):                                   "",
		route("media", "{path: {exact: /media/x}}", "{redirect: {path: /media/y}}"):                                "",
		route("web", "{path: {prefix: /anything}}", "{backend: media}"):                                            "",
		route("media", "{path: {prefix: /}}", "{backend: media}"):                                                  "which delegates to role media /media/",
		route("media", "{path: {prefix: /mediax}}", "{backend: media}"):                                            "which delegates to role media /media/",
		route("media", "{path: {prefix: /media/../admin}}", "{backend: media}"):                                    "which delegates to role media /media/",
		route("media", "{path: {prefix: /media/%2e%2e/admin}}", "{backend: media}"):                                "which delegates to role media /media/",
		route("media", "{path: {regex: /media/.*}}", "{backend: media}"):                                           "which delegates to role media /media/",
		route("media", "{method: GET}", "{backend: media}"):                                                        "which delegates to role media /media/",
		route("media", "{path: {prefix: /media}, headers: [{name: x, regex: 'x{3,1}'}]}", "{backend: media}"):      "spec.match.headers[0].regex error parsing regexp",
		route("media", "{path: {prefix: /media}, cookies: [{name: x, regex: '(?<n>a)'}]}", "{backend: media}"):     "which it must not take down",
		route("media", "{path: {prefix: /media}, query: [{name: x, regex: '\\p{Greek}'}]}", "{backend: media}"):    "which it must not take down",
		route("media", "{path: {prefix: /media}, query: [{name: x, regex: '[0-9]+|v[1-3]'}]}", "{backend: media}"): "",
		route("web", "{path: {prefix: /media}, headers: [{name: x, regex: '(?<n>a)'}]}", "{backend: media}"):       "",
		route("shop", "{path: {prefix: /media}}", "{backend: media}"):                                              "delegates nothing to role shop",
		route("media", "{path: {prefix: /media/x}}", "{backend: other}"):                                           "is no backend of Site/www",
		route("media", "{path: {prefix: /media/x}, host: shop.example.com}", "{deny: 403}"):                        "is none of the host names of Site/www",
		route("media", "{path: {prefix: /media/own/}}", "{deny: 403}"):                                             "Site/www, routes[0], matches the same",
		strings.Replace(route("media", "{path: {prefix: /media/x}}", "{deny: 403}"), "www", "none", 1):             `Site "none" does not exist`,
	} {
		if _, got := put(set, text); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	with, _ := put(set, route("media", "{path: {prefix: /media/x}}", "{backend: media}"))
	again := strings.Replace(route("media", "{path: {prefix: /media//x/}}", "{deny: 403}"), "name: r,", "name: s,", 1)
	if _, got := put(with, again); !strings.Contains(got, "Route/s") || !strings.Contains(got, "Route/r matches the same") {
		t.Errorf("a second of the same: %q", got)
	}
	// What the site's owner takes away must not leave a Route without ground.
	site := `{kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [vip], listeners: [{port: 80}], `
	for rest, want := range map[string]string{
		`backends: {default: web, media: web}, delegates: [{role: media, path: /media/x}]}}`:                                                                "",
		`backends: {default: web, media: web}}}`:                                                                                                            "Route/r could not stay: spec.match.path",
		`backends: {default: web}, delegates: [{role: media, path: /media}]}}`:                                                                              "Route/r could not stay: spec.action.backend",
		`backends: {default: web, media: web}, delegates: [{role: media, path: /media}], routes: [{match: {path: {prefix: /media/x}}, backend: default}]}}`: "Route/r matches the same",
		`backends: {default: web, media: web}, delegates: [{role: shop, path: /media}]}}`:                                                                   "Route/r could not stay",
	} {
		if _, got := put(with, site+rest); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", rest, got, want)
		}
	}
	list, owners := weir.AllRoutes(with, "www")
	if len(list) != 3 || owners[2] != (weir.Ref{Kind: "Route", Name: "r"}) || list[2].Does().Backend != "media" {
		t.Errorf("all routes of the site: %v %v", list, owners)
	}
}
