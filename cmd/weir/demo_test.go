package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"weir/internal/weirtest"
)

func TestDemosKeepOutOfEachOthersWay(t *testing.T) {
	dir := weirtest.TempDir(t)
	prepared := func(dir string) (*demo, error) {
		d := &demo{options: demoOptions{dir: dir}, out: &screen{out: io.Discard}}
		t.Cleanup(d.end)
		return d, d.prepare()
	}
	first, err := prepared(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first.path("kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := prepared(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	if first.base == second.base {
		t.Errorf("two demos that begin together both take %s", first.base)
	}
	if _, err := prepared(filepath.Join(dir, "a")); err == nil || !strings.Contains(err.Error(), "a demo runs in") {
		t.Errorf("a demo in the folder of one that runs: %v", err)
	}
	if _, err := os.Stat(first.path("kept")); err != nil {
		t.Errorf("the running demo's folder: %v", err)
	}
	first.end()
	again, err := prepared(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	if _, err := os.Stat(again.path("kept")); err == nil {
		t.Error("the earlier demo's files are still there")
	}
}

// Something that has the usual ports on all addresses does not keep the demo from running, and what does is named.
func TestDemoTakesOtherPortsWhenItMust(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.119.11.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	taken := demoPorts{http: busy.Addr().(*net.TCPAddr).Port}
	base, ports, reserved, err := freePlace(119, 120, taken, demoPorts{ldap: 0})
	if err != nil {
		t.Fatal(err)
	}
	_ = reserved.Close()
	if base != "127.119" || ports == taken {
		t.Errorf("found %s with %+v", base, ports)
	}
	if _, _, _, err := freePlace(119, 120, taken); err == nil || !strings.Contains(err.Error(), busy.Addr().String()) {
		t.Errorf("the address that is taken is not named: %v", err)
	}
}

func TestPromisesFitTheScreen(t *testing.T) {
	t.Parallel()
	const text = "a regex that HAProxy refuses was held on 6 load balancers and says why; the others serve"
	wide := promiseLine(&screen{}, "one bad object harms nobody else", "held", text)
	if want := "promise  one bad object harms nobody else  held  " + text; wide != want {
		t.Errorf("without a screen: %q", wide)
	}
	narrow := promiseLine(&screen{width: 80}, "one bad object harms nobody else", "held", text)
	if want := "promise  one bad object harms nobody else  held\n         a regex that HAProxy refuses was held on 6 load balancers and says why;\n         the others serve"; narrow != want {
		t.Errorf("at 80 columns: %q", narrow)
	}
	painted := promiseLine(&screen{width: 80, colors: true}, "converged", "held", "6/6")
	if lipgloss.Width(painted) != len("promise  converged                        held  6/6") {
		t.Errorf("with colours: %q", painted)
	}
}

func TestDemoSaysWhenItEnds(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int]string{
		0: "Ctrl-C ends it.", 1: "It tries what Weir promises and ends by itself after 1 second.", 20: "It tries what Weir promises and ends by itself after 20 seconds.",
	} {
		if got := (&demo{options: demoOptions{seconds: seconds}}).ending(); got != want {
			t.Errorf("with %d seconds: %q, not %q", seconds, got, want)
		}
	}
}
