package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/api"
	"weir/internal/weirtest"
)

// live runs one command against a control plane until the test ends it.
type live struct {
	t        *testing.T
	out, err weirtest.Buffer
	cancel   context.CancelFunc
	status   chan int
}

// use puts a control plane into the environment: tests that do that don't run beside others.
func use(t *testing.T, p *controlPlane) {
	t.Helper()
	before := wallClock
	wallClock = theClock
	t.Cleanup(func() { wallClock = before })
	t.Setenv("WEIR_URL", p.url)
	t.Setenv("WEIR_CA", p.ca)
	t.Setenv("WEIR_TOKEN", p.token)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
}

func startLive(t *testing.T, args ...string) *live {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &live{t: t, cancel: cancel, status: make(chan int, 1)}
	go func() { l.status <- run(ctx, args, strings.NewReader(""), &l.out, &l.err) }()
	t.Cleanup(cancel)
	return l
}

func (l *live) sees(out *weirtest.Buffer, text string) {
	l.t.Helper()
	weirtest.Eventually(l.t, weirtest.Patience, func() error {
		if !strings.Contains(out.String(), text) {
			return fmt.Errorf("%q is not in:\n%s%s", text, l.out.String(), l.err.String())
		}
		return nil
	})
}

func (l *live) ends(want int) {
	l.t.Helper()
	if got := <-l.status; got != want {
		l.t.Fatalf("ended with %d, not %d:\n%s%s", got, want, l.out.String(), l.err.String())
	}
}

// once runs a command to its end, in the environment that use made.
func once(t *testing.T, stdin string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	if status := run(context.Background(), args, strings.NewReader(stdin), &out, &out); status != exitOK {
		t.Fatalf("weir %v ended with %d:\n%s", args, status, &out)
	}
}

func fleetManifest(t *testing.T, p *controlPlane) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw) + "---\n" + p.certificate
}

// A watch prints what changes about an object, also when nobody wrote it, and ends cleanly.
func TestWatchFollowsWishesAndState(t *testing.T) {
	p := startControlPlane(t)
	use(t, p)
	l := startLive(t, "get", "pools", "--watch")
	once(t, fleetManifest(t, p), "apply", "-f", "-")
	l.sees(&l.out, "web-az2")
	p.status.set(func(s *standIn) { s.lags["lb-az1-1"] = "slow" })
	l.sees(&l.out, "2/3")
	once(t, "", "delete", "pool", "mail")
	l.sees(&l.out, "mail     deleted")
	l.cancel()
	l.ends(exitInterrupted)
	l.sees(&l.err, "interrupted")
	if n := strings.Count(l.out.String(), "NAME"); n != 1 {
		t.Errorf("the head was printed %d times:\n%s", n, l.out.String())
	}
}

// Waiting ends when the last load balancer has caught up.
func TestWaitEndsWithTheLastLaggard(t *testing.T) {
	p := startControlPlane(t)
	use(t, p)
	p.status.set(func(s *standIn) { s.lags["lb-az1-1"], s.lags["lb-az2-1"] = "busy", "busy too" })
	once(t, fleetManifest(t, p), "apply", "-f", "-")
	l := startLive(t, "status", "--wait")
	l.sees(&l.err, "edge 0/2 waiting for lb-az1-1 and lb-az2-1")
	p.status.set(func(s *standIn) { clear(s.lags) })
	l.ends(exitOK)
	l.sees(&l.err, "Revision 3 is on all 3 load balancers it concerns.")
}

// Ctrl-C while waiting says that the change stays.
func TestInterruptedWaitSaysWhatStays(t *testing.T) {
	p := startControlPlane(t)
	use(t, p)
	p.status.set(func(s *standIn) { s.lags["lb-az1-1"] = "busy" })
	l := startLive(t, "apply", "-f", "testdata/fleet.yaml", "-f", certificateFile(t, p), "--wait")
	l.sees(&l.err, "waiting for lb-az1-1")
	l.cancel()
	l.ends(exitInterrupted)
	l.sees(&l.err, "stopped waiting; revision 3 stays")
}

func certificateFile(t *testing.T, p *controlPlane) string {
	t.Helper()
	path := t.TempDir() + "/certificate.yaml"
	if err := os.WriteFile(path, []byte(p.certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// On a terminal progress is one line that is written over and taken away at the end.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progressView{screen: &screen{out: &out, width: 60, live: true, colors: true}, start: theNow}
	step := &api.Progress{Revision: 7, Groups: []api.GroupProgress{{Name: "edge", Ready: 1, Of: 3, Laggards: []string{"lb-az1-1", "lb-az2-1"}, Message: "lb-az1-1 is applying a very long list of things"}}}
	p.show(step)
	p.show(step) // the same is not written again
	step.Groups[0].Ready = 2
	p.show(step)
	if err := p.finish(&api.Progress{Revision: 7, Done: true, Groups: []api.GroupProgress{{Name: "edge", Ready: 3, Of: 3}}}, nil); err != nil {
		t.Error(err)
	}
	text := out.String()
	if strings.Count(text, "\n") != 1 || strings.Count(text, "revision 7:") != 2 {
		t.Errorf("progress left %q", text)
	}
	for part := range strings.SplitSeq(text, "\r\x1b[K") {
		if visible := stripped(part); len([]rune(visible)) > 60 && !strings.HasPrefix(visible, "Revision") {
			t.Errorf("a line of %d columns on a screen of 60: %q", len([]rune(visible)), visible)
		}
	}
}

// A log is told when a load balancer more has a revision, and not every second for how long another has not.
func TestProgressInALog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progressView{screen: &screen{out: &out}, start: theNow}
	show := func(ready int, message string) {
		p.told = p.told.Add(-2 * time.Second)
		p.show(&api.Progress{Revision: 7, Groups: []api.GroupProgress{{Name: "edge", Ready: ready, Of: 2, Message: message}}})
	}
	show(0, "lb-az1-1 is applying")
	show(0, "lb-az1-1 is applying more")
	show(1, "lb-az2-1 has not answered for 2s")
	show(1, "lb-az2-1 has not answered for 3s")
	for range 5 {
		show(1, "lb-az2-1 has not answered for a while")
	}
	if want := "revision 7: edge 0/2 (lb-az1-1 is applying)\nrevision 7: edge 1/2 (lb-az2-1 has not answered for 2s)\nrevision 7: edge 1/2 (lb-az2-1 has not answered for a while)\n"; out.String() != want {
		t.Errorf("the log has\n%swant\n%s", out.String(), want)
	}
}

func stripped(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, text, _ = strings.Cut(after, "m")
	}
}
