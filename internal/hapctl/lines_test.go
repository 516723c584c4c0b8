package hapctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

func TestParseLogLines(t *testing.T) {
	t.Parallel()
	got := ParseLogLines(strings.Split(`[NOTICE]   (7) : haproxy version is 3.4.7-1
[ALERT]    (7) : config : parsing [haproxy.cfg:2] : parsing [haproxy.cfg:2] : 'stats socket' : missing port
  and more of it

[WARNING]  (7) : config : Proxy 'fe': no certificate for bind 'x' at [haproxy.cfg:15], use 'crt'.
[ALERT]    (7) : Starting frontend f: cannot bind socket (Address already in use) [127.0.0.1:80]`, "\n"))
	want := []LogLine{
		{Level: "NOTICE", Text: "haproxy version is 3.4.7-1"},
		{Level: "ALERT", File: "haproxy.cfg", Line: 2, Text: "'stats socket' : missing port\n  and more of it"},
		{Level: "WARNING", File: "haproxy.cfg", Line: 15, Text: "Proxy 'fe': no certificate for bind 'x' at [haproxy.cfg:15], use 'crt'."},
		{Level: "ALERT", Text: "Starting frontend f: cannot bind socket (Address already in use) [127.0.0.1:80]"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func FuzzParseLogLines(f *testing.F) {
	for _, s := range []string{
		"[ALERT]    (7) : config : parsing [haproxy.cfg:2] : x", "[ALERT] (7) : [a:1]\n\nb", "x\ny", "[A] (1) : parsing [ ] : parsing [x:99999999999999999999]:",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		got := ParseLogLines(lines)
		if len(got) > len(lines) {
			t.Fatalf("%d messages of %d lines", len(got), len(lines))
		}
		for _, l := range got {
			if l.Line < 0 || (l.Line > 0) && l.File == "" {
				t.Fatalf("%+v", l)
			}
		}
		joinLines(problems(lines, true))
	})
}

// severityMark is what lastMark looks for.
var severityMark = regexp.MustCompile(`(?m)^\[([0-7])\]: `)

func FuzzClassify(f *testing.F) {
	for _, c := range []string{"add server b/s 1.1.1.1:1", "add map m k v", "show info", "set server b/s addr 1.1.1.1", "commit ssl cert x"} {
		for _, a := range []string{"\n", "[6]: New server registered.\n\n", "[3]: No.\n\n", "[6]: Unknown command: 'x'\n\n", "Committing\nSuccess!\n\n", "[5]: a\n[6]: b\n"} {
			f.Add(c, a)
		}
	}
	f.Fuzz(func(t *testing.T, line, raw string) {
		cmd, err := NewCommand(strings.Fields(line)...)
		if err != nil {
			return
		}
		a, err := classify(cmd, raw)
		var refused *Refused
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		last := ""
		if m := severityMark.FindAllStringSubmatch(raw, -1); m != nil {
			last = m[len(m)-1][1]
		}
		if bad := last != "" && last <= "3" || strings.HasPrefix(a.Text, "Unknown command"); bad && err == nil {
			t.Fatalf("%q passed as an answer to %q", raw, line)
		}
	})
}

// A place in brackets that is an address is no place in a file.
func TestAddressesAreNoPlaces(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"cannot bind socket [127.0.0.1:80]", "cannot bind socket for [:::443]", "[fe/10.0.0.1:8080] taken"} {
		if l := parseLogLine("ALERT", text); l.File != "" || l.Line != 0 {
			t.Errorf("%q: %+v", text, l)
		}
	}
}

// stuck is a log handler that lets nothing through until it is released.
type stuck struct {
	slog.Handler
	free chan struct{}
}

func (s stuck) Handle(ctx context.Context, r slog.Record) error {
	<-s.free
	return s.Handler.Handle(ctx, r)
}

// HAProxy writes to a pipe and would wait for whoever reads it: a logger that stands still must not matter.
func TestSlowLoggerDoesNotHoldUpHAProxy(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	free := make(chan struct{})
	s, err := newStderr(slog.New(stuck{slog.NewTextHandler(&buf, nil), free}))
	if err != nil {
		t.Fatal(err)
	}
	w := s.write
	s.write = nil // the test writes on
	s.started()
	const n = 20_000
	for i := range n {
		fmt.Fprintf(w, "[WARNING]  (7) : line %d%s\n", i, strings.Repeat(" long", i%2000))
	}
	w.Close()
	<-s.ended
	if lines := s.all(); len(lines) != keptLines || !strings.Contains(lines[keptLines-1], fmt.Sprint("line ", n-1)) {
		t.Errorf("%d lines are remembered, the last is %.40q", len(lines), lines[len(lines)-1])
	}
	close(free)
	weirtest.Eventually(t, patient, func() error {
		if len(s.queue) > 0 || s.dropped.Load() > 0 {
			return errors.New("not all is logged")
		}
		return nil
	})
}

// An agent that stands still, as one that is being debugged or swapped, reads nothing at all.
func TestNobodyWhoReadsDoesNotHoldUpHAProxy(t *testing.T) {
	t.Parallel()
	s, err := newStderr(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.abandon()
	cmd := exec.CommandContext(bounded(t), "sh", "-c", "head -c 4000000 /dev/zero >&2; exit 7")
	cmd.Stderr = s.write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.unblock()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("it stood still before the full pipe: %v", err)
	}
}
