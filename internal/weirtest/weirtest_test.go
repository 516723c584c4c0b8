package weirtest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeTB stands in for a test that is expected to fail.
type fakeTB struct {
	testing.TB
	mu       sync.Mutex
	fatal    string
	cleanups []func()
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.mu.Lock()
	f.fatal = fmt.Sprintf(format, args...)
	f.mu.Unlock()
	runtime.Goexit()
}

func (f *fakeTB) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }

// failure runs f as a test would and returns what it failed with, "" when it passed.
func failure(t *testing.T, f func(testing.TB)) string {
	tb := &fakeTB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	for i := len(tb.cleanups) - 1; i >= 0; i-- {
		tb.cleanups[i]()
	}
	return tb.fatal
}

func TestHAProxies(t *testing.T) {
	t.Parallel()
	var got []string
	for _, h := range HAProxies(t) {
		got = append(got, h.Version)
		if !strings.HasPrefix(h.Full, h.Version+".") {
			t.Errorf("haproxy %s says it is %s", h.Version, h.Full)
		}
	}
	if strings.Join(got, " ") != "3.4 3.2" {
		t.Errorf("versions = %v, want 3.4 and 3.2", got)
	}
}

func TestMissingHAProxyNamesTheCommand(t *testing.T) {
	t.Parallel()
	_, err := findHAProxies(t.TempDir())
	if err == nil {
		t.Fatal("a folder without HAProxy passed")
	}
	for _, want := range []string{"haproxy 3.4", "haproxy 3.2", "scripts/haproxy.sh"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
}

func TestWrongHAProxyIsRefused(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, s := range series {
		bin := filepath.Join(root, ".tools", "haproxy-"+s, "usr", "sbin", "haproxy")
		write(t, bin, "#!/bin/sh\necho 'HAProxy version 2.6.12-1 2023/12/16'\n")
	}
	if _, err := findHAProxies(root); err == nil || !strings.Contains(err.Error(), "2.6.12-1") {
		t.Errorf("an old HAProxy gave %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, h HAProxy) {
		config := filepath.Join(TempDir(t), "haproxy.cfg")
		body := "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n" +
			"frontend f\n bind 127.0.0.1:1\n"
		write(t, config, "global\n"+body)
		if err := h.Check(config); err != nil {
			t.Errorf("a good configuration: %v", err)
		}
		// A frontend without timeouts only warns.
		write(t, config, "global\ndefaults\n mode http\nfrontend f\n bind 127.0.0.1:1\n")
		if h.Check(config) == nil {
			t.Error("a configuration with a warning passed")
		}
		write(t, config, "global\n nonsense\n")
		if err := h.Check(config); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("a broken configuration gave %v", err)
		}
	})
}

// The fetched binaries must do more than tell their version: a request goes through each.
func TestHAProxyCarriesARequest(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, h HAProxy) {
		addr := Addr(t)
		o := NewOrigin(t, addr+":8081")
		config := filepath.Join(TempDir(t), "haproxy.cfg")
		write(t, config, "global\ndefaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n"+
			"listen l\n bind "+addr+":8080\n server s "+o.Addr+"\n")
		p := Command(t, h.Path, "-W", "-f", config)
		Eventually(t, Patience, func() error {
			status, name, _, err := get(t, addr+":8080", "/through")
			if err == nil && (status != 200 || name != o.Name) {
				err = fmt.Errorf("answer %d from %q", status, name)
			}
			return err
		})
		if o.Hits("/through") == 0 {
			t.Error("the origin saw no request")
		}
		p.Kill()
	})
}

func TestAddressesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 300 {
		a := Addr(t)
		if seen[a] || !netip.MustParseAddr(a).IsLoopback() {
			t.Fatalf("%s came twice, or is not loopback", a)
		}
		seen[a] = true
	}
	l, err := net.Listen("tcp", net.JoinHostPort(Addr(t), "80"))
	if err != nil && !errors.Is(err, os.ErrPermission) {
		t.Fatal(err)
	}
	if err == nil {
		l.Close()
	}
}

// The guard is what keeps other processes off a network, so it must refuse a second holder.
func TestPrefixIsHeldUntilTheTestEnds(t *testing.T) {
	t.Parallel()
	var p netip.Prefix
	hold := func() error {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(lastOf(p.Addr()), guardPort)))
		if err == nil {
			c.Close()
		}
		return err
	}
	if f := failure(t, func(tb testing.TB) {
		p = Prefix(tb)
		if hold() == nil {
			tb.Fatalf("a second holder got %s", p)
		}
	}); f != "" {
		t.Fatal(f)
	}
	if err := hold(); err != nil {
		t.Errorf("%s was not let go: %v", p, err)
	}
}

func TestTempDirFitsSocketsAndGoes(t *testing.T) {
	t.Parallel()
	var dir string
	if f := failure(t, func(tb testing.TB) {
		dir = TempDir(tb)
		if len(dir) >= 60 {
			tb.Fatalf("%s is too long for a socket in it", dir)
		}
	}); f != "" {
		t.Fatal(f)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestEventually(t *testing.T) {
	t.Parallel()
	calls := 0
	Eventually(t, Patience, func() error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if calls != 3 {
		t.Errorf("called %d times, want 3", calls)
	}
	got := failure(t, func(tb testing.TB) {
		Eventually(tb, 20*time.Millisecond, func() error { return errors.New("the door is shut") })
	})
	if !strings.Contains(got, "the door is shut") {
		t.Errorf("what never comes failed with %q, want its last error", got)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
