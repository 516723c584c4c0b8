package agent

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// alone runs a test once more in a process of its own, and says whether this is that one: what a process may write is
// the same for all of it, the test's own log too.
func alone(t *testing.T) bool {
	t.Helper()
	return aloneAfter(t, func() error { return nil })
}

// aloneAfter is alone for a process that begins as a thread which has done something first.
func aloneAfter(t *testing.T, first func() error) bool {
	t.Helper()
	const mark = "WEIR_TEST_ALONE"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	var out []byte
	var err error
	done := make(chan struct{})
	go func() { // and the thread ends with this, since it is never unlocked
		defer close(done)
		runtime.LockOSThread()
		if err = first(); err == nil {
			out, err = cmd.CombinedOutput()
		}
	}()
	<-done
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

// fullDisk lets no file of this process, nor of those that it starts, grow beyond most bytes, until room is called.
func fullDisk(t *testing.T, most uint64) (room func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	set := func(soft uint64) {
		t.Helper()
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: soft, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	set(most)
	room = func() { set(limit.Cur) }
	t.Cleanup(room)
	return room
}

func (a *agentBed) converged() {
	a.t.Helper()
	a.await(func(r link.Report) error {
		if r.State != link.Converged || r.Revision != a.revision {
			return fmt.Errorf("%s at %d: %s", r.State, r.Revision, r.Message)
		}
		return nil
	})
}

func TestAFullDiskIsToldAndGoneOnFrom(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			a := newAgentBed(t, h)
			a.site("one", 40)
			a.wish()
			room := fullDisk(t, 0)
			a.site("two", 41)
			a.offer()
			a.await(failedWith("can't be kept on disk"))
			a.serves("one")
			if held := a.plane.report().Resources.Deviations; len(held) > 0 {
				t.Errorf("held, for nothing that it did: %+v", held)
			}
			left, err := filepath.Glob(filepath.Join(a.engine.folder.dir, "*", ".*"))
			if err != nil || len(left) > 0 {
				t.Errorf("half written files are left: %v, %v", left, err)
			}
			room()
			a.converged()
			a.serves("one")
			a.serves("two")
		})
	}
}

func TestHAProxyStartsAgainOnAFullDisk(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			a := newAgentBed(t, h)
			a.site("one", 40)
			a.wish()
			// What is known of the servers is on disk.
			weirtest.Eventually(t, longWait, func() error {
				if text, err := os.ReadFile(a.engine.folder.path(haproxy.StateFile)); err != nil || !strings.Contains(string(text), "s40") {
					return fmt.Errorf("%v: %q", err, text)
				}
				return nil
			})
			room := fullDisk(t, 0)
			next := a.killMaster()
			a.serves("one")
			room()
			a.wish()
			a.serves("one")
			noted, err := os.ReadFile(a.engine.runningPath())
			if err != nil || !strings.Contains(string(noted), fmt.Sprintf(`"worker":%d,`, next)) {
				t.Errorf("worker %d is not noted: %v", next, err)
			}
		})
	}
}

// parentOf gives a process's parent, an error when there is no such process.
func parentOf(pid int) (ppid int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	_, err = fmt.Sscanf(rest[2:], "%d", &ppid)
	return ppid, err
}

// killMaster kills the master and waits for a worker of another one. A worker that was told of just now may be leaving
// already, for one of a reload.
func (a *agentBed) killMaster() (worker int) {
	a.t.Helper()
	master := 0
	a.await(func(r link.Report) (err error) {
		if r.State != link.Converged || r.Worker == 0 {
			return fmt.Errorf("worker %d, %s: %s", r.Worker, r.State, r.Message)
		}
		master, err = parentOf(r.Worker)
		return err
	})
	if err := syscall.Kill(master, syscall.SIGKILL); err != nil {
		a.t.Fatal(err)
	}
	a.await(func(r link.Report) error {
		now, err := parentOf(r.Worker)
		worker = r.Worker
		if err == nil && (r.State != link.Converged || now == master || now == 1) {
			err = fmt.Errorf("worker %d of %d, %s: %s", r.Worker, now, r.State, r.Message)
		}
		return err
	})
	return worker
}

func TestAnAgentStartsAgainOnAFullDisk(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			dir := weirtest.TempDir(t)
			first := newAgentBed(t, h, func(o *Options) { o.Dir, o.StopWithAgent = dir, false })
			first.site("one", 40)
			first.wish()
			first.end()
			room := fullDisk(t, 0)
			second := newAgentBed(t, h, func(o *Options) { o.Dir = dir })
			second.node = first.node
			second.wish()
			first.serves("one")
			room()
			second.node.Pools[0].Servers[0].Weight = 9
			second.wish()
			if n := second.engine.reloads; n.Count+n.Starts > 0 {
				t.Errorf("%d reloads, %d starts", n.Count, n.Starts)
			}
		})
	}
}

func TestGoodFormsOutliveAFullDisk(t *testing.T) {
	if !alone(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "good.jsonl")
	g, err := openGoodForms(path)
	if err != nil {
		t.Fatal(err)
	}
	form := func(id, body string) *ir.Resource { return &ir.Resource{ID: id, Body: []byte(`"` + body + `"`)} }
	list := []*ir.Resource{form("pool/a", "1"), form("pool/b", "1")}
	if err := g.keep(list); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	room := fullDisk(t, uint64(info.Size())+10)
	list = []*ir.Resource{form("pool/a", "another, longer"), form("pool/b", "another, longer")}
	if err := g.keep(list); err == nil {
		t.Fatal("a full disk takes it")
	}
	if err := g.keep(list); err == nil {
		t.Error("what is not on disk is forgotten")
	}
	room()
	if err := g.keep(list); err != nil {
		t.Fatal(err)
	}
	again, err := openGoodForms(path)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, r := range again.resources() {
		said = append(said, r.ID+" "+string(r.JSON()))
	}
	if got := strings.Join(said, ", "); got != `pool/a "another, longer", pool/b "another, longer"` {
		t.Errorf("on disk: %s", got)
	}
}
