package weir_test

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir"
)

// words is everything that a text could be meant to break out of: configuration, maps, crt-lists, run-time
// commands, payloads, log formats, JSON and terminals.
var words = []string{
	"", "a", "web-az1", "a_b", "-a", "a-", "A", "a b", "a\nb", "a\x00", "a;b", `a"b`, "a'b", `a\b`, "a#b", "#a", "a%b", "%[src]", "/%[src]", "/%5Bsrc%5D", "/%zz", "/%2", "/%",
	"${HOME}", "$HOME", "/$metadata", "<<EOF", "/a?b=c", "/a b", "/", "/a//../b", "/ä", "a\r\nb", "a\tb", "a\u00a0b", "a\u2028b", "a\u202eb", "a\x7f", "a\xff", "a\u0085",
	"www.example.com", "WWW.Example.COM.", "bücher.example", "xn--bcher-kva.example", "xn--a", "xn--", "*.example.com", "*", "*.", "*.*", "a..b", ".", "..", "_dmarc.a", "a.b:80", "[::1]:80", "::1", "127.0.0.1:8080",
	"ｅxample.com", "a。b", "exam\u00adple.com", "faß.de", strings.Repeat("a", 64), strings.Repeat("a.", 130),
	"text/html; charset=utf-8", "text/html", "text/html\r\nX: y", `text/html; a="b"`, "text/html;a=b;c=d", "text", "/", "text/html; a={b}", "200", "200-299", "200, 301-302", "2xx", "+20", "200-\t299", "299-200",
	`^/a(b|c)$`, `/[a-z]+\.png`, "#x", "(", "a{1,2}", "`id`", "a,b", "a|b", "!a", "@a", "&a", "~a", "a=b", "a:b", "a/b", "..%2f",
}

func FuzzText(f *testing.F) {
	for _, w := range words {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, s string) {
		only := func(what, v, allowed string) {
			if i := strings.IndexFunc(v, func(r rune) bool { return !strings.ContainsRune(allowed, r) }); i >= 0 {
				t.Errorf("%s accepts %q, which holds %q", what, v, v[i:])
			}
		}
		const (
			small   = "abcdefghijklmnopqrstuvwxyz0123456789"
			letters = small + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		)
		if weir.CheckName(s) == nil {
			only("CheckName", s, small+"-_")
			if len(s) > weir.MaxName || strings.Trim(s, "-_") != s || s == "" {
				t.Errorf("CheckName accepts %q", s)
			}
		}
		if weir.CheckText(s) == nil {
			only("CheckText", s, letters+"!&()*+,-./:=?@[]^_`{|}~")
		}
		if weir.CheckURLPath(s) == nil {
			only("CheckURLPath", s, letters+"!$%&()*+,-./:=?@_~")
			if !strings.HasPrefix(s, "/") || len(s) > 1024 || strings.Contains(s, "%[") || strings.HasSuffix(s, "%") {
				t.Errorf("CheckURLPath accepts %q", s)
			}
		}
		if weir.CheckMapValue(s) == nil {
			only("CheckMapValue", s, letters+" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
			if s == "" || strings.TrimSpace(s) != s || len(s) > weir.MaxMapValue {
				t.Errorf("CheckMapValue accepts %q", s)
			}
		}
		if weir.CheckHost(s) == nil {
			only("CheckHost", s, letters+"-_.:[]")
		}
		if weir.CheckContentType(s) == nil {
			only("CheckContentType", s, letters+"-+._/;= ")
		}
		if c, err := weir.CanonicalHostname(s); err == nil {
			only("CanonicalHostname", strings.TrimPrefix(c, "*"), small+"-_.")
			if again, err := weir.CanonicalHostname(c); again != c || err != nil {
				t.Errorf("CanonicalHostname gives %q for %q, and for that %q, %v", c, s, again, err)
			}
			if strings.HasPrefix(c, ".") || strings.HasSuffix(c, ".") || strings.Contains(c, "..") || len(c) > 255 {
				t.Errorf("CanonicalHostname gives %q for %q", c, s)
			}
		}
		if list, err := weir.ParseStatuses(s); err == nil {
			only("ParseStatuses", s, "0123456789-, ")
			for _, r := range list {
				if r.Low < 100 || r.High > 599 || r.Low > r.High {
					t.Errorf("ParseStatuses gives %v for %q", r, s)
				}
			}
		}
	})
}

// FuzzFields puts one text into every field of every kind that takes text, and asks that what is accepted can
// start nothing anywhere: that rule holds for each value by itself, so that no writer has to know it. A Map's value alone may
// hold what a line may: it is what ends one (TestValuesOfMapsAreData in internal/agent).
func FuzzFields(f *testing.F) {
	for _, w := range words {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for field, o := range everyField(s) {
			if len(weir.Validate(o)) > 0 {
				continue
			}
			// Normalize may have changed the text, so what is looked at is what is kept.
			for _, v := range held(field, o) {
				if field == "Map.value" {
					if strings.ContainsAny(v, "\x00\n\r\t\v\f\x7f") || v != strings.TrimSpace(v) {
						t.Errorf("%s accepts %q", field, v)
					}
					continue
				}
				if strings.ContainsAny(v, "\x00\n\r\t\v\f\"'\\ ") && field != "Map.regex" {
					t.Errorf("%s accepts %q", field, v)
				}
				if strings.ContainsAny(v, "\x00\n\r\t\v\f ") || strings.HasPrefix(v, "#") || strings.Contains(v, "%[") && field != "Map.regex" {
					t.Errorf("%s accepts %q", field, v)
				}
			}
			if again := o.Clone(); again.Ref() != o.Ref() {
				t.Errorf("%s: the copy of %s is %s", field, o.Ref(), again.Ref())
			}
		}
	})
}

func everyField(s string) map[string]*weir.Object {
	named := func(kind string, spec weir.Spec) *weir.Object {
		return &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: "a"}, Spec: spec}
	}
	pool := func(edit func(*weir.Pool)) *weir.Object {
		p := &weir.Pool{Port: "http", Selector: &weir.Selector{Role: "web"}, HealthCheck: &weir.HealthCheck{Type: "http"}}
		edit(p)
		return named("Pool", p)
	}
	site := func(edit func(*weir.Site)) *weir.Object {
		site := &weir.Site{Hostnames: []string{"a.example"}, Addresses: []string{"a"}, Listeners: []weir.Listener{{Port: 80}}, Backends: map[string]weir.Backend{"default": {Pool: "a"}}}
		edit(site)
		return named("Site", site)
	}
	tuning := func(user string) *weir.Object { return named("Tuning", &weir.Tuning{User: user, Group: user}) }
	zone := &weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: s}, Spec: &weir.Zone{}}
	return map[string]*weir.Object{
		"name":           zone,
		"Pool.header":    pool(func(p *weir.Pool) { p.Balance, p.BalanceHeader = "header", s }),
		"Pool.cookie":    pool(func(p *weir.Pool) { p.Persistence = &weir.Persistence{Cookie: s} }),
		"Pool.path":      pool(func(p *weir.Pool) { p.HealthCheck.Path = s }),
		"Pool.host":      pool(func(p *weir.Pool) { p.HealthCheck.Host = s }),
		"Pool.body":      pool(func(p *weir.Pool) { p.HealthCheck.Body = s }),
		"Pool.method":    pool(func(p *weir.Pool) { p.HealthCheck.Method = s }),
		"Pool.expect":    pool(func(p *weir.Pool) { p.HealthCheck.Expect = s }),
		"Pool.sni":       pool(func(p *weir.Pool) { p.TLS = &weir.PoolTLS{SNI: s} }),
		"Pool.port":      pool(func(p *weir.Pool) { p.Port = weir.PortRef(s) }),
		"Pool.sendProxy": pool(func(p *weir.Pool) { p.SendProxy = s }),
		"Pool.balance":   pool(func(p *weir.Pool) { p.Balance = s }),
		"Pool.member": pool(func(p *weir.Pool) {
			p.Members = []weir.Member{{Name: s, Address: netip.MustParseAddr("10.0.0.1"), Port: 80}}
		}),
		"Site.hostname": site(func(x *weir.Site) { x.Hostnames = []string{s} }),
		"Site.backend":  site(func(x *weir.Site) { x.Backends[s] = weir.Backend{Pool: "a"} }),
		"Site.exact": site(func(x *weir.Site) {
			x.Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Exact: s}}, Backend: "default"}}
		}),
		"Site.prefix": site(func(x *weir.Site) {
			x.Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: s}}, Backend: "default"}}
		}),
		"Site.profile": site(func(x *weir.Site) { x.Listeners[0].TLS = &weir.ListenerTLS{Certificates: []string{"a"}, Profile: s} }),
		"Site.alpn": site(func(x *weir.Site) {
			x.Listeners[0].TLS = &weir.ListenerTLS{Certificates: []string{"a"}, ALPN: []string{s}}
		}),
		"Site.zone": site(func(x *weir.Site) {
			x.Backends["default"] = weir.Backend{Zones: map[string]string{s: "a"}}
			x.Routing = &weir.SiteRouting{HomeZone: s, Weights: map[string]int{s: 1}, Fallback: s}
		}),
		"ZoneShift.zone":     named("ZoneShift", &weir.ZoneShift{Sites: []string{s}, Zone: s, Reason: "x", ExpiresAt: time.Unix(4e9, 0)}),
		"ZoneShift.schedule": named("ZoneShift", &weir.ZoneShift{Sites: []string{"a"}, Zone: "a", Reason: "x", Schedule: s}),
		"Site.schedule": site(func(x *weir.Site) {
			x.Maintenance = &weir.SiteMaintenance{Schedule: s}
			x.Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Schedule: s}, Backend: "default"}}
		}),
		"Split.site":            named("Split", &weir.Split{Site: s, Backend: "a", Legs: []weir.SplitLeg{{Backend: "a", Weight: 1}, {Backend: "b"}}}),
		"Split.backend":         named("Split", &weir.Split{Site: "a", Backend: s, Legs: []weir.SplitLeg{{Backend: s, Weight: 1}, {Backend: "b"}}}),
		"Split.leg":             named("Split", &weir.Split{Site: "a", Backend: "a", Schedule: s, Legs: []weir.SplitLeg{{Backend: "a", Weight: 1}, {Backend: s}}}),
		"Split.sticky":          named("Split", &weir.Split{Site: "a", Backend: "a", Sticky: s, Legs: []weir.SplitLeg{{Backend: "a", Weight: 1}, {Backend: "b"}}}),
		"RateLimit.schedule":    named("RateLimit", &weir.RateLimit{Count: "requests", Period: weir.Duration(1e9), Hard: &weir.HardLimit{}, Schedules: []weir.RateLimitSchedule{{Schedule: s, Hard: &weir.LimitLevel{}}}}),
		"ZoneShift.role":        named("ZoneShift", &weir.ZoneShift{Role: s, Zone: "a", Reason: "x", ExpiresAt: time.Unix(4e9, 0)}),
		"Map.key":               named("Map", &weir.Map{Match: "prefix", Entries: []weir.MapEntry{{Key: s, Value: "a"}}}),
		"Map.regex":             named("Map", &weir.Map{Match: "regex", Entries: []weir.MapEntry{{Key: s, Value: "a"}}}),
		"Map.value":             named("Map", &weir.Map{Match: "exact", Entries: []weir.MapEntry{{Key: "/a", Value: s}}}),
		"Tuning.user":           tuning(s),
		"Role.hostname":         named("Role", &weir.Role{Hostnames: []string{s}}),
		"ErrorPage.contentType": named("ErrorPage", &weir.ErrorPage{Body: "x", ContentType: s}),
		"Override.state":        named("Override", &weir.Override{Server: "a", State: s, Weight: new(1), Reason: "x", ExpiresAt: time.Unix(4e9, 0)}),
	}
}

// held gives the text as the accepted object holds it.
func held(field string, o *weir.Object) []string {
	switch spec := o.Spec.(type) {
	case *weir.Pool:
		list := []string{spec.BalanceHeader, spec.HealthCheck.Path, spec.HealthCheck.Host, spec.HealthCheck.Body, spec.HealthCheck.Method, spec.HealthCheck.Expect, string(spec.Port), spec.SendProxy, spec.Balance}
		if spec.Persistence != nil {
			list = append(list, spec.Persistence.Cookie)
		}
		if spec.TLS != nil {
			list = append(list, spec.TLS.SNI)
		}
		for _, m := range spec.Members {
			list = append(list, m.Name)
		}
		return list
	case *weir.Site:
		list := spec.Hostnames
		for name := range spec.Backends {
			list = append(list, name)
		}
		for _, r := range spec.Routes {
			if r.Match.Path != nil {
				list = append(list, r.Match.Path.Exact, r.Match.Path.Prefix)
			}
			list = append(list, r.Match.Schedule)
		}
		if t := spec.Listeners[0].TLS; t != nil {
			list = append(append(list, t.Profile), t.ALPN...)
		}
		if r := spec.Routing; r != nil {
			list = append(list, r.HomeZone, r.Fallback)
		}
		if m := spec.Maintenance; m != nil {
			list = append(list, m.Schedule)
		}
		return list
	case *weir.ZoneShift:
		return append(slices.Clone(spec.Sites), spec.Zone, spec.Role, spec.Schedule)
	case *weir.Split:
		return []string{spec.Site, spec.Backend, spec.Legs[1].Backend, spec.Sticky, spec.Schedule}
	case *weir.RateLimit:
		if len(spec.Schedules) > 0 {
			return []string{spec.Schedules[0].Schedule}
		}
	case *weir.Map:
		return []string{spec.Entries[0].Key, spec.Entries[0].Value}
	case *weir.Tuning:
		return []string{spec.User}
	case *weir.Role:
		return spec.Hostnames
	case *weir.ErrorPage:
		return []string{strings.ReplaceAll(spec.ContentType, " ", "")} // a blank may stand behind ';'
	case *weir.Override:
		return []string{spec.State}
	}
	return []string{o.Metadata.Name}
}

func TestRulesThatAFieldHasByItself(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"format in a path":      {"{kind: Pool, metadata: {name: a}, spec: {healthCheck: {path: '/%[src]'}}}", "spec.healthCheck.path"},
		"variable in a path":    {"{kind: Pool, metadata: {name: a}, spec: {healthCheck: {path: /$HOME}}}", "spec.healthCheck.path: write '$' as %24"},
		"query in a route":      {"{kind: Map, metadata: {name: a}, spec: {match: exact, entries: [{key: '/a?b', value: x}]}}", "spec.entries[0].key: \"/a?b\" holds '?'"},
		"comment in a map":      {"{kind: Map, metadata: {name: a}, spec: {match: regex, entries: [{key: '#a', value: x}]}}", "begins a comment"},
		"header in a type":      {`{kind: ErrorPage, metadata: {name: a}, spec: {body: x, contentType: "text/html\r\nX: y"}}`, "spec.contentType"},
		"wildcard SNI":          {"{kind: Pool, metadata: {name: a}, spec: {tls: {sni: '*.example.com'}}}", "spec.tls.sni: must be one name"},
		"host with a path":      {"{kind: Pool, metadata: {name: a}, spec: {healthCheck: {host: a.example/b}}}", "spec.healthCheck.host"},
		"HAProxy as root":       {"{kind: Tuning, metadata: {name: a}, spec: {user: root}}", "spec.user: HAProxy does not stay root"},
		"name that is a number": {"{kind: Server, metadata: {name: a}, spec: {address: 10.0.0.1, zone: az1, ports: {'80': 80}}}", "is a number"},
		"interval of no check":  {"{kind: Pool, metadata: {name: a}, spec: {healthCheck: {type: none, interval: 1s}}}", "belong to a check"},
		"check of http":         {"{kind: Pool, metadata: {name: a}, spec: {healthCheck: {type: smtp}}}", "spec.healthCheck.type: smtp is for tcp pools"},
		"check without a user":  {"{kind: Pool, metadata: {name: a}, spec: {mode: tcp, healthCheck: {type: postgresql}}}", "spec.healthCheck.user: is required"},
		"bytes in a user":       {"{kind: Pool, metadata: {name: a}, spec: {mode: tcp, healthCheck: {type: postgresql, user: 'a b'}}}", "spec.healthCheck.user: \"a b\" may hold"},
		"user of no check":      {"{kind: Pool, metadata: {name: a}, spec: {mode: tcp, healthCheck: {type: ssh, user: a}}}", "spec.healthCheck.user: belongs to type postgresql"},
		"port in a greeting":    {"{kind: Pool, metadata: {name: a}, spec: {mode: tcp, healthCheck: {type: smtp, host: 'a:25'}}}", "spec.healthCheck.host"},
		"path of a greeting":    {"{kind: Pool, metadata: {name: a}, spec: {mode: tcp, healthCheck: {type: ldap, path: /}}}", "belong to type http"},
		"protocol to agree on":  {"{kind: Pool, metadata: {name: a}, spec: {protocol: auto}}", "spec.protocol: auto needs tls"},
		"protocol of tcp":       {"{kind: Pool, metadata: {name: a}, spec: {mode: tcp, protocol: h2}}", "spec.protocol: is for http pools"},
		"secret in a log":       {"{kind: Site, metadata: {name: a}, spec: {log: {requestHeaders: {authorization: 9}}}}", "spec.log.requestHeaders.authorization: holds what a client proves itself with"},
		"log without end":       {"{kind: Site, metadata: {name: a}, spec: {log: {responseHeaders: {X-A: 512, X-B: 512, X-C: 512, X-D: 512, X-E: 512, X-F: 512, X-G: 512, X-H: 512, X-I: 1}}}}", "spec.log.responseHeaders: has 4097 bytes in all"},
		"header twice":          {"{kind: Site, metadata: {name: a}, spec: {log: {responseHeaders: {X-A: 9, x-a: 9}}}}", "spec.log.responseHeaders.x-a: is listed twice"},
		"rule in a header":      {"{kind: Site, metadata: {name: a}, spec: {log: {requestHeaders: {'a) len 1': 9}}}}", "spec.log.requestHeaders.a) len 1"},
		"length of an answer":   {"{kind: Site, metadata: {name: a}, spec: {log: {strip: [content-length]}}}", "spec.log.strip[0]: content-length says how"},
		"rule in a type":        {"{kind: Pool, metadata: {name: a}, spec: {compression: {types: [\"text/html\\nbind\"]}}}", "spec.compression.types[0]"},
		"plain password":        {"{kind: Tuning, metadata: {name: a}, spec: {stats: {port: 8404, users: [{name: a, passwordHash: secret}]}}}", "spec.stats.users[0].passwordHash: is no hash"},
		"nobody sees it":        {"{kind: Tuning, metadata: {name: a}, spec: {stats: {port: 8404, users: []}}}", "spec.stats.users: needs one at least"},
		"one address twice":     {"{kind: LoadBalancer, metadata: {name: a}, spec: {group: g, zone: z, localRanges: {192.0.2.0/28: 127.0.0.0/28, 198.51.100.0/28: 127.0.0.0/28}}}", "two addresses would be bound as one"},
		"join terms":            {"{kind: Token, metadata: {name: a}, spec: {subject: x, join: {group: g, zone: z, localPorts: {80: 8080, 81: 8080}}}}", "spec.join.localPorts[81]: ports 80 and 81"},
		"text that turns":       {"{kind: Override, metadata: {name: a}, spec: {server: s, state: drain, reason: \"a\\u202eb\", expiresAt: 2030-01-01T00:00:00Z}}", "spec.reason"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := weir.Decode("m.yaml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %q", err, c.want)
			}
		})
	}
}

// TestListsOfOneMistake: what is wrong with very many entries of one object is told of some, in little time and room.
func TestListsOfOneMistake(t *testing.T) {
	t.Parallel()
	clusters := make([]string, 300_000)
	for i := range clusters {
		clusters[i] = "c" + strconv.Itoa(i%200_000)
	}
	o := &weir.Object{Kind: "Server", Metadata: weir.Metadata{Name: "a"}, Spec: &weir.Server{Address: netip.MustParseAddr("10.0.0.1"), Zone: "az1", Clusters: clusters, Weight: new(1)}}
	list := weir.Validate(o)
	if len(list) != 10_000 {
		t.Errorf("%d problems", len(list))
	}
	o.Spec.(*weir.Server).Clusters = clusters[:257]
	if list := weir.Validate(o); len(list) != 1 || list[0].Path != "spec.clusters" || list[0].Message != "257 clusters; at most 256 are allowed" {
		t.Errorf("got %v", list)
	}
}

func TestNormalizeBringsEqualThingsTogether(t *testing.T) {
	t.Parallel()
	list, err := weir.Decode("m.yaml", []byte(`
- {kind: Pool, metadata: {name: a}, spec: {tls: {sni: Bücher.Example.}}}
- {kind: Override, metadata: {name: a}, spec: {server: s, state: drain, reason: x, expiresAt: 2030-01-01T01:00:00+01:00}}
- {kind: ErrorPage, metadata: {name: a}, spec: {body: x, contentType: application/problem+json}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if sni := list[0].Spec.(*weir.Pool).TLS.SNI; sni != "xn--bcher-kva.example" {
		t.Errorf("sni %q", sni)
	}
	if at := list[1].Spec.(*weir.Override).ExpiresAt; at.String() != "2030-01-01 00:00:00 +0000 UTC" {
		t.Errorf("expiry %s", at)
	}
}
