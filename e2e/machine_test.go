package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/agent"
	"weir/internal/weirtest"
)

// mounting runs a test once more in a process that may mount what nobody else sees, and says whether this is that one.
func mounting(t *testing.T) bool {
	t.Helper()
	const mark = "WEIR_E2E_MOUNTING"
	if os.Getenv(mark) == t.Name() {
		if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatalf("keep mounts to this process: %v", err)
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

// warned waits until status says one thing of lb1's machine, in these words, or nothing for "".
func (w *world) warned(reason string, words ...string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		list := w.status().Groups[0].LoadBalancers[0].Warnings
		if reason == "" && len(list) == 0 {
			return nil
		}
		if len(list) != 1 || list[0].Reason != reason {
			return fmt.Errorf("status warns of %+v, want %q", list, reason)
		}
		for _, word := range words {
			if !strings.Contains(list[0].Message, word) {
				return fmt.Errorf("status warns %q, which lacks %q", list[0].Message, word)
			}
		}
		return nil
	})
}

// stuck waits until status says that lb1 can't get further, in these words.
func (w *world) stuck(words ...string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		lb := w.status().Groups[0].LoadBalancers[0]
		for _, word := range append(words, "") {
			if lb.Run != "failed" || lb.Ready || !strings.Contains(lb.Message, word) {
				return fmt.Errorf("lb1 is %s (ready %v): %q, want failed and %q", lb.Run, lb.Ready, lb.Message, word)
			}
		}
		return nil
	})
}

// onOwnDisk makes a world whose load balancer's folder is a small file system of its own.
func onOwnDisk(t *testing.T, h weirtest.HAProxy) (*world, *runningAgent, *traffic) {
	t.Helper()
	w := newWorld(t)
	w.origin(200, "web1")
	w.origin(201, "web2")
	w.apply(w.oneZone())
	dir := filepath.Join(w.dir, "lb1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("disk", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	a := w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	at := w.at(17).String() + ":8080"
	w.serves(at, "www.example.com", "/")
	clients := w.send(at, "www.example.com")
	clients.more(20)
	return w, a, clients
}

// TestDiskIsFull: status says so before anything is changed, and that a change does not come through; HAProxy serves
// on, and all is well by itself when there is room again.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	if !mounting(t) {
		return
	}
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			w, a, clients := onOwnDisk(t, h)
			full := filepath.Join(a.dir, "somebody's")
			if err := os.WriteFile(full, make([]byte, 16<<20), 0o600); err == nil {
				t.Fatal("the disk is larger than the test takes it for")
			}
			w.warned("DiskFull", a.dir, "make room")
			revision := w.apply(w.twoServers())
			w.stuck("no space left on device")
			clients.more(50)
			if err := os.Remove(full); err != nil {
				t.Fatal(err)
			}
			w.converged(revision)
			w.warned("")
			w.onlyFrom(w.at(17).String()+":8080", "www.example.com", "web1", "web2")
			clients.flawless()
		})
	}
}

// TestStateFolderIsReadOnly: as the kernel makes a file system with faults.
func TestStateFolderIsReadOnly(t *testing.T) {
	t.Parallel()
	if !mounting(t) {
		return
	}
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			w, a, clients := onOwnDisk(t, h)
			if err := unix.Mount(a.dir, a.dir, "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("", a.dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			w.warned("DiskReadOnly", a.dir, "mount the file system for writing")
			revision := w.apply(w.twoServers())
			w.stuck("read-only file system")
			clients.more(50)
			if err := unix.Unmount(a.dir, unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
			w.converged(revision)
			w.warned("")
			w.onlyFrom(w.at(17).String()+":8080", "www.example.com", "web1", "web2")
			clients.flawless()
		})
	}
}

// TestClocksAreOff: of a load balancer's machine and of the control plane's, an hour ahead and behind. Everything goes
// on, status names who is off by how much, and that ends with the cause.
func TestClocksAreOff(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.apply(w.oneZone())
	a := w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	w.leftServing(a)
	shifted := func(by time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(by) } }
	again := func(by time.Duration) {
		a.stop()
		a.edit = func(o *agent.Options) { o.Clock, o.StopWithAgent = shifted(by), false }
		w.startAgent(a)
	}
	again(0)
	at := w.at(17).String() + ":8080"
	w.serves(at, "www.example.com", "/")
	clients := w.send(at, "www.example.com")
	w.warned("")
	weight := 20
	change := func() {
		t.Helper()
		weight++
		w.converged(w.weigh(weight))
		w.weighs(a, weight)
		clients.more(20)
	}
	for by, words := range map[time.Duration]string{time.Hour: "ahead of the control plane's", -time.Hour: "behind the control plane's"} {
		again(by)
		w.warned("ClockOff", words, "time service")
		change()
		again(0)
		w.warned("")

		w.stopServer()
		w.clock = shifted(-by)
		w.startServer()
		w.warned("ClockOff", words)
		change()
		w.stopServer()
		w.clock = nil
		w.startServer()
		w.converged(1)
		w.warned("")
	}
	clients.flawless()
}

// TestSocketIsGone: somebody removes HAProxy's run-time socket, which nothing but a start makes again. Status says so
// and what to do, HAProxy serves on, and what status says to do mends it.
func TestSocketIsGone(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "web2")
		w.apply(w.oneZone())
		a := w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		clients := w.send(at, "www.example.com")
		worker, master := w.worker(a), w.master(a)
		socket := filepath.Join(a.folder(), "run", "admin.sock")
		if err := os.Remove(socket); err != nil {
			t.Fatal(err)
		}
		w.stuck("socket was removed", fmt.Sprint("process ", master))
		revision := w.apply(w.twoServers())
		w.stuck("socket was removed", fmt.Sprint("process ", master))
		clients.more(50)
		dead := time.Now()
		if err := syscall.Kill(master, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.followed(a, worker)
		w.converged(revision)
		w.onlyFrom(at, "www.example.com", "web1", "web2")
		clients.failsOnly(dead, time.Now())
		clients.more(50)
		clients.flawless()
	})
}
