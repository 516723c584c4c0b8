package filesd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// lists are what is taken, by what comes of them, and what is not, by what is said. Prometheus is of the same opinion
// unless the row says that it is not.
var lists = []struct {
	format, text string
	want         string // or what is in the error
	err          bool
	only         string // whose opinion it is, if not both: "ours" refuses it, Prometheus does not; "theirs" the other way
}{
	{format: "json", text: `[]`},
	{format: "json", text: ` [{"targets": []}, {}] `},
	{format: "json", text: `[{"targets":["10.0.0.2:80","[2001:db8::1]:443","a.example.com"],"labels":{"zone":"az1","__meta_x":""}},{"targets":["10.0.0.1:80"]}]`, want: "10.0.0.1:80, 10.0.0.2:80 __meta_x= zone=az1, [2001:db8::1]:443 __meta_x= zone=az1, a.example.com __meta_x= zone=az1"},
	{format: "yaml", text: "[]\n"},
	{format: "yaml", text: "# all\n- targets: [\"b:80\"]\n  labels: {n: 1.10, on: yes}\n- targets:\n  - a:80\n", want: "a:80, b:80 n=1.10 on=yes"},
	{format: "yaml", text: "- labels: &l {zone: az1}\n  targets: [a]\n- labels: *l\n  targets: [b]\n- labels: {<<: *l, x: y}\n  targets: [c]\n", want: "a zone=az1, b zone=az1, c x=y zone=az1"},

	{format: "json", err: true, text: ``, want: "it is empty; write []"},
	{format: "json", err: true, text: `null`, want: "it is no list of groups in JSON", only: "ours"},
	{format: "json", err: true, text: `{"targets":["a"]}`, want: "it is no list of groups in JSON"},
	{format: "json", err: true, text: `[null]`, want: "group 1 is null"},
	{format: "json", err: true, text: `[{"targets":["a"]}`, want: "the list ends early"},
	{format: "json", err: true, text: `[{"targets":["a"],"labels"`, want: "group 1 is not understood"},
	{format: "json", err: true, text: `[{"targets":["a"]}][]`, want: "something comes after the list"},
	{format: "json", err: true, text: `[{"target":["a"]}]`, want: `unknown field "target"`},
	{format: "json", err: true, text: `[{"targets":"a"}]`, want: "group 1 is not understood"},
	{format: "json", err: true, text: `[{"targets":["a"],"labels":{"n":1}}]`, want: "group 1 is not understood"},
	{format: "json", err: true, text: `[{"targets":["a"],"labels":{"":"x"}}]`, want: "a label has no name"},
	{format: "json", err: true, text: `[{"targets":["a"]},{"targets":["b","http://a/"]}]`, want: `group 2, target 2: "http://a/" is no host:port`},
	{format: "json", err: true, text: `[{"targets":["a"]},{"targets":["a"],"labels":{"x":"y"}}]`, want: `"a" is there twice`, only: "ours"},
	{format: "json", err: true, text: `<html>sign in`, want: "it is no list of groups in JSON"},
	{format: "yaml", err: true, text: "", want: "it is empty; write []", only: "ours"},
	{format: "yaml", err: true, text: "# nothing\n", want: "it is not understood: EOF", only: "ours"},
	{format: "yaml", err: true, text: "null", want: "it is null; write []", only: "ours"},
	{format: "yaml", err: true, text: "- null", want: "group 1 is null"},
	{format: "yaml", err: true, text: "targets: [a]", want: "it is not understood"},
	{format: "yaml", err: true, text: "- targets: [a]\n  label: {}\n", want: "field label not found"},
	{format: "yaml", err: true, text: "- targets: [a]\n---\n- targets: [b]\n", want: "something comes after the list", only: "ours"},
	{format: "yaml", err: true, text: "- targets: [a\n", want: "it is not understood"},
	{format: "yaml", err: true, text: "- targets: [a]\n  targets: [b]\n", want: "it is not understood"},
	{format: "yaml", err: true, text: "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n", want: "it is not understood"},
}

func TestLists(t *testing.T) {
	t.Parallel()
	promtool := filepath.Join(weirtest.Root(t), ".tools", "promtool", "usr", "bin", "promtool")
	if _, err := os.Stat(promtool); err != nil {
		t.Fatalf("find promtool: %v; run scripts/programs.sh promtool to get it", err)
	}
	for _, l := range lists {
		t.Run(l.format+" "+l.text, func(t *testing.T) {
			t.Parallel()
			found, err := read(&list{body: []byte(l.text), format: l.format})
			switch {
			case l.err:
				if err == nil || !strings.Contains(err.Error(), l.want) {
					t.Errorf("%v, %v, want %q in the error", found, err, l.want)
				}
			case err != nil || found == nil || words(found) != l.want:
				t.Errorf("got %s, %v\nwant %s", words(found), err, l.want)
			}
			dir := weirtest.TempDir(t)
			config := "scrape_configs: [{job_name: a, file_sd_configs: [{files: [" + filepath.Join(dir, "list."+l.format) + "]}]}]"
			for name, text := range map[string]string{"list." + l.format: l.text, "config.yml": config} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.Command(promtool, "check", "config", filepath.Join(dir, "config.yml")).CombinedOutput()
			if theirs := err != nil; theirs != (l.err != (l.only != "")) {
				t.Errorf("Prometheus refuses it: %t: %s", theirs, out)
			}
		})
	}
}

func manyLabels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"l%d":""`, i)
	}
	return b.String()
}

func TestListsThatAreTooLong(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]list{
		"targets": {format: "json", body: []byte(`[{"targets":["a"` + strings.Repeat(`,"a"`, discovery.MaxFound) + `]}]`)},
		"groups":  {format: "json", body: []byte(`[{}` + strings.Repeat(`,{}`, 1_000_000) + `]`)},
		"labels":  {format: "json", body: []byte(`[{"targets":["a"` + strings.Repeat(`,"a"`, 999) + `],"labels":{"x":"y"` + manyLabels(3000) + `}}]`)},
		"YAML":    {format: "yaml", body: []byte("- targets: [" + strings.Repeat("a,", maxYAML/2) + "]")},
	} {
		if _, err := read(&l); !errors.Is(err, discovery.ErrTooMuch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1 80", "[2001:db8::1]:443": "2001:db8::1 443", "web-1.example.com:65535": "web-1.example.com 65535",
		"10.0.0.1": "10.0.0.1 ", "[::1]": "::1 ", "::1": "::1 ", "web_1": "web_1 ",
		"": "", ":80": "", "a:": "", "a:0": "", "a:65536": "", "a:-1": "", "a:080": "", "a:http": "", "a:80:90": "", "[a]:80": "", "[10.0.0.1]:80": "", "[::1": "",
		"http://a": "", "a/b": "", "a b": "", "a\n": "", "a:80\n": "", "ä": "", "user@a:80": "", strings.Repeat("a", 254): "",
	} {
		got := ""
		if host, port, ok := split(target); ok {
			got = host + " " + port
		}
		if got != want {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, l := range lists {
		f.Add([]byte(l.text), l.format == formatYAML)
	}
	f.Fuzz(func(t *testing.T, body []byte, isYAML bool) {
		l := &list{body: body, format: formatJSON}
		if isYAML {
			l.format = formatYAML
		}
		found, err := read(l)
		if err != nil {
			return
		}
		if err := discovery.Arrange(found); err != nil {
			t.Error(err)
		}
		for _, one := range found {
			if one.Fields["address"] == "" || one.Fields["target"] != one.ID || one.State != discovery.Ready {
				t.Errorf("%q: %v", one.ID, one.Fields)
			}
		}
	})
}
