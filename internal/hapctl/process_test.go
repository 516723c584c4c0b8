package hapctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"weir/internal/weirtest"
)

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		w, err := l.proc.Workers(bounded(t))
		if err != nil || w.Master.Pid != l.proc.Pid() || len(w.Workers) != 1 || w.Workers[0].Version != h.Full {
			t.Fatalf("%+v, %v", w, err)
		}
		if _, err := Start(bounded(t), l.options()); !errors.Is(err, ErrRunning) {
			t.Errorf("a second one in the folder: %v", err)
		}
		if err := l.proc.Stop(bounded(t)); err != nil {
			t.Error(err)
		}
		<-l.proc.Done()
		if err := l.proc.Err(); err != nil {
			t.Errorf("ended with %v", err)
		}
		if _, err := l.proc.Reload(bounded(t)); err == nil {
			t.Error("a reload of what has ended passed")
		}
		if err := l.proc.Stop(bounded(t)); err != nil {
			t.Errorf("second stop: %v", err)
		}
		l.start() // its sockets are no obstacle
	})
}

// Stop lets a request in flight end; when the time is over it does not.
func TestStopWaitsForRequests(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		c, err := net.Listen("tcp", l.at(2)+":8000")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		l.config("frontend f from base\n bind ADDR:8080\n default_backend b\nbackend b from base\n server s " + c.Addr().String() + "\n")
		for _, finish := range []bool{true, false} {
			l.start()
			res := make(chan error, 1)
			go func() {
				_, _, err := l.get("x")
				res <- err
			}()
			conn, err := c.Accept()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(bounded(t))
			stopped := make(chan error, 1)
			go func() { stopped <- l.proc.Stop(ctx) }()
			// The worker is leaving when its listener is closed.
			l.eventually(func() error {
				c, err := net.Dial("tcp", l.addr+":8080")
				if err == nil {
					c.Close()
					return errors.New("still listening")
				}
				return nil
			})
			if finish {
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				if err := <-res; err != nil {
					t.Errorf("request: %v", err)
				}
				conn.Close()
				if err := <-stopped; err != nil {
					t.Errorf("stop: %v", err)
				}
			} else {
				cancel()
				if err := <-stopped; !errors.Is(err, ErrKilled) {
					t.Errorf("stop: %v", err)
				}
				if err := <-res; err == nil {
					t.Error("the request ended well")
				}
				conn.Close()
			}
			cancel()
		}
	})
}

func TestStartRefused(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "backend b from base\n bogus 1\n")
		_, err := Start(bounded(t), l.options())
		var start *StartError
		if !errors.As(err, &start) || len(start.Lines) != 1 || start.Lines[0].File != "haproxy.cfg" ||
			!strings.Contains(start.Lines[0].Text, "'bogus'") {
			t.Errorf("%+v, %v", start, err)
		}
		// A port that somebody has.
		l.config(twoServers)
		ln, err := net.Listen("tcp", l.addr+":8080")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if _, err = Start(bounded(t), l.options()); !errors.As(err, &start) || !strings.Contains(err.Error(), l.addr+":8080") {
			t.Errorf("port taken: %v", err)
		}
		opts := l.options()
		opts.Path = "/nowhere/haproxy"
		if _, err = Start(bounded(t), opts); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no binary: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = Start(ctx, l.options()); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestDoneWhenHAProxyIsKilled(t *testing.T) {
	t.Parallel()
	l := startLab(t, weirtest.HAProxies(t)[0], twoServers)
	if err := syscall.Kill(l.proc.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-l.proc.Done()
	var exit *exec.ExitError
	if err := l.proc.Err(); !errors.As(err, &exit) {
		t.Errorf("ended with %v", err)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		was, err := l.c.Pid(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		l.config(twoServers + "backend added from base\n")
		r := l.reload()
		now, err := l.c.Pid(bounded(t))
		if err != nil || now != r.Worker || now == was {
			t.Errorf("worker %d, was %d, %+v, %v", now, was, r, err)
		}
		if b, err := l.c.Backends(bounded(t)); err != nil || len(b) != 2 {
			t.Errorf("backends = %v, %v", b, err)
		}
		// One that HAProxy does not take.
		l.config(twoServers + "backend added from base\n bogus x\n")
		_, err = l.proc.Reload(bounded(t))
		var refused *ReloadError
		if !errors.As(err, &refused) || len(refused.Lines) != 1 || refused.Lines[0].Line == 0 || !strings.Contains(err.Error(), "haproxy.cfg:") {
			t.Errorf("%+v, %v", refused, err)
		}
		if pid, err := l.c.Pid(bounded(t)); pid != now || err != nil {
			t.Errorf("worker %d serves, want %d, %v", pid, now, err)
		}
		w, err := l.proc.Workers(bounded(t))
		if err != nil || w.Failed != 1 {
			t.Errorf("%+v, %v", w, err)
		}
		// And on with a good one.
		l.config(twoServers)
		if r := l.reload(); r.Worker == now {
			t.Error("no new worker")
		}
	})
}

// Many at once are done one after the other, and others may reload by hand meanwhile.
func TestReloadsQueue(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		res := make(chan error)
		const n = 4
		for range n {
			go func() {
				_, err := l.proc.Reload(bounded(t))
				res <- err
			}()
		}
		if err := syscall.Kill(l.proc.Pid(), syscall.SIGUSR2); err != nil {
			t.Error(err)
		}
		for range n {
			if err := <-res; err != nil {
				t.Error(err)
			}
		}
		l.eventually(func() error {
			w, err := l.proc.Workers(bounded(t))
			if err == nil && (len(w.Workers) != 1 || len(w.Old) != 0) {
				err = fmt.Errorf("%+v", w)
			}
			return err
		})
	})
}

// An agent that ends leaves HAProxy serving, and its successor finds it, can reload and stop it.
func TestAttach(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, twoServers)
		if _, err := Attach(bounded(t), l.options()); err == nil {
			t.Error("attached to nothing")
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestHelperAgent$")
		cmd.Env = append(os.Environ(), "HAPCTL_HELPER="+l.dir, "HAPCTL_HAPROXY="+h.Path)
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
		_ = cmd.Wait()
		p, err := Attach(bounded(t), l.options())
		if err != nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal(err)
		}
		t.Cleanup(func() { end(p) })
		if p.Pid() != pid {
			t.Errorf("attached to %d, want %d", p.Pid(), pid)
		}
		l.proc, l.c = p, p.Client()
		l.do("set weight b/s1 44")
		// Its standard error leads nowhere by now, which must not hurt.
		for range 3 {
			l.reload()
		}
		l.wantStatus("x", http.StatusServiceUnavailable)
		select {
		case <-p.Done():
			t.Fatal("it has ended")
		default:
		}
		if err := p.Stop(bounded(t)); err != nil {
			t.Error(err)
		}
		<-p.Done()
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
			if target, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); target != "" {
				t.Errorf("%d still runs %s", pid, target)
			}
		}
	})
}

// TestHelperAgent is run by TestAttach in a process of its own; run with the other tests it does nothing.
func TestHelperAgent(t *testing.T) {
	dir := os.Getenv("HAPCTL_HELPER")
	if dir == "" {
		return
	}
	p, err := Start(t.Context(), Options{Path: os.Getenv("HAPCTL_HAPROXY"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(p.Pid())
	<-p.Done()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, twoServers)
		if err := Check(bounded(t), h.Path, l.dir, "haproxy.cfg"); err != nil {
			t.Errorf("a good one: %v", err)
		}
		lines := func(config string) []LogLine {
			t.Helper()
			l.file("bad.cfg", config)
			err := Check(bounded(t), h.Path, l.dir, "bad.cfg")
			var check *CheckError
			if !errors.As(err, &check) {
				t.Fatalf("error = %v", err)
			}
			return check.Lines
		}
		two := lines("backend a\n bogus 1\nbackend b\n balance nonsense\n")
		if len(two) != 2 || two[0].Line != 2 || two[1].Line != 4 || two[0].File != "bad.cfg" || two[0].Text != "unknown keyword 'bogus' in 'backend' section" {
			t.Errorf("%+v", two)
		}
		warned := lines("global\ndefaults\n mode http\nfrontend f\n bind 127.0.0.1:1\n")
		if len(warned) != 1 || warned[0].Level != "WARNING" || !strings.Contains(warned[0].Text, "missing timeouts") {
			t.Errorf("%+v", warned)
		}
		if gone := Check(bounded(t), h.Path, l.dir, "gone.cfg"); gone == nil || !strings.Contains(gone.Error(), "gone.cfg") {
			t.Errorf("no file: %v", gone)
		}
		var check *CheckError
		if err := Check(bounded(t), "/nowhere", l.dir, "haproxy.cfg"); errors.As(err, &check) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no binary: %v", err)
		}
		if v, err := Version(bounded(t), h.Path); v != h.Full || err != nil {
			t.Errorf("version %q, %v", v, err)
		}
	})
}

func TestTestBind(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, "frontend f from base\n bind ADDR:8080\n bind 0.0.0.0:"+wildPort(h)+"\n")
		at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(strings.ReplaceAll(s, "ADDR", l.addr)) }
		ours := []netip.AddrPort{at("ADDR:8080"), at("0.0.0.0:" + wildPort(h))}
		for _, s := range []string{"ADDR:8081", "ADDR:8080", "ADDR:" + wildPort(h), "[::1]:" + wildPort(h)} {
			if err := TestBind(at(s), ours); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
		// The same, when it is somebody else's.
		for _, s := range []string{"ADDR:8080", "ADDR:" + wildPort(h), "0.0.0.0:8080"} {
			if err := TestBind(at(s), nil); !errors.Is(err, ErrTaken) {
				t.Errorf("%s: %v, want taken", s, err)
			}
		}
		if err := TestBind(netip.MustParseAddrPort("192.0.2.1:80"), ours); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("an address that is not here: %v", err)
		}
		if _, err := os.Stat(filepath.Join(l.dir, "haproxy.cfg")); err != nil {
			t.Error(err)
		}
	})
}

// wildPort differs by version, since both run at once.
func wildPort(h weirtest.HAProxy) string {
	if h.Version == "3.4" {
		return "18534"
	}
	return "18532"
}
