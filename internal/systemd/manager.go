// Package systemd speaks with the service manager that has started this process, where one has: it tells how things are,
// and leaves files open with it, to be there when the service is started anew.
package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstFile is the descriptor of the first file that is passed on (sd_listen_fds(3)).
const firstFile = 3

// Manager is who started the process. Nil is nobody, who is told nothing and keeps nothing.
type Manager struct {
	socket string
	files  map[string]int
}

// FromEnvironment gives the manager that the environment names, and takes what is meant for this process alone out of it, so
// that no program it runs believes to be meant. Files that are passed on are closed in those programs. Call it once, before
// any of them is started.
func FromEnvironment() *Manager {
	m := &Manager{socket: os.Getenv("NOTIFY_SOCKET"), files: map[string]int{}}
	pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID"))
	count, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, name := range []string{"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}
	if pid != os.Getpid() {
		return m // they are somebody else's
	}
	for i := range min(count, len(names)) {
		unix.CloseOnExec(firstFile + i)
		if _, twice := m.files[names[i]]; twice {
			_ = unix.Close(firstFile + i)
			continue
		}
		m.files[names[i]] = firstFile + i
	}
	return m
}

// New gives a manager that listens at a socket and has passed on files, by their names.
func New(socket string, files map[string]int) *Manager { return &Manager{socket, files} }

// Take gives a file that was left open with the manager under a name, once; it is the caller's to close. It is for one
// goroutine at a time.
func (m *Manager) Take(name string) (fd int, ok bool) {
	if m == nil {
		return 0, false
	}
	fd, ok = m.files[name]
	delete(m.files, name)
	return fd, ok
}

// Keep leaves a file with the manager under a name, in place of what it had of that name: it is open there, too, until the
// service is stopped for good. Without a manager, and with one that keeps no files, nothing happens.
func (m *Manager) Keep(name string, fd int) error {
	if m == nil || m.socket == "" {
		return nil
	}
	if err := m.send([]byte("FDSTOREREMOVE=1\nFDNAME="+name), nil); err != nil {
		return fmt.Errorf("keep a file open with the service manager: %w", err)
	}
	// Not FDPOLL=1: what systemd finds to have failed it drops, and a socket of datagrams tells of failures that pass.
	if err := m.send([]byte("FDSTORE=1\nFDPOLL=0\nFDNAME="+name), unix.UnixRights(fd)); err != nil {
		return fmt.Errorf("keep a file open with the service manager: %w", err)
	}
	return nil
}

// Tell says lines such as STATUS=…, as in sd_notify(3). It is a courtesy: whether they arrive is not told.
func (m *Manager) Tell(lines ...string) {
	if m != nil && m.socket != "" {
		_ = m.send([]byte(strings.Join(lines, "\n")), nil)
	}
}

func (m *Manager) send(text, rights []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	return os.NewSyscallError("sendmsg", unix.Sendmsg(fd, text, rights, &unix.SockaddrUnix{Name: m.socket}, unix.MSG_NOSIGNAL))
}
