package accesslog

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	bufferSize  = 64 << 20          // asked for; room for about 100,000 lines, used only when needed
	smallBuffer = 8 << 20           // below it, naps are short
	recentSize  = 1 << 20           // bytes of last lines
	settleEvery = time.Second       // how long a missing line may still arrive
	drainMost   = 256 * batch       // datagrams between two looks at the clock and at Close
	keyOpening  = `{"k":"`          // before the token
	keyClosing  = `",`              // after it
	sampleSize  = 1 << 10           // bytes kept of a malformed line
	tickLength  = time.Second / 100 // of the clock that /proc tells process starts in
)

// Receiver takes in the log lines of one agent's HAProxy and counts them. Its methods may be
// called from any goroutine.
type Receiver struct {
	socket  *socket
	addr    netip.AddrPort
	buffer  int
	nap     time.Duration
	opening []byte // what every line of ours begins with
	done    chan struct{}
	end     sync.Once
	began   time.Time
	events  chan struct{}

	mu        sync.Mutex
	table     *table
	losses    *losses
	recent    *ring
	taken     uint64 // how many lines went into recent, from the first one on
	tails     []*Tail
	line      Line
	malformed []byte // the last malformed line, its beginning
}

// Listen opens a UDP socket at addr, an IP address of the loopback and a port, 0 for any, and
// begins to count the lines that carry the token.
func Listen(addr, token string) (*Receiver, error) {
	return listenWith(addr, token, bufferSize)
}

// Adopt is Listen on a socket that is open at addr already, with what has come there since the last reader ended. The
// descriptor is the Receiver's from then on, and is closed when Adopt fails.
func Adopt(fd int, addr, token string) (*Receiver, error) {
	where, err := placeOf(addr, token)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	s, err := adopt(fd, bufferSize)
	if err != nil {
		return nil, fmt.Errorf("take over the socket of log lines: %w", err)
	}
	if bound, err := s.addr(); err != nil || bound != where {
		s.close()
		return nil, fmt.Errorf("take over the socket of log lines: it is not at %s but at %s", addr, bound)
	}
	return receive(s, token)
}

func listenWith(addr, token string, buffer int) (*Receiver, error) {
	where, err := placeOf(addr, token)
	if err != nil {
		return nil, err
	}
	s, err := listen(where, buffer)
	if err != nil {
		return nil, fmt.Errorf("listen for log lines at %s: %w", addr, err)
	}
	return receive(s, token)
}

// placeOf reads where lines come in, if nobody else could send there from elsewhere.
func placeOf(addr, token string) (netip.AddrPort, error) {
	if err := CheckToken(token); err != nil {
		return netip.AddrPort{}, err
	}
	where, err := netip.ParseAddrPort(addr)
	if err != nil {
		return where, fmt.Errorf("listen for log lines: %w", err)
	}
	if !where.Addr().IsLoopback() {
		return where, fmt.Errorf("listen for log lines at %s: not a loopback address, others could read or forge lines", addr)
	}
	return netip.AddrPortFrom(where.Addr().Unmap(), where.Port()), nil
}

// receive begins to count what comes in at a socket, which it closes when it fails.
func receive(s *socket, token string) (*Receiver, error) {
	since, err := ticks()
	if err != nil {
		s.close()
		return nil, fmt.Errorf("listen for log lines: %w", err)
	}
	bound, err := s.addr()
	if err != nil {
		s.close()
		return nil, fmt.Errorf("listen for log lines: %w", err)
	}
	r := &Receiver{
		socket:  s,
		addr:    bound,
		buffer:  s.buffer(),
		nap:     20 * time.Millisecond,
		opening: []byte(keyOpening + token + keyClosing),
		done:    make(chan struct{}),
		began:   time.Now().UTC(),
		events:  make(chan struct{}, 1),
		table:   newTable(maxSeries),
		losses:  newLosses(since),
		recent:  newRing(recentSize),
	}
	if r.buffer < smallBuffer {
		r.nap = time.Millisecond
	}
	go r.run()
	return r, nil
}

// ticks returns the time since the machine's start in the unit of /proc.
func ticks() (uint64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return uint64(time.Duration(t.Nano()) / tickLength), nil
}

// Addr returns the address that HAProxy is to send to, with the port that was chosen.
func (r *Receiver) Addr() netip.AddrPort { return r.addr }

// Lend gives the socket's descriptor to use, which must not close it, while the Receiver is open.
func (r *Receiver) Lend(use func(fd int) error) error { return use(r.socket.fd) }

// Buffer returns the size of the receive buffer in bytes as the kernel accounts it, twice what
// was granted. Without the right to force it (CAP_NET_ADMIN) it is the system's net.core.rmem_max,
// as a rule room for a few hundred lines, and bursts are lost, and counted as lost.
func (r *Receiver) Buffer() int { return r.buffer }

// Resume goes on from what an earlier receiver had counted at its end. It is for before the first Snapshot.
func (r *Receiver) Resume(c Counts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began, r.losses.lost = c.Since, r.losses.lost+c.Lost
	r.table.resume(c)
}

// Snapshot returns all that was counted since Listen, and before if it was resumed, as a copy.
func (r *Receiver) Snapshot() Counts {
	r.mu.Lock()
	r.table.forgetPresented(time.Now())
	c := r.table.snapshot()
	c.Lost, c.Since = r.losses.lost, r.began
	r.mu.Unlock()
	c.sort()
	return c
}

// Events gives a value when HAProxy has said something of its servers since the last one was taken.
func (r *Receiver) Events() <-chan struct{} { return r.events }

// Recent returns at most n of the last lines that the filter takes, oldest first.
func (r *Receiver) Recent(f Filter, n int) []Entry {
	r.mu.Lock()
	content, last := r.recent.copy(), r.taken
	r.mu.Unlock()
	chosen, _ := choose(content, last, &f, n, 0)
	list := make([]Entry, len(chosen))
	for i := range chosen {
		list[i] = chosen[i].Entry
	}
	return list
}

// Malformed returns the beginning of the last line that carried the token and could not be
// read, without the token; "" when there was none.
func (r *Receiver) Malformed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.malformed)
}

// Close counts what has already arrived, then closes the socket; the counts stay readable.
func (r *Receiver) Close() error {
	r.end.Do(r.socket.end)
	<-r.done
	return nil
}

// run is the reading goroutine. While lines come it empties the socket and then naps, instead
// of waiting for the next one: to wake a waiting reader costs HAProxy more than all of the
// line's formatting.
func (r *Receiver) run() {
	defer close(r.done)
	defer r.endTails()
	defer r.socket.close()
	settled := time.Now()
	for stop := false; !stop; {
		switch n := r.drain(); {
		case n == 0:
			stop = r.socket.wait(true, settleEvery)
		case n < drainMost:
			stop = r.socket.wait(false, r.nap)
		default: // there is more already
			stop = r.socket.wait(false, 0)
		}
		if time.Since(settled) >= settleEvery {
			settled = time.Now()
			r.settle()
		}
	}
	for r.drain() == drainMost {
	}
}

// drain counts what has arrived, drainMost datagrams at most, and returns how many it were.
func (r *Receiver) drain() int {
	total := 0
	for total < drainMost {
		n := r.socket.receive()
		r.take(n)
		total += n
		if n < batch {
			break
		}
	}
	return total
}

// take counts the n datagrams of the last receive.
func (r *Receiver) take(n int) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range n {
		r.count(r.socket.datagram(i))
	}
}

func (r *Receiver) count(b []byte, whole bool) {
	n := len(r.opening)
	if len(b) < n || subtle.ConstantTimeCompare(b[:n], r.opening) == 0 {
		switch {
		case isNotice(b):
			r.table.counts.Notices++
		case saysOf(b):
			r.table.counts.Notices++
			if isEvent(b) {
				select {
				case r.events <- struct{}{}:
				default:
				}
			}
		default:
			r.table.counts.Foreign++
		}
		return
	}
	b = b[n:]
	headed, err := r.line.parse(b)
	if headed { // it came, so it is not lost, even if it cannot be counted
		r.losses.note(&r.line)
	}
	if err != nil || !whole {
		r.table.counts.Malformed++
		r.malformed = append(r.malformed[:0], b[:min(len(b), sampleSize)]...)
		return
	}
	r.table.count(&r.line)
	b = bytes.TrimSuffix(b, []byte("\n"))
	r.recent.add(b)
	r.taken++
	for _, t := range r.tails {
		t.offer(&r.line, b, r.taken)
	}
}

// saysOf tells whether a datagram is one of HAProxy's words about a server or a backend: up, down, drained, in
// maintenance. Anybody could send that too, and would make somebody look, no more often than they look anyway.
func saysOf(b []byte) bool {
	return bytes.HasPrefix(b, []byte("Server ")) || bytes.HasPrefix(b, []byte("backend ")) || bytes.HasPrefix(b, []byte("Health check for "))
}

// isEvent tells whether what is said of a server or a backend is worth a look. That a server has left maintenance, and
// is as down as before, is not: hundreds do when they are added, and each says so again when its first check was good.
func isEvent(b []byte) bool {
	return !bytes.Contains(b, []byte(" is DOWN/READY (leaving forced maintenance)"))
}

// isNotice tells whether a datagram is what HAProxy sends to a frontend's log target when the
// frontend stops, in a wording of its own. Anybody could send that, and would gain nothing.
func isNotice(b []byte) bool {
	return bytes.HasPrefix(b, []byte("Proxy ")) && bytes.Contains(b, []byte(" stopped (cumulated conns: "))
}

func (r *Receiver) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.losses.settle()
}
