package plan

import (
	"slices"
	"strings"
	"testing"

	"weir/internal/haproxy"
)

// before says that of two commands, known by their beginnings, the one comes before the other.
func before(t *testing.T, p Plan, first, second string) {
	t.Helper()
	at := func(prefix string) int {
		i := slices.IndexFunc(p.Ops, func(o Op) bool { return strings.HasPrefix(o.String()+"\n", prefix) })
		if i < 0 {
			t.Fatalf("no %q in\n%s", prefix, script(p))
		}
		return i
	}
	if at(first) >= at(second) {
		t.Errorf("%q is not before %q in\n%s", first, second, script(p))
	}
}

// A deploy that exchanges most members of a pool keeps the old ones until the new ones are up; one that
// exchanges few does not wait, as the others carry on.
func TestMostOfAPoolIsWaitedFor(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	b.Backends[1].Servers = []haproxy.Server{server("s3.aaaa", "10.0.1.3:80", 3), server("s4.aaaa", "10.0.1.4:80", 4), server("s5.aaaa", "10.0.1.5:80", 5)}
	p := holds(t, a, b, "two of three")
	before(t, p, "# wait until s4.aaaa and s5.aaaa of web.aaaa", "disable server web.aaaa/s1.aaaa")

	b = edge()
	b.Backends[1].Servers[0] = server("s0.aaaa", "10.0.1.9:80", 9)
	p = holds(t, a, b, "one of three")
	if slices.ContainsFunc(p.Ops, is(WaitUp)) {
		t.Errorf("one of three is waited for:\n%s", script(p))
	}
	before(t, p, "enable server web.aaaa/s0.aaaa", "disable server web.aaaa/s1.aaaa")
}

// What somebody drains by hand is drained before anybody's new pool is waited for.
func TestDrainsDoNotWaitForOthers(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	b.Backends = append(b.Backends, haproxy.Backend{Name: "xxl.aaaa", Profile: "p-robin", Mode: "http", Servers: []haproxy.Server{server("s1.aaaa", "10.0.2.1:80", 1)}})
	b.Maps[2].Entries = append(b.Maps[2].Entries, haproxy.Entry{Key: "www/xxl", Value: "xxl.aaaa"})
	b.Maps[0].Entries = append(b.Maps[0].Entries, haproxy.Entry{Key: "xxl.example.com", Value: "www"})
	b.Backends[1].Servers[0].Maintenance = true
	b.Backends[1].Servers[1].Weight = 0
	p := holds(t, a, b, "drain")
	wait := "# wait until s1.aaaa of xxl.aaaa"
	before(t, p, "disable server web.aaaa/s1.aaaa", wait)
	before(t, p, "set server web.aaaa/s2.aaaa weight 0", wait)
	before(t, p, wait, "add map maps/routes www/xxl")
	before(t, p, "add map maps/routes www/xxl", "add map maps/hosts xxl.example.com") // whose path may be that
}

// A new generation of a pool is waited for even when no map names it whole.
func TestANewGenerationIsWaitedFor(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	a.Maps[2].Entries, b.Maps[2].Entries = nil, nil
	b.Backends[0].Name = "api.bbbb"
	p := holds(t, a, b, "generation")
	before(t, p, "# wait until s1.aaaa and s2.aaaa of api.bbbb", "unpublish backend api.aaaa")
}

// Entries go before what they lead to, and come after it, whatever the maps are called.
func TestMapsAreChangedAlongTheWayOfARequest(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	for _, c := range []*haproxy.Config{&a, &b} {
		c.Maps[0].Path, c.Maps[2].Path = "maps/z-hosts", "maps/a-routes"
		slices.Reverse(c.Maps)
	}
	b.Maps[0].Entries, b.Maps[2].Entries = nil, nil
	gone := holds(t, a, b, "go")
	before(t, gone, "del map maps/z-hosts www.example.com", "del map maps/a-routes www/")
	before(t, gone, "del map maps/z-hosts www.example.com", "del map maps/a-routes www/api")
	came := holds(t, b, a, "come")
	before(t, came, "add map maps/a-routes www/", "add map maps/z-hosts www.example.com")

	a, b = edge(), edge()
	a.Maps[2].Entries = append([]haproxy.Entry{{Key: "shop/", Value: "api.aaaa"}}, a.Maps[2].Entries...)
	b.Maps[2].Entries = append([]haproxy.Entry{{Key: "shop/", Value: "web.aaaa"}}, b.Maps[2].Entries...)
	b.Maps[0].Entries = []haproxy.Entry{{Key: "www.example.com", Value: "shop"}}
	moved := holds(t, a, b, "move")
	before(t, moved, "set map maps/routes shop/", "set map maps/hosts www.example.com")
}

// A path that waits for its pool is not given to the shorter path that comes with it, and a wildcard of what is
// waited for stays where it is.
func TestNothingStandsInForWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	b.Backends = append(b.Backends, haproxy.Backend{Name: "xxl.aaaa", Profile: "p-robin", Mode: "http", Servers: []haproxy.Server{server("s1.aaaa", "10.0.2.1:80", 1)}})
	b.Maps[2].Entries = append(b.Maps[2].Entries, haproxy.Entry{Key: "www/img/", Value: "api.aaaa"}, haproxy.Entry{Key: "www/img/xxl/", Value: "xxl.aaaa"})
	b.Maps[0].Entries = []haproxy.Entry{{Key: "www.example.com", Value: "other"}, {Key: "www|plain", Value: "1"}, {Key: "xyz|plain", Value: "1"}}
	p := holds(t, a, b, "stand in")
	before(t, p, "# wait until s1.aaaa of xxl.aaaa", "add map maps/hosts www|plain") // it is about the same site
	before(t, p, "add map maps/hosts xyz|plain", "# wait until s1.aaaa of xxl.aaaa")
	before(t, p, "# wait until s1.aaaa of xxl.aaaa", "add map maps/routes www/img/xxl/")
	before(t, p, "add map maps/routes www/img/xxl/", "add map maps/routes www/img/ ")
	before(t, p, "# wait until s1.aaaa of xxl.aaaa", "set map maps/hosts www.example.com")
	back := holds(t, b, a, "back")
	before(t, back, "del map maps/routes www/img/\n", "del map maps/routes www/img/xxl/\n")
}

// A longer path comes before the shorter one that begins it and goes after it, whatever else leads where.
func TestLongPathsComeFirstAndGoLast(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	for _, c := range []*haproxy.Config{&a, &b} {
		c.Maps[0].Path, c.Maps[2].Path = "maps/a-hosts", "maps/n-paths"
		c.Maps[2].Entries = nil
		c.Maps = append(c.Maps, haproxy.Map{Path: "maps/z-pools"})
	}
	b.Maps[0].Entries = append(b.Maps[0].Entries, haproxy.Entry{Key: "www.example.net", Value: "www/"})
	b.Maps[2].Entries = []haproxy.Entry{{Key: "www/", Value: "default"}, {Key: "www/img/", Value: "img"}}
	b.Maps[3].Entries = []haproxy.Entry{{Key: "img@1", Value: "web.aaaa"}}
	come := holds(t, a, b, "come")
	before(t, come, "add map maps/n-paths www/img/ ", "add map maps/n-paths www/ ")
	before(t, come, "add map maps/z-pools img@1", "add map maps/n-paths www/img/ ")
	gone := holds(t, b, a, "go")
	before(t, gone, "del map maps/n-paths www/\n", "del map maps/n-paths www/img/\n")
	before(t, gone, "del map maps/n-paths www/img/\n", "del map maps/z-pools img@1")
}

// Where several entries say which pools serve, those that lead to servers come before those that lead to none.
func TestWhatServesComesFirst(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	slots := func(c *haproxy.Config, one, two string) {
		c.Maps[2].Entries = []haproxy.Entry{{Key: "www/api@1", Value: one}, {Key: "www/api@2", Value: two}}
	}
	slots(&a, "none.aaaa", "web.aaaa")
	slots(&b, "web.aaaa", "none.aaaa")
	for _, c := range []*haproxy.Config{&a, &b} {
		c.Backends = slices.Insert(c.Backends, 1, haproxy.Backend{Name: "none.aaaa", Profile: "p-robin", Mode: "http"})
	}
	before(t, holds(t, a, b, "there"), "set map maps/routes www/api@1 web", "set map maps/routes www/api@2 none")
	before(t, holds(t, b, a, "back"), "set map maps/routes www/api@2 web", "set map maps/routes www/api@1 none")
}

// A list that nobody asks for keeps the line that holds its place, which no certificate of anybody's is.
func TestAListKeepsItsPlaceHolder(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	place := haproxy.CrtEntry{File: "certs/_weir.pem"}
	a.CrtLists[0].Entries = append([]haproxy.CrtEntry{place}, a.CrtLists[0].Entries...)
	b.CrtLists = nil
	p := holds(t, a, b, "list")
	if got := commands(p); len(got) != 1 || got[0] != "del ssl crt-list lists/443 certs/www.pem [ssl-min-ver TLSv1.2] www.example.com" {
		t.Errorf("operations: %q", got)
	}
	holds(t, Apply(p, a), a, "list, back")
}

// Who was interrupted while waiting says that a server is unproven, and the plan waits again before it goes on.
func TestAnInterruptedWaitIsWaitedAgain(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	s := server("s1.bbbb", "10.0.1.1:80", 9)
	s.Options = "check inter 1s"
	b.Backends[1].Servers[0] = s
	waited := s
	waited.Unproven = true
	a.Backends[1].Servers = slices.Insert(a.Backends[1].Servers, 1, waited)
	p := holds(t, a, b, "interrupted")
	before(t, p, "enable server web.aaaa/s1.bbbb", "# wait until s1.bbbb of web.aaaa is up")
	before(t, p, "# wait until s1.bbbb of web.aaaa is up", "disable server web.aaaa/s1.aaaa")
}

// A server that nobody has seen up is taken out of traffic like any other: it is up in a moment, maybe.
func TestAnUnprovenServerIsDisabled(t *testing.T) {
	t.Parallel()
	a, b := edge(), edge()
	a.Backends[1].Servers[0].Unproven = true
	b.Backends[1].Servers[0].Maintenance = true
	p := holds(t, a, b, "unproven")
	if got := commands(p); !slices.Equal(got, []string{"disable server web.aaaa/s1.aaaa"}) {
		t.Errorf("operations: %q", got)
	}
}
