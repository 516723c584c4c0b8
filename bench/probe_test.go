package bench

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// probePace is the pause between two requests over one load balancer: what a figure may be too large by.
const probePace = 2 * time.Millisecond

// probe asks one load balancer again and again over one connection, and notes which origin answered when.
type probe struct {
	loop *loop
	name string
	addr netip.AddrPort
	// from is the address that it asks from, any when not set.
	from netip.Addr
	// refusal is the status besides 200 that is a good answer, and then stands for the origin.
	refusal int
	// request is what it asks, probeRequest when nil.
	request []byte

	fd      int
	asking  bool
	answer  []byte
	due     time.Time
	follows func(origin int) bool // what the origin must be for the change to be through
	since   time.Time             // when follows began to hold for good
	streak  int                   // answers since
	enough  int                   // answers in a row that say so
	// failed, when set, counts the requests without a good answer; else the first ends the measurement.
	failed *int
}

// begin looks for something new.
func (p *probe) begin(follows func(origin int) bool, enough int) {
	p.follows, p.enough, p.since, p.streak = follows, enough, time.Time{}, 0
}

func (p *probe) done() bool { return p.streak >= p.enough }

func (p *probe) dial() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if p.from.IsValid() {
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(p.from, 0)))
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(p.addr))
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		p.fd = fd
		err = p.loop.add(fd, p.read)
	}
	if err != nil {
		return fmt.Errorf("connect to %s: %w", p.name, err)
	}
	return nil
}

var probeRequest = []byte("GET / HTTP/1.1\r\nHost: www.bench.example\r\n\r\n")

// send asks, if it is time and the last answer has come.
func (p *probe) send(now time.Time) error {
	if p.asking || now.Before(p.due) {
		return nil
	}
	p.asking, p.due = true, now.Add(probePace)
	request := p.request
	if request == nil {
		request = probeRequest
	}
	_, err := unix.Write(p.fd, request)
	return os.NewSyscallError("write", err)
}

// originAnswer is what origin number n answers.
func originAnswer(n int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%03d\n", n)
}

func (p *probe) read() error {
	var space [4 << 10]byte
	n, err := unix.Read(p.fd, space[:])
	if err == unix.EAGAIN {
		return nil
	}
	if n <= 0 {
		if p.failed == nil {
			return fmt.Errorf("%s closed the connection after %q: %w", p.name, p.answer, err)
		}
		*p.failed++
		p.answer, p.asking = p.answer[:0], false
		p.loop.drop(p.fd)
		return p.dial()
	}
	if p.answer = append(p.answer, space[:n]...); !bytes.HasSuffix(p.answer, []byte("\n")) || bytes.HasSuffix(p.answer, headEnd) {
		return nil
	}
	if p.refusal > 0 && bytes.HasPrefix(p.answer, fmt.Appendf(nil, "HTTP/1.1 %d ", p.refusal)) {
		p.answer, p.asking = p.answer[:0], false
		p.note(p.refusal, time.Now())
		return nil
	}
	origin, err := strconv.Atoi(string(bytes.TrimSpace(p.answer[max(0, len(p.answer)-4):])))
	bad := err != nil || !bytes.HasPrefix(p.answer, []byte("HTTP/1.1 200 "))
	if bad && p.failed == nil {
		return fmt.Errorf("%s answered %q", p.name, p.answer)
	}
	p.answer, p.asking = p.answer[:0], false
	if bad {
		*p.failed++
		if !p.done() {
			p.streak = 0
		}
		return nil
	}
	p.note(origin, time.Now())
	return nil
}

func (p *probe) note(origin int, now time.Time) {
	switch {
	case p.follows == nil || p.done():
	case !p.follows(origin):
		p.streak = 0
	default:
		if p.streak++; p.streak == 1 {
			p.since = now
		}
	}
}
