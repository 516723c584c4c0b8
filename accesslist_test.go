package weir_test

import (
	"strings"
	"testing"

	"weir"
)

func TestAccessListsAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", weir.MaxMatchValue+1)
	many := make([]string, weir.MaxScannedEntries+1)
	for i := range many {
		many[i] = strings.Repeat("y", 1+i%200) + strings.Repeat("z", i/200)
	}
	for name, c := range map[string]struct {
		list weir.ListStrings
		want string // in the first problem; "" for none
	}{
		"fine":         {weir.ListStrings{Match: "contains", Entries: []string{"my bot", `a"'\;<%[src]`}}, ""},
		"no match":     {weir.ListStrings{Entries: []string{"a"}}, "strings.match"},
		"a regex":      {weir.ListStrings{Match: "regex", Entries: []string{"a"}}, "strings.match"},
		"an empty one": {weir.ListStrings{Match: "exact", Entries: []string{"b", "a", ""}}, "strings.entries[2]: is empty"},
		"a comment":    {weir.ListStrings{Match: "exact", Entries: []string{"#a"}}, "begins with '#'"},
		"a line end":   {weir.ListStrings{Match: "exact", Entries: []string{"a\nb c"}}, "printable ASCII"},
		"a backtick":   {weir.ListStrings{Match: "exact", Entries: []string{"a`b"}}, "backticks"},
		"no ASCII":     {weir.ListStrings{Match: "exact", Entries: []string{"ä"}}, "printable ASCII"},
		"a long one":   {weir.ListStrings{Match: "exact", Entries: []string{long}}, "at most 256"},
		"too many":     {weir.ListStrings{Match: "suffix", Entries: many}, "at most 2000 are allowed with match: suffix"},
		"many":         {weir.ListStrings{Match: "prefix", Entries: many}, ""},
	} {
		l := &weir.AccessList{Strings: &c.list}
		l.Normalize()
		var p weir.Problems
		l.Validate(&p)
		got := ""
		if list := p.List(); len(list) > 0 {
			got = list[0].Path + ": " + list[0].Message
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A network with the address of a machine in it is no network, though a feed's line may be.
func TestNetworksAreWrittenAsNetworks(t *testing.T) {
	t.Parallel()
	for network, want := range map[string]string{
		"10.0.0.0/8":     "",
		"10.0.0.1/8":     `spec.networks[0]: "10.0.0.1/8" is an address within 10.0.0.0/8; write that for the network, or 10.0.0.1/32 for the address alone`,
		"2001:db8::1/32": "write that for the network, or 2001:db8::1/128",
		"10.0.0.1":       `"10.0.0.1" is an address and no network; write 10.0.0.1/32 for the address alone`,
		"2001:db8::1":    "write 2001:db8::1/128 for the address alone",
		"office":         `"office" is no network, such as`,
	} {
		_, err := weir.Decode("t.yaml", []byte(`{kind: AccessList, metadata: {name: a}, spec: {networks: ["`+network+`"]}}`))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", network, err, want)
		}
	}
}

func TestSourcesOfListsAreRefused(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`url: "https://feed.example.com/a.txt?x=y"`: "",
		`url: ""`:                                                   "source.url: is required",
		`url: "file:///etc/passwd"`:                                 "can be fetched",
		`url: "feed.example.com/a"`:                                 "can be fetched",
		`url: "https:///a"`:                                         "can be fetched",
		`url: "https://ann:pw@feed.example.com/a"`:                  "no user or password",
		`url: "https://feed.example.com/a#b"`:                       "after #",
		`url: "https://feed.example.com/a", interval: 1m`:           "outside 5m to",
		`url: "https://feed.example.com/a", holds: strings`:         "strings: is required",
		`url: "https://feed.example.com/a", holds: regexes`:         "must be one of networks, strings",
		`url: "https://feed.example.com/a", authority: "../secret"`: "may hold only",
	} {
		_, err := weir.Decode("t.yaml", []byte("{kind: AccessList, metadata: {name: l}, spec: {source: {"+source+"}}}"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
		if strings.Contains(source, "holds") {
			continue
		}
		_, err = weir.Decode("t.yaml", []byte("{kind: Map, metadata: {name: m}, spec: {match: exact, source: {"+source+"}}}"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("of a Map, %s: %v, want %s", source, err, want)
		}
	}
	_, err := weir.Decode("t.yaml", []byte(`{kind: Map, metadata: {name: m}, spec: {match: exact, source: {url: "https://feed.example.com/a", holds: networks}}}`))
	if err == nil || !strings.Contains(err.Error(), "source.holds") {
		t.Errorf("a Map of networks: %v", err)
	}
}

// Where values are held against a list it has strings, whichever of the two is written.
func TestValuesAreHeldAgainstStrings(t *testing.T) {
	t.Parallel()
	const base = `
kind: Role
metadata: {name: web}
spec: {hostnames: ["*.example.com"]}
---
kind: Pool
metadata: {name: web, role: web}
spec: {members: [{name: a, address: 10.0.0.1, port: 80}]}
---
kind: AccessList
metadata: {name: agents, role: web}
spec: {strings: {match: prefix, entries: [b, a, b]}}
---
kind: AccessList
metadata: {name: office, role: web}
spec: {networks: [10.0.0.0/8]}
---
`
	site := func(list string) string {
		return `kind: Site
metadata: {name: www, role: web}
spec: {hostnames: [www.example.com], listeners: [{port: 80}], addresses: [vip], backends: {default: web}, routes: [{match: {headers: [{name: x, accessList: ` + list + `}]}, backend: default}]}
`
	}
	said := func(before, written string) string {
		t.Helper()
		set := weir.NewSet(decode(t, before)...)
		after, list := weir.NewSet(decode(t, before)...), decode(t, written)
		var refs []weir.Ref
		for _, o := range list {
			after.Put(o)
			refs = append(refs, o.Ref())
		}
		var all []string
		for _, p := range weir.Check(set, after, refs) {
			all = append(all, p.Object+" "+p.Path+": "+p.Message)
		}
		return strings.Join(all, "\n")
	}
	if got := said(base, site("office")); !strings.Contains(got, "Site/www spec.routes[0].match.headers[0].accessList: AccessList/office has no strings") {
		t.Errorf("a list of networks: %q", got)
	}
	if got := said(base, site("nobody")); !strings.Contains(got, `spec.routes[0].match.headers[0].accessList: AccessList "nobody" does not exist`) {
		t.Errorf("no list: %q", got)
	}
	if got := said(base+site("agents"), "kind: AccessList\nmetadata: {name: agents, role: web}\nspec: {networks: [10.0.0.0/8]}\n"); !strings.Contains(got, "AccessList/agents spec.strings: Site/www refers to it") {
		t.Errorf("a list that loses its strings: %q", got)
	}
	if got := said(base, strings.Replace(site("agents"), "exact", "", 1)); strings.Contains(got, "routes") {
		t.Errorf("a list of strings: %q", got)
	}
}
