package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"weir"
	"weir/internal/weirtest"
)

// Every command says what it does and shows how, and takes no flag that would put a token on a command line.
func TestHelp(t *testing.T) {
	t.Parallel()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s: a short text and examples are missing", cmd.CommandPath())
		}
		if cmd.Flags().Lookup("token") != nil {
			t.Errorf("%s: has --token, which everybody on the machine could read", cmd.CommandPath())
		}
		if n := lipgloss.Width(cmd.Short); n > longestShort {
			t.Errorf("%s: the short text is %d columns too long for a list of commands", cmd.CommandPath(), n-longestShort)
		}
		for _, line := range strings.Split(strings.ReplaceAll(cmd.Example, "\\\n", ""), "\n") {
			if line != "" && (!strings.HasPrefix(line, "  ") || !strings.Contains(line, "weir") && !strings.Contains(line, "|")) {
				t.Errorf("%s: the example %q is no indented command", cmd.CommandPath(), line)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
}

// The help of every command fits the usual screen, but for examples, which are there to be copied.
func TestHelpFitsTheScreen(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		var out bytes.Buffer
		cmd.SetOut(&out)
		showHelp(cmd, nil)
		before, rest, _ := strings.Cut(out.String(), "\nExamples:\n")
		_, after, _ := strings.Cut(rest, "\n\n")
		for _, line := range strings.Split(before+"\n"+after, "\n") {
			if lipgloss.Width(line) > usualWidth {
				t.Errorf("%s --help: %q is too long", cmd.CommandPath(), line)
			}
		}
		if !strings.Contains(after, "Flags:") {
			t.Errorf("%s --help lacks the flags:\n%s", cmd.CommandPath(), out.String())
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				walk(sub)
			}
		}
	}
	root := newRoot()
	root.InitDefaultHelpCmd()
	walk(root)
}

// What is exported reads back as the same wish, for random objects of every traffic kind.
func TestExportedObjectsReadBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		set := weirtest.RandomObjects(seed, weirtest.Options{Sealed: true, Zoned: true, Egress: true})
		for o := range set.Every() {
			raw, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			readsBack(t, raw)
		}
	}
}

func readsBack(t *testing.T, raw []byte) {
	t.Helper()
	o := new(object)
	if err := json.Unmarshal(raw, o); err != nil {
		t.Fatal(err)
	}
	text, err := toYAML(o.wish())
	if err != nil {
		t.Fatal(err)
	}
	list, err := weir.Decode("exported", text)
	if err != nil || len(list) != 1 {
		t.Fatalf("read %s back: %v\n%s", o.Ref(), err, text)
	}
	back, err := json.Marshal(list[0])
	if err != nil {
		t.Fatal(err)
	}
	var again object
	if err := json.Unmarshal(back, &again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(o.wish(), again.wish()) {
		t.Fatalf("%s came back as another:\n%s\n%s\n%s", o.Ref(), o.wish(), again.wish(), text)
	}
}

// Whatever an error page holds, it survives the way into a file and back.
func FuzzExportedText(f *testing.F) {
	for _, s := range []string{"a", " a", "a\n", "\n", "a\n\n b\n", "\ta\n", "null", "~", "0x1F", "- a", "a: b", "# c", "'", "\"\n", "\r\n", "a\u2028b\n", "\u0085\n", "\ufeff", "  a\nb", "%", "|\n", "---\n", "---\n---\n", "...\n", "a \nb", "\x00", "\x1b[0m\n", "é\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		page := &weir.Object{Kind: "ErrorPage", Metadata: weir.Metadata{Name: "p"}, Spec: &weir.ErrorPage{Body: strings.ToValidUTF8(body, "?")}}
		if len(weir.Validate(page)) > 0 {
			return
		}
		raw, err := json.Marshal(page)
		if err != nil {
			t.Fatal(err)
		}
		readsBack(t, raw)
	})
}

// A diff applied by patch to the old text gives the new one.
func TestDiffIsWhatPatchReads(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		before, after := randomLines(random, nil), ""
		after = randomLines(random, strings.SplitAfter(before, "\n"))
		edits := editsOf(linesOf(before), linesOf(after))
		var a, b []string
		for _, e := range edits {
			if e.sign != '+' {
				a = append(a, e.line)
			}
			if e.sign != '-' {
				b = append(b, e.line)
			}
		}
		if got := strings.Join(a, "\n"); got != strings.TrimSuffix(before, "\n") {
			t.Fatalf("the old side is %q, not %q", got, before)
		}
		if got := strings.Join(b, "\n"); got != strings.TrimSuffix(after, "\n") {
			t.Fatalf("the new side is %q, not %q", got, after)
		}
	}
	patched(t, "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\neleven\n", "one\n2\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n11\ntwelve\n")
}

func randomLines(random *rand.Rand, from []string) string {
	var b strings.Builder
	for i := range random.IntN(12) {
		if i < len(from) && random.IntN(3) > 0 && from[i] != "" {
			b.WriteString(from[i])
			continue
		}
		b.WriteString(string(rune('a'+random.IntN(4))) + "\n")
	}
	return b.String()
}

// patched has patch, where there is one, apply the diff.
func patched(t *testing.T, before, after string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "text")
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	patch := exec.Command("patch", "-s", path)
	patch.Stdin = strings.NewReader(strings.Join(unifiedDiff("text", before, after), "\n") + "\n")
	if patch.Err != nil {
		return
	}
	if out, err := patch.CombinedOutput(); err != nil {
		t.Fatalf("patch: %v: %s", err, out)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != after {
		t.Fatalf("patch made %q of it, not %q: %v", got, after, err)
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"30m": 30 * time.Minute, "90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour, "2h30m": 150 * time.Minute, "10s": 10 * time.Second} {
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("parseSpan(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2", "-1h", "0s", "d", "1d-1h", "40000d", "1h1d", "never"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("parseSpan(%q) = %s; want an error", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 45 * time.Second: "45s", 150 * time.Minute: "2h30m", 26 * time.Hour: "1d2h", 48 * time.Hour: "2d", 61 * time.Second: "1m", 2*time.Hour - time.Nanosecond: "1h59m"} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %q; want %q", d, got, want)
		}
	}
}

// Names made of other texts are names, and different texts make different names.
func TestFixedNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	long := strings.Repeat("web-", 15)
	for _, text := range []string{"ann-web", "ann@example.com-web", "ann.example.com-web", "ANN-web", "", "-", "ü", long + "1234", long + "1235", long + "12345", long + "12346"} {
		name := fixedName(text)
		if err := weir.CheckName(name); err != nil {
			t.Errorf("fixedName(%q) = %q: %v", text, name, err)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q both become %q", text, other, name)
		}
		seen[name] = text
	}
	if name := freshName("join-" + long + long); weir.CheckName(name) != nil {
		t.Errorf("freshName gave %q", name)
	}
}

// What others wrote can't steer a terminal.
func TestCleanText(t *testing.T) {
	t.Parallel()
	hostile := "a\x1b[2Jb\r\u202ec\u009bd\x07"
	if got := clean(hostile); strings.ContainsAny(got, "\x1b\r\u202e\u009b\x07") {
		t.Errorf("clean left %q", got)
	}
	if got := oneLine("a\n  b"); got != "a b" {
		t.Errorf("oneLine gave %q", got)
	}
}

// A table never gets wider than the screen as long as something can be cut, and says what it cut.
func TestTableFits(t *testing.T) {
	t.Parallel()
	for width := 30; width < 120; width++ {
		var out bytes.Buffer
		tab := &table{columns: []column{{title: "NAME"}, {title: "TEXT", shrinks: true}, {title: "NOTE", optional: true}, {title: "N", right: true}}}
		tab.add(words("first", strings.Repeat("long text ", 6), "a note", "1"))
		tab.add(words("second", "ä日本語"+strings.Repeat("日", 20), "", "22"))
		tab.print(&screen{out: &out, width: width})
		for line := range strings.Lines(out.String()) {
			if w := lipgloss.Width(strings.TrimSuffix(line, "\n")); w > width {
				t.Fatalf("a line of %d columns on a screen of %d: %q", w, width, line)
			}
		}
		if width < 60 && !strings.Contains(out.String(), "…") {
			t.Fatalf("nothing shows that something was cut at %d:\n%s", width, &out)
		}
	}
}

// TestExportOfWhatIsOrdered: of a certificate with an issuer a repository has what is ordered, and not what came of it;
// of an uploaded one all but the key.
func TestExportOfWhatIsOrdered(t *testing.T) {
	t.Parallel()
	const made = `,"revoked":{"at":"2030-05-01T12:00:00Z","reason":"superseded"},"revokedSerials":["2a"],"chain":"PEM","keyRef":{"generation":7,"fingerprint":"fp"},"info":{"names":["a.example"],"notBefore":"2030-05-01T12:00:00Z","notAfter":"2030-06-01T12:00:00Z","serial":"2a","sha256":"00","keyType":"ECDSA 256","issuer":"CN=CA"}}`
	for spec, want := range map[string]string{
		`{"issuer":"inside","names":["a.example"],"keyType":"ecdsa-256","renewAt":"2030-05-01T12:00:00Z"` + made: `{"issuer":"inside","names":["a.example"],"keyType":"ecdsa-256","renewAt":"2030-05-01T12:00:00Z"}`,
		`{"chain":"PEM","keyRef":{"generation":7,"fingerprint":"fp"}}`:                                           `{"chain":"PEM","keyRef":{"generation":7,"fingerprint":"fp"}}`,
	} {
		var o object
		if err := json.Unmarshal([]byte(`{"kind":"Certificate","metadata":{"name":"a","role":"web"},"spec":`+spec+`,"revision":7}`), &o); err != nil {
			t.Fatal(err)
		}
		got, err := exported(&o)
		if all := `{"kind":"Certificate","metadata":{"name":"a","role":"web"},"spec":` + want + `}`; err != nil || string(got) != all {
			t.Errorf("exported is %s, %v; want %s", got, err, all)
		}
	}
}

func TestMatchesAreTold(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]weir.RouteMatch{
		"everything":                     {},
		"while Schedule/night":           {Schedule: "night"},
		"prefix /, while Schedule/night": {Path: &weir.PathMatch{Prefix: "/"}, Schedule: "night"},
	} {
		if got := matches(&m); got != want {
			t.Errorf("%+v: %q, want %q", m, got, want)
		}
	}
}
