package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/internal/haproxy"
)

// add puts a section before the frontends.
func add(c *haproxy.Config, s haproxy.Section) { c.Sections = slices.Insert(c.Sections, 4, s) }

func TestReasonsToReload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(a, b *haproxy.Config)
		want   []string
	}{
		{"a port", func(_, b *haproxy.Config) {
			b.Sections = append(b.Sections, haproxy.Section{Kind: "frontend", Name: "https-8443", Lines: lines("Site/www", "bind 127.0.0.1:8443,127.0.0.2:8443 ssl")})
		}, []string{"port 8443 is new to the group: HAProxy opens ports only when it starts (Site/www)"}},
		{
			"a port goes", func(_, b *haproxy.Config) { b.Sections = b.Sections[:5] },
			[]string{"port 443 is no longer served: HAProxy closes ports only when it starts"},
		},
		{"a port speaks otherwise", func(_, b *haproxy.Config) {
			b.Sections[4].Name = "tcp-80"
		}, []string{"port 80 speaks tcp instead of http: HAProxy opens ports only when it starts"}},
		{
			"limits", func(_, b *haproxy.Config) {
				b.Sections[0].Lines = lines("Tuning/edge", "maxconn 2000", "nbthread 2", "tune.bufsize 32768")
			},
			[]string{"maxConnections is 2000 instead of 1000, bufferSize is 32768 instead of HAProxy's own choice: HAProxy takes such settings only when it starts (Tuning/edge)"},
		},
		{"the same rule in many frontends", func(a, b *haproxy.Config) {
			for i := range 40 {
				f := haproxy.Section{Kind: "frontend", Name: fmt.Sprint("http-", 9000+i), Lines: lines("", "http-request deny if bad")}
				a.Sections, b.Sections = append(a.Sections, f), append(b.Sections, f)
			}
			for i := 4; i < len(b.Sections); i++ {
				b.Sections[i].Lines = slices.Concat(b.Sections[i].Lines, lines("Site/www", "http-request add-header X-Id abc"))
			}
		}, []string{"ports 80, 443, 9000, 9001, 9002 and 37 more treat clients otherwise, “http-request add-header X-Id abc” is new: HAProxy reads its rules only when it starts (Site/www)"}},
		{
			"a header for the log", func(_, b *haproxy.Config) {
				for i := 4; i < len(b.Sections); i++ {
					b.Sections[i].Lines = slices.Concat(b.Sections[i].Lines, lines("Site/www", "http-request capture req.hdr(x-id) len 36 if a", "http-response del-header x-sql if a"))
				}
			},
			[]string{"the requests' header x-id is logged for the first time, the answers' header x-sql is taken out for the first time: HAProxy reads its rules only when it starts (Site/www)"},
		},
		{"fields and lists", func(a, b *haproxy.Config) {
			at := func(tested, rest string) []haproxy.Line {
				is := " if { var(txn.tested) -m sub ," + tested + ", }"
				return lines("", "http-request unset-var(txn.value)"+is, "http-request set-var(txn.value) req.fhdr(a)"+is, `http-request set-var-fmt(txn.line) "%[var(txn.line)]`+rest+`"`+is)
			}
			asked := lines("", `http-request set-var-fmt(txn.line) "m=%[method]\nhx-a=%[x]\n" if a`)
			a.Sections[4].Lines = slices.Concat(a.Sections[4].Lines, asked, at("sccookie=", "1"), at("shua=words", "sub"))
			asked = lines("", `http-request set-var-fmt(txn.line) "m=%[method]\nhx-a=%[x]\nhx-b=%[x]\n" if a`)
			b.Sections[4].Lines = slices.Concat(b.Sections[4].Lines, asked, at("shua=", "2"), at("shua=words", "end"))
		}, []string{"port 80 holds no more the cookie cookie against lists, port 80 holds for the first time the header ua against lists, " +
			"port 80 holds otherwise the header ua against the list words, port 80 looks for the first time at the header x-b: HAProxy reads its rules only when it starts"}},
		{"many lines", func(_, b *haproxy.Config) {
			for i := range 500 {
				b.Sections[4].Lines = append(b.Sections[4].Lines, haproxy.Line{Text: fmt.Sprint("acl a", i, " src 10.0.0.1"), Owner: fmt.Sprint("Site/s", i)})
			}
		}, []string{"port 80 treats clients otherwise, “acl a0 src 10.0.0.1” is new, “acl a1 src 10.0.0.1” is new and 498 more lines: HAProxy reads its rules only when it starts"}},
		{
			"a rule moves", func(_, b *haproxy.Config) { slices.Reverse(b.Sections[4].Lines) },
			[]string{"port 80 treats clients otherwise, its rules come in another order: HAProxy reads its rules only when it starts"},
		},
		{"sections move", func(_, b *haproxy.Config) {
			b.Sections[4], b.Sections[5] = b.Sections[5], b.Sections[4]
		}, []string{"the parts of haproxy.cfg come in another order: HAProxy reads its rules only when it starts"}},
		{"a profile", func(_, b *haproxy.Config) {
			add(b, haproxy.Section{Kind: "defaults", Name: "p-hash", Lines: lines("", "balance hash req.hdr(X-User)", "cookie SHOP insert indirect nocache httponly"), Spare: true})
			b.Backends[0].Name, b.Backends[0].Profile = "api.bbbb", "p-hash"
		}, []string{"pool api is the first with balancing by the header X-User and the cookie SHOP: HAProxy learns new kinds of pools and checks only when it starts (Pool/api)"}},
		{"a health check", func(_, b *haproxy.Config) {
			add(b, haproxy.Section{Kind: "healthcheck", Name: "hc-head", Lines: lines("", "type httpchk", "http-check send meth HEAD", "http-check expect status 200-204"), Spare: true})
			for i := range b.Backends {
				b.Backends[i].Servers[0].Options = "check healthcheck hc-head inter 2s"
			}
		}, []string{"pools api and web are the first with a HEAD check that expects 200-204: HAProxy learns new kinds of pools and checks only when it starts"}},
		{"addresses of ports", func(_, b *haproxy.Config) {
			b.Sections[4].Lines = lines("Site/www", "bind 127.0.0.1:80,127.0.0.3:80", "http-request deny if bad")
			b.Sections[5].Lines = lines("Site/www", "bind 127.0.0.1:443,127.0.0.2:443,127.0.0.3:443 ssl crt-list lists/443", "http-request deny if bad")
		}, []string{"ports 80 and 443 are listened on at 127.0.0.3 as well: HAProxy opens ports only when it starts"}},
		{"other addresses", func(_, b *haproxy.Config) {
			b.Sections[4].Lines = lines("", "bind 0.0.0.0:80,[::]:80", "http-request deny if bad")
			b.Sections[5].Lines = lines("", "bind 127.0.0.1:8443,127.0.0.2:8443 ssl crt-list lists/443", "http-request deny if bad")
		}, []string{"port 80 is listened on at every IPv4 address and every IPv6 address instead of 127.0.0.1, " +
			"port 443 is opened as 8443 instead of 443 on this machine: HAProxy opens ports only when it starts"}},
		{"names without a certificate", func(_, b *haproxy.Config) {
			b.Sections[5].Lines = lines("", "bind 127.0.0.1:443,127.0.0.2:443 ssl crt-list lists/443 strict-sni", "http-request deny if bad")
		}, []string{"port 443 refuses TLS to names without a certificate (strictSNI): HAProxy opens ports only when it starts"}},
		{"protocols", func(a, b *haproxy.Config) {
			a.CrtLists[0].Entries = []haproxy.CrtEntry{{File: "certs/www.pem", Options: "alpn http/1.1 ssl-min-ver TLSv1.2", SNI: []string{"www.example.com"}, Owner: "Site/www"}}
			b.CrtLists[0].Entries = []haproxy.CrtEntry{{File: "certs/www.pem", Options: "ssl-min-ver TLSv1.2", SNI: []string{"www.example.com"}, Owner: "Site/www"}}
		}, []string{"protocols of a certificate's own (alpn) are no longer offered: HAProxy may crash when it forgets them while clients connect, so it does so only when it starts (Site/www)"}},
		{"early data", func(_, b *haproxy.Config) {
			b.Sections[5].Lines = lines("", "bind 127.0.0.1:443,127.0.0.2:443 ssl crt-list lists/443 allow-0rtt", "tcp-request session set-var(sess.early) var(sess.named),map_str(opt@m)",
				"http-request deny deny_status 425 if { ssl_fc_has_early } !{ var(sess.early) -m found }", "http-request deny deny_status 425 if { ssl_fc_has_early } !{ method GET HEAD OPTIONS }", "http-request deny if bad")
		}, []string{"port 443 takes early data for the first time (earlyData): HAProxy opens ports only when it starts"}},
		{"HTTP/3", func(_, b *haproxy.Config) {
			b.Sections[5].Lines = append(lines("", "tcp-request session set-var(sess.http3) var(sess.named),map_str(opt@m)"), b.Sections[5].Lines...)
			add(b, haproxy.Section{Kind: "frontend", Name: "quic-443 from clients-http", Lines: lines("Site/www", "bind quic4@127.0.0.1:443 ssl crt-list lists/443 alpn h3")})
		}, []string{"port 443 answers HTTP/3 for the first time (http3): HAProxy opens ports only when it starts (Site/www)"}},
		{"a timeout that many parts repeat", func(a, b *haproxy.Config) {
			for c, ms := range map[*haproxy.Config]string{a: "60000", b: "90000"} {
				add(c, haproxy.Section{Kind: "defaults", Name: "servers-http", Lines: lines("Tuning/edge", "timeout server "+ms+"ms")})
				c.Sections[2].Lines = lines("", "http-request set-timeout server be_name,map_str_int(opt@maps/t.map,"+ms+")")
			}
		}, []string{"timeouts.server is 1m30s instead of 1m: HAProxy takes such settings only when it starts (Tuning/edge)"}},
		{"pages and logs", func(a, b *haproxy.Config) {
			a.Sections[1].Lines = lines("", `http-error status 503 content-type text/html lf-string "a"`, "log-format 'a'")
			b.Sections[1].Lines = lines("ErrorPage/sorry", `http-error status 503 content-type text/html lf-string "b"`, "log-format 'b'")
		}, []string{
			"the page for status 503 changes: HAProxy takes a group's own pages only when it starts (ErrorPage/sorry)",
			"what is logged changes: HAProxy reads its rules only when it starts (ErrorPage/sorry)",
		}},
		{
			"another HAProxy", func(_, b *haproxy.Config) { b.Version = haproxy.Version{Major: 3, Minor: 5} },
			[]string{"HAProxy 3.5 is to run instead of 3.4: only a new process is"},
		},
		{"a pool below 3.4", func(a, b *haproxy.Config) {
			a.Version, b.Version = v32, v32
			a.Backends = a.Backends[1:]
		}, []string{"pool api is new: HAProxy 3.2 takes pools only when it starts, 3.4 and newer at any time (Pool/api)"}},
		{"pools below 3.4", func(a, b *haproxy.Config) {
			a.Version, b.Version = v32, v32
			b.Backends[0].Name, b.Backends = "api.bbbb", b.Backends[:1]
			for _, n := range []string{"m", "n", "o", "p"} {
				b.Backends = append(b.Backends, haproxy.Backend{Name: n + ".aaaa", Owner: "Pool/" + n})
			}
		}, []string{
			"pools m, n, o and 1 more are new: HAProxy 3.2 takes pools only when it starts, 3.4 and newer at any time",
			"pool api balances or is checked in another way: HAProxy 3.2 takes pools only when it starts, 3.4 and newer at any time (Pool/api)",
			"pool web goes: HAProxy 3.2 takes pools only when it starts, 3.4 and newer at any time (Pool/web)",
		}},
		{"text of a pool that is there", func(_, b *haproxy.Config) {
			b.Backends[0].Profile = "p-x"
			b.Backends[1].Text = []string{"retries 3"}
		}, []string{
			"pool api becomes another kind, p-x instead of p-robin: HAProxy learns new kinds of pools and checks only when it starts (Pool/api)",
			"pool web becomes another kind, “retries 3” is new: HAProxy learns new kinds of pools and checks only when it starts (Pool/web)",
		}},
		{"a pool with text", func(a, b *haproxy.Config) {
			a.Backends = a.Backends[1:]
			b.Backends[0].Text = []string{"retries 3"}
		}, []string{"pool api has rules of its own: HAProxy reads its rules only when it starts (Pool/api)"}},
		{"a pool without a profile", func(a, b *haproxy.Config) {
			a.Backends = a.Backends[1:]
			b.Backends[0].Profile = ""
		}, []string{"pool api is of no kind that HAProxy knows: HAProxy learns new kinds of pools and checks only when it starts (Pool/api)"}},
		{"files", func(_, b *haproxy.Config) {
			b.Maps = append(b.Maps, haproxy.Map{Path: "maps/x", Entries: []haproxy.Entry{{Key: "a", Value: "b", Owner: "Map/x"}}}, haproxy.Map{Path: "maps/y"})
			b.Maps[1].Ordered = false
			b.CrtLists = append(b.CrtLists, haproxy.CrtList{Path: "lists/8443", Entries: []haproxy.CrtEntry{{File: "certs/www.pem", Owner: "Site/www"}}})
		}, []string{
			"the map maps/patterns is searched in another way, the map maps/y is new: HAProxy learns of files only when it starts",
			"the map maps/x is new: HAProxy learns of files only when it starts (Map/x)",
			"the list of certificates lists/8443 is new: HAProxy learns of files only when it starts (Site/www)",
		}},
		{"all", func(a, _ *haproxy.Config) { *a = haproxy.Config{} }, []string{"HAProxy has no configuration yet"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := edge(), edge()
			c.change(&a, &b)
			p := Diff(a, b)
			var got []string
			for _, r := range p.Reload {
				got = append(got, r.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("reasons:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
			if len(p.Ops) > 0 {
				t.Errorf("a reload with operations: %v", p.Ops)
			}
			if after := Apply(p, a); !reflect.DeepEqual(after, b) || !Diff(after, b).Empty() {
				t.Error("a reload does not bring what was wanted")
			}
			if got := Summary(p); len(got) != len(c.want) || got[0] != "reloads HAProxy: "+c.want[0] {
				t.Errorf("summary: %q", got)
			}
		})
	}
}

// A spare section that nobody asks for stays until something else reloads, and can be used again meanwhile.
func TestSpareSectionsWait(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	b.Sections = slices.DeleteFunc(b.Sections, func(s haproxy.Section) bool { return s.Kind == "healthcheck" })
	b.Backends[0].Servers[0].Weight = 1
	p := Diff(a, b)
	if len(p.Reload) > 0 || len(p.Ops) != 1 {
		t.Fatalf("plan: %v %v", p.Reload, p.Ops)
	}
	after := Apply(p, a)
	if !Equivalent(after, b) || Equivalent(b, after) {
		t.Error("what may stay is a difference, or what is missing is none")
	}
	if !Diff(after, b).Empty() || len(Diff(after, edge()).Reload) > 0 {
		t.Error("the section that stayed is forgotten")
	}
	if len(Diff(b, a).Reload) != 1 {
		t.Error("a spare section that is not there needs no reload")
	}
	changed := edge()
	changed.Sections[3].Lines = lines("", "type tcp-check")
	if got := Diff(a, changed).Reload; len(got) != 1 || got[0].Text != "the check hc-get changes, “type tcp-check” instead of “type httpchk”: HAProxy reads its rules only when it starts" {
		t.Errorf("reasons: %v", got)
	}
	a.Sections[3].Spare = false
	if len(Diff(a, b).Reload) != 1 {
		t.Error("a section that is not spare stays")
	}
}

func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	for i := range 100 {
		b.Sections = append(b.Sections, haproxy.Section{Kind: "frontend", Name: fmt.Sprint("http-", i+1000), Lines: lines(fmt.Sprint("Site/s", i), fmt.Sprint("bind :", i+1000))})
	}
	got := Diff(a, b).Reload
	if len(got) != mostReasons+1 || got[mostReasons].Text != "and 80 more reasons" {
		t.Errorf("%d reasons, the last: %v", len(got), got[len(got)-1])
	}
}

// Owners are for people: who owns a thing changes nothing in HAProxy.
func TestOwnersAreNoDifference(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	b.Sections[0].Lines = lines("Tuning/x", "maxconn 1000", "nbthread 2")
	b.Backends[0].Owner, b.Backends[0].Servers = "Pool/x", slices.Clone(b.Backends[0].Servers)
	b.Backends[0].Servers[0].Owner, b.Maps[0].Entries[0].Owner, b.Certs[1].Owner, b.CrtLists[0].Entries[0].Owner = "x", "x", "x", "x"
	if p := Diff(a, b); !p.Empty() || !Equivalent(a, b) {
		t.Errorf("plan: %v %v", p.Reload, p.Ops)
	}
}

// On 3.2 everything but backends is changed at run time as on 3.4.
func TestServersOf32AreChangedAtRunTime(t *testing.T) {
	t.Parallel()
	reloads, changed := 0, 0
	for seed := range rounds(500) {
		r := random(seed)
		from := newWorld(r)
		from.version = v32
		to := from.clone()
		for range 1 + r.IntN(4) {
			to.mutate(r)
		}
		a, b := from.config(), to.config()
		p := Diff(a, b)
		sameBackends := slices.EqualFunc(a.Backends, b.Backends, func(x, y haproxy.Backend) bool { return x.Name == y.Name })
		if (len(p.Reload) > 0) == sameBackends {
			t.Fatalf("seed %d: backends equal %v, reasons %v", seed, sameBackends, p.Reload)
		}
		if reloads++; sameBackends {
			reloads--
			changed++
			holds(t, a, b, fmt.Sprint("seed ", seed))
		}
	}
	if reloads < 50 || changed < 50 {
		t.Errorf("%d reloads and %d changes at run time: one of them is not tested", reloads, changed)
	}
}
