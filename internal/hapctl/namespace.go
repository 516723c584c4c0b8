package hapctl

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespaces is where network namespaces have their names (ip-netns(8)); HAProxy looks there, too.
const namespaces = "/var/run/netns"

// The reasons of InNamespace that somebody can do something about.
var (
	ErrNoNamespace = errors.New("the machine has no such network namespace")
	ErrNoEntry     = errors.New("the agent may not enter the network namespace")
)

// InNamespace runs do in a network namespace of the machine, "" for that of the process, and gives its error. The sockets
// that do makes itself are in the namespace for ever; goroutines that it starts are not in it. The error wraps ErrNoNamespace
// or ErrNoEntry where do could not be run.
func InNamespace(name string, do func() error) error {
	if name == "" {
		return do()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked once it entered: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// The first thread outlives its goroutine, and stands for the process in /proc: let another one go.
			err := InNamespace(name, do)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		if err := enter(filepath.Join(namespaces, name)); err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// enter moves this thread.
func enter(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Setns(fd, unix.CLONE_NEWNET)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL): // a file that is left of one that is gone
		err = ErrNoNamespace
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		err = ErrNoEntry
	}
	return fmt.Errorf("enter %s: %w", path, err)
}
