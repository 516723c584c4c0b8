package weirtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// InNetwork runs a test once more, alone, in a process with a network of its own that has but a loopback device, where the
// test may change the kernel's settings: it is true there. Outside it is false when that process has ended, and what the
// test has to say was said. Who is not root becomes it in a user namespace, which the system may forbid: the test fails then.
func InNetwork(t *testing.T) bool {
	t.Helper()
	return alone(t, 0)
}

// InNamespaces is InNetwork for tests that make network namespaces, which have names there that nobody else sees: see
// AddNamespace.
func InNamespaces(t *testing.T) bool {
	t.Helper()
	if !alone(t, syscall.CLONE_NEWNS) {
		return false
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal("keep mounts to ourselves:", err)
	}
	if err := syscall.Mount("run", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal("mount an empty /run:", err)
	}
	if err := os.Mkdir("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	return true
}

// AddNamespace makes a network namespace that has but a loopback device, and gives what takes its name away.
func AddNamespace(t *testing.T, name string) (remove func()) {
	t.Helper()
	path := "/run/netns/" + name
	if err := os.WriteFile(path, nil, 0o444); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			err = loopbackUp()
		}
		if err == nil {
			err = syscall.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", syscall.Gettid()), path, "", syscall.MS_BIND, "")
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal("make a network namespace:", err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(syscall.Unmount(path, syscall.MNT_DETACH), os.Remove(path)); err != nil {
			t.Error(err)
		}
	}
}

func alone(t *testing.T, more uintptr) bool {
	t.Helper()
	const mark = "WEIR_TEST_NETWORK"
	if os.Getenv(mark) == t.Name() {
		if err := loopbackUp(); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | more}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network of its own: %v\n%s", err, out)
	}
	return false
}

// loopbackUp lets the addresses of the loopback device be used (netdevice(7)).
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	request := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{name: [16]byte{'l', 'o'}, flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
