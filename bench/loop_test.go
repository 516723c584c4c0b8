package bench

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// loop is the other two thirds of a measurement in one thread: the clients that ask a proxy and the origin
// that answers it, on one epoll. It costs little more than its system calls, so that the proxy stays the
// bottleneck on a machine of two cores.
type loop struct {
	epoll  int
	sinks  map[int32]func() error // by descriptor
	events [128]unix.EpollEvent
}

func newLoop(t *testing.T) *loop {
	t.Helper()
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatalf("epoll_create1: %v", err)
	}
	l := &loop{epoll: fd, sinks: map[int32]func() error{}}
	t.Cleanup(func() {
		for fd := range l.sinks {
			_ = unix.Close(int(fd))
		}
		_ = unix.Close(l.epoll)
	})
	return l
}

// add calls f whenever the descriptor has something to read.
func (l *loop) add(fd int, f func() error) error {
	l.sinks[int32(fd)] = f
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
}

func (l *loop) drop(fd int) {
	delete(l.sinks, int32(fd))
	_ = unix.Close(fd)
}

// turn waits for events, at most so long, and handles them.
func (l *loop) turn(most time.Duration) error {
	n, err := unix.EpollWait(l.epoll, l.events[:], int(most.Milliseconds()))
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("epoll_wait", err)
	}
	for _, e := range l.events[:max(n, 0)] {
		if f := l.sinks[e.Fd]; f != nil {
			if err := f(); err != nil {
				return err
			}
		}
	}
	return nil
}

// turnBeside turns the loop beside everything else, until the test ends.
func (l *loop) turnBeside(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := l.turn(100 * time.Millisecond); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

var headEnd = []byte("\r\n\r\n")

// origin answers every request at addr with the same bytes.
func (l *loop) origin(t *testing.T, addr netip.AddrPort, answer []byte) {
	t.Helper()
	l.originOf(t, addr, func([]byte) []byte { return answer })
}

// originOf answers each request at addr by its head.
func (l *loop) originOf(t *testing.T, addr netip.AddrPort, answer func(head []byte) []byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		err = unix.Bind(fd, sockaddr(addr))
	}
	if err == nil {
		err = unix.Listen(fd, 1024)
	}
	if err == nil {
		err = l.add(fd, func() error { return l.accept(fd, answer) })
	}
	if err != nil {
		t.Fatalf("origin at %s: %v", addr, err)
	}
}

func (l *loop) accept(listener int, answer func(head []byte) []byte) error {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return nil // gone again, or nobody there
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	var head []byte
	space := make([]byte, 16<<10)
	return l.add(fd, func() error {
		n, err := unix.Read(fd, space)
		if err == unix.EAGAIN {
			return nil
		}
		if n <= 0 {
			l.drop(fd)
			return nil
		}
		if head = append(head, space[:n]...); !bytes.HasSuffix(head, headEnd) {
			return nil
		}
		bytesOf := answer(head)
		head = head[:0]
		if _, err := unix.Write(fd, bytesOf); err != nil {
			l.drop(fd)
		}
		return nil
	})
}

// clients are keep-alive connections to one proxy, each with at most one request under way.
type clients struct {
	loop     *loop
	requests [][]byte
	body     int // length of every answer's body
	fds      []int

	left, waiting int // requests still to send, answers still to come
	next          int
	refused       []byte // an answer that was no 200
}

func (l *loop) dial(addr netip.AddrPort, connections int, requests [][]byte, body int) (*clients, error) {
	c := &clients{loop: l, requests: requests, body: body}
	for range connections {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, sockaddr(addr))
		}
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
		if err == nil {
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
			err = l.add(fd, c.reader(fd))
		}
		if err != nil {
			c.close()
			return nil, fmt.Errorf("connect to %s: %w", addr, err)
		}
		c.fds = append(c.fds, fd)
	}
	return c, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// reader takes answers and sends the next request for each.
func (c *clients) reader(fd int) func() error {
	var answer []byte
	space := make([]byte, 16<<10)
	return func() error {
		n, err := unix.Read(fd, space)
		if err == unix.EAGAIN {
			return nil
		}
		if n <= 0 {
			return fmt.Errorf("the proxy closed a connection after %q: %w", answer, err)
		}
		answer = append(answer, space[:n]...)
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
			c.refused = bytes.Clone(answer)
			return nil
		}
		end := bytes.Index(answer, headEnd)
		if end < 0 || len(answer) < end+len(headEnd)+c.body {
			return nil
		}
		answer = answer[:0]
		c.waiting--
		return c.send(fd)
	}
}

func (c *clients) send(fd int) error {
	if c.left == 0 {
		return nil
	}
	c.left--
	c.waiting++
	c.next++
	_, err := unix.Write(fd, c.requests[c.next%len(c.requests)])
	return os.NewSyscallError("write", err)
}

// ask sends so many requests, all connections at once, and returns when the last answer is there.
func (c *clients) ask(requests int, most time.Duration) error {
	c.left, c.refused = requests, nil
	for _, fd := range c.fds {
		if err := c.send(fd); err != nil {
			return err
		}
	}
	for end := time.Now().Add(most); c.waiting > 0; {
		if err := c.loop.turn(100 * time.Millisecond); err != nil {
			return err
		}
		if c.refused != nil {
			return fmt.Errorf("the proxy answered %q", c.refused)
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d answers are missing after %s", c.waiting, most)
		}
	}
	return nil
}

func (c *clients) close() {
	for _, fd := range c.fds {
		c.loop.drop(fd)
	}
	c.fds = nil
}
