package hapctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
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
