package hapctl

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"weir/internal/weirtest"
)

// What is made in a namespace stays there, and nothing else is moved.
func TestInNamespace(t *testing.T) {
	if !weirtest.InNamespaces(t) {
		return
	}
	if err := InNamespace("blue", func() error { return nil }); !errors.Is(err, ErrNoNamespace) {
		t.Errorf("one that is not there: %v", err)
	}
	if err := os.WriteFile("/run/netns/blue", nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := InNamespace("blue", func() error { return nil }); !errors.Is(err, ErrNoNamespace) {
		t.Errorf("a file that was left: %v", err)
	}
	weirtest.AddNamespace(t, "blue")
	var l net.Listener
	at := netip.MustParseAddrPort("127.0.0.1:8080")
	for range 50 { // on whichever thread
		if err := InNamespace("blue", func() (err error) {
			if l != nil {
				l.Close()
			}
			l, err = net.Listen("tcp", at.String())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if c, err := net.Dial("tcp", at.String()); err == nil {
			c.Close()
			t.Fatal("a listener of another namespace is reached")
		}
		if err := TestBind(at, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := InNamespace("blue", func() error { return TestBind(at, nil) }); !errors.Is(err, ErrTaken) {
		t.Errorf("a port that is taken inside: %v", err)
	}
	if err := InNamespace("blue", func() error { return TestBindUDP(at) }); err != nil {
		t.Error(err)
	}
	wrong := errors.New("wrong")
	if err := InNamespace("blue", func() error { return wrong }); err != wrong {
		t.Error(err)
	}
	l.Close()
}

// Who lacks the right is told that, and not that there is no namespace.
func TestNamespacesThatMayNotBeEntered(t *testing.T) {
	t.Parallel()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread, which has lost its rights, ends with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			done <- err
			return
		}
		done <- enter("/proc/self/ns/net")
	}()
	if err := <-done; !errors.Is(err, ErrNoEntry) {
		t.Error(err)
	}
}
