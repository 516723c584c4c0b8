package weir_test

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

func TestMapsAreRefused(t *testing.T) {
	t.Parallel()
	many := func(n int, key, value string) (list []weir.MapEntry) {
		for i := range n {
			list = append(list, weir.MapEntry{Key: fmt.Sprintf(key, i), Value: value})
		}
		return list
	}
	one := func(value string) weir.Map {
		return weir.Map{Match: "exact", Entries: []weir.MapEntry{{Key: "/a", Value: value}}}
	}
	for note, c := range map[string]struct {
		m    weir.Map
		want string // "" for none
	}{
		"a backend":             {one("api"), ""},
		"a URL":                 {one("https://www.example.com/a?b=c#d; e"), ""},
		"the longest":           {one(strings.Repeat("x", weir.MaxMapValue)), ""},
		"too long":              {one(strings.Repeat("x", weir.MaxMapValue+1)), "entries[0].value: is 1025 bytes long; at most 1024 are allowed"},
		"nothing":               {one(""), "entries[0].value: is required"},
		"blanks around":         {one("a "), "entries[0].value: \"a \" begins or ends with a blank"},
		"a line end":            {one("a\nb c"), `holds '\n'`},
		"not ASCII":             {one("ä"), "in a URL write it as %C3"},
		"as many regexes":       {weir.Map{Match: "regex", Entries: many(weir.MaxMapRegexes, "/a%d", "api")}, ""},
		"too many regexes":      {weir.Map{Match: "regex", Entries: many(weir.MaxMapRegexes+1, "/a%d", "api")}, "entries: has 1001 entries; at most 1000 are allowed with match: regex"},
		"as many prefixes":      {weir.Map{Match: "prefix", Entries: many(weir.MaxMapRegexes+1, "/a%d", "api")}, ""},
		"too many bytes to say": {weir.Map{Match: "exact", Entries: many(15_000, "/%d", strings.Repeat("<", 150))}, "entries: have 13908890 bytes; at most 12582912 are allowed"},
	} {
		var p weir.Problems
		c.m.Validate(&p)
		var said []string
		for _, problem := range p.List() {
			said = append(said, problem.Path+": "+problem.Message)
		}
		if got := strings.Join(said, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", note, got, c.want)
		}
	}
}
