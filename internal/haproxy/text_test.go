package haproxy

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestNoteMaps(t *testing.T) {
	for line, want := range map[string]string{
		"":                      "",
		"http-request deny":     "",
		"map_str(opt@maps/a-b)": "maps/a-b",
		"%[be_name,map_str(opt@maps/check-path.map,/)] map(opt@maps/x_1.map)": "maps/check-path.map maps/x_1.map",
		"opt@":                        "",
		"opt@ opt@maps/end.map":       "maps/end.map",
		"opt@opt@maps/a.map":          "opt",
		"header \xff opt@maps/é.map ": "maps/",
	} {
		used := map[string]bool{}
		noteMaps(used, line)
		if got := strings.Join(slices.Sorted(maps.Keys(used)), " "); got != want {
			t.Errorf("%q names %q, want %q", line, got, want)
		}
	}
}

func TestTextNamesTheOwnerOfEachLine(t *testing.T) {
	text, owners := Config{
		Sections: []Section{{Kind: "global", Lines: []Line{{Text: "maxconn 10", Owner: "Tuning/t"}}}, {Kind: "frontend", Name: "p80"}},
		Backends: []Backend{{
			Name: "b", Profile: "p", Text: []string{"option httpchk"}, Owner: "Pool/b",
			Servers: []Server{{Name: "s", Address: "192.0.2.1:80", ID: 1, Weight: 2, Owner: "Server/s"}},
		}},
	}.Text()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	want := []string{"", "", "", "Tuning/t", "", "", "", "Pool/b", "Pool/b", "Server/s"}
	if !slices.Equal(owners, want) || len(lines) != len(want) {
		t.Errorf("owners %q of lines %q", owners, lines)
	}
	if lines[2] != "global" || lines[5] != "frontend p80" || lines[9] != "    server s 192.0.2.1:80 id 1 weight 2" {
		t.Errorf("text is %q", text)
	}
}
