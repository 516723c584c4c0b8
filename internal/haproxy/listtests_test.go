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

func stringList(name, match string, ignoreCase bool, entries ...string) ir.AccessList {
	l := &weir.AccessList{Strings: &weir.ListStrings{Match: match, IgnoreCase: ignoreCase, Entries: entries}}
	l.Normalize()
	return ir.AccessList{Name: name, Strings: l.Strings}
}

// Values of requests are held against lists of strings, each in its way; whatever a client says can't pass for a list.
func TestListsOfStrings(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		in := func(name, list string) weir.RouteMatch { return header(weir.ValueMatch{Name: name, AccessList: list}) }
		var many []string
		for i := range 5000 {
			many = append(many, fmt.Sprintf("key-%05d", i))
		}
		p := startProxy(t, h, func(n *ir.Node) {
			withRoutes(
				answers(400, in("x-exact", "keys")),
				answers(403, in("x-exact", "any-case")),
				answers(404, weir.RouteMatch{Headers: []weir.ValueMatch{{Name: "x-agent", AccessList: "begins"}, {Name: "x-more", Present: true}}}),
				answers(405, in("x-agent", "begins-low")),
				answers(410, in("x-agent", "robots")),
				answers(429, in("x-agent", "ends")),
				answers(503, weir.RouteMatch{Cookies: []weir.ValueMatch{{Name: "id", AccessList: "keys"}}}),
				answers(403, weir.RouteMatch{Query: []weir.ValueMatch{{Name: "q", AccessList: "robots"}}}),
				answers(404, weir.RouteMatch{Headers: []weir.ValueMatch{{Name: "x-two", AccessList: "wide"}, {Name: "x-too", AccessList: "narrow"}}}),
				answers(405, weir.RouteMatch{Headers: []weir.ValueMatch{{Name: "x-both", AccessList: "narrow"}}, AccessList: "robots"}),
				answers(410, weir.RouteMatch{AccessList: "elsewhere", Headers: []weir.ValueMatch{{Name: "x-both", AccessList: "wide"}}}),
			)(n)
			robots := stringList("robots", weir.MatchContains, true, "GoogleBot", "my bot/")
			robots.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			n.Lists = []ir.AccessList{
				stringList("any-case", weir.MatchExact, true, "Some Key", "KEY-00001"),
				stringList("begins", weir.MatchPrefix, false, "Moz", "Mozilla/5.0 (compatible; A", `a\b"c'd%[src];`),
				stringList("begins-low", weir.MatchPrefix, true, "CURL/"),
				{Name: "elsewhere", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
				stringList("ends", weir.MatchSuffix, false, ".example", "x y"),
				stringList("keys", weir.MatchExact, false, append(many, "-", "Case")...),
				stringList("narrow", weir.MatchPrefix, false, "abc", "abcdef"),
				robots,
				stringList("wide", weir.MatchPrefix, false, "ab", "b"),
			}
		})
		for _, c := range []struct {
			want string
			line []string
		}{
			{"400", []string{"X-Exact: key-04711"}},
			{"400", []string{"X-Exact: Case"}},
			{"200 web1", []string{"X-Exact: case"}},
			{"200 web1", []string{"X-Exact: key-0471"}},
			{"200 web1", []string{"X-Exact: key-05000"}},
			{"400", []string{"X-Exact: key-00001"}},
			{"403", []string{"X-Exact: sOmE kEy"}},
			{"200 web1", []string{"X-Exact:"}},
			{"200 web1", []string{"X-Other: 1"}},
			{"404", []string{"X-Agent: Mozilla/5.0 (compatible; AhrefsBot)", "X-More: 1"}},
			{"404", []string{"X-Agent: Moz", "X-More: 1"}},
			{"200 web1", []string{"X-Agent: Mo", "X-More: 1"}},
			{"200 web1", []string{"X-Agent: Mozilla"}},
			{"404", []string{`X-Agent: a\b"c'd%[src];e`, "X-More: 1"}},
			{"405", []string{"X-Agent: Curl/8"}},
			{"410", []string{"X-Agent: Mozilla (Googlebot/2)"}},
			{"410", []string{"X-Agent: MY BOT/1"}},
			{"200 web1", []string{"X-Agent: mybot/1"}},
			{"429", []string{"X-Agent: www.example"}},
			{"429", []string{"X-Agent: x y"}},
			{"200 web1", []string{"X-Agent: www.example."}},
			{"503", []string{"Cookie: a=b; id=key-00000"}},
			{"404", []string{"X-Two: abcd", "X-Too: abcd"}},
			{"200 web1", []string{"X-Two: abcd", "X-Too: abd"}},
			{"200 web1", []string{"X-Two: ac", "X-Too: abcd"}},
			{"405", []string{"X-Both: abcdefg"}},
			{"200 web1", []string{"X-Both: ab"}},
			{"200 web1", []string{"X-Two: robots\tshx-agent=robots`shx-agent=robots|"}},
			{"410", []string{"X-Agent: googlebot " + strings.Repeat("x", 9000)}},
		} {
			if got := p.say(t, "GET /", c.line...); got != c.want {
				t.Errorf("%.80q: %s, want %s", c.line, got, c.want)
			}
		}
		for line, want := range map[string]string{"GET /?q=a%20my+bot/": "403", "GET /?q=mybot/": "200 web1", "GET /?x=googlebot": "200 web1", "GET /?q=%0Ashx-exact%3Dkeys": "200 web1"} {
			if got := p.say(t, line); got != want {
				t.Errorf("%s: %s, want %s", line, got, want)
			}
		}
		if got := p.say(t, "GET /", "Host: www.example", "X-Agent: googlebot"); got != "200 web1" {
			t.Errorf("another site: %s", got)
		}
		// Entries change at run time.
		p.command(t, "add map maps/words-robots.map newbot robots")
		p.command(t, "add map maps/strings-exact.map fresh keys")
		if got := p.say(t, "GET /", "X-Agent: NewBot"); got != "410" {
			t.Errorf("a new word: %s", got)
		}
		if got := p.say(t, "GET /", "X-Exact: fresh"); got != "400" {
			t.Errorf("a new key: %s", got)
		}
	})
}
