package weirtest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestCommandEndsWithTheTest(t *testing.T) {
	t.Parallel()
	var p *Process
	var child int
	if f := failure(t, func(tb testing.TB) {
		// The program starts one of its own, which must go too.
		p = Command(tb, "sh", "-c", "sleep 1000 & echo child $!; wait")
		child = childOf(t, p)
	}); f != "" {
		t.Fatal(f)
	}
	<-p.Done()
	Eventually(t, Patience, func() error { return gone(child) })
}

func childOf(t testing.TB, p *Process) int {
	t.Helper()
	var pid int
	Eventually(t, Patience, func() error {
		_, err := fmt.Sscanf(p.Output(), "child %d\n", &pid)
		return err
	})
	return pid
}

func gone(pid int) error {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// A zombie has ended; whoever adopted it has not looked yet.
	if _, after, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(after, "Z") {
		return nil
	}
	return fmt.Errorf("process %d is still there: %s", pid, stat)
}

// TestCommandDiesWithTheTestProcess kills a test process that has no chance to clean up.
func TestCommandDiesWithTheTestProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperHoldsAProcess$")
	cmd.Env = append(os.Environ(), "WEIRTEST_HELPER=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("the helper ended by itself: %v", err)
	}
	Eventually(t, Patience, func() error { return gone(pid) })
}

// TestHelperHoldsAProcess is run by TestCommandDiesWithTheTestProcess in a process of its
// own; run with the other tests it does nothing.
func TestHelperHoldsAProcess(t *testing.T) {
	if os.Getenv("WEIRTEST_HELPER") == "" {
		return
	}
	p := Command(t, "sleep", "1000")
	fmt.Println(p.Pid())
	<-p.Done()
}

func TestStop(t *testing.T) {
	t.Parallel()
	if err := Command(t, "sleep", "1000").Stop(); err != nil {
		t.Errorf("stop of a program that SIGTERM ends: %v", err)
	}
	p := Command(t, "sh", "-c", `trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done`)
	Eventually(t, Patience, func() error {
		if !strings.Contains(p.Output(), "ready") {
			return errors.New("not ready")
		}
		return nil
	})
	var exit *exec.ExitError
	if err := p.Stop(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("stop of a program that exits 3: %v", err)
	}
	if err := p.Signal(syscall.SIGHUP); err == nil {
		t.Error("a signal to an ended program passed")
	}
}

func TestCommandThatCannotStart(t *testing.T) {
	t.Parallel()
	got := failure(t, func(tb testing.TB) { Command(tb, "/nowhere/at-all") })
	if !strings.Contains(got, "/nowhere/at-all") {
		t.Errorf("a program that is not there failed with %q", got)
	}
}

func TestCommandFunc(t *testing.T) {
	t.Parallel()
	p := CommandFunc(t, func(c *exec.Cmd) { c.Dir = "/"; c.Env = []string{"A=b"} }, "/bin/sh", "-c", "pwd; echo $A; echo err >&2")
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := p.Output(); got != "/\nb\nerr\n" {
		t.Errorf("output = %q", got)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	t.Parallel()
	w := &Buffer{limit: tailSize}
	for range tailSize / 1000 * 2 {
		fmt.Fprintf(w, "%999s\n", "x")
	}
	fmt.Fprint(w, "last")
	if got := w.String(); len(got) != tailSize || !strings.HasSuffix(got, "last") {
		t.Errorf("kept %d bytes, want the last %d", len(got), tailSize)
	}
}
