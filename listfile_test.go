package weir_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir"
)

func TestListsAreReadByLines(t *testing.T) {
	t.Parallel()
	networks, problems := weir.ReadNetworks("f", []byte("\ufeff# a feed\r\n\r\n192.0.2.7\r\n 192.0.2.0/24 ; SBL1\n10.1.2.3/8 # ours\n2001:DB8::/32\n::ffff:192.0.2.7\n192.0.2.7/32"))
	if got, want := fmt.Sprint(networks), "[10.0.0.0/8 192.0.2.0/24 192.0.2.7/32 2001:db8::/32]"; got != want || len(problems) > 0 {
		t.Errorf("%s, want %s; %v", got, want, problems)
	}
	_, problems = weir.ReadNetworks("f", []byte("10.0.0.0/8\n10.0.0.0/33\nexample.com\nfe80::1%eth0\n1.2.3.4 5.6.7.8\n<html>"))
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if !slices.Equal(lines, []int{2, 3, 4, 5, 6}) || !strings.Contains(problems[0].Message, `"10.0.0.0/33" is no network`) || problems[0].File != "f" {
		t.Errorf("%v", problems)
	}
	entries, problems := weir.ReadStrings("f", []byte("# agents\nmy bot/1.0 #2\n\n  curl \ncurl\n"))
	if !slices.Equal(entries, []string{"curl", "my bot/1.0 #2"}) || len(problems) > 0 {
		t.Errorf("%q %v", entries, problems)
	}
	_, problems = weir.ReadStrings("f", []byte("a\nb\x00c\n"+strings.Repeat("ä\n", 100)))
	if len(problems) != 51 || problems[0].Line != 2 || !strings.Contains(problems[50].Message, "there are more") {
		t.Errorf("%d problems: %v", len(problems), problems)
	}
}

func TestMapsAreReadByLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ match, text, want string }{
		{"exact", "\ufeff# moved\r\n\r\n/b/../a  api\r\n/a\tapi\n /c default \n", "[{/a api} {/c default}]"},
		{"regex", "/b.* api\n/a.* api\n/b.* api", "[{/b.* api} {/a.* api}]"},
		{"exact", "/a", `1: "/a" is no entry`},
		{"exact", "/a b\n/a c", `2: the key "/a" has the value "b" already`},
		{"exact", "a b\n/a?x b", `1: the key: "a" must begin with`},
		{"regex", "/\x02 b", "1: the key: "},
		{"exact", "/a b\n/b \x01", "2: the value: "},
		{"exact", "/a\t https://www.example.com/b?c=%20#d; e \n", "[{/a https://www.example.com/b?c=%20#d; e}]"},
		{"prefix", "/a ä", "1: the value: "},
	} {
		entries, problems := weir.ReadMap("f", []byte(c.text), c.match)
		got := fmt.Sprint(entries)
		if len(problems) > 0 {
			got = fmt.Sprintf("%d: %s", problems[0].Line, problems[0].Message)
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}

// Whatever a file holds, what is taken of it obeys the rules of AccessLists, and reads the same when it is written again.
func FuzzReadList(f *testing.F) {
	f.Add([]byte("10.0.0.0/8\n192.0.2.7 # x\n"))
	f.Add([]byte("\ufeffmy bot\r\n#c\n`\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, match := range []string{"exact", "prefix", "regex"} {
			m := &weir.Map{Match: match}
			m.Entries, _ = weir.ReadMap("f", text, match)
			m.Normalize()
			var p weir.Problems
			if m.Validate(&p); len(p.List()) > 0 && len(m.Entries) <= weir.MaxMapRegexes {
				t.Fatal(p.List())
			}
			var b strings.Builder
			for _, e := range m.Entries {
				b.WriteString(e.Key + " " + e.Value + "\n")
			}
			if again, problems := weir.ReadMap("f", []byte(b.String()), match); !slices.Equal(again, m.Entries) || len(problems) > 0 {
				t.Fatalf("%v became %v, %v", m.Entries, again, problems)
			}
		}
		networks, _ := weir.ReadNetworks("f", text)
		entries, _ := weir.ReadStrings("f", text)
		l := &weir.AccessList{Networks: networks, Strings: &weir.ListStrings{Match: "exact", Entries: entries}}
		l.Normalize()
		var p weir.Problems
		if l.Validate(&p); len(p.List()) > 0 && len(entries) <= weir.MaxListEntries && len(networks) <= weir.MaxListEntries {
			t.Fatal(p.List())
		}
		var b strings.Builder
		for _, n := range networks {
			b.WriteString(n.String() + "\n")
		}
		again, problems := weir.ReadNetworks("f", []byte(b.String()))
		if !slices.Equal(again, networks) || len(problems) > 0 {
			t.Fatalf("%v became %v, %v", networks, again, problems)
		}
		more, problems := weir.ReadStrings("f", []byte(strings.Join(entries, "\n")))
		if !slices.Equal(more, entries) || len(problems) > 0 {
			t.Fatalf("%q became %q, %v", entries, more, problems)
		}
	})
}
