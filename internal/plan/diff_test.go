package plan

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/internal/haproxy"
)

var v34, v32 = haproxy.Version{Major: 3, Minor: 4}, haproxy.Version{Major: 3, Minor: 2}

// edge is a small configuration that the cases below change.
func edge() haproxy.Config {
	return haproxy.Config{
		Version: v34,
		Sections: []haproxy.Section{
			{Kind: "global", Lines: lines("", "maxconn 1000", "nbthread 2")},
			{Kind: "defaults", Lines: lines("", "timeout client 30s")},
			{Kind: "defaults", Name: "p-robin", Lines: lines("", "mode http", "balance roundrobin"), Spare: true},
			{Kind: "healthcheck", Name: "hc-get", Lines: lines("", "type httpchk"), Spare: true},
			{Kind: "frontend", Name: "http-80", Lines: lines("", "bind 127.0.0.1:80", "http-request deny if bad")},
			{Kind: "frontend", Name: "https-443", Lines: lines("", "bind 127.0.0.1:443,127.0.0.2:443 ssl crt-list lists/443", "http-request deny if bad")},
		},
		Backends: []haproxy.Backend{
			{Name: "api.aaaa", Profile: "p-robin", Mode: "http", Owner: "Pool/api", Servers: []haproxy.Server{
				server("s1.aaaa", "10.0.0.1:80", 1), server("s2.aaaa", "10.0.0.2:80", 2),
			}},
			{Name: "web.aaaa", Profile: "p-robin", Mode: "http", Owner: "Pool/web", Servers: []haproxy.Server{
				server("s1.aaaa", "10.0.1.1:80", 1), server("s2.aaaa", "10.0.1.2:80", 2), server("s3.aaaa", "10.0.1.3:80", 3),
			}},
		},
		Maps: []haproxy.Map{
			{Path: "maps/hosts", Entries: []haproxy.Entry{{Key: "www.example.com", Value: "www", Owner: "Site/www"}}},
			{Path: "maps/patterns", Ordered: true},
			{Path: "maps/routes", Entries: []haproxy.Entry{{Key: "www/", Value: "web.aaaa", Owner: "Site/www"}, {Key: "www/api", Value: "api.aaaa", Owner: "Site/www"}}},
		},
		Certs: []haproxy.Cert{
			{Path: "certs/ca.pem", Authority: true, Digest: "1", Certificate: "ca"},
			{Path: "certs/www.pem", Digest: "1", Certificate: "www", Owner: "Certificate/www"},
		},
		CrtLists: []haproxy.CrtList{{Path: "lists/443", Entries: []haproxy.CrtEntry{{File: "certs/www.pem", Options: "ssl-min-ver TLSv1.2", SNI: []string{"www.example.com"}, Owner: "Site/www"}}}},
	}
}

func lines(owner string, texts ...string) []haproxy.Line {
	var list []haproxy.Line
	for _, t := range texts {
		list = append(list, haproxy.Line{Text: t, Owner: owner})
	}
	return list
}

func server(name, address string, id int) haproxy.Server {
	return haproxy.Server{
		Name: name, Address: address, ID: id, Weight: 100, Check: true,
		Options: "check inter 2s", Owner: "Server/" + haproxy.BaseName(name),
	}
}

func TestDiffByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  func(c *haproxy.Config)
		ops     string
		summary string
	}{
		{
			"a weight", func(c *haproxy.Config) { c.Backends[1].Servers[1].Weight = 50 },
			"set server web.aaaa/s2.aaaa weight 50",
			"sets weight 50 for server s2 of pool web",
		},
		{
			"a drain", func(c *haproxy.Config) { c.Backends[1].Servers[1].Weight = 0 },
			"set server web.aaaa/s2.aaaa weight 0",
			"drains server s2 of pool web",
		},
		{
			"maintenance", func(c *haproxy.Config) {
				c.Backends[1].Servers[0].Maintenance = true
				c.Backends[1].Servers[2].MaxConnections = 500
			},
			"set maxconn server web.aaaa/s3.aaaa 500; disable server web.aaaa/s1.aaaa",
			"bounds connections to 500 for server s3 of pool web; puts server s1 of pool web into maintenance",
		},
		{
			"a new server", func(c *haproxy.Config) {
				c.Backends[1].Servers = append(c.Backends[1].Servers, server("s4.aaaa", "10.0.1.4:80", 4))
			},
			"add server web.aaaa/s4.aaaa 10.0.1.4:80 id 4 weight 100 check inter 2s; enable server web.aaaa/s4.aaaa; enable health web.aaaa/s4.aaaa",
			"adds server s4 to pool web",
		},
		{
			"other options", func(c *haproxy.Config) {
				s := server("s1.bbbb", "10.0.1.1:80", 9)
				s.Options = "check inter 1s"
				c.Backends[1].Servers[0] = s
			},
			"add server web.aaaa/s1.bbbb 10.0.1.1:80 id 9 weight 100 check inter 1s; enable server web.aaaa/s1.bbbb; enable health web.aaaa/s1.bbbb; " +
				"# wait until s1.bbbb of web.aaaa is up; disable server web.aaaa/s1.aaaa; del server web.aaaa/s1.aaaa",
			"makes server s1 of pool web anew; waits for 1 server of pool web to come up",
		},
		{
			"an ID that another server takes", func(c *haproxy.Config) {
				c.Backends[1].Servers[0] = server("s1.bbbb", "10.0.9.1:80", 1)
			},
			"add server web.aaaa/s1.bbbb 10.0.9.1:80 id 268435457 weight 100 check inter 2s; enable server web.aaaa/s1.bbbb; " +
				"enable health web.aaaa/s1.bbbb; # wait until s1.bbbb of web.aaaa is up; disable server web.aaaa/s1.aaaa; del server web.aaaa/s1.aaaa", "",
		},
		{
			"a pool under another profile", func(c *haproxy.Config) {
				c.Backends[0].Name = "api.bbbb"
				c.Backends[0].Servers = c.Backends[0].Servers[:1]
				c.Maps[2].Entries = []haproxy.Entry{c.Maps[2].Entries[0], {Key: "www/api", Value: "api.bbbb", Owner: "Site/www"}}
			},
			"add backend api.bbbb from p-robin mode http; add server api.bbbb/s1.aaaa 10.0.0.1:80 id 1 weight 100 check inter 2s; enable server api.bbbb/s1.aaaa; " +
				"enable health api.bbbb/s1.aaaa; publish backend api.bbbb; # wait until s1.aaaa of api.bbbb is up; set map maps/routes www/api api.bbbb; " +
				"unpublish backend api.aaaa; disable server api.aaaa/s1.aaaa; disable server api.aaaa/s2.aaaa; del server api.aaaa/s1.aaaa; " +
				"del server api.aaaa/s2.aaaa; del backend api.aaaa",
			"makes pool api anew under profile p-robin, beside the old one; waits for 1 server of pool api to come up; sends www/api to pool api",
		},
		{
			"a site goes", func(c *haproxy.Config) {
				c.Backends, c.CrtLists[0].Entries, c.Certs = nil, nil, c.Certs[:1]
				c.Maps = []haproxy.Map{{Path: "maps/hosts"}, {Path: "maps/patterns", Ordered: true}, {Path: "maps/routes"}}
			},
			"del map maps/hosts www.example.com; del map maps/routes www/; del map maps/routes www/api; unpublish backend api.aaaa; disable server api.aaaa/s1.aaaa; " +
				"disable server api.aaaa/s2.aaaa; unpublish backend web.aaaa; disable server web.aaaa/s1.aaaa; disable server web.aaaa/s2.aaaa; disable server web.aaaa/s3.aaaa; " +
				"del server api.aaaa/s1.aaaa; del server api.aaaa/s2.aaaa; del backend api.aaaa; del server web.aaaa/s1.aaaa; del server web.aaaa/s2.aaaa; " +
				"del server web.aaaa/s3.aaaa; del backend web.aaaa; del ssl crt-list lists/443 certs/www.pem [ssl-min-ver TLSv1.2] www.example.com; del ssl cert certs/www.pem",
			"removes 3 map entries for Site/www; removes pools api and web; " +
				"stops showing certificate certs/www.pem on lists/443; forgets certificate certs/www.pem",
		},
		{
			"certificates", func(c *haproxy.Config) {
				c.Certs[0].Digest, c.Certs[1].Digest = "2", "2"
				c.Certs = append(c.Certs, haproxy.Cert{Path: "certs/x.pem", Digest: "1", Certificate: "x"})
				c.CrtLists[0].Entries = []haproxy.CrtEntry{
					{File: "certs/www.pem", Options: "ssl-min-ver TLSv1.3", SNI: []string{"www.example.com"}}, {File: "certs/x.pem"},
				}
			},
			"set ssl ca-file certs/ca.pem <<…; set ssl cert certs/www.pem <<…; new ssl cert certs/x.pem; set ssl cert certs/x.pem <<…; " +
				"add ssl crt-list lists/443 <<… certs/www.pem [ssl-min-ver TLSv1.3] www.example.com; add ssl crt-list lists/443 <<… certs/x.pem; " +
				"del ssl crt-list lists/443 certs/www.pem [ssl-min-ver TLSv1.2] www.example.com",
			"renews certificates ca and www; loads certificate x; shows certificate certs/www.pem otherwise on lists/443; shows certificate certs/x.pem on lists/443",
		},
		{
			"an ordered map that grows at its end", func(c *haproxy.Config) {
				c.Maps[1].Entries = []haproxy.Entry{{Key: "^/z", Value: "web.aaaa"}, {Key: "^/a b;", Value: "api.aaaa"}}
			},
			`add map maps/patterns ^/z web.aaaa; add map maps/patterns ^/a\ b\; api.aaaa`,
			`sends ^/z to pool web; sends ^/a\ b\; to pool api`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := edge(), edge()
			c.change(&b)
			p := holds(t, a, b, c.name)
			if got := strings.Join(commands(p), "; "); got != c.ops {
				t.Errorf("operations:\n%s\nwant:\n%s", got, c.ops)
			}
			if got := strings.Join(Summary(p), "; "); c.summary != "" && got != c.summary {
				t.Errorf("summary:\n%s\nwant:\n%s", got, c.summary)
			}
			holds(t, b, a, c.name+", back")
		})
	}
}

func commands(p Plan) []string {
	list := make([]string, 0, len(p.Ops))
	for _, o := range p.Ops {
		list = append(list, o.String())
	}
	return list
}

func TestLargeMapsAreSwapped(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	for i := range 300 {
		b.Maps[0].Entries = append(b.Maps[0].Entries, haproxy.Entry{Key: fmt.Sprintf("x%03d.example.com", i), Value: "www", Owner: "Site/www"})
	}
	p := holds(t, a, b, "grow")
	if len(p.Ops) != 1 || p.Ops[0].Kind != MapSwap || p.Ops[0].Changes != 300 || p.Ops[0].Owner != "Site/www" {
		t.Fatalf("300 new entries are not one swap: %v", p.Ops)
	}
	if got := Summary(p)[0]; got != "changes 300 entries of map maps/hosts at once" {
		t.Errorf("summary: %s", got)
	}
	both := edge()
	both.Maps[0].Entries = b.Maps[0].Entries[1:200]
	if p := holds(t, b, both, "shrink"); len(p.Ops) != 102 {
		t.Errorf("102 entries that go are not taken one by one: %d operations", len(p.Ops))
	}
	ordered := edge()
	ordered.Maps[1].Entries = []haproxy.Entry{{Key: "^/b", Value: "web.aaaa"}, {Key: "^/a", Value: "api.aaaa"}}
	turned := edge()
	turned.Maps[1].Entries = []haproxy.Entry{{Key: "^/a", Value: "api.aaaa"}, {Key: "^/c", Value: "web.aaaa"}}
	if got := commands(holds(t, ordered, turned, "turn")); !slices.Equal(got, []string{"commit map @new maps/patterns <<… 3 entries", "del map maps/patterns ^/b"}) {
		t.Errorf("operations: %q", got)
	}
}

// All of a map is exchanged once where nothing else changes, and twice beside what may be found in its place.
func TestAMapIsExchangedOnce(t *testing.T) {
	t.Parallel()
	host := func(c *haproxy.Config, path, prefix string) {
		for i := range 300 {
			c.Maps[0].Entries = append(c.Maps[0].Entries, haproxy.Entry{Key: fmt.Sprintf("%s%03d.example.com", prefix, i), Value: "www", Owner: "Site/www"})
		}
		c.Maps[0].Path = path
	}
	swaps := func(p Plan) (list []string) {
		for _, o := range p.Ops {
			if o.Kind == MapSwap {
				list = append(list, fmt.Sprint(len(o.Entries), " ", o.Changes))
			}
		}
		return list
	}
	a, b := edge(), edge()
	host(&a, "maps/hosts", "x")
	host(&b, "maps/hosts", "y")
	slices.SortFunc(a.Maps[0].Entries, func(x, y haproxy.Entry) int { return strings.Compare(x.Key, y.Key) })
	slices.SortFunc(b.Maps[0].Entries, func(x, y haproxy.Entry) int { return strings.Compare(x.Key, y.Key) })
	if p := holds(t, a, b, "alone"); !slices.Equal(swaps(p), []string{"301 600"}) || len(p.Ops) != 1 {
		t.Errorf("alone: %v", p.Ops)
	}
	b.Maps[2].Entries = append(b.Maps[2].Entries, haproxy.Entry{Key: "www/new", Value: "api.aaaa"})
	if p := holds(t, a, b, "beside others"); !slices.Equal(swaps(p), []string{"601 300", "301 300"}) {
		t.Errorf("beside others: %v", p.Ops)
	}

	// What logic looks up leads to nothing: its values are not taken for names, and it comes first.
	a, b = edge(), edge()
	host(&a, "maps/logic.words.map", "x")
	host(&b, "maps/logic.words.map", "y")
	b.Maps[2].Entries = append(b.Maps[2].Entries, haproxy.Entry{Key: "www/new", Value: "api.aaaa"})
	p := Diff(a, b)
	if got := commands(p); !slices.Equal(got, []string{"commit map @new maps/logic.words.map <<… 301 entries", "add map maps/routes www/new api.aaaa"}) {
		t.Errorf("logic: %q", got)
	}
	if after := Apply(p, a); !Equivalent(after, b) || !Diff(after, b).Empty() {
		t.Error("Apply does not end at b")
	}
	b.Maps[0].Entries = a.Maps[0].Entries[2:]
	if got := commands(Diff(a, b)); len(got) != 3 || got[1] != "del map maps/logic.words.map x000.example.com" {
		t.Errorf("two that go: %q", got)
	}
}

// Of many routes the first are named and the others counted; their zones are one sentence.
func TestSummaryOfManyRoutes(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	b.Maps[2].Entries = nil
	for i := range 30 {
		for slot := range 3 {
			b.Maps[2].Entries = append(b.Maps[2].Entries, haproxy.Entry{Key: fmt.Sprintf("site%02d/api@%d", i, slot), Value: []string{"api.aaaa", "web.aaaa"}[slot%2]})
		}
	}
	got := Summary(Diff(a, b))
	if len(got) != 12 || !slices.Contains(got, "sends site29/api to pools api and web") || !slices.Contains(got, "sends 20 more routes to other pools") {
		t.Errorf("summary: %s", strings.Join(got, "\n"))
	}
}

// A map in which a key stands twice can only be exchanged as a whole; the first of the two counts.
func TestEqualKeysAreSwappedAway(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	a.Maps[0].Entries = append(a.Maps[0].Entries, haproxy.Entry{Key: "www.example.com", Value: "other"})
	p := Diff(a, b)
	if len(p.Ops) != 1 || p.Ops[0].Kind != MapSwap || !Equivalent(Apply(p, a), b) {
		t.Errorf("operations: %v", p.Ops)
	}
	b.Maps[1].Entries = []haproxy.Entry{{Key: "^/a", Value: "api.aaaa"}, {Key: "^/b", Value: "web.aaaa"}, {Key: "^/a", Value: "web.aaaa"}}
	holds(t, edge(), b, "equal patterns come")
	holds(t, b, edge(), "equal patterns go")
}

// Who made a list in another order than by name gets the same plan.
func TestOrderOfListsDoesNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range rounds(400) {
		r := random(seed)
		a, b := newWorld(r).config(), newWorld(r).config()
		want := Diff(a, b).Ops
		shuffle := func(c haproxy.Config) haproxy.Config {
			c.Backends, c.Maps, c.Certs = slices.Clone(c.Backends), slices.Clone(c.Maps), slices.Clone(c.Certs)
			r.Shuffle(len(c.Backends), reflect.Swapper(c.Backends))
			for i := range c.Backends {
				c.Backends[i].Servers = slices.Clone(c.Backends[i].Servers)
				r.Shuffle(len(c.Backends[i].Servers), reflect.Swapper(c.Backends[i].Servers))
			}
			r.Shuffle(len(c.Maps), reflect.Swapper(c.Maps))
			r.Shuffle(len(c.Certs), reflect.Swapper(c.Certs))
			return c
		}
		x, y := shuffle(a), shuffle(b)
		got := Diff(x, y)
		if v := check(x, y, got); v != nil {
			t.Fatalf("seed %d: %v", seed, v)
		}
		if len(got.Ops) != len(want) {
			t.Fatalf("seed %d: %d operations, sorted %d", seed, len(got.Ops), len(want))
		}
		if !Diff(x, a).Empty() {
			t.Fatalf("seed %d: another order is a change: %v", seed, Diff(x, a).Ops)
		}
	}
}

func TestPlansGoThroughJSON(t *testing.T) {
	t.Parallel()
	for seed := range 100 {
		r := random(seed)
		a, b := newWorld(r).config(), newWorld(r).config()
		p := Diff(a, b)
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Plan
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(commands(back), commands(p)) || !Equivalent(Apply(back, a), b) {
			t.Fatalf("seed %d: JSON changes the plan", seed)
		}
	}
}

// No value can make one printed command look like two, and long ones don't hide what comes after.
func TestPrintedCommandsAreOneLine(t *testing.T) {
	t.Parallel()
	o := Op{Kind: MapSet, Path: "maps/x", Key: "k", Value: "a;b c\\\n" + strings.Repeat("ü", 200)}
	got := o.String()
	if !strings.HasPrefix(got, `set map maps/x k a\;b\ c\\\nü`) || !strings.HasSuffix(got, "ü…") || len(got) > 150 {
		t.Errorf("printed: %s", got)
	}
	long := Op{Kind: AddCrt, Path: "l", File: "f", SNI: []string{"a", "b", "c", "d", "e", "f"}}
	if got := long.String(); got != "add ssl crt-list l <<… f a b c d …2 more" {
		t.Errorf("printed: %s", got)
	}
	if got := (Op{Kind: "dance"}).String(); !strings.HasPrefix(got, "#") {
		t.Errorf("an unknown operation looks like a command: %s", got)
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	b.Backends[1].Servers[0].Weight, b.Backends[1].Servers[0].MaxConnections = 1, 1
	b.Maps[0].Entries = nil
	b.Certs[1].Digest = "2"
	if got := Count(Diff(a, b)); got != (Counts{Ops: 4, Servers: 1, Entries: 1, Certs: 1}) {
		t.Errorf("counts: %+v", got)
	}
	b.Sections = b.Sections[1:]
	if got := Count(Diff(a, b)); got != (Counts{Reloads: 1}) {
		t.Errorf("counts: %+v", got)
	}
}
