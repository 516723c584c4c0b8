package zookeeper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// header begins each frame of a session.
type header struct {
	xid  int32
	code code
}

// event is a watch that fired: it was good for once.
type event struct {
	kind, state int32
	path        string
}

// childrenChanged is the kind of event that only a list's watch has.
const childrenChanged = 4

// hungUp says whether the other side has ended the connection, with or without a goodbye.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lost says in words how a connection ended.
func lost(err error, patience time.Duration) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the connection ended in the middle of an answer: %w", err)
	case hungUp(err):
		return fmt.Errorf("the server ended the connection (it stops, or the session has run out): %w", err)
	}
	return noTime(err, patience)
}

// code is what a server answers in place of what was asked for; 0 is none.
type code int32

const (
	codeNoNode code = -101
	codeNoAuth code = -102
)

// Error says what a code means, and what can be done.
func (c code) Error() string {
	switch c {
	case -4:
		return "CONNECTIONLOSS: the server can't answer now"
	case -6:
		return "UNIMPLEMENTED: the server is older than ZooKeeper 3.4, or no ZooKeeper"
	case codeNoNode:
		return "NONODE: there is no such node"
	case codeNoAuth:
		return "NOAUTH: the node's ACL does not let us read it; let everybody read it (world:anyone:r), or give user and password of one who may (scheme digest)"
	case -112:
		return "SESSIONEXPIRED: the session has run out"
	case -115:
		return "AUTHFAILED: the server takes no such sign-in; it must know the scheme digest"
	case -118:
		return "SESSIONMOVED: the session was taken by another connection"
	case -124:
		return "SESSIONCLOSEDREQUIRESASLAUTH: the server asks for SASL, which we don't speak; allow the scheme digest or anonymous readers"
	}
	return fmt.Sprintf("error %d of ZooKeeper; its log says more", int32(c))
}

// writer makes a frame.
type writer struct{ raw []byte }

func (w *writer) start() {
	if w.raw == nil {
		w.raw = make([]byte, 4, 64)
	}
}

func (w *writer) int32(v int32) {
	w.start()
	w.raw = binary.BigEndian.AppendUint32(w.raw, uint32(v))
}

func (w *writer) int64(v int64) {
	w.start()
	w.raw = binary.BigEndian.AppendUint64(w.raw, uint64(v))
}

func (w *writer) bool(v bool) {
	w.start()
	b := byte(0)
	if v {
		b = 1
	}
	w.raw = append(w.raw, b)
}

func (w *writer) bytes(v []byte) {
	w.int32(int32(len(v)))
	w.raw = append(w.raw, v...)
}

func (w *writer) string(v string) { w.bytes([]byte(v)) }

// frame is all that was written behind its length.
func (w *writer) frame() []byte {
	w.start()
	binary.BigEndian.PutUint32(w.raw, uint32(len(w.raw)-4))
	return w.raw
}

// reader takes a frame apart; failed is set for good when there is less than was asked for.
type reader struct {
	raw    []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.raw) {
		r.failed = true
		return nil
	}
	b := r.raw[:n]
	r.raw = r.raw[n:]
	return b
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// bytes reads what a length goes before; -1 stands for nothing at all.
func (r *reader) bytes() []byte {
	n := r.int32()
	if n == -1 {
		return nil
	}
	return r.take(int(n))
}

func (r *reader) string() string { return string(r.bytes()) }

// strings reads a list of at most most; a longer one is read no further, and many says so.
func (r *reader) strings(most int) (list []string, many bool) {
	n := r.int32()
	if n > int32(most) {
		return nil, true
	}
	for range n {
		s := r.string()
		if r.failed {
			return nil, false
		}
		list = append(list, s)
	}
	return list, false
}

// stat is what matters of a node's own record.
type stat struct{ owner int64 }

func (r *reader) stat() stat {
	_ = r.take(8 + 8 + 8 + 8 + 4 + 4 + 4) // czxid, mzxid, ctime, mtime, version, cversion, aversion
	s := stat{owner: r.int64()}
	_ = r.take(4 + 4 + 8) // dataLength, numChildren, pzxid
	return s
}
