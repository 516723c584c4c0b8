package api

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

func TestEntriesOfAListAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	upload := func(who, what, body string, more ...string) answer {
		t.Helper()
		return w.do(who, "PUT", "/api/v1/accesslists/"+what, body, append([]string{"Content-Type", ListType}, more...)...)
	}
	counts := func(a answer) string {
		t.Helper()
		v := read[ListAnswer](t, w.want(a, 200))
		return fmt.Sprintf("%d: +%d -%d, dry run %t", v.Entries, v.Added, v.Removed, v.DryRun)
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	refused := func(a answer, status int, want string) {
		t.Helper()
		p := w.want(a, status).problem(t)
		all := p.Detail
		for _, e := range p.Errors {
			all += fmt.Sprintf("\n%s:%d: %s %s", e.File, e.Line, e.Path, e.Message)
		}
		if !strings.Contains(all, want) {
			t.Errorf("refused with %s, want %s", all, want)
		}
	}
	refused(upload("owner", "list/networks", "10.0.0.0/8"), 404, "there is no AccessList/list")
	w.want(w.do("owner", "PUT", "/api/v1/accesslists/list", manifest("AccessList", "list", roleWeb+"spec: {networks: [10.0.0.0/8, 192.0.2.0/24]}")), 201)
	refused(upload("owner", "list/strings", "a"), 400, "has no strings")
	expect(counts(upload("owner", "list/networks?dryRun=true", "10.0.0.1\n")), "1: +1 -2, dry run true")
	expect(counts(upload("owner", "list/networks", "# ours\n10.0.0.0/8\n10.0.0.1\n10.0.0.1/32 ; again\n")), "2: +1 -1, dry run false")
	expect(counts(upload("owner", "list/networks", "10.0.0.0/8\n10.0.0.1\n")), "2: +0 -0, dry run false")
	refused(upload("owner", "list/networks", "10.0.0.0/8\n\nnonsense\n"), 400, "body:3:  \"nonsense\" is no network")
	refused(upload("owner", "list/networks", "# nothing\n"), 400, "holds no entry")
	refused(upload("owner", "list/networks", strings.Repeat("#", maxListBody+1)), 413, "is longer than")
	refused(upload("owner", "list/networks", "10.0.0.2", "If-Match", `"1"`), 412, "")
	refused(w.do("owner", "PUT", "/api/v1/accesslists/list/networks", "10.0.0.2", "Content-Type", "text/html"), 415, "text/plain")
	refused(upload("operator", "list/networks", "10.0.0.2"), 403, "")
	refused(upload("other", "list/networks", "10.0.0.2"), 403, "")
	w.want(w.do("owner", "PUT", "/api/v1/accesslists/list", manifest("AccessList", "list", roleWeb+"spec: {networks: [10.0.0.0/8], strings: {match: contains, ignoreCase: true, entries: [b, a]}}")), 200)
	expect(counts(upload("owner", "list/strings", "B\nMy Bot\n")), "2: +1 -1, dry run false")
	refused(upload("owner", "list/strings", "a\n`\n"), 400, "body:2:")
	l := w.store.View().Get(weir.Ref{Kind: "AccessList", Name: "list"}).Spec.(*weir.AccessList)
	if got := fmt.Sprint(l.Networks, *l.Strings); got != "[10.0.0.0/8] {contains true [b my bot]}" {
		t.Errorf("the list is %s", got)
	}
}

func TestEntriesOfAMapAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, c := range []struct {
		who, query, body string
		status           int
		want             string
	}{
		{"owner", "", "/a b", 404, "there is no Map/m"},
		{"owner", "?dryRun=true", "# shop\n/a c\n/d b\n", 200, "2: +2 -1"},
		{"owner", "", "/a c\n/d b\n/d b\n", 200, "2: +2 -1"},
		{"owner", "", "/d b\n/a c\n", 200, "2: +0 -0"},
		{"owner", "", "/a c\n\n/d\n", 400, `body:3:  "/d" is no entry`},
		{"owner", "", "#\n", 400, "holds no entry"},
		{"operator", "", "/a b", 403, ""},
		{"other", "", "/a b", 403, ""},
	} {
		if i == 1 {
			w.want(w.do("owner", "PUT", "/api/v1/maps/m", manifest("Map", "m", roleWeb+"spec: {match: exact, entries: [{key: /a, value: b}]}")), 201)
		}
		a, got := w.want(w.do(c.who, "PUT", "/api/v1/maps/m/entries"+c.query, c.body, "Content-Type", ListType), c.status), ""
		if c.status == 200 {
			v := read[ListAnswer](t, a)
			got = fmt.Sprintf("%d: +%d -%d", v.Entries, v.Added, v.Removed)
		} else {
			p := a.problem(t)
			got = p.Detail
			for _, e := range p.Errors {
				got += fmt.Sprintf("\n%s:%d: %s %s", e.File, e.Line, e.Path, e.Message)
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%q: %s, want %s", c.body, got, c.want)
		}
	}
	if m := w.store.View().Get(weir.Ref{Kind: "Map", Name: "m"}).Spec.(*weir.Map); fmt.Sprint(m.Entries) != "[{/d b} {/a c}]" {
		t.Errorf("the map has %v", m.Entries)
	}
	w.want(w.do("owner", "PUT", "/api/v1/maps/m", manifest("Map", "m", roleWeb+`spec: {match: exact, source: {url: "https://feed.example.com/m"}, entries: [{key: /a, value: b}]}`)), 200)
	if p := w.want(w.do("owner", "PUT", "/api/v1/maps/m/entries", "/a c", "Content-Type", ListType), 400).problem(t); !strings.Contains(p.Detail, "come from its source") {
		t.Errorf("refused with %s", p.Detail)
	}
}
