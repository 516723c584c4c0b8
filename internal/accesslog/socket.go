package accesslog

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many datagrams one system call brings.
const batch = 32

// socket is a UDP socket that Go's poller does not know: the kernel would wake a waiting
// poller at every datagram, and that waking is work of the sender, of HAProxy.
type socket struct {
	fd      int
	stop    int // an eventfd, readable once the socket is to close
	headers [batch]message
	vectors [batch]unix.Iovec
	space   []byte // batch times roomFor
}

// message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32
}

// roomFor is the room for a datagram: a whole line and its line end, and a byte to see that
// one is longer.
const roomFor = MaxLine + 2

// listen binds a socket and asks for a receive buffer of so many bytes.
func listen(addr netip.AddrPort, buffer int) (*socket, error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s, err := adopt(fd, buffer)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, sockaddr(addr)); err != nil {
		s.close()
		return nil, os.NewSyscallError("bind", err)
	}
	return s, nil
}

// adopt takes a socket of datagrams, which is its own from then on, and asks for a receive buffer of so many bytes.
func adopt(fd, buffer int) (*socket, error) {
	s := &socket{fd: fd, stop: -1, space: make([]byte, batch*roomFor)}
	for i := range batch {
		s.vectors[i].Base = &s.space[i*roomFor]
		s.vectors[i].SetLen(roomFor)
		s.headers[i].header.Iov = &s.vectors[i]
		s.headers[i].header.SetIovlen(1)
	}
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_DGRAM {
		s.close()
		return nil, errors.New("it is no socket of datagrams")
	}
	var err error
	if s.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		s.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	// Only root may go beyond the system's limit; then anybody gets as much as it allows.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	return s, nil
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
}

func (s *socket) close() {
	_ = unix.Close(s.fd)
	if s.stop >= 0 {
		_ = unix.Close(s.stop)
	}
}

// addr returns the address that the socket is bound to.
func (s *socket) addr() (netip.AddrPort, error) {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("getsockname: address of kind %T", sa)
}

// buffer returns the receive buffer that the kernel granted, in bytes of its own accounting,
// which charges a line of 500 bytes with about 1,300.
func (s *socket) buffer() int {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return 0
	}
	return n
}

// receive takes what has arrived, at most a batch, and does not wait. The datagrams are got
// with datagram and hold until the next receive.
func (s *socket) receive() int {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.headers)), batch, unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			return int(n)
		case !errors.Is(errno, unix.EINTR):
			return 0
		}
	}
}

// datagram returns the i-th datagram of the last receive; whole is false when it was too long.
func (s *socket) datagram(i int) (b []byte, whole bool) {
	m := &s.headers[i]
	b = s.space[i*roomFor : i*roomFor+int(m.length)]
	return b, m.header.Flags&unix.MSG_TRUNC == 0
}

// wait waits until a datagram is there, or only until stop when datagrams is false, at most so
// long, and tells whether the socket is to close.
func (s *socket) wait(datagrams bool, most time.Duration) (stop bool) {
	fds := []unix.PollFd{{Fd: int32(s.stop), Events: unix.POLLIN}, {Fd: int32(s.fd), Events: unix.POLLIN}}
	if !datagrams {
		fds = fds[:1]
	}
	n, err := unix.Poll(fds, int(most.Milliseconds()))
	return err == nil && n > 0 && fds[0].Revents != 0
}

// end makes every wait return at once, now and later.
func (s *socket) end() {
	_, _ = unix.Write(s.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}
