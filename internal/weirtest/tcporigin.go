package weirtest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// TCPOrigin is a small TCP server: it greets each connection with its banner, then sends
// back whatever it gets.
type TCPOrigin struct {
	Addr string // host:port

	banner string
	mu     sync.Mutex
	l      net.Listener // nil while stopped
	conns  map[net.Conn]bool
	count  int
}

// NewTCPOrigin starts a TCPOrigin at addr (host:port; port 0 picks one) that says banner
// first, nothing when it is "". It ends with the test.
func NewTCPOrigin(t testing.TB, addr, banner string) *TCPOrigin {
	t.Helper()
	o := &TCPOrigin{Addr: addr, banner: banner, conns: map[net.Conn]bool{}}
	o.Restart(t)
	t.Cleanup(o.Stop)
	return o
}

// Connections returns how many connections have been accepted so far.
func (o *TCPOrigin) Connections() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// Restart starts the origin on its old address; its count goes on.
func (o *TCPOrigin) Restart(t testing.TB) {
	t.Helper()
	o.Stop()
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		t.Fatalf("start tcp origin: %v", err)
	}
	o.mu.Lock()
	o.Addr, o.l = l.Addr().String(), l
	o.mu.Unlock()
	go o.accept(l)
}

// Stop closes the listener and every connection at once; connecting is refused from then on.
func (o *TCPOrigin) Stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.l != nil {
		o.l.Close()
		o.l = nil
	}
	for c := range o.conns {
		c.Close()
	}
}

func (o *TCPOrigin) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if o.keep(l, c) {
			go o.echo(c)
		} else {
			c.Close()
		}
	}
}

// keep notes the connection; it is false when the origin was stopped meanwhile.
func (o *TCPOrigin) keep(l net.Listener, c net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.l != l {
		return false
	}
	o.conns[c] = true
	o.count++
	return true
}

func (o *TCPOrigin) echo(c net.Conn) {
	defer func() {
		c.Close()
		o.mu.Lock()
		delete(o.conns, c)
		o.mu.Unlock()
	}()
	if _, err := io.WriteString(c, o.banner); err != nil {
		return
	}
	io.Copy(c, c)
}
