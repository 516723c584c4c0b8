package hapctl

import (
	"errors"
	"strings"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a": "a", "a b": `a\ b`, `a\b`: `a\\b`, "a;b": `a\;b`, "<<x": `\<\<x`, `"q"`: `"q"`, "ü": "ü",
	} {
		if got, err := Escape(in); got != want || err != nil {
			t.Errorf("Escape(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "\n", "a\nb", "a\tb", "\x00", "a\x7f", "\r"} {
		if got, err := Escape(in); err == nil {
			t.Errorf("Escape(%q) = %q, want an error", in, got)
		}
		if _, err := NewCommand("show", in); err == nil {
			t.Errorf("a command with %q was made", in)
		}
	}
}

// FuzzEscape proves that an escaped word is one word, and the same, to a reader of HAProxy's rules.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"a b;c", `\`, `\\;`, "<<x", "a\nb", ";show env", " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		escaped, err := Escape(word)
		if err != nil {
			return
		}
		var read strings.Builder
		for i := 0; i < len(escaped); i++ {
			c := escaped[i]
			if c == '\\' {
				i++
				if i == len(escaped) {
					t.Fatalf("%q ends in the middle of an escape", escaped)
				}
				c = escaped[i]
			} else if c <= ' ' || c == ';' || c == 0x7f {
				t.Fatalf("%q is cut at byte %d", escaped, i)
			}
			read.WriteByte(c)
		}
		if read.String() != word || strings.Contains(escaped, "<<") {
			t.Fatalf("%q becomes %q, read as %q", word, escaped, read.String())
		}
	})
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	c, err := command(t, "set ssl tls-key file").WithSecret("hunter2", "hunter3")
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.WithPayload("hunter4\n"); err != nil {
		t.Fatal(err)
	}
	_, err = classify(c, "[3]: no key hunter2 for hunter3\n\n")
	for _, s := range []string{c.String(), err.Error()} {
		if strings.Contains(s, "hunter") || !strings.Contains(s, "set ssl tls-key file") {
			t.Errorf("shown: %s", s)
		}
	}
	if b, err := c.appendTo(nil); err != nil || !strings.Contains(string(b), "hunter2 hunter3 <<") {
		t.Errorf("sent: %q, %v", b, err)
	}
	if _, err := c.WithSecret("hunter5\n"); err == nil || strings.Contains(err.Error(), "hunter") {
		t.Errorf("a bad secret gave %v", err)
	}
}

func TestPayloadOnTheWire(t *testing.T) {
	t.Parallel()
	marks := map[string]bool{}
	for _, payload := range []string{"", "a b", "a b\n", "\n\n", "%EOF%\nshow env\n"} {
		c, err := command(t, "add map m").WithPayload(payload)
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		first, rest, _ := strings.Cut(string(b), "\n")
		mark := strings.TrimPrefix(first, "add map m <<")
		body, ok := strings.CutSuffix(rest, mark+"\n")
		if want := payload; !ok || len(mark) != 7 || strings.TrimSuffix(body, "\n") != strings.TrimSuffix(want, "\n") {
			t.Errorf("payload %q is sent as %q", payload, b)
		}
		if marks[mark] {
			t.Errorf("mark %s came twice", mark)
		}
		marks[mark] = true
	}
	if _, err := command(t, "add map m").WithPayload("a\x00b"); err == nil {
		t.Error("a payload with NUL passed")
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	for _, n := range []int{MaxCommand, 10 * MaxCommand} {
		c, err := command(t, "add map m").WithPayload(strings.Repeat("x", n))
		if err != nil {
			t.Fatal(err)
		}
		var large *TooLargeError
		if b, err := c.appendTo([]byte("before")); !errors.As(err, &large) || large.Size <= MaxCommand || string(b) != "before" {
			t.Errorf("%d bytes: %d sent, %v", n, len(b), err)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		command, raw string
		ok, unknown  bool
	}{
		{"add map m k v", "\n", true, false},
		{"add map m k v", "[3]: Unknown map identifier. Please use #<id> or <file>.\n\n", false, false},
		{"add map m k v", "[6]: something new\n\n", false, false},
		{"enable server b/s", "[4]: Server b/s is UP/READY (leaving forced maintenance).\n\n", true, false},
		{"enable server b/s", "[4]: no idea\n\n", false, false},
		{"add server b/s a:1", "[6]: New server registered.\n\n", true, false},
		{"add server b/s a:1", "\n", false, false},
		{"del server b/s", "[5]: Server b/s is going DOWN for maintenance.\n[6]: Server deleted.\n\n", true, false},
		{"del server b/s", "[5]: Server b/s is going DOWN for maintenance.\nServer deleted.\n\n", true, false},
		{"del server b/s", "[6]: Server deleted.\n[3]: but no\n\n", false, false},
		{"add backend b from p", "[6]: Unknown command: 'add', but maybe\n  add acl\n\n", false, true},
		{"frobnicate", "Unknown command: 'frobnicate', but maybe\n  help\n\n", false, true},
		{"set ssl cert x", "[5]: Transaction created for certificate x!\n\n", true, false},
		{"set ssl cert x", "[3]: unable to load certificate\nCan't load the payload\nCan't update x!\n\n", false, false},
		{"commit ssl cert x", "Committing x\nSuccess!\n\n", true, false},
		{"commit ssl cert x", "[3]: inconsistencies\nCan't commit x!\n\n", false, false},
		{"set server b/s addr 1.2.3.4", "[4]: IP changed from '1.2.3.5' to '1.2.3.4' by 'stats socket command'\n\n", true, false},
		{"set server b/s addr 1.2.3.4", "[4]: nothing changed\n\n", true, false},
		{"set server b/s addr 1.2.3.4", "[4]: Update for the current server address family is only supported through configuration file.\n\n", false, false},
		{"show map m", "0x1 [3]: x\n0x2 a b\n\n", true, false},
		{"wait 1s srv-removable b/s", "[3]: Failed.\n\n", false, false},
	} {
		a, err := classify(command(t, c.command), c.raw)
		if (err == nil) != c.ok || errors.Is(err, ErrUnknownCommand) != c.unknown {
			t.Errorf("%s: %q gives %+v, %v", c.command, c.raw, a, err)
		}
	}
	a, _ := classify(command(t, "del server b/s"), "[5]: Server b/s is DOWN\n[6]: Server deleted.\n\n")
	if a.Text != "Server deleted." || a.Notes != "[5]: Server b/s is DOWN" {
		t.Errorf("%+v", a)
	}
}

func TestMapPayloads(t *testing.T) {
	t.Parallel()
	var pairs []haproxy.MapPair
	for i := range 5000 {
		pairs = append(pairs, haproxy.MapPair{Key: "host" + strings.Repeat("x", i%50), Value: "backend of it"})
	}
	payloads, err := MapPayloads(pairs)
	if err != nil || len(payloads) < 2 {
		t.Fatal(len(payloads), err)
	}
	var all strings.Builder
	for _, p := range payloads {
		if len(p) > maxMapPayload || !strings.HasSuffix(p, "\n") {
			t.Errorf("a payload of %d bytes", len(p))
		}
		all.WriteString(p)
	}
	lines := strings.Split(strings.TrimSuffix(all.String(), "\n"), "\n")
	for i, p := range pairs {
		if lines[i] != p.Key+" "+p.Value {
			t.Fatalf("line %d is %q", i, lines[i])
		}
	}
	if got, err := MapPayloads(nil); len(got) != 0 || err != nil {
		t.Errorf("no entries: %v, %v", got, err)
	}
	for _, p := range []haproxy.MapPair{
		{Key: "", Value: "v"},
		{Key: "k", Value: ""},
		{Key: "a b", Value: "v"},
		{Key: " k", Value: "v"},
		{Key: "k", Value: " v"},
		{Key: "k\n", Value: "v"},
		{Key: "k", Value: "v\nk2 v2"},
		{Key: "\tk", Value: "v"},
		{Key: "#k", Value: "v"},
		{Key: "k", Value: strings.Repeat("v", maxMapPayload)},
	} {
		if got, err := MapPayloads([]haproxy.MapPair{p}); err == nil {
			t.Errorf("%q passed as %q", p, got)
		}
	}
}

// Whatever a word holds, real HAProxy reads it as that word.
func TestHostileWordsAreData(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, "frontend f from base\n bind ADDR:8080\n http-request deny if { path,map_str(opt@maps/m) -m found }\n")
		seeds := []string{"a", `a\`, `\\`, "a b", ";", "show env;", "<<x", "<<", `"a b"`, "'a", "#1", "%[src]", "$HOME", "@1", "ü", "{a}", "\n", "\x00", "prompt", "%X%"}
		var cmds []Command
		var want []haproxy.MapPair
		add := func(word string) {
			for _, pair := range []haproxy.MapPair{{Key: "k", Value: word}, {Key: word, Value: "v"}} {
				cmd, err := NewCommand("add", "map", "maps/m", pair.Key, pair.Value)
				if err == nil {
					cmds, want = append(cmds, cmd), append(want, pair)
				}
			}
		}
		for _, s := range seeds {
			add(s)
		}
		for s := range weirtest.Mutants(1, 400, seeds...) {
			if len(s) < 200 {
				add(s)
			}
		}
		if _, err := l.c.DoAll(bounded(t), cmds...); err != nil {
			t.Fatal(err)
		}
		text := l.do("show map maps/m")
		count := 0
		for line := range strings.Lines(text) {
			_, entry, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			// Keys with blanks in them can't be told apart when they are shown; the whole line can.
			if i := count; i >= len(want) || entry != want[i].Key+" "+want[i].Value {
				t.Fatalf("entry %d is %q", i, entry)
			}
			count++
		}
		if count != len(want) || count < 100 {
			t.Errorf("%d entries, want %d", count, len(want))
		}
	})
}
