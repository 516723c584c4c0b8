package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"weir/internal/agent"
	"weir/internal/weirtest"
)

// A fault point is a system call by which an agent changes something that outlives it: a file is written or put in its
// place, a process started, something said to HAProxy or to the control plane. The kernel stops the agent before each
// of them and one that is to die there is killed, so that nothing in the agent has to know of this.

// The test binary is an agent when agentOptions is set; with faultAt, it runs that agent and kills it at that point.
const (
	agentOptions = "WEIR_E2E_AGENT"
	faultAt      = "WEIR_E2E_FAULT_AT"
	// faultOf is what the names of the points begin with that count; all when it is not set.
	faultOf = "WEIR_E2E_FAULT_OF"
)

// agentProcess is what agentOptions holds.
type agentProcess struct {
	Dir, HAProxy, URL string
	Look              time.Duration
	TakeOver          agent.TakeOver
}

// beAgent runs an agent until it ends.
func beAgent(text string) error {
	var o agentProcess
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)) // shown when the test fails
	a, err := agent.Open(context.Background(), agent.Options{Dir: o.Dir, HAProxy: o.HAProxy, URLs: []string{o.URL}, Version: "test", Log: log, LookEvery: o.Look, TakeOver: o.TakeOver})
	if err != nil {
		return err
	}
	return a.Run(context.Background())
}

// beTracer runs this binary once more as an agent and kills it before it does what is its n'th fault point. It says
// which that was.
func beTracer(text string, n int) error {
	var o agentProcess
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	runtime.LockOSThread() // whoever traces is a thread
	cmd := exec.Command(os.Args[0])
	// Every system call stops the agent twice; on one processor it makes a fraction of those by which threads wake each other.
	cmd.Env = append(os.Environ(), faultAt+"=", "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	tr := tracer{pid: cmd.Process.Pid, last: n, dir: o.Dir, only: os.Getenv(faultOf)}
	return tr.run()
}

// tracer is what is known of a traced agent.
type tracer struct {
	pid  int
	seen int // fault points so far
	last int // the one to die at
	dir  string
	only string // what the names of points begin with
	// moved says that a file has been changed, so that it is no longer all as before.
	moved bool
}

func (tr *tracer) run() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(tr.pid, &status, unix.WALL, nil); err != nil {
		return err
	}
	// Threads are followed, but no children: HAProxy is not the agent.
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(tr.pid, options); err != nil {
		return err
	}
	for thread := tr.pid; ; {
		signal, over, err := tr.stopped(thread, status)
		if over || err != nil {
			return err
		}
		// A thread that has just been killed is no failure: the end of the process comes next.
		if err := unix.PtraceSyscall(thread, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		for {
			if thread, err = unix.Wait4(-1, &status, unix.WALL, nil); err != unix.EINTR {
				break
			}
		}
		if err != nil {
			return err
		}
		if thread == tr.pid && (status.Exited() || status.Signaled()) {
			return fmt.Errorf("the agent ended by itself: %v", status)
		}
	}
}

// stopped deals with a thread that stands still: it says what signal it is to have, or that all is over.
func (tr *tracer) stopped(thread int, status unix.WaitStatus) (signal int, over bool, err error) {
	const systemCall = unix.SIGTRAP | 0x80
	switch {
	case !status.Stopped():
		return 0, false, nil // the end of a thread
	case status.StopSignal() == systemCall:
		name := tr.point(thread)
		if name == "" || !strings.HasPrefix(name, tr.only) {
			return 0, false, nil
		}
		if tr.seen++; tr.seen < tr.last {
			return 0, false, nil
		}
		fmt.Printf("killed at %d: %s\n", tr.seen, name)
		if err := unix.Kill(tr.pid, unix.SIGKILL); err != nil {
			return 0, true, err
		}
		for {
			if who, err := unix.Wait4(-1, &status, unix.WALL, nil); err != nil && err != unix.EINTR || who == tr.pid && status.Signaled() {
				return 0, true, nil
			}
		}
	case status.StopSignal() == unix.SIGTRAP, status.StopSignal() == unix.SIGSTOP:
		return 0, false, nil // a new thread
	}
	return int(status.StopSignal()), false, nil
}

// callInfo is the kernel's struct ptrace_syscall_info.
type callInfo struct {
	op      uint8
	_       [3]uint8
	arch    uint32
	ip, sp  uint64
	nr      uint64
	args    [6]uint64
	_       uint32
	padding [16]uint8
}

// point names the fault point that a thread is at, "" for any other system call or the end of one.
func (tr *tracer) point(thread int) string {
	const getSyscallInfo, entry = 0x420e, 1
	var c callInfo
	if _, _, e := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(thread), unsafe.Sizeof(c), uintptr(unsafe.Pointer(&c)), 0, 0); e != 0 || c.op != entry {
		return ""
	}
	switch c.nr {
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return tr.file("rename", tr.text(thread, c.args[1]))
	case unix.SYS_FTRUNCATE:
		return tr.file("truncate", tr.opened(c.args[0]))
	case unix.SYS_WRITE, unix.SYS_SENDTO, unix.SYS_SENDMSG:
		to := tr.opened(c.args[0])
		if !strings.HasPrefix(to, "socket:") {
			return tr.file("write", to)
		}
		return tr.saying(tr.text(thread, c.args[1]))
	case unix.SYS_CLONE:
		if c.args[0]&unix.CLONE_THREAD == 0 {
			return "start a process"
		}
	}
	return ""
}

// file names what is done to a file; what is beside for HAProxy to be asked about outlives nobody.
func (tr *tracer) file(what, path string) string {
	if !strings.HasPrefix(path, tr.dir+"/") || strings.HasPrefix(path, filepath.Join(tr.dir, "check")+"/") {
		return ""
	}
	tr.moved = true
	return what + " " + strings.TrimPrefix(path, tr.dir+"/")
}

// saying names what is said to HAProxy, but for questions. What the control plane is told can't be read; it counts
// when the agent has got something new.
func (tr *tracer) saying(text string) string {
	word, rest, _ := strings.Cut(text, " ")
	switch object, _, _ := strings.Cut(rest, " "); {
	case slices.Contains([]string{"new", "set", "commit", "abort", "add", "del", "enable", "disable", "publish", "unpublish", "wait", "prepare", "clear", "shutdown"}, word):
		return "say " + word + " " + object
	case strings.HasPrefix(text, "reload"):
		return "say reload"
	case word == "show" || word == "prompt" || word == "dump" || word == "get" || !tr.moved || len(text) > 0 && text[0] < ' ' && text[0] != 0x17:
		return ""
	case len(text) > 0 && text[0] == 0x17: // TLS
		return "tell the control plane"
	}
	return ""
}

// text is what a thread has at an address, up to the first zero.
func (tr *tracer) text(thread int, at uint64) string {
	text := make([]byte, 256)
	if _, err := unix.PtracePeekData(thread, uintptr(at), text); err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\x00")
	return line
}

func (tr *tracer) opened(fd uint64) string {
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tr.pid, fd))
	if err != nil {
		return ""
	}
	return to
}

// runAgent runs a load balancer's agent as a process of its own, whose HAProxy outlives it. One that is to die does
// so at its n'th fault point; 0 is never.
func (w *world) runAgent(a *runningAgent, n int) *weirtest.Process {
	w.t.Helper()
	return w.runAgentTo(a, n, "")
}

// runAgentTo is runAgent for fault points of which the names begin with a text.
func (w *world) runAgentTo(a *runningAgent, n int, only string) *weirtest.Process {
	w.t.Helper()
	text, err := json.Marshal(agentProcess{Dir: a.dir, HAProxy: a.haproxy.Path, URL: w.url, Look: w.look})
	if err != nil {
		w.t.Fatal(err)
	}
	return weirtest.CommandFunc(w.t, func(c *exec.Cmd) {
		c.Env = append(os.Environ(), agentOptions+"="+string(text))
		if n > 0 {
			c.Env = append(c.Env, faultAt+"="+strconv.Itoa(n), faultOf+"="+only)
		}
	}, os.Args[0])
}

// TestTracerKillsBeforeTheCall: a file whose making is the fault point is not there.
func TestTracerKillsBeforeTheCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(w.oneZone())
	a := w.join("lb1", "edge", "az1", weirtest.HAProxies(t)[0], "")
	w.converged(1)
	a.stop()
	kept := filepath.Join(a.dir, "log.json")
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	var points []string
	for n := 1; len(points) < 2; n++ {
		p := w.runAgent(a, n)
		if err := p.Wait(); err != nil || !strings.Contains(p.Output(), fmt.Sprintf("killed at %d: ", n)) {
			t.Fatalf("point %d: %v: %s", n, err, p.Output())
		}
		_, point, _ := strings.Cut(p.Output()[strings.Index(p.Output(), "killed at "):], ": ")
		if !strings.Contains(point, "log.json") {
			continue
		}
		points = append(points, strings.Fields(point)[0])
		if _, err := os.Stat(kept); err == nil {
			t.Errorf("killed before «%s», and the file is there", point)
		}
	}
	if fmt.Sprint(points) != "[write rename]" {
		t.Errorf("a file is made by %v", points)
	}
}
