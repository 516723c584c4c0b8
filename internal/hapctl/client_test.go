package hapctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

const twoServers = `frontend f from base
  bind ADDR:8080
  use_backend %[req.hdr(host),map_str(opt@maps/hosts)] if { req.hdr(host),map_str(opt@maps/hosts) -m found }
backend b from base
  server s1 127.0.0.1:9 weight 7
  server s2 127.0.0.1:9 disabled
`

func TestClient(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		l.do("set weight b/s1 30", "enable server b/s2", "add map maps/hosts a b")
		if s := l.server("b", "s1"); s.Weight != 30 || s.InitialWeight != 7 {
			t.Errorf("s1 = %+v", s)
		}
		if m, err := l.c.Map(bounded(t), "maps/hosts"); err != nil || !slices.Equal(m, []haproxy.MapPair{{Key: "a", Value: "b"}}) {
			t.Errorf("map = %v, %v", m, err)
		}
		if b, err := l.c.Backends(bounded(t)); err != nil || !slices.Contains(b, "b") {
			t.Errorf("backends = %v, %v", b, err)
		}
		if c, err := l.c.Certs(bounded(t)); err != nil || len(c.Names) != 0 {
			t.Errorf("certificates = %v, %v", c, err)
		}
		if r := l.stat("b", "s1"); r.Type != haproxy.StatServer || r.Weight != 30 {
			t.Errorf("stat = %+v", r)
		}
		info, err := l.c.Info(bounded(t))
		if err != nil || info.Version != h.Full || info.Stopping {
			t.Errorf("info = %+v, %v", info, err)
		}
		if text := l.refused("set weight b/nope 3"); text != "No such server." {
			t.Errorf("refused with %q", text)
		}
		_, err = l.c.Do(bounded(t), command(t, "frobnicate"))
		if !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("an unknown command gave %v", err)
		}
		_, err = l.c.ServersState(bounded(t), "nope")
		if refusal(t, err) != "Can't find backend." {
			t.Errorf("unknown backend: %v", err)
		}
	})
}

func TestContextEndsACommand(t *testing.T) {
	t.Parallel()
	l := startLab(t, weirtest.HAProxies(t)[0], twoServers)
	l.do("show info")
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() {
		_, err := l.c.Do(ctx, command(t, "wait 50s"))
		done <- err
	}()
	l.eventually(func() error {
		if len(l.c.turn) == 0 {
			return errors.New("the command has not begun")
		}
		return nil
	})
	// Who waits for his turn can give up, too.
	other, stop := context.WithCancel(t.Context())
	stop()
	if _, err := l.c.Do(other, command(t, "show info")); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for the turn: %v", err)
	}
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("error = %v", err)
	}
	// The client goes on with a new session.
	l.do("set weight b/s1 3")
}

// TestASocketThatIsRemovedIsMissed: a session that is never idle does not hide for long that nobody can have another.
func TestASocketThatIsRemovedIsMissed(t *testing.T) {
	t.Parallel()
	l := startLab(t, weirtest.HAProxies(t)[0], twoServers)
	c := NewClient(l.c.path)
	defer c.Close()
	c.age = 300 * time.Millisecond
	if _, err := c.Info(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.path); err != nil {
		t.Fatal(err)
	}
	l.eventually(func() error {
		if _, err := c.Info(bounded(t)); !errors.Is(err, ErrNoAnswer) || !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("asked again: %v, want that the socket is not there", err)
		}
		return nil
	})
}

func TestClientOnLongPath(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, twoServers)
		long := filepath.Join(l.dir, strings.Repeat("a folder; with blanks ", 8))
		if err := os.MkdirAll(long, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(l.dir, "haproxy.cfg"), filepath.Join(long, "haproxy.cfg")); err != nil {
			t.Fatal(err)
		}
		l.dir = long
		l.start()
		l.do("set weight b/s1 9")
		l.reload()
		if w := l.server("b", "s1").Weight; w != 7 {
			t.Errorf("weight = %d after a reload", w)
		}
	})
}

func TestNoHAProxyThere(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/nowhere/x.sock", "/" + strings.Repeat("long/", 40) + "x.sock"} {
		if _, err := NewClient(path).Info(t.Context()); err == nil || !strings.Contains(err.Error(), path[:8]) {
			t.Errorf("%s: %v", path, err)
		}
	}
	c := NewClient("/nowhere")
	c.Close()
	if _, err := c.Info(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("closed: %v", err)
	}
}

// A worker that says it is stopping is not worked with.
func TestStaleWorkerIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t, weirtest.HAProxies(t)[0], twoServers)
	// An old worker that accepted a connection before it was told to stop is hard to come by: a made-up one
	// that answers like it does.
	path := filepath.Join(l.dir, "fake.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info := "Name: HAProxy\nVersion: 3.4.7\nPid: 7\nUptime_sec: 1\nStopping: %d\nNbthread: 1\nCurrConns: 1\nMaxconn: 1\nDroppedLogs: 0\n\n"
	var mu sync.Mutex
	stopping := 0
	go serveFake(ln, func(command string) string {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case command == "show info":
			return fmt.Sprintf(info, stopping)
		case strings.HasPrefix(command, "set weight"):
			stopping = 1
		}
		return "\n"
	})
	c := NewClient(path)
	defer c.Close()
	if _, err := c.Info(bounded(t)); err != nil {
		t.Fatal(err)
	}
	answers, err := c.DoAll(bounded(t), command(t, "set weight b/s1 1"))
	if !errors.Is(err, ErrStaleWorker) || len(answers) != 1 {
		t.Errorf("a worker that stops in the middle: %v, %v", answers, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Info(ctx); err == nil {
		t.Error("a stopping worker was dialled")
	}
}

// serveFake speaks the part of the run-time socket's language that a Client needs.
func serveFake(ln net.Listener, answer func(string) string) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer nc.Close()
			buf := make([]byte, 4096)
			rest := ""
			for {
				n, err := nc.Read(buf)
				if err != nil {
					return
				}
				rest += string(buf[:n])
				for {
					line, more, ok := strings.Cut(rest, "\n")
					if !ok {
						break
					}
					rest = more
					text, echo := strings.CutPrefix(line, "echo ")
					out := "[6]: " + text + "\n\n"
					if !echo {
						out = answer(line)
					}
					if _, err := nc.Write([]byte(out)); err != nil {
						return
					}
				}
			}
		}()
	}
}
